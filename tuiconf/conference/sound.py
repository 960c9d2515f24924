"""The sound of a call: from a captured frame to datagrams, and from datagrams to the mix. Pure.

Encode, seal, bundle on the way out; unbundle, open, buffer, decode, mix on the way in. Whatever arrives, `play`
gives a frame: what cannot be opened is silence and a count, never noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from relay_quic.errors import WireError
from relay_quic.wire import MAX_LOUDNESS, DatagramKind, datagram_prefix, parse_datagram_prefix
from tuiconf.conference.delay import SenderClock
from tuiconf.conference.effects import InstallKeys
from tuiconf.conference.events import StreamStats
from tuiconf.crypto.media_keys import Opened, OpeningKeys, Reason, SealingKeys, Stream, Undecryptable
from tuiconf.media.levels import SILENCE_DBFS, SpeakingDetector, rms_dbfs
from tuiconf.media.mixer import mix
from tuiconf.media.opus import Encoder, Opus, Pcm
from tuiconf.media.playout import Kind, Receiver
from tuiconf.media.redundancy import BundleError, Bundler, RedundancyPolicy, unbundle_with_offsets
from tuiconf.media.report import MAX_LOSSES, Loss, Report, ReportError, decode_report

FRAME_S: Final = 0.020

# In rooms of this many the relay forwards everyone's sound and is told nothing about it. Above, it has to choose,
# and gets two bits of loudness with each frame.
NO_HINT_MEMBERS: Final = 8

# Decoders kept at once: as many voices as can be told apart, and many more than the relay forwards. 100 kB each.
MAX_RECEIVERS: Final = 64

REPORT_S: Final = 1.0

# Whoever was not heard for so long is silent, however loud they were.
LEVEL_S: Final = 1.0

# Reports go to everyone, so n members that report once a second are n² datagrams; above this many members each
# reports that much less often.
REPORTING_MEMBERS: Final = 50

# After a pause of this many frames what was sent before is of no use to anyone.
PAUSE_FRAMES: Final = 5

_AUDIO: Final = datagram_prefix(DatagramKind.AUDIO)
_SIDE: Final = datagram_prefix(DatagramKind.SIDE)

# Quieter than these, 0 to 3 is told to the relay of a large room: silence, murmur, speech, loud speech.
_LOUDNESS_DBFS: Final = (-55.0, -40.0, -28.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How someone is heard here: louder or quieter by so much, or not at all."""

    db: float = 0.0
    muted: bool = False

    @property
    def gain(self) -> float:
        """What their samples are multiplied by."""
        return 0.0 if self.muted else float(10 ** (self.db / 20))


class Tape(Protocol):
    """What is told every packet of the call, to record it. `leaf` may be our own."""

    def packet(self, leaf: int, counter: int, payload: bytes, *, now: float) -> None:
        """A frame of Opus, as it came; each once, in any order."""
        ...

    def clock(self, leaf: int, counter: int, unix: float, *, now: float) -> None:
        """The sender says when it captured that frame."""
        ...

    def gone(self, leaf: int) -> None:
        """Whoever was at this leaf no longer is: what comes from there now is somebody else's."""
        ...


class _Voice:
    """One other participant's sound."""

    __slots__ = (
        *("clock", "detector", "frame", "heard_at", "level_dbfs", "received", "receiver", "reported_loss"),
        *("since_epoch", "sounding"),
    )

    def __init__(self, opus: Opus, since_epoch: int) -> None:
        self.detector = SpeakingDetector()
        self.frame: Pcm | None = None  # what was heard in the last tick
        self.level_dbfs = SILENCE_DBFS
        self.receiver = Receiver(opus)
        self.clock = SenderClock()
        self.since_epoch = since_epoch
        self.received = 0
        self.heard_at = -math.inf
        self.reported_loss = 0.0
        self.sounding = False


