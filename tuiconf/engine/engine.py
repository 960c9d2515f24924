"""The engine: one participant, live.

It performs the session's effects, keeps the connection to the relay, and runs one tick every 20 ms for
everything: capture, send, play, timers. Faults of devices and of the network end here as events.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from relay_quic.wire import RelayMessage
from tuiconf.adapters.audio import AudioError, Source
from tuiconf.adapters.audio.null import NullSink
from tuiconf.adapters.clock import Ticker
from tuiconf.adapters.relay import RelayConnection, RelayNotTrusted, RelayUnreachable
from tuiconf.conference.effects import Effect, Emit, Finish, InstallKeys, Reconnect, Send
from tuiconf.conference.events import (
    AudioStats,
    Eavesdropped,
    Event,
    Failed,
    Left,
    LeftReason,
    SourceEnded,
    Undecryptable,
)
from tuiconf.conference.membership import Instant, Membership
from tuiconf.conference.session import LinkState, Session
from tuiconf.conference.sound import Sound, Volume
from tuiconf.engine.call import Call, Devices
from tuiconf.engine.faults import Faults
from tuiconf.engine.incoming import Incoming
from tuiconf.engine.outgoing import Outgoing
from tuiconf.media.levels import SILENCE_DBFS

# The pause between attempts to reach the relay again is this share of the time it has been away: a restart of two
# seconds is over 0.3 s after the relay is back, and a thousand participants of a relay that was away for a minute
# ask it about a hundred times a second.
RETRY_SHARE: Final = 0.15
SHORTEST_RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 10.0

# A connection that held for so long was a good one: what comes after is new trouble,
# and the next attempt comes soon. One that did not counts as more of the same.
GOOD_CONNECTION_S: Final = 2.0

# How long chat may take to reach the relay before we leave without it.
LAST_WORDS_S: Final = 1.0

TICKS_PER_SECOND: Final = 50

# The session's timers, and whether the relay is still there, are looked at every 100 ms: the shortest time is 200 ms.
TIMER_TICKS: Final = 5

# While there is nothing to send and nothing to hear, sound and timers are looked at about every 100 ms as well, and
# whether anything came in every second tick only: waking up is most of what a silent participant costs. Whoever
# begins to speak is heard by 20 ms later at most, and after that every tick is run.
IDLE_TICKS: Final = 5
RESTING_TICKS: Final = 1

# Who is not in a group yet has no leaf, and is told their own level all the same.
NO_LEAF: Final = -1


class Engine:
    """Runs one call. `on_event` is called for everything that happens, on the loop's thread; `Left` is the last."""

    def __init__(
        self, call: Call, on_event: Callable[[Event], None], on_played: Callable[[str, bool], None] = lambda *_: None
    ) -> None:
        """`on_played(path, finished)` is called when what `outgoing.play` was given is over."""
        self._call = call
        self._session = call.session
        self._sound = call.sound
        self._on_event = on_event
        self.outgoing = Outgoing(on_played)
        self.incoming = Incoming(call.sound)
        self.ticks = 0
        self._connection: RelayConnection | None = None
        self._lost = asyncio.Event()  # the present connection is to be replaced
        self._begun = asyncio.Event()
        self._joined = asyncio.Event()
        self._finished: asyncio.Future[LeftReason] = asyncio.get_running_loop().create_future()
        self._ever_connected = self._told_unreachable = False
        self._ended_source: Source | None = None  # the one whose end was told
        self._ticker = Ticker()
        self._sound_tick = 0
        self._stats_tick = self._timers_tick = 0
        self._faults = Faults(on_event)
        self._leave_by: float | None = None  # we leave once what was typed is said, and by then at the latest
        self._people: dict[int, tuple[str, str]] = {}  # by leaf: those whose sound may be heard
        self._undecryptable_before = 0
        self._undecryptable = False
        self._reason: LeftReason | None = None  # why we leave, when it is not by our user's wish

    # --- what users ask

    @property
    def membership(self) -> Membership | None:
        """The group as this participant has it; None while outside."""
        return self._session.membership

    @property
    def session(self) -> Session:
        """The call's state, to look at: to change it, `ask`."""
        return self._session

    @property
    def sound(self) -> Sound:
        """The call's sound."""
        return self._sound

    def ask(self, wish: Callable[[Session, Instant], list[Effect]]) -> None:
        """Have the session do something, and do what it says.

        Raises:
            LocalProtocolError: it cannot be done.
        """
        self._perform(wish(self._session, _instant()))

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

    def set_volume(self, leaf: int, *, volume_db: float | None, muted: bool | None) -> None:
        """How someone is heard here; None leaves it as it is."""
        before = self._sound.volumes.pop(leaf, Volume())
        after = Volume(db=before.db if volume_db is None else volume_db, muted=before.muted if muted is None else muted)
        if after != Volume():
            self._sound.volumes[leaf] = after

    def follow_trust(self) -> None:
        """Who people are to our user has changed: whom it is not sure of is not heard, and whom it is, is."""
        self._remember_people()
        self._perform(self._session.handle_timer(_instant()))  # those who wait may not have to any more

    def levels(self) -> tuple[tuple[int, float, bool] | None, list[tuple[int, float, bool]]]:
        """(leaf, level in dBFS, speaking) of this participant, None while outside, and of those who are heard.

        Before a prepared call begins: of its input (`NO_LEAF`), which nobody is sent.
        """
        now, membership = time.monotonic(), self._session.membership
        if membership is None:
            return (None if self._begun.is_set() else (NO_LEAF, *self._sound.own_level(now=now))), []
        return (membership.own_leaf, *self._sound.own_level(now=now)), list(self._sound.levels(now=now))

    def leave(self) -> None:
        """Leave the call; `run` returns soon."""
        if (eavesdropper := self._call.eavesdropper) is not None and eavesdropper.removed:
            tried, opened = eavesdropper.frames_tried, eavesdropper.frames_opened
            self._on_event(Eavesdropped(frames_tried=tried, frames_opened=opened))
            self._finish(LeftReason.REMOVED)
            return
        if self._session.unsaid and self._leave_by is None:
            self._leave_by = time.monotonic() + LAST_WORDS_S
            return
        self._leave_by = None
        self._perform(self._session.leave(_instant()))

    def _leave_if_said(self, now: float) -> None:
        if self._leave_by is not None and (now >= self._leave_by or not self._session.unsaid):
            self.leave()

    def hang_up(self) -> None:
        """End now: whoever is in a hurry does not wait for the others to have taken notice."""
        self._finish(LeftReason.LEFT)

    # --- the run

    async def run(self) -> LeftReason:
        """Be in the call until it ends; why it did.

        Raises:
            AudioError: a device cannot be opened. Nothing has been sent then.
        """
        try:
            if not self._call.prepared:
                await self._open_devices()
                self._begun.set()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._keep_connected(), name="connection"),
                    group.create_task(self._tick_forever(), name="tick"),
                    group.create_task(self._open_microphone(), name="microphone"),
                ]
                reason = await self._finished
                for task in tasks:
                    task.cancel()
        finally:
            await self._close()
        if self._people:
            self._tell_stats()
        self._on_event(Left(reason=reason))
        return reason

    async def begin(self, devices: Devices) -> None:
        """Begin a call that is only prepared.

        Raises:
            AudioError: a device cannot be opened. Nothing has begun.
        """
        self._call = devices.given_to(self._call)
        self.outgoing.await_another()
        try:
            await self._open_devices()
        except AudioError:
            await self.incoming.set_output(NullSink(), devices.sink_name)
            raise
        self._begun.set()

    async def _open_devices(self) -> None:
        call = self._call
        await self.incoming.set_output(call.sink, call.sink_name)
        if call.source_when_joined:
            self.outgoing.await_input(call.source_name)
        else:
            await self.outgoing.set_awaited_input(call.source, call.source_name)

    async def _close(self) -> None:
        if self._connection is not None:
            self._connection.flush(time.monotonic())
            await self._connection.close()
        for device in (self.outgoing, self.incoming):
            try:
                await device.close()
            except AudioError as error:
                self._fail(error.code, str(error))

    # --- the connection

    async def _keep_connected(self) -> None:
        """Connect, wait until that connection is lost, and connect again, until the call is over."""
        await self._begun.wait()
        away_since = time.monotonic()
        while not self._finished.done():
            began = time.monotonic()
            had_one = await self._connect_once()
            now = time.monotonic()
            if had_one and now - began > GOOD_CONNECTION_S:
                away_since = now
            await asyncio.sleep(retry_pause_s(now - away_since, _random_fraction()))

    async def _connect_once(self) -> bool:
        """One connection, until it is lost; False when there was none."""
        self._lost.clear()
        connection = RelayConnection(
            on_message=self._on_message, on_datagram=self._on_datagram, on_closed=self._lost.set
        )
        try:
            await connection.open(self._call.relay, library=self._call.library, trust=self._call.trust)
        except RelayNotTrusted as error:
            self._give_up(error.code, str(error))
            return False
        except RelayUnreachable as error:
            if not self._ever_connected:
                self._not_there(error)
            return False
        self._connection, self._ever_connected = connection, True
        self._perform(self._session.connected(_instant()))
        await self._lost.wait()
        self._connection = None
        self._perform(self._session.disconnected(_instant()))
        await connection.close()
        return True

    def _not_there(self, error: RelayUnreachable) -> None:
        """The relay was never reached: a wrong address, or a machine that has started before its network."""
        if not self._call.keep_trying:
            self._give_up(error.code, str(error))
        elif not self._told_unreachable:
            self._told_unreachable = True
            self._fail(error.code, f"{error}; trying again")

    def _give_up(self, code: str, message: str) -> None:
        self._fail(code, message, fatal=True)
        self._finish(LeftReason.FAILED)

    def _on_message(self, message: RelayMessage) -> None:
        try:
            self._perform(self._session.receive(message, _instant()))
        except Exception as fault:  # noqa: BLE001 - see Faults
            self._faults.contain(fault)

    def _on_datagram(self, datagram: bytes) -> None:
        try:
            came_at = self._connection.datagram_at if self._connection is not None else time.monotonic()
            self._sound.receive(datagram, now=came_at)
            if self._call.eavesdropper is not None:
                self._call.eavesdropper.hear(datagram)
        except Exception as fault:  # noqa: BLE001 - see Faults
            self._faults.contain(fault)

    # --- the tick

    async def _tick_forever(self) -> None:
        await self._ticker.run(self._tick)

    def _tick(self, tick: int) -> None:
        at = _instant()
        self.ticks = tick
        self._do(self._receive, tick, at)
        idle = self._is_idle(at.now)
        if not idle or tick >= self._sound_tick:
            self._sound_tick = tick + IDLE_TICKS
            for step in (self._capture, self._play, self._see_to_timers):
                self._do(step, tick, at)
        self._do(self._see_to_connection, tick, at)
        if idle:
            self.incoming.skip(tick + RESTING_TICKS)
            self._ticker.leave_out(RESTING_TICKS)

    def _is_idle(self, now: float) -> bool:
        """Whether nobody can be heard here, and nothing is to be sent: most of the life of a machine nobody sits at."""
        return self.outgoing.idle and self.incoming.idle and self._sound.is_silent(now=now)

    def _do(self, step: Callable[[int, Instant], None], tick: int, at: Instant) -> None:
        try:
            step(tick, at)
        except Exception as fault:  # noqa: BLE001 - see Faults
            self._faults.contain(fault)

    def _receive(self, _tick: int, at: Instant) -> None:
        if self._connection is not None:
            self._connection.tick(at.now)

    def _see_to_timers(self, tick: int, at: Instant) -> None:
        if tick >= self._stats_tick:
            self._stats_tick = tick + TICKS_PER_SECOND
            self._each_second(at)
        if tick >= self._timers_tick:
            self._timers_tick = tick + TIMER_TICKS
            due = self._session.next_timer()
            if due is not None and due <= at.now:
                self._perform(self._session.handle_timer(at))
            self._leave_if_said(at.now)
            if self._connection is not None and self._connection.is_lost(at.now):
                self._lost.set()

    def _see_to_connection(self, _tick: int, at: Instant) -> None:
        if self._connection is not None:
            self._connection.flush(at.now)

    async def _open_microphone(self) -> None:
        """Once we are in the call. Without what we were told to send there is nothing to be there for."""
        await self._joined.wait()
        if not self._call.source_when_joined:
            return
        try:
            await self.outgoing.set_awaited_input(self._call.source, self._call.source_name)
        except AudioError as error:
            self._fail(error.code, str(error), fatal=not self._call.prepared)
            if not self._call.prepared:
                self._failed_while_in_call()

    def _capture(self, _tick: int, at: Instant) -> None:
        in_group = self._session.membership is not None
        if not in_group and self._begun.is_set():
            return  # whatever the source has waits until someone can hear it
        try:
            pcm = self.outgoing.frame() if in_group else self.outgoing.own_frame()
        except AudioError as error:
            self._fail(error.code, str(error))
            return
        if not in_group:
            self._sound.measure(pcm, now=at.now)
            return
        if (ended := self.outgoing.input_ended) is not None and ended is not self._ended_source:
            self._ended_source = ended
            self._on_event(SourceEnded())
        if self._session.link_state is not LinkState.IN_ROOM:
            return
        for datagram in self._sound.capture(pcm, now=at.now, unix=at.unix):
            self._send_datagram(datagram)
        for datagram in self._sound.report_due(now=at.now):
            self._send_datagram(datagram)

    def _send_datagram(self, datagram: bytes) -> None:
        if self._connection is not None:
            self._connection.send_datagram(datagram)

    def _play(self, tick: int, at: Instant) -> None:
        try:
            self.incoming.play(tick, now=at.now, unix=at.unix)
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
        self._session.expire(at)
        if self._session.membership is None:
            return
        self._watch_undecryptable(sum(self._sound.undecryptable.values()))
        self._tell_stats()

    def _tell_stats(self) -> None:
        level = self._sound.level_dbfs
        self._on_event(
            AudioStats(
                frames_sent=self._sound.frames_sent,
                muted=not self.outgoing.live,
                level_dbfs=None if level <= SILENCE_DBFS else round(level, 1),
                rtt_ms=self._connection.rtt_ms if self._connection is not None else None,
                repeats=self._sound.repeats,
                undecryptable=self._sound.undecryptable,
                ticks_skipped=self._ticker.skipped,
                streams=self._sound.streams(self._people),
            )
        )

    def _remember_people(self) -> None:
        membership = self._session.membership
        people = membership.people() if membership is not None else ()
        self._people = {who.leaf: (who.name, who.fingerprint) for who in people}
        self._sound.silenced = frozenset(who.leaf for who in people if who.trust == "changed")

    def _watch_undecryptable(self, total: int) -> None:
        """A change of state, not a line for each frame."""
        new, self._undecryptable_before = total - self._undecryptable_before, total
        if (new > 0) is not self._undecryptable:
            self._undecryptable = new > 0
            self._on_event(Undecryptable(active=self._undecryptable, frames=total))

    # --- effects

    def _perform(self, effects: Sequence[Effect]) -> None:
        if self._call.eavesdropper is not None and Finish(reason=LeftReason.REMOVED) in effects:
            self._call.eavesdropper.removed = True
            effects = [Emit(event=Left(reason=LeftReason.REMOVED))]  # and stay connected
        for effect in effects:
            match effect:
                case Send(message=message):
                    if self._connection is not None:
                        self._connection.send(message)
                case InstallKeys():
                    if effect.removal:
                        self._tell_stats()  # the last of those who go
                    self._sound.install(effect, now=time.monotonic())
                    self._remember_people()
                    self._joined.set()
                    if self._call.eavesdropper is not None:
                        self._call.eavesdropper.install(effect)
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


def retry_pause_s(away_s: float, fraction: float) -> float:
    """How long to wait before asking a relay again that has been away for `away_s`; `fraction` is random, 0 to 1."""
    pause_s = min(max(RETRY_SHARE * away_s, SHORTEST_RETRY_S), LONGEST_RETRY_S)
    return pause_s * (0.5 + fraction)


def _instant() -> Instant:
    return Instant(now=time.monotonic(), unix=time.time())


def _random_fraction() -> float:
    """0 to 1, so that those who lost the same relay do not all come back in the same moment."""
    return int.from_bytes(os.urandom(2), "big") / 65536
