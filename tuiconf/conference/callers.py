"""The lobby: who of those that knock has to wait, what people here were told of it, and what they decided. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from msgspec import structs

from tuiconf.conference.acquaintances import Judge
from tuiconf.conference.content import CALLER_REF_CHARACTERS
from tuiconf.conference.door import Knocker
from tuiconf.conference.events import Caller, Event, Knocked, KnockEnded
from tuiconf.conference.membership import Instant, Membership
from tuiconf.conference.policy import Lobby
from tuiconf.conference.refusals import NoSuchCaller
from tuiconf.conference.roster import name_in
from tuiconf.crypto.primitives import sha256
from tuiconf.identity.keys import fingerprint
from tuiconf.identity.trust import Trust

# One who was denied is not shown again for so long: they go on knocking. Longer, and a mistake is harder to undo.
DENIED_S: Final = 600.0

# Those denied who are remembered, the oldest forgotten first. Whoever has the link can knock under any number of
# keys, so this only bounds memory: about 100 bytes each.
MAX_DENIED: Final = 256

# One who was admitted and cannot be let in by then, because the connection was lost, has to be admitted again.
ADMITTED_S: Final = 60.0

_REF_LABEL: Final = b"tuiconf v1 caller"


def caller_ref(key: bytes) -> str:
    """What one who knocks is referred to by."""
    return sha256(_REF_LABEL + key).hex()[:CALLER_REF_CHARACTERS]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Told:
    caller: Caller
    identity: bytes  # the credential they were shown with
    connections: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Admission:
    identity: bytes
    at: float


class Callers:
    """Who waits. `judge` says who someone is to our user, `allowed(fingerprint)` whom the user lets in in any case.

    Whoever was only met before waits like a stranger: else the link, in the wrong hands, and having been in one call
    would be enough to come in.
    """

    def __init__(self, allowed: Callable[[str], bool], judge: Judge) -> None:
        self._allowed = allowed
        self._judge = judge
        self._told: dict[bytes, _Told] = {}  # by key, in the order they came
        self._admitted: dict[bytes, _Admission] = {}
        self._denied: OrderedDict[str, float] = OrderedDict()  # by reference, until when

    def waiting(self) -> tuple[Caller, ...]:
        """Those who wait for a decision."""
        return tuple(told.caller for key, told in self._told.items() if key not in self._admitted)

    def lets_in(self, who: Knocker, membership: Membership) -> bool:
        """Whether this one need not wait, as far as we have a say in it.

        Hosts need not: one who lost the connection would else depend on whoever succeeded them.
        """
        policy, key = membership.policy, who.key
        if membership.holds(key):
            return True
        if policy.locked:
            return False
        if policy.lobby is Lobby.OFF:
            return True
        if not membership.may_admit:
            return False
        if key in policy.hosts or self.admitted_at(who) is not None:
            return True
        if policy.lobby is not Lobby.UNKNOWN or caller_ref(key) in self._denied:
            return False
        return self._is_known(key, self._judge.judge(key, _name(who)))

    def waiting_keys(self) -> tuple[tuple[bytes, Caller], ...]:
        """The same, by key."""
        return tuple((key, told.caller) for key, told in self._told.items() if key not in self._admitted)

    def admitted_at(self, who: Knocker) -> float | None:
        """When our user let this one in, under this name."""
        admission = self._admitted.get(who.key)
        return admission.at if admission is not None and admission.identity == who.key_package.identity else None

    def admit(self, ref: str, now: float) -> None:
        """Our user lets someone in.

        Raises:
            NoSuchCaller: nobody of that reference waits.
        """
        key, told = self._find(ref)
        self._admitted[key] = _Admission(identity=told.identity, at=now)

    def deny(self, ref: str, now: float) -> frozenset[int]:
        """Our user does not want someone, who knocks at these connections.

        Raises:
            NoSuchCaller: nobody of that reference waits.
        """
        _, told = self._find(ref)
        self.denied(ref, now)
        return told.connections

    def denied(self, ref: str, now: float) -> None:
        """Someone with the right to it does not want this one: whoever had let them in has not, unless it is done."""
        self._denied[ref] = now + DENIED_S
        self._denied.move_to_end(ref)
        if len(self._denied) > MAX_DENIED:
            self._denied.popitem(last=False)
        self._admitted = {key: admitted for key, admitted in self._admitted.items() if caller_ref(key) != ref}

    def settle(self, membership: Membership, door: Iterable[Knocker], at: Instant) -> list[Event]:
        """What is to be told, after any change of who knocks or who is here."""
        self._expire(at.now)
        knocking = {who.key: who for who in door}
        events: list[Event] = []
        for key, told in list(self._told.items()):
            if (reason := self._ended(key, told, knocking.get(key), membership)) is not None:
                del self._told[key]
                events.append(KnockEnded(caller=told.caller, reason=reason))
        self._admitted = {key: done for key, done in self._admitted.items() if not membership.holds(key)}
        if not membership.may_admit:
            return events
        for key, who in knocking.items():
            if (known := self._told.get(key)) is not None:
                self._told[key] = self._refreshed(known, who)
                if self._told[key].caller.trust != known.caller.trust:  # nobody is to be let in for who they were
                    events.append(Knocked(caller=self._told[key].caller))
            elif not (caller_ref(key) in self._denied or self.lets_in(who, membership)):
                self._told[key] = self._tell(who, at)
                events.append(Knocked(caller=self._told[key].caller))
        return events

    def _ended(
        self, key: bytes, told: _Told, knocker: Knocker | None, membership: Membership
    ) -> Literal["admitted", "denied", "gone"] | None:
        if membership.holds(key):
            return "admitted"
        if told.caller.ref in self._denied:
            return "denied"
        renamed = knocker is not None and knocker.key_package.identity != told.identity
        return "gone" if knocker is None or renamed or not membership.may_admit else None

    def _expire(self, now: float) -> None:
        while self._denied and next(iter(self._denied.values())) <= now:
            self._denied.popitem(last=False)
        self._admitted = {key: at for key, at in self._admitted.items() if now < at.at + ADMITTED_S}

    def _find(self, ref: str) -> tuple[bytes, _Told]:
        for key, told in self._told.items():
            if told.caller.ref == ref and key not in self._admitted:
                return key, told
        raise NoSuchCaller("nobody of that reference waits in the lobby")

    def _refreshed(self, told: _Told, who: Knocker) -> _Told:
        """They knock from elsewhere, or are someone else to our user by now."""
        trust = self._judge.judge(who.key, told.caller.name)
        caller = structs.replace(told.caller, trust=trust, known=self._is_known(who.key, trust))
        if caller == told.caller and who.connections == told.connections:
            return told
        return replace(told, caller=caller, connections=who.connections)

    def _tell(self, who: Knocker, at: Instant) -> _Told:
        name = _name(who)
        trust = self._judge.judge(who.key, name)
        caller = Caller(
            ref=caller_ref(who.key),
            name=name,
            fingerprint=fingerprint(who.key),
            known=self._is_known(who.key, trust),
            trust=trust,
            since=round(at.unix - (at.now - who.since), 3),  # they may have knocked before we could admit anybody
        )
        return _Told(caller=caller, identity=who.key_package.identity, connections=who.connections)

    def _is_known(self, key: bytes, trust: Trust) -> bool:
        return trust == "verified" or self._allowed(fingerprint(key))


def _name(who: Knocker) -> str:
    return name_in(who.key_package.identity, who.key)
