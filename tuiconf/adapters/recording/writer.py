"""Everything a recording does to the disk. Blocking; used by one thread."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable
from typing import Final

from tuiconf.adapters.private_files import FileError
from tuiconf.adapters.recording.folder import Folder
from tuiconf.adapters.recording.reel import Reel, Split
from tuiconf.adapters.recording.sidecar import Participant, Scalar, Sidecar
from tuiconf.adapters.recording.track import Track
from tuiconf.media.alignment import HOLD_S, LATEST_S, Placed
from tuiconf.media.mixdown import Mixdown
from tuiconf.media.ogg_opus import PRE_SKIP, SLOT_S

SIDECAR: Final = "recording.json"

# Every participant of the largest room, twice. A member who joins again and again would otherwise fill the folder.
MAX_TRACKS: Final = 2_000

# An Ogg stream's number, unlike any track's: some tools have trouble with 0.
MIX_SERIAL: Final = MAX_TRACKS + 1

# Files open at once, each a descriptor (of 1,024), and a thread when encrypted: the relay forwards fewer voices.
MAX_OPEN: Final = 64

# A track's file is closed for another's only when nothing was said in it for so long: or many voices at once would
# begin a file with every packet. Coming back, it begins its next part.
CLOSABLE_S: Final = 10.0

# How old the sidecar, and the tail of an encrypted file, may be. Each is a file replaced and synced: half as often
# costs half as much of an SD card's life, and twice as much of a killed recording.
SAVE_S: Final = 5.0

# The mix is made when every track has been placed that can still reach back so far.
MIX_DELAY_S: Final = HOLD_S + LATEST_S + 0.3


class Writer:
    """One recording's tracks, mix and sidecar. Times are seconds since it began.

    What writes raises OSError or FileError when the disk is full, or the like.
    """

    def __init__(self, folder: Folder, sidecar: Sidecar, *, split: Split, mixdown: Mixdown | None) -> None:
        self._folder = folder
        self._sidecar = sidecar
        self._split = split
        self._tracks: dict[Hashable, Track] = {}
        self._mixdown = mixdown
        self._mix = Reel(folder, stem="mix", title="mix", serial=MIX_SERIAL, split=split, pre_skip=2 * PRE_SKIP)
        sidecar.mix = self._mix.parts
        self._saved_at = 0.0
        self._save_sidecar()

    def participant(self, track_id: Hashable, name: str, fingerprint: str, verified: bool | None) -> None:
        """Someone whose frames may come; of a track that is known, what has changed."""
        track = self._tracks.get(track_id)
        if track is not None:
            track.participant.name, track.participant.verified = name, verified
        elif len(self._sidecar.participants) < MAX_TRACKS:
            number = len(self._sidecar.participants) + 1
            about = Participant(track=number, name=name, fingerprint=fingerprint, verified=verified)
            stem = f"{number:02}-{_harmless(fingerprint)}"
            reel = Reel(self._folder, stem=stem, title=name, serial=number, split=self._split)
            self._tracks[track_id] = Track(about, reel, self._sidecar)
            self._sidecar.participants.append(about)

    def packet(self, track_id: Hashable, counter: int, packet: bytes, at: float) -> None:
        """A frame that came."""
        if track := self._tracks.get(track_id):
            track.push(counter, packet, at)

    def clock(self, track_id: Hashable, counter: int, captured: float, at: float) -> None:
        """What a sender's report says."""
        if track := self._tracks.get(track_id):
            track.told(counter, captured, at)

    def note(self, kind: str, fields: dict[str, Scalar], at: float) -> None:
        """For the sidecar."""
        self._sidecar.note(kind, fields, at=at)

    def dropped(self, frames: int) -> None:
        """So many, since the beginning, did not even come here."""
        self._sidecar.frames_dropped = frames

    def finish(self, track_id: Hashable) -> None:
        """Nothing will come for a track any more."""
        if track := self._tracks.pop(track_id, None):
            self._mix_in(track, track.finish())
            self._close(track)

    def advance(self, now: float) -> None:
        """Write what is due."""
        for track in self._tracks.values():
            if not track.waiting or track.reel.is_open or self._has_room(now):
                self._mix_in(track, track.advance(now))
        self._write_mix(now - MIX_DELAY_S)
        self._sidecar.seconds = round(now, 3)
        if now - self._saved_at >= SAVE_S:
            self._saved_at = now
            self._save()

    def close(self, now: float) -> None:
        """Write the rest, and say that it is all."""
        for track_id in list(self._tracks):
            self.finish(track_id)
        self._write_mix(now + MIX_DELAY_S)
        self._mix.close()
        self._sidecar.seconds, self._sidecar.ended = round(now, 3), True
        self._save_sidecar()

    def abandon(self, failure: str) -> None:
        """Close what there is, and say why, as far as the disk lets us."""
        for reel in (*(track.reel for track in self._tracks.values()), self._mix):
            with contextlib.suppress(OSError):
                reel.close()
        self._sidecar.failure = failure
        with contextlib.suppress(OSError, FileError):
            self._save_sidecar()

    def _mix_in(self, track: Track, placed: list[Placed]) -> None:
        if self._mixdown is not None:
            for packet in placed:
                self._mixdown.add(track.participant.track, packet)

    def _close(self, track: Track) -> None:
        track.reel.close()
        if self._mixdown is not None:
            self._mixdown.forget(track.participant.track)

    def _has_room(self, now: float) -> bool:
        """Whether one more file may be opened, if need be after closing the one longest silent."""
        opened = [track for track in self._tracks.values() if track.reel.is_open]
        if len(opened) < MAX_OPEN:
            return True
        quietest = min(opened, key=lambda track: track.written_at)
        if now - quietest.written_at < CLOSABLE_S:
            return False
        self._close(quietest)
        return True

    def _write_mix(self, until: float) -> None:
        if self._mixdown is not None:
            for slot, packet in self._mixdown.take(int(until / SLOT_S)):
                self._mix.silence(slot)
                self._mix.put(packet, 2)

    def _save(self) -> None:
        for track in self._tracks.values():
            track.reel.save()
        self._mix.save()
        self._save_sidecar()

    def _save_sidecar(self) -> None:
        self._folder.replace(SIDECAR, self._sidecar.encode())


def _harmless(fingerprint: str) -> str:
    """Eight characters of it that mean nothing to any file system: it comes from a peer, as everything does."""
    return "".join(char for char in fingerprint.lower() if char.isascii() and char.isalnum())[:8] or "unknown"
