"""Recording a call: everyone is told first, and only those who allow it are written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuiconf import paths
from tuiconf.adapters.recording import Recording, RecordingError, RecordingOptions
from tuiconf.adapters.recording.writer import MAX_TRACKS
from tuiconf.conference.events import (
    AudioStats,
    EpochChanged,
    Event,
    Failed,
    Joined,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    Reconnected,
    RecordingAnnounced,
    StatusChanged,
)
from tuiconf.conference.refusals import NotInCall
from tuiconf.config import Recording as Settings
from tuiconf.control.events import Notice, RecordingChanged, TrustChanged
from tuiconf.control.schema import RecordStart
from tuiconf.engine import Engine
from tuiconf.errors import LocalProtocolError, TuiconfError
from tuiconf.media.opus import Opus

# The announcement goes through the relay's order. A relay that is away for longer can be asked again.
ANNOUNCE_S: Final = 15.0

# Counters grow by one a frame. One that is this much lower than the last is of a program that was started anew.
RESTARTED_FRAMES: Final = 1000

# Tracks of one identity in a recording. It begins another whenever it comes back, or its counter begins anew; without
# an end, one member who counts back and forth would use up the tracks of all, and whoever comes later would not be
# recorded. The worst of connections comes back less often than this; raised, fewer such members do harm (62 now).
MAX_TRACKS_EACH: Final = 32

MEGABYTE: Final = 1_000_000


class AlreadyRecording(LocalProtocolError):
    """One recording at a time."""

    code = "already_recording"


class NotRecording(LocalProtocolError):
    """There is nothing to stop."""

    code = "not_recording"


@dataclass(slots=True)
class _Track:
    """Where one participant's frames go; without a number, nowhere."""

    track_id: int | None
    who: Person
    last: int = 0


