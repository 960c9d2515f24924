"""The state of a call: its link, its phase, and the parts that `Session` and `Following` share. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from relay_quic import wire
from tuiconf.conference import content
from tuiconf.conference.attendance import Attendance
from tuiconf.conference.callers import Callers
from tuiconf.conference.chat import ChatLog
from tuiconf.conference.commits import Commits
from tuiconf.conference.effects import Effect, Emit, Finish, Send
from tuiconf.conference.events import EpochChanged, Failed, LeftReason, Waiting
from tuiconf.conference.knocking import Knocking
from tuiconf.conference.membership import Instant, Membership, Self
from tuiconf.conference.outbox import Outbox
from tuiconf.conference.place import Place
from tuiconf.conference.presences import Presences
from tuiconf.conference.reception import Reception
from tuiconf.conference.refusals import NotInCall
from tuiconf.conference.statuses import Statuses
from tuiconf.conference.stranding import Stranding
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.link import LinkKeys


class Phase(enum.Enum):
    """Where the call is."""

    OUTSIDE = "outside"  # not in the group: knocking, or about to create it
    MEMBER = "member"
    LEAVING = "leaving"  # asked to be removed
    ENDED = "ended"


class LinkState(enum.Enum):
    """Where the connection to the relay is."""

    OFFLINE = "offline"
    ENTERING = "entering"
    IN_ROOM = "in_room"


_PHASES: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.OUTSIDE: frozenset({Phase.MEMBER, Phase.ENDED}),
    Phase.MEMBER: frozenset({Phase.LEAVING, Phase.ENDED}),
    Phase.LEAVING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}

_LINKS: Final[Mapping[LinkState, frozenset[LinkState]]] = {
    LinkState.OFFLINE: frozenset({LinkState.ENTERING}),
    LinkState.ENTERING: frozenset({LinkState.IN_ROOM, LinkState.OFFLINE}),
    LinkState.IN_ROOM: frozenset({LinkState.OFFLINE}),
}


class Call:
    """One participant's side of a call. Only `Session`, `Entering` and `Following` change it."""

    def __init__(self, me: Self, keys: LinkKeys, *, known: Callable[[str], bool], recordable: bool) -> None:
        self.me = me
        self.keys = keys
        self.phase = Phase.OUTSIDE
        self.link_state = LinkState.OFFLINE
        self.membership: Membership | None = None
        # the relay
        self.place = Place()
        self.attendance = Attendance()
        self.catching_up = False  # resumed, and not all that was missed is here
        self.lost_at: float | None = None  # `reconnecting` was told, and `reconnected` was not yet
        self.entered_at = 0.0
        self.away_s = 0.0  # how long we were without a connection the last time
        # what waits
        self.callers = Callers(known, me.judge)
        self.commits = Commits(self.attendance, self.callers)
        self.outbox = Outbox()
        self.say_after = 0.0
        self.leave_by: float | None = None
        # each its own part of the conversation
        self.chat = ChatLog()
        self.presences = Presences(self.attendance, self.outbox)
        self.statuses = Statuses(self.outbox, msgspec.structs.replace(content.NOTHING_SAID, recordable=recordable))
        self.mute_requests_after = -math.inf
        self.reception = Reception(me, keys, self.attendance, self.commits)
        self.knocking = Knocking(me)
        self.told_waiting = False
        self.stranding = Stranding()

    @property
    def may_speak(self) -> bool:
        """Whether what we say and commit now is for the group's present epoch, as far as we know."""
        in_call = self.phase is Phase.MEMBER and self.link_state is LinkState.IN_ROOM
        return in_call and not self.catching_up and not self.stranding.behind

    def flush(self, at: Instant) -> list[Effect]:
        """Send the next thing that waits to be said, if we may."""
        if not self.may_speak or at.now < self.say_after or (said := self.outbox.take()) is None:
            return []
        sealed = self.member.group.protect(content.encode(said), rng=self.me.rng)
        request = self.place.next_request()
        self.outbox.sent(request, said, sealed, epoch=self.member.epoch)
        return [Send(message=wire.Publish(request=request, handshake=False, data=sealed))]

    def propose_leaving(self) -> list[Effect]:
        """Ask the others to remove us: nobody can commit its own removal."""
        proposal = self.member.group.propose_remove(self.member.own_leaf, rng=self.me.rng)
        return [Send(message=wire.Publish(request=self.place.next_request(), handshake=True, data=proposal))]

    def caught_up(self, at: Instant) -> list[Effect]:
        """At the end of a replay: whatever of ours did not come back in it is sent again."""
        if not self.catching_up or self.place.replaying:
            return []
        self.catching_up = False
        self.commits.pending = None
        self.outbox.resend()
        return self.flush(at)

    def knock(self, at: Instant) -> list[Effect]:
        """Show our KeyPackage, when it is time."""
        if self.knocking.next_at is None or at.now < self.knocking.next_at:
            return []
        key_package = self.knocking.knocked(at)
        effects: list[Effect] = [self.reception.knock(key_package)] if self.attendance.others() else []
        if self.phase is Phase.OUTSIDE and not self.told_waiting:
            self.told_waiting = True
            effects.append(Emit(event=Waiting()))
        return effects

    def settle_lobby(self, at: Instant) -> list[Effect]:
        """Tell those who may admit who waits, after anything that can have changed it."""
        if self.membership is None or self.phase is not Phase.MEMBER:
            return []
        self.commits.door.expire(at.now)
        knockers = self.commits.knockers(self.membership) if len(self.commits.door) else []
        return [Emit(event=event) for event in self.callers.settle(self.membership, knockers, at)]

    @property
    def in_call(self) -> Membership:
        """The group, where a command of the user's takes being in it.

        Raises:
            NotInCall: we are not.
        """
        if self.membership is None or self.phase is not Phase.MEMBER:
            raise NotInCall("not in the call")
        return self.membership

    def is_gone(self, leaf: int) -> bool:
        """Whether the relay has no connection of this member."""
        return self.attendance.is_gone(self.member, leaf)

    @property
    def member(self) -> Membership:
        """The group, where there must be one."""
        if self.membership is None:
            raise LocalProtocolError("not a member of the group")
        return self.membership

    def move(self, phase: Phase) -> None:
        """Go to another phase of the call."""
        if phase not in _PHASES[self.phase]:
            raise LocalProtocolError(f"a call that is {self.phase.value} cannot become {phase.value}")
        self.phase = phase

    def move_link(self, state: LinkState) -> None:
        """Go to another state of the connection."""
        if state not in _LINKS[self.link_state]:
            raise LocalProtocolError(f"a link that is {self.link_state.value} cannot become {state.value}")
        self.link_state = state

    def finish(self, reason: LeftReason) -> list[Effect]:
        """The call is over."""
        goodbye: list[Effect] = [Send(message=wire.Leave())] if self.link_state is LinkState.IN_ROOM else []
        self.move(Phase.ENDED)
        self.leave_by = None
        return [*goodbye, Finish(reason=reason)]


def epoch_changed(membership: Membership) -> EpochChanged:
    """The event of being in this epoch."""
    return EpochChanged(epoch=membership.epoch, security_code=membership.security_code)


def failure(code: str, sentence: str, *, fatal: bool = False) -> Emit:
    """The effect of telling the front ends that something went wrong."""
    return Emit(event=Failed(code=code, message=sentence, fatal=fatal))