class Sound:
    """One participant's audio, in and out. `frame_samples` is 960: 20 ms of 48 kHz mono."""

    def __init__(
        self,
        opus: Opus,
        *,
        bitrate: int = 32_000,
        complexity: int | None = None,
        repeats: tuple[int, ...] | None = None,
    ) -> None:
        """`repeats` forces which earlier frames each datagram repeats; None decides by what receivers report."""
        self._opus = opus
        self._encoder = (
            Encoder(opus, bitrate=bitrate)
            if complexity is None
            else Encoder(opus, bitrate=bitrate, complexity=complexity)
        )
        self._sealing = SealingKeys()
        self._opening = OpeningKeys()
        self._bundler = Bundler(repeats or ())
        self._redundancy = RedundancyPolicy(forced=repeats)
        self._voices: dict[int, _Voice] = {}
        self._members: dict[int, bytes] = {}
        self._since_epoch: dict[int, int] = {}
        self._own_leaf: int | None = None
        self._silent_frames = PAUSE_FRAMES
        self._captured_at = -math.inf
        self._last_sent: tuple[int, float] | None = None
        self._report_at = -math.inf
        self._malformed = 0
        self._detector = SpeakingDetector()
        self._spoke_frames: dict[int, int] = {}  # of voices that are gone
        self.frames_sent = 0
        self.level_dbfs = SILENCE_DBFS
        self.volumes: dict[int, Volume] = {}
        """How each leaf is heard here, where it is not as it comes."""
        self.silenced: frozenset[int] = frozenset()
        """The leaves of whom nothing is heard here, by whoever listens. A recording of the call has them all the same:
        it is about what was said, and each voice is in a file of its own."""
        self.tape: Tape | None = None

    # --- keys

    def install(self, keys: InstallKeys, *, now: float) -> None:
        """Seal and open with a new epoch's keys. Whoever is new at a leaf starts from silence."""
        if keys.new_group:
            self._opening, self._since_epoch, self._members = OpeningKeys(), {}, {}
        for leaf, key in keys.members.items():
            if self._members.get(leaf) != key:
                self._since_epoch[leaf] = keys.epoch
                self._voices.pop(leaf, None)
                self._forget(leaf)
        for leaf in [leaf for leaf in self._since_epoch if leaf not in keys.members]:
            del self._since_epoch[leaf]  # what they sealed for the epoch before is not heard any more
            self._voices.pop(leaf, None)
            self._forget(leaf)
            self._redundancy.forget(leaf)
        self._members = dict(keys.members)
        self._own_leaf = keys.own_leaf
        self._sealing.install(keys.epoch, keys.base_key, keys.own_leaf)
        waiting = self._opening.install(
            keys.epoch,
            keys.base_key,
            own_leaf=keys.own_leaf,
            leaves=keys.members,
            removal=keys.removal,
            now=now,
        )
        for opened in waiting:
            self._take(opened, repeated=False, farthest=0, now=now)

    def _forget(self, leaf: int) -> None:
        """Whatever we know of who was at this leaf is not about the next."""
        self.volumes.pop(leaf, None)
        self._spoke_frames.pop(leaf, None)
        if self.tape is not None:
            self.tape.gone(leaf)

    # --- out

    def capture(self, pcm: Pcm | None, *, now: float, unix: float) -> list[bytes]:
        """The datagrams for one captured frame that ended now; None is silence, and sends nothing."""
        if pcm is None or self._own_leaf is None:
            self._silent_frames += 1
            self.level_dbfs = SILENCE_DBFS
            return []
        self.level_dbfs = rms_dbfs(pcm)
        self._detector.update(self.level_dbfs, now=now)
        datagrams: list[bytes] = []
        packet = self._encoder.encode(pcm)
        counter, sealed = self._sealing.seal(Stream.AUDIO, packet)
        self._last_sent = (counter, unix - FRAME_S)
        if self.tape is not None:
            self.tape.packet(self._own_leaf, counter, packet, now=now)
            self.tape.clock(self._own_leaf, counter, unix - FRAME_S, now=now)
        # Without a connection nothing is captured, which is a pause as well.
        if self._silent_frames >= PAUSE_FRAMES or now - self._captured_at > PAUSE_FRAMES * FRAME_S:
            self._bundler.clear()
            datagrams.append(self._report(now))
        self._silent_frames, self._captured_at = 0, now
        self.frames_sent += 1
        datagrams.append(self._prefix() + self._bundler.bundle(sealed))
        return datagrams

    def measure(self, pcm: Pcm | None, *, now: float) -> None:
        """How loud it is, for `own_level`, and nothing else: for a frame that nobody is sent."""
        self.level_dbfs = SILENCE_DBFS if pcm is None else rms_dbfs(pcm)
        self._detector.update(self.level_dbfs, now=now)

    def report_due(self, *, now: float) -> list[bytes]:
        """The report to send now, if one is due: about our clock while we are sending, and about what we lost."""
        if self._own_leaf is None or now < self._report_at:
            return []
        return [self._report(now)] if self._silent_frames < PAUSE_FRAMES or self._has_losses() else []

    def _report(self, now: float) -> bytes:
        self._report_at = now + REPORT_S * max(1.0, len(self._members) / REPORTING_MEMBERS)
        counter, captured = self._last_sent or (0, 0.0)
        report = Report(counter=counter, wall_time_us=int(captured * 1e6), losses=self._losses())
        _, sealed = self._sealing.seal(Stream.REPORT, report.encode())
        return _SIDE + sealed

    def _has_losses(self) -> bool:
        return any(voice.receiver.burst_frames is not None for voice in self._voices.values())

    def _losses(self) -> tuple[Loss, ...]:
        losses = []
        for leaf, voice in self._voices.items():
            received, lost = voice.receiver.take_losses()
            loss = Loss(leaf=leaf, received=received, lost=lost)
            voice.reported_loss = loss.fraction
            if received or lost:
                losses.append(loss)
        return tuple(sorted(losses, key=lambda loss: -loss.lost)[:MAX_LOSSES])

    def _prefix(self) -> bytes:
        if len(self._members) <= NO_HINT_MEMBERS:
            return _AUDIO
        loudness = sum(self.level_dbfs >= threshold for threshold in _LOUDNESS_DBFS)
        return datagram_prefix(DatagramKind.AUDIO, loudness=min(loudness, MAX_LOUDNESS))

    # --- in

    def receive(self, datagram: bytes, *, now: float) -> None:
        """A datagram from the relay: whatever it is, it costs at most itself."""
        try:
            kind, _ = parse_datagram_prefix(datagram)
            if kind is DatagramKind.SIDE:
                self._receive_report(datagram[1:], now)
            else:
                self._receive_audio(datagram[1:], now)
        except (WireError, BundleError, ReportError):
            self._malformed += 1
        except Undecryptable:
            pass  # counted where it was refused

    def _receive_audio(self, bundle: bytes, now: float) -> None:
        frames = unbundle_with_offsets(bundle)
        farthest = frames[-1][0]
        for offset, sealed in frames:
            try:
                opened = self._opening.open(Stream.AUDIO, sealed, now=now)
            except Undecryptable:
                continue  # counted; the others may be fine
            if isinstance(opened, Opened):
                self._take(opened, repeated=offset > 0, farthest=farthest, now=now)

    def _take(self, opened: Opened, *, repeated: bool, farthest: int, now: float) -> None:
        since = self._since_epoch.get(opened.leaf)
        if since is None or opened.epoch < since:
            return  # of someone who is gone, perhaps with the same leaf as someone who is here
        voice = self._voices.get(opened.leaf) or self._new_voice(opened.leaf, since)
        if opened.stream is Stream.REPORT:
            self._apply_report(opened, voice, now)
            return
        voice.received += 1
        voice.heard_at = now
        if self.tape is not None:
            self.tape.packet(opened.leaf, opened.counter, opened.payload, now=now)
        voice.receiver.push(opened.counter, opened.payload, now=now, repeated=repeated, farthest=farthest)

    def _new_voice(self, leaf: int, since: int) -> _Voice:
        if len(self._voices) >= MAX_RECEIVERS:
            oldest = min(self._voices, key=lambda other: self._voices[other].heard_at)
            self._spoke_frames[oldest] = self._voices.pop(oldest).detector.spoken_frames
        voice = self._voices[leaf] = _Voice(self._opus, since)
        voice.detector.spoken_frames = self._spoke_frames.pop(leaf, 0)
        return voice

    def _receive_report(self, sealed: bytes, now: float) -> None:
        opened = self._opening.open(Stream.REPORT, sealed, now=now)
        if isinstance(opened, Opened):
            self._take(opened, repeated=False, farthest=0, now=now)

    def _apply_report(self, opened: Opened, voice: _Voice, now: float) -> None:
        try:
            report = decode_report(opened.payload)
        except ReportError:
            self._malformed += 1
            return
        voice.clock.told(report.counter, report.wall_time_us / 1e6)
        if self.tape is not None and report.wall_time_us:
            self.tape.clock(opened.leaf, report.counter, report.wall_time_us / 1e6, now=now)
        for loss in report.losses:
            if loss.leaf == self._own_leaf:
                self._redundancy.report(opened.leaf, loss.fraction, now=now)

    def play(self, *, now: float, unix: float) -> Pcm:
        """What is heard in the frame that begins now: everybody else, mixed."""
        sounds = []
        for leaf, voice in self._voices.items():
            voice.frame = None
            pcm, kind = voice.receiver.pull(now=now)
            if pcm is not None:
                voice.level_dbfs = rms_dbfs(pcm)
                voice.detector.update(voice.level_dbfs, now=now)
            if pcm is not None and leaf not in self.silenced:
                voice.frame = pcm
                if (volume := self.volumes.get(leaf)) is not None:
                    pcm = pcm * np.float32(volume.gain)
                sounds.append(pcm)
            if kind is Kind.PLAYED and (seq := voice.receiver.last_played) is not None:
                voice.clock.played(seq, unix)
        return mix(sounds)

    def voice_frame(self, leaf: int) -> Pcm | None:
        """What was heard of this participant in the last `play`, as it came; None: nothing."""
        voice = self._voices.get(leaf)
        return voice.frame if voice is not None else None

    def is_silent(self, *, now: float) -> bool:
        """Whether nothing was heard of anybody for so long that nothing is left to be played."""
        return all(now - voice.heard_at > LEVEL_S for voice in self._voices.values())

    def own_level(self, *, now: float) -> tuple[float, bool]:
        """The level of what is sent, or only measured, in dBFS, and whether it is speech."""
        return self.level_dbfs, self._detector.speaking(now=now)

    def levels(self, *, now: float) -> Iterator[tuple[int, float, bool]]:
        """(leaf, level in dBFS, speaking) of everyone of whom something was heard in the last second."""
        for leaf, voice in self._voices.items():
            if now - voice.heard_at < LEVEL_S:
                yield leaf, voice.level_dbfs, voice.detector.speaking(now=now)

    # --- once a second

    def housekeep(self, *, now: float) -> None:
        """Forget expired keys, and decide anew how much to repeat. Call it about once a second."""
        self._opening.expire(now=now)
        offsets = self._redundancy.offsets(now=now)
        if offsets != self._bundler.offsets:
            self._bundler.set_offsets(offsets)

    @property
    def repeats(self) -> tuple[int, ...]:
        """How many frames back each datagram repeats."""
        return self._bundler.offsets

    @property
    def undecryptable(self) -> dict[str, int]:
        """How many frames stayed closed, by reason; redundant repeats are not among them."""
        failures = {code.value: count for code, count in self._opening.failures.items() if code is not Reason.REPLAYED}
        failures["malformed"] += self._malformed
        return {code: count for code, count in failures.items() if count}

    def streams(self, people: Mapping[int, tuple[str, str]]) -> tuple[StreamStats, ...]:
        """Statistics of each other participant heard; `people` gives (name, fingerprint) of each leaf."""
        return tuple(
            self._stats(leaf, voice, *people[leaf]) for leaf, voice in sorted(self._voices.items()) if leaf in people
        )

    def _stats(self, leaf: int, voice: _Voice, name: str, fingerprint: str) -> StreamStats:
        statistics = voice.receiver.statistics
        p50, p95 = voice.clock.percentiles_ms()
        return StreamStats(
            leaf=leaf,
            name=name,
            fingerprint=fingerprint,
            frames_received=voice.received,
            frames_played=statistics.frames_played,
            frames_concealed=statistics.frames_concealed + statistics.frames_fec,
            frames_late=statistics.jitter.late,
            loss_percent=round(100 * voice.reported_loss, 1),
            buffer_ms=round(statistics.jitter.depth_ms, 1),
            delay_ms_p50=p50,
            delay_ms_p95=p95,
            spoke_s=round(voice.detector.spoken_frames * FRAME_S, 2),
        )
