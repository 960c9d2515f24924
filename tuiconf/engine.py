"""The engine: one participant, live. The only place where the call meets the clock, the network and the devices.

It performs the session's effects, keeps the connection to the relay, and runs one tick every 20 ms for
everything: capture, send, play, timers. Faults of devices and of the network end here as events.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from relay_quic.wire import RelayMessage
from tuiconf.adapters.audio import AudioError, Sink, Source
from tuiconf.adapters.clock import Ticker
from tuiconf.adapters.relay import RelayConnection, RelayNotTrusted, RelayUnreachable, Trust
from tuiconf.conference.effects import Effect, Emit, Finish, InstallKeys, Reconnect, Send
from tuiconf.conference.events import AudioStats, Event, Failed, Left, LeftReason, Undecryptable
from tuiconf.conference.membership import Instant, Membership, Self
from tuiconf.conference.session import LinkState, Session
from tuiconf.conference.sound import Sound
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.link import RelayAddress
from tuiconf.media.levels import SILENCE_DBFS

# The first pause between attempts to reach the relay again, and the longest: quick enough that a restart of the
# relay is not noticed, slow enough that a thousand participants do not keep it down.
FIRST_RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 10.0

TICKS_PER_SECOND: Final = 50

# How long the last messages may take to leave before the connection is closed.
GOODBYE_S: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call:
    """What call to be in, as whom, and with which devices."""

    relay: RelayAddress
    session: Session
    sound: Sound
    source: Source
    sink: Sink
    trust: Trust
    library: str
    # Whether the call is pointless without the sink: a file or pipe that fails ends it, a loudspeaker does not.
    sink_needed: bool = False
    # For the demo and the tests of removal: who was removed goes on listening, and tries to open what it hears.
    eavesdrop: Callable[[bytes], None] | None = None


class Engine:
    """Runs one call. `on_event` is called for everything that happens, on the loop's thread; `Left` is the last."""

    def __init__(self, call: Call, on_event: Callable[[Event], None]) -> None:
        self._call = call
        self._session = call.session
        self._sound = call.sound
        self._on_event = on_event
        self._connection: RelayConnection | None = None
        self._lost = asyncio.Event()  # the present connection is to be replaced
        self._finished: asyncio.Future[LeftReason] = asyncio.get_running_loop().create_future()
        self._ever_connected = False
        self._source = call.source
        self._ticker = Ticker()
        self._muted = False
        self._undecryptable_before = 0
        self._undecryptable = False
        self._reason: LeftReason | None = None  # why we leave, when it is not by our user's wish

    # --- what users ask

    @property
    def membership(self) -> Membership | None:
        """The group as this participant has it; None while outside."""
        return self._session.membership

    @property
    def muted(self) -> bool:
        """Whether nothing of the source is sent."""
        return self._muted

    def mute(self, muted: bool) -> None:
        """Stop or start sending what the source gives."""
        self._muted = muted

    def say(self, text: str) -> None:
        """Send a line of chat.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        self._perform(self._session.say(text, _instant()))

    def remove(self, leaf: int) -> None:
        """Remove a participant, as host.

        Raises:
            LocalProtocolError: not allowed, or nobody there.
        """
        self._perform(self._session.remove(leaf, _instant()))

    def leave(self) -> None:
        """Leave the call; `run` returns soon."""
        self._perform(self._session.leave(_instant()))

    async def play(self, source: Source) -> None:
        """Send this source from now on, in place of the present one.

        Raises:
            AudioError: it cannot be opened; the present one goes on.
        """
        await source.start()
        before, self._source = self._source, source
        await before.close()

    # --- the run

    async def run(self) -> LeftReason:
        """Be in the call until it ends; why it did.

        Raises:
            AudioError: a device cannot be opened. Nothing has been sent then.
        """
        await self._call.sink.start()
        try:
            await self._source.start()
            async with asyncio.TaskGroup() as tasks:
                connecting = tasks.create_task(self._keep_connected())
                ticking = tasks.create_task(self._tick_forever())
                reason = await self._finished
                ticking.cancel()
                connecting.cancel()
        finally:
            await self._close()
        self._on_event(Left(reason=reason))
        return reason

    async def _close(self) -> None:
        if self._connection is not None:
            self._connection.flush(time.monotonic())
            await self._connection.close()
        for device in (self._source, self._call.sink):
            try:
                await device.close()
            except AudioError as error:
                self._fail(error.code, str(error))

    # --- the connection

    async def _keep_connected(self) -> None:
        """Connect, wait until that connection is lost, and connect again, until the call is over."""
        pause_s = FIRST_RETRY_S
        while not self._finished.done():
            self._lost.clear()
            connection = RelayConnection(
                on_message=self._on_message, on_datagram=self._on_datagram, on_closed=self._lost.set
            )
            try:
                await connection.open(self._call.relay, library=self._call.library, trust=self._call.trust)
            except RelayNotTrusted as error:
                return self._give_up(error.code, str(error))
            except RelayUnreachable as error:
                if not self._ever_connected:
                    return self._give_up(error.code, str(error))
                await asyncio.sleep(pause_s * (0.5 + _random_fraction()))
                pause_s = min(pause_s * 1.6, LONGEST_RETRY_S)
                continue
            self._connection, self._ever_connected = connection, True
            entered_at = time.monotonic()
            self._perform(self._session.connected(_instant()))
            await self._lost.wait()
            self._connection = None
            self._perform(self._session.disconnected(_instant()))
            await connection.close()
            # A relay that lets us in and throws us out at once is to be left alone a little longer each time.
            pause_s = FIRST_RETRY_S if time.monotonic() - entered_at > LONGEST_RETRY_S else min(pause_s * 2, 5.0)
            await asyncio.sleep(0 if pause_s <= 2 * FIRST_RETRY_S else pause_s)

    def _give_up(self, code: str, message: str) -> None:
        self._fail(code, message, fatal=True)
        self._finish(LeftReason.FAILED)

    def _on_message(self, message: RelayMessage) -> None:
        self._perform(self._session.receive(message, _instant()))

    def _on_datagram(self, datagram: bytes) -> None:
        self._sound.receive(datagram, now=time.monotonic())
        if self._call.eavesdrop is not None:
            self._call.eavesdrop(datagram)

    # --- the tick

    async def _tick_forever(self) -> None:
        async for tick in self._ticker:
            at = _instant()
            self._capture(at)
            self._play(at)
            if tick % TICKS_PER_SECOND == 0:
                self._each_second(at)
            due = self._session.next_timer()
            if due is not None and due <= at.now:
                self._perform(self._session.handle_timer(at))
            connection = self._connection
            if connection is not None:
                connection.flush(at.now)
                if connection.is_lost(at.now):
                    self._lost.set()

    def _capture(self, at: Instant) -> None:
        try:
            pcm = self._source.frame()
        except AudioError as error:
            self._fail(error.code, str(error))
            return
        online = self._session.link_state is LinkState.IN_ROOM
        if not online or self._session.membership is None:
            return
        for datagram in self._sound.capture(None if self._muted else pcm, now=at.now, unix=at.unix):
            self._send_datagram(datagram)
        for datagram in self._sound.report_due(now=at.now):
            self._send_datagram(datagram)

    def _send_datagram(self, datagram: bytes) -> None:
        if self._connection is not None:
            self._connection.send_datagram(datagram)

    def _play(self, at: Instant) -> None:
        try:
            self._call.sink.write(self._sound.play(now=at.now, unix=at.unix))
        except AudioError as error:
            self._fail(error.code, str(error), fatal=self._call.sink_needed)
            if self._call.sink_needed:
                self._failed_while_in_call()

    def _failed_while_in_call(self) -> None:
        """Leave as one should, so that the others see it at once; the reason to report is the failure."""
        self._reason = LeftReason.FAILED
        self.leave()

    def _each_second(self, at: Instant) -> None:
        self._sound.housekeep(now=at.now)
        membership = self._session.membership
        if membership is None:
            return
        counts = self._sound.undecryptable
        self._watch_undecryptable(sum(counts.values()))
        level = self._sound.level_dbfs
        people = {leaf: (who.name, who.fingerprint) for leaf, who in membership.roster.by_leaf.items()}
        self._on_event(
            AudioStats(
                frames_sent=self._sound.frames_sent,
                muted=self._muted,
                level_dbfs=None if level <= SILENCE_DBFS else round(level, 1),
                rtt_ms=self._connection.rtt_ms if self._connection is not None else None,
                repeats=self._sound.repeats,
                undecryptable=counts,
                ticks_skipped=self._ticker.skipped,
                streams=self._sound.streams(people),
            )
        )

    def _watch_undecryptable(self, total: int) -> None:
        """A change of state, not a line for each frame."""
        new, self._undecryptable_before = total - self._undecryptable_before, total
        if (new > 0) is not self._undecryptable:
            self._undecryptable = new > 0
            self._on_event(Undecryptable(active=self._undecryptable, frames=total))

    # --- effects

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(message=message):
                    if self._connection is not None:
                        self._connection.send(message)
                case InstallKeys():
                    self._sound.install(effect, now=time.monotonic())
                case Emit(event=event):
                    self._on_event(event)
                case Reconnect():
                    self._lost.set()
                case Finish(reason=reason):
                    self._finish(reason)
        if effects and self._connection is not None:
            self._connection.flush(time.monotonic())

    def _finish(self, reason: LeftReason) -> None:
        if not self._finished.done():
            self._finished.set_result(self._reason or reason)

    def _fail(self, code: str, message: str, *, fatal: bool = False) -> None:
        self._on_event(Failed(code=code, message=message, fatal=fatal))


def _instant() -> Instant:
    return Instant(now=time.monotonic(), unix=time.time())


def _random_fraction() -> float:
    """0 to 1, so that those who lost the same relay do not all come back in the same moment."""
    return int.from_bytes(os.urandom(2), "big") / 65536
