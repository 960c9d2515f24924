"""The recording as the engine sees it: calls that never wait for the disk, and a thread that does."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tuiconf.adapters.private_files import FileError
from tuiconf.adapters.recording.age import AgeFolder, parse_recipient
from tuiconf.adapters.recording.folder import ClearFolder, Folder, new_folder
from tuiconf.adapters.recording.options import RecordingError, RecordingOptions
from tuiconf.adapters.recording.reel import Split
from tuiconf.adapters.recording.sidecar import Scalar, Sidecar
from tuiconf.adapters.recording.writer import MAX_TRACKS, Writer
from tuiconf.errors import LocalProtocolError
from tuiconf.media.mixdown import Mixdown
from tuiconf.media.opus import Opus

# How often the thread looks for work. Waking it for each packet would cost the call's own thread more than the packet.
TICK_S: Final = 0.25

# What a disk that has stalled makes us hold: 40 s of ten voices, 4 MB of usual packets and 26 of the largest.
MAX_QUEUED: Final = 20_000

# After a stall, what has come meanwhile is written in steps of this: a track holds no more than a few seconds.
CATCH_UP_S: Final = 1.0

# A disk that does not take the rest in this time is left to the daemon thread.
CLOSE_TIMEOUT_S: Final = 15.0


class Recording:
    """One recording, from `start` to `close`. To be used from one thread; only those two wait for the disk.

    `now` is monotonic seconds, `unix` wall-clock seconds. When the disk is full, the recording ends and the call goes
    on: `failed` is set, everything does nothing from then on, and the next `housekeep` or `close` raises it, once.
    """

    def __init__(self, path: Path, writer: Writer, stopping: threading.Event, *, unix: float, now: float) -> None:
        """Not for callers: see `start`."""
        self.path = path
        self.failed: RecordingError | None = None
        self._writer = writer
        self._unix, self._began, self._now = unix, now, now
        self._known: set[Hashable] = set()
        self._jobs: deque[tuple[float, Callable[[], None]]] = deque()
        self._advanced = 0.0  # the thread's
        self._dropped = 0
        self._stopping = stopping
        self._told = False
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @classmethod
    async def start(cls, options: RecordingOptions, *, opus: Opus, unix: float, now: float) -> Recording:
        """Make the recording's folder, and begin. Cancelled meanwhile, it ends at once, and its files are whole.

        Raises:
            RecipientError: `encrypt_to` is no age recipient.
            RecordingError: the folder cannot be made or written.
        """
        stopping = threading.Event()
        recipient = None if options.encrypt_to is None else parse_recipient(options.encrypt_to)

        def begin() -> Recording:
            path = new_folder(options.folder, unix)
            folder: Folder = (
                ClearFolder(path, rng=os.urandom) if recipient is None else AgeFolder(path, recipient, rng=os.urandom)
            )
            writer = Writer(
                folder,
                Sidecar.begin(unix, encrypted=recipient is not None),
                split=Split.of(options.split_s, options.split_bytes),
                mixdown=Mixdown(opus) if options.mix else None,
            )
            return cls(path, writer, stopping, unix=unix, now=now)

        try:
            return await asyncio.to_thread(begin)
        except (OSError, FileError) as error:
            raise _sentence(options.folder, error) from error
        except asyncio.CancelledError:
            stopping.set()  # the thread that is about to make it, or has, does not know that nobody wants it
            raise

    def participant(self, track_id: Hashable, *, name: str, fingerprint: str, verified: bool | None = None) -> None:
        """Frames of this participant may come. A new person at a leaf, or the same one with a new counter, is a new id.

        With an id that is known: the name has changed, or whether it is verified.
        """
        job = partial(self._writer.participant, track_id, name, fingerprint, verified)
        if track_id in self._known:
            self._queue(job)
        elif len(self._known) < MAX_TRACKS:
            self._known.add(track_id)
            self._jobs.append((self._now - self._began, job))  # few, and must not be lost

    def packet(self, track_id: Hashable, counter: int, payload: bytes, *, now: float) -> None:
        """An opened frame that came now, of a participant who may be recorded; also one that comes again or late.

        Raises:
            LocalProtocolError: `participant` was not called for the id.
        """
        self._post(track_id, partial(self._writer.packet, track_id, counter, payload, self._at(now)))

    def clock(self, track_id: Hashable, counter: int, unix: float, *, now: float) -> None:
        """The sender's report, which came now, says that it captured frame `counter` at that Unix time.

        Raises:
            LocalProtocolError: `participant` was not called for the id.
        """
        captured = unix - self._unix
        self._post(track_id, partial(self._writer.clock, track_id, counter, captured, self._at(now)))

    def left(self, track_id: Hashable) -> None:
        """Nothing more will come for this id, or may be written: the track is finished.

        Raises:
            LocalProtocolError: `participant` was not called for the id.
        """
        self._post(track_id, partial(self._writer.finish, track_id))

    def note(self, kind: str, fields: Mapping[str, Scalar], *, now: float) -> None:
        """Something of the call for the sidecar: an epoch, a join, a leave."""
        self._queue(partial(self._writer.note, kind, dict(fields), self._at(now)))

    def housekeep(self, now: float) -> None:
        """Time goes on, also when nobody speaks. Call it about once a second.

        Raises:
            RecordingError: the recording has ended, because the disk is full or the like. Once.
        """
        self._at(now)
        self._raise_failure()

    async def close(self) -> None:
        """Write everything and end. May be called twice.

        Raises:
            RecordingError: that failed, or writing had failed before and nobody was told.
        """
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)
        if self._thread.is_alive() and self.failed is None:
            self.failed = RecordingError(f"the end of {self.path} could not be written: the disk does not answer")
        self._raise_failure()

    def _at(self, now: float) -> float:
        self._now = max(self._now, now)
        return now - self._began

    def _post(self, track_id: Hashable, job: Callable[[], None]) -> None:
        if track_id in self._known:
            self._queue(job)
        elif len(self._known) < MAX_TRACKS:
            raise LocalProtocolError("a track has to be announced before its frames")
        else:
            self._dropped += 1

    def _queue(self, job: Callable[[], None]) -> None:
        if self.failed is not None:
            return
        if len(self._jobs) < MAX_QUEUED:
            self._jobs.append((self._now - self._began, job))
        else:
            self._dropped += 1

    def _raise_failure(self) -> None:
        if self.failed is not None and not self._told:
            self._told = True
            raise self.failed

    def _run(self) -> None:
        try:
            while not self._stopping.wait(TICK_S):
                self._work()
            self._work()
            self._writer.close(self._now - self._began)
        except (OSError, FileError) as error:
            self._fail(_sentence(self.path, error))
        except Exception as error:  # noqa: BLE001 - the one place: a bug in the recorder ends the recording, not the call
            self._fail(RecordingError(f"the recording in {self.path} has ended: {type(error).__name__}, a bug"))

    def _work(self) -> None:
        now = self._now - self._began
        for _ in range(len(self._jobs)):
            at, job = self._jobs.popleft()
            if at - self._advanced > CATCH_UP_S:
                self._advance(at)
            job()
        self._advance(now)

    def _advance(self, at: float) -> None:
        self._advanced = at
        self._writer.dropped(self._dropped)
        self._writer.advance(at)

    def _fail(self, error: RecordingError) -> None:
        self.failed = error
        self._jobs.clear()
        self._writer.abandon(str(error))


def _sentence(path: Path, error: OSError | FileError) -> RecordingError:
    if isinstance(error, FileError):
        return RecordingError(str(error))
    return RecordingError(f"the recording in {path} cannot be written: {(error.strerror or str(error)).lower()}")
