"""What has happened in a call: numbered, kept for a while, and handed to whoever asked to be told. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from tuiconf.conference.events import ChatReceived, Event
from tuiconf.control import rpc
from tuiconf.control.events import FREQUENT, NAMES, CallEvent, ChatSent, Envelope, EventsMissed, Levels, name_of
from tuiconf.control.outbox import Outbox
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import ChatLine

# Kept for those who subscribe `since` a number: enough for a front end that starts with the call, or comes back
# after a moment. Events are about 300 bytes; one that holds a roster of 1,000 is 100 kB, and there are few.
MAX_EVENTS: Final = 256

# What a front end that attaches later shows of the chat. At most 4,000 characters each: 3 MB when somebody floods.
MAX_CHAT: Final = 200


@dataclass(slots=True)
class Subscription:
    """Who is told what."""

    outbox: Outbox
    names: frozenset[str] | None  # None: all but `levels`
    wake: Callable[[], None]

    def wants(self, event: Event) -> bool:
        """Whether this subscriber asked for such events."""
        return not isinstance(event, Levels) if self.names is None else name_of(event) in self.names


@dataclass(slots=True)
class History:
    """The events of one call, and its subscribers."""

    seq: int = 0
    on_subscribers: Callable[[], None] = lambda: None
    """Called when there is one more, or one less."""
    _ts: float = 0.0
    _epoch: int | None = None
    _forgotten: int = 0  # the number of the last event that is no longer kept
    _kept: deque[Envelope] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    _chat: deque[ChatLine] = field(default_factory=lambda: deque(maxlen=MAX_CHAT))
    _subscriptions: list[Subscription] = field(default_factory=list)

    @property
    def chat(self) -> tuple[ChatLine, ...]:
        """The last lines of chat."""
        return tuple(self._chat)

    @property
    def watched(self) -> bool:
        """Whether anybody is told anything."""
        return bool(self._subscriptions)

    @property
    def levels_wanted(self) -> bool:
        """Whether anybody asked for levels."""
        return any(subscription.names and "levels" in subscription.names for subscription in self._subscriptions)

    def add(self, event: CallEvent, *, ts: float, epoch: int | None) -> None:
        """Something happened: number it, keep it if it is not said again soon anyway, tell the subscribers."""
        self.seq += 1
        self._ts, self._epoch = round(ts, 3), epoch
        envelope = Envelope(seq=self.seq, ts=self._ts, epoch=epoch, data=event)
        if not isinstance(event, FREQUENT):
            if len(self._kept) == MAX_EVENTS:
                self._forgotten = self._kept[0].seq
            self._kept.append(envelope)
        if isinstance(event, ChatReceived | ChatSent):
            self._chat.append(_chat_line(event, ts))
        interested = [subscription for subscription in self._subscriptions if subscription.wants(event)]
        if not interested:
            return
        line = rpc.notification("event", envelope)
        for subscription in interested:
            subscription.outbox.event(line, seq=self.seq, frequent=isinstance(event, FREQUENT))
            subscription.wake()

    def subscribe(self, subscription: Subscription) -> None:
        """Tell this one from now on."""
        self._subscriptions.append(subscription)
        self.on_subscribers()

    def repeat(self, subscription: Subscription, since: int) -> None:
        """Tell this one what is kept of after `since`, and that it missed what no longer is."""
        if since < self._forgotten:
            subscription.outbox.missed(self._forgotten - since, seq=self._forgotten)
        for envelope in self._kept:
            if envelope.seq > since and subscription.wants(envelope.data):
                line = rpc.notification("event", envelope)
                subscription.outbox.event(line, seq=envelope.seq, frequent=False)
        subscription.wake()

    def unsubscribe(self, outbox: Outbox) -> None:
        """Tell the client with this outbox nothing more."""
        others = [other for other in self._subscriptions if other.outbox is not outbox]
        if len(others) < len(self._subscriptions):
            self._subscriptions = others
            self.on_subscribers()

    def missed(self, seq: int, events: int, levels: int) -> bytes:
        """The line that says how many events were left out, up to the number `seq`."""
        told = EventsMissed(events=events, levels=levels)
        return rpc.notification("event", Envelope(seq=seq, ts=self._ts, epoch=self._epoch, data=told))


def wanted_names(names: Collection[str] | None) -> frozenset[str] | None:
    """The names a client subscribes to, checked.

    Raises:
        ControlError: there is no such event.
    """
    if names is None:
        return None
    if unknown := sorted(set(names) - NAMES):
        raise ControlError(ErrorNumber.INVALID_PARAMS, f"there is no event {unknown[0]!r}")
    return frozenset(names) | {"events_missed"}


def _chat_line(event: ChatReceived | ChatSent, ts: float) -> ChatLine:
    who = event.participant
    return ChatLine(
        ts=round(ts, 3),
        leaf=who.leaf,
        name=who.name,
        fingerprint=who.fingerprint,
        own=isinstance(event, ChatSent),
        text=event.text,
        trust=who.trust,
    )
