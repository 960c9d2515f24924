"""What there is to commit, who does it, and when. Pure.

Every member keeps the same list and works out its own turn, so nobody has to be asked and nobody is waited for:
the committer commits after `BATCH_S`, and each member after it `TAKE_OVER_S` later, unless it was done by then.
The relay takes the first commit for each place; whoever loses processes the winner's and looks again.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from relay_quic import wire
from tuiconf.conference.attendance import VANISH_S, Attendance
from tuiconf.conference.callers import Callers
from tuiconf.conference.door import Door, Knocker
from tuiconf.conference.membership import Instant, Membership
from tuiconf.conference.policy import Policy
from tuiconf.conference.roster import committer_rank
from tuiconf.conference.rules import CommitForbidden
from tuiconf.conference.succession import choose_heir
from tuiconf.conference.wishes import Wishes
from tuiconf.crypto.mls import MlsError, Staged
from tuiconf.errors import LocalProtocolError

# Joins and leaves that arrive within this time share a commit: long enough to batch a crowd, too short to notice.
BATCH_S: Final = 0.2

# How much longer than the one before it each further member waits before it commits in the committer's place.
# Shorter means more commits that lose their race whenever the committer is slow.
TAKE_OVER_S: Final = 1.5

# After a refusal for haste, or a commit that could not be made.
RETRY_S: Final = 1.0

# How much longer a member waits to commit the going of the last host who does not know who has been here longest: if
# it chooses wrongly, those who know better do not follow it.
UNTOLD_S: Final = 10.0

# As many as share one Welcome of 1 MiB in a room of 1,000; the others follow in the next commit.
MAX_ADDS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pending:
    """Our own commit, sent and not yet answered."""

    request: int
    staged: Staged
    connections: dict[bytes, frozenset[int]]  # where those it adds have knocked, by key

    def message(self, after: int) -> wire.Commit:
        """As it goes to the relay; `after` is the place of the last commit processed."""
        return wire.Commit(
            request=self.request,
            after=after,
            data=self.staged.commit,
            welcome=self.staged.welcome or b"",
            welcome_to=sorted(frozenset[int]().union(*self.connections.values())),
        )


class Commits:
    """What waits to be committed."""

    def __init__(self, attendance: Attendance, callers: Callers) -> None:
        self.door = Door()
        self.wishes = Wishes()
        self._callers = callers
        self.pending: Pending | None = None
        self._attendance = attendance
        self._asked_to_leave: dict[int, tuple[float, bytes]] = {}  # by leaf: since when, and the proposal
        self._kicks: dict[bytes, float] = {}  # by key: a leaf may be someone else's before we can commit
        self._hold_until = -math.inf
        self._singly = False  # one newcomer at a time, since a batch could not be committed

    def asked_to_leave(self, leaf: int, ref: bytes, now: float) -> bool:
        """This member's own removal was proposed, by itself. False: in this epoch another proposal has said so."""
        return self._asked_to_leave.setdefault(leaf, (now, ref))[1] == ref

    def kick(self, key: bytes, now: float) -> None:
        """Our user wants the member with this key removed, and has the right to it."""
        self._kicks.setdefault(key, now)

    def hold(self, until: float) -> None:
        """No commit of ours before then."""
        self._hold_until = max(self._hold_until, until)

    def epoch_began(self, membership: Membership) -> None:
        """Proposals end with their epoch, and our own commit was made for the one before."""
        self.pending = None
        self._asked_to_leave.clear()
        members = membership.roster.keys
        self._kicks = {key: at for key, at in self._kicks.items() if key in members}
        self.wishes.settle(membership.policy, membership.own_key, members)

    def rank(self, membership: Membership) -> int:
        """How many members are to commit before us; 0 is the room's committer."""
        absent = frozenset(self._attendance.absent_since) | frozenset(self._asked_to_leave)
        return committer_rank(
            membership.own_leaf, roster=membership.roster.by_leaf, hosts=membership.policy.hosts, absent=absent
        )

    def due(self, membership: Membership) -> float | None:
        """When it is our turn, unless someone else was faster; None when there is nothing to commit."""
        if self.pending is not None:
            return None
        adding = self._adding(membership)
        admitted = {who.key: self._callers.admitted_at(who) for who in adding}
        since = [who.since for who in adding if admitted[who.key] is None]
        since += [asked for asked, _ in self._asked_to_leave.values()]
        since += [gone + VANISH_S for gone in self._attendance.absent_since.values()]
        times = [min(since) + BATCH_S + self._turn_s(membership)] if since else []
        times += [at for at in admitted.values() if at is not None]  # which the others do not know of
        times += self._kicks.values()
        times += [self.wishes.since] if self.wishes.any else []
        return max(min(times), self._hold_until) if times else None

    def _turn_s(self, membership: Membership) -> float:
        """How long after the committer it is our turn."""
        rank = self.rank(membership)
        hosts = [leaf for leaf, who in membership.roster.by_leaf.items() if who.key in membership.policy.hosts]
        orphaned = bool(hosts) and all(
            leaf in self._asked_to_leave or leaf in self._attendance.absent_since for leaf in hosts
        )
        untold = orphaned and not membership.roster.is_complete
        return TAKE_OVER_S * rank + (UNTOLD_S if untold else 0.0)

    def make(self, membership: Membership, request: int, at: Instant) -> Pending:
        """The commit of everything that waits. It changes nothing before the relay has accepted it.

        Raises:
            MlsError, CommitForbidden, LocalProtocolError: it cannot be made. Several newcomers are tried one by one
                from now on; a single one is refused.
        """
        adding = self._adding(membership)[: 1 if self._singly else MAX_ADDS]
        remove = self._to_remove(membership, {who.key for who in adding}, at.now)
        policy = self._policy(membership, adding, remove)
        packages = [who.key_package for who in adding]
        try:
            staged = membership.commit(add=packages, remove=sorted(remove), policy=policy, at=at)
            membership.check(staged, gone=lambda leaf: self._attendance.is_gone(membership, leaf))
        except (MlsError, CommitForbidden, LocalProtocolError):
            self._give_up(adding, at.now)
            raise
        self._singly = self._singly and len(self.door) > 1
        connections = {who.key: who.connections for who in adding}
        self.pending = Pending(request=request, staged=staged, connections=connections)
        return self.pending

    def knockers(self, membership: Membership) -> list[Knocker]:
        """Those who want in. Whoever's package is in the tree already was let in before we could know of it."""
        waiting = [who for who in self.door.waiting() if who.key not in self._kicks]
        for who in [who for who in waiting if membership.group.holds(who.key_package)]:
            self.door.use(who.key_package.ref)
            waiting.remove(who)
        return waiting

    def _adding(self, membership: Membership) -> list[Knocker]:
        """Those to let in: all that need not wait, and while our user wants the room locked whoever comes back."""
        return [
            who
            for who in self.knockers(membership)
            if self._callers.lets_in(who, membership) and (not self.wishes.locked or membership.holds(who.key))
        ]

    def _policy(self, membership: Membership, adding: list[Knocker], remove: set[int]) -> Policy | None:
        """The policy this commit brings, if another: what our user, a host, wants; or a successor to the last host."""
        before, roster = membership.policy, membership.roster
        leaving = remove | set(self._asked_to_leave)
        here = {who.key for leaf, who in roster.by_leaf.items() if leaf not in leaving} | {who.key for who in adding}
        after = before
        if membership.is_host:
            after = self.wishes.applied(before, membership.own_key, here)
            kept = after.hosts - (self._kicks.keys() - {membership.own_key})  # or they were host again by knocking
            after = replace(after, hosts=kept)
        elif before.hosts and before.hosts.isdisjoint(here):
            away = self._attendance.absent_since.__contains__
            heir = choose_heir(roster, leaving=leaving, policy=before, away=away)
            after = before if heir is None else before.with_host(heir.key, here)
        return after if after != before else None

    def _to_remove(self, membership: Membership, coming: Collection[bytes], now: float) -> set[int]:
        """Leaves to remove inline; those who asked themselves are removed by their own proposals."""
        leaves = {leaf for leaf, since in self._attendance.absent_since.items() if now - since >= VANISH_S}
        named = {*coming, *self._kicks}
        leaves |= {leaf for leaf, who in membership.roster.by_leaf.items() if who.key in named}
        return leaves - set(self._asked_to_leave) - {membership.own_leaf}

    def _give_up(self, adding: list[Knocker], now: float) -> None:
        """Of several newcomers one may have made its package so that they cannot go together: try each alone."""
        if len(adding) > 1:
            self._singly = True
            return
        for who in adding:
            self.door.use(who.key_package.ref)
        if not adding:
            self._kicks.clear()
            self.wishes.clear()
        self.hold(now + RETRY_S)