class CallRecorder:
    """Records one call at most at a time. It is what the call's `sound` tells every packet to, while it does."""

    def __init__(self, engine: Engine, opus: Opus, settings: Settings, on_event: Callable[[Event], None]) -> None:
        self._engine = engine
        self._opus = opus
        self._settings = settings
        self._on_event = on_event
        self._recording: Recording | None = None
        self._starting = False
        self._announced = asyncio.Event()
        self._tracks: dict[int, _Track] = {}  # by leaf: those who may be recorded now
        self._begun: dict[str, int] = {}  # by fingerprint: tracks in this recording, and one more when refused another
        self._next_id = 0
        self._is_full = False
        self._turn = asyncio.Lock()  # held while a recording starts
        self._over = False
        self._ending: asyncio.Task[None] | None = None
        self.state: RecordingChanged | None = None
        """What was told last."""

    def configure(self, settings: Settings) -> None:
        """From the next recording on."""
        self._settings = settings

    async def start(self, request: RecordStart) -> RecordingChanged:
        """Tell everyone and, once that has its place in the room's order, record.

        Raises:
            AlreadyRecording: it is on.
            LocalProtocolError: the room's policy does not let us, or we are not in the call.
            RecordingError: it cannot be written, or nobody could be told.
        """
        if self._recording is not None or self._starting:
            raise AlreadyRecording("this call is being recorded already")
        self._starting = True
        try:
            async with self._turn:
                return await self._start(self._options(request))
        finally:
            self._starting = False

    async def stop(self, reason: str) -> RecordingChanged:
        """Close the files, and tell everyone that it is over.

        Raises:
            NotRecording: it is not on.
            RecordingError: the end could not be written.
        """
        recording = self._recording
        if recording is None:
            raise NotRecording("this call is not being recorded")
        self._recording, self._engine.sound.tape = None, None
        self._tracks.clear()
        self._show(active=False)
        try:
            await recording.close()
        except RecordingError as error:
            self._tell(RecordingChanged(active=False, folder=str(recording.path), reason=str(error)))
            raise
        return self._tell(RecordingChanged(active=False, folder=str(recording.path), reason=reason))

    async def close(self) -> None:
        """The call is over: also a recording that is only about to begin."""
        self._over = True
        self._announced.set()  # it will not be any more
        async with self._turn:
            if self._ending is not None:
                await self._ending
            await self._end("the call is over")

    # --- what happens

    def happened(self, event: Event) -> None:
        """To be told everything, before others are."""
        recording = self._recording
        if isinstance(event, RecordingAnnounced):
            self._announced.set()
        if recording is None:
            return
        now = time.monotonic()
        match event:
            case AudioStats():
                self._housekeep(recording, now)
            case EpochChanged(epoch=epoch):
                recording.note("epoch", {"epoch": epoch}, now=now)
                self._refresh()
                self._end_unless_allowed()
            case ParticipantJoined(participant=who):
                recording.note("joined", {"name": who.name, "fingerprint": who.fingerprint}, now=now)
                self._refresh()
            case ParticipantLeft(participant=who, reason=reason):
                note = {"name": who.name, "fingerprint": who.fingerprint, "reason": reason}
                recording.note("left", note, now=now)
                self._refresh()
            case StatusChanged() | Joined() | Reconnected() | TrustChanged():
                self._refresh()

    def packet(self, leaf: int, counter: int, payload: bytes, *, now: float) -> None:
        """A frame of whoever is at this leaf."""
        recording = self._recording
        if leaf not in self._tracks and self._engine.session.may_record(leaf):
            self._refresh()  # their word that they may be recorded has come
        track = self._tracks.get(leaf)
        if track is None or recording is None:
            return
        if track.track_id is not None and counter < track.last - RESTARTED_FRAMES:
            self.gone(leaf)
            self._refresh()
            track = self._tracks.get(leaf)
        if track is None or track.track_id is None:
            return
        track.last = max(track.last, counter)
        recording.packet(track.track_id, counter, payload, now=now)

    def clock(self, leaf: int, counter: int, unix: float, *, now: float) -> None:
        """When that frame was captured, by its sender's clock."""
        track, recording = self._tracks.get(leaf), self._recording
        if track is None or track.track_id is None or recording is None:
            return
        if counter >= track.last - RESTARTED_FRAMES:
            recording.clock(track.track_id, counter, unix, now=now)

    def gone(self, leaf: int) -> None:
        """Whoever was at this leaf no longer is, or is no longer to be recorded."""
        track = self._tracks.pop(leaf, None)
        if track is not None and track.track_id is not None and self._recording is not None:
            self._recording.left(track.track_id)

    # --- inside

    async def _start(self, options: RecordingOptions) -> RecordingChanged:
        await self._announce()
        recording = await self._begin(options)
        self._begun.clear()
        self._next_id, self._is_full = 0, False
        self._recording = recording
        self._engine.sound.tape = self
        self._refresh()
        started = self._tell(RecordingChanged(active=True, folder=str(recording.path)))
        self._end_unless_allowed()
        return started

    async def _end(self, reason: str) -> None:
        """Stop, if it is still on, with nobody who asked for it."""
        if self._recording is None:
            return
        try:
            await self.stop(reason)
        except RecordingError as error:
            self._on_event(Failed(code=error.code, message=str(error), fatal=False))

    def _end_unless_allowed(self) -> None:
        """A recording that goes on without a track would be taken for one that has everything."""
        membership = self._engine.session.membership
        if membership is not None and not membership.may_record:
            self._ending = asyncio.create_task(self._end("the room does not let you record any more"))

    def _options(self, request: RecordStart) -> RecordingOptions:
        """What was asked for and, where nothing was, what the settings say."""
        settings = self._settings
        folder = request.folder or settings.folder
        minutes, megabytes = settings.split_minutes, settings.split_megabytes
        return RecordingOptions(
            folder=Path(folder).expanduser() if folder else paths.recordings_dir(),
            mix=request.mix or settings.mix,
            split_s=request.split_s or (minutes * 60 if minutes else None),
            split_bytes=request.split_bytes or (int(megabytes * MEGABYTE) if megabytes else None),
            encrypt_to=request.encrypt_to or settings.encrypt_to,
        )

    async def _announce(self) -> None:
        self._announced.clear()
        self._show(active=True)
        try:
            async with asyncio.timeout(ANNOUNCE_S):
                if not self._over:
                    await self._announced.wait()
            if self._over:
                raise NotInCall("the call is over")
        except TimeoutError as error:
            self._show(active=False)
            raise RecordingError("the relay is out of reach, so nobody could be told: nothing is recorded") from error
        except (NotInCall, asyncio.CancelledError):
            self._show(active=False)
            raise

    async def _begin(self, options: RecordingOptions) -> Recording:
        try:
            return await Recording.start(options, opus=self._opus, unix=time.time(), now=time.monotonic())
        except (TuiconfError, asyncio.CancelledError):
            self._show(active=False)
            raise

    def _show(self, *, active: bool) -> None:
        self._engine.ask(lambda session, at: session.set_status(at, recording=active))

    def _refresh(self) -> None:
        """A track for each who may be recorded, and none for anybody else."""
        session, recording = self._engine.session, self._recording
        membership = session.membership
        if recording is None or membership is None:
            return
        allowed = {who.leaf: who for who in membership.people() if session.may_record(who.leaf)}
        for leaf in [leaf for leaf in self._tracks if leaf not in allowed]:
            self.gone(leaf)
        for leaf, who in allowed.items():
            track = self._tracks.get(leaf)
            if track is None or track.who.fingerprint != who.fingerprint:
                self.gone(leaf)
                track = self._tracks[leaf] = _Track(self._new_track_id(recording, who), who)
            elif track.who.trust == who.trust:
                continue
            track.who = who
            if track.track_id is not None:
                verified = who.trust in ("self", "verified")
                recording.participant(track.track_id, name=who.name, fingerprint=who.fingerprint, verified=verified)

    def _new_track_id(self, recording: Recording, who: Person) -> int | None:
        """None: they have begun too many, or all have together. Nobody is left out in silence."""
        begun = self._begun.get(who.fingerprint, 0)
        if self._next_id >= MAX_TRACKS:
            if not self._is_full:
                self._is_full = True
                self._leave_out(recording, who, f"{MAX_TRACKS} tracks are recorded: whoever comes now is not")
            return None
        if begun >= MAX_TRACKS_EACH:
            if begun == MAX_TRACKS_EACH:
                why = f"someone who came anew {MAX_TRACKS_EACH} times is not recorded any more; recording.json says who"
                self._leave_out(recording, who, why)
            self._begun[who.fingerprint] = MAX_TRACKS_EACH + 1
            return None
        self._begun[who.fingerprint] = begun + 1
        self._next_id += 1
        return self._next_id

    def _leave_out(self, recording: Recording, who: Person, why: str) -> None:
        note = {"name": who.name, "fingerprint": who.fingerprint}
        recording.note("not_recorded", note, now=time.monotonic())
        self._on_event(Notice(message=why))

    def _housekeep(self, recording: Recording, now: float) -> None:
        try:
            recording.housekeep(now)
        except RecordingError as error:
            self._recording, self._engine.sound.tape = None, None
            self._tracks.clear()
            self._show(active=False)
            self._on_event(Failed(code=error.code, message=str(error), fatal=False))
            self._tell(RecordingChanged(active=False, folder=str(recording.path), reason=str(error)))

    def _tell(self, changed: RecordingChanged) -> RecordingChanged:
        self.state = changed
        self._on_event(changed)
        return changed
