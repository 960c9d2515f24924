"""Playing one remote sender: jitter buffer, decoder, and what is done about loss, in that order.

A missing frame is mended by the first of these that can: a repeated copy (it arrives like any other frame),
in-band FEC of the frame after it, libopus concealment, and after 100 ms of that a fade to silence: longer
continuations of a vowel are a drone, not speech.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuiconf.media.jitter import JitterBuffer, JitterStatistics, Play, Wait
from tuiconf.media.levels import QUIET_DBFS, SILENCE_DBFS, rms_dbfs
from tuiconf.media.opus import SAMPLE_RATE, Decoder, Opus, OpusError, Pcm, has_fec
from tuiconf.media.report import LossMeter

# Concealed so long as it stands, then one frame of fading, then silence.
CONCEAL_AT_MOST_S: Final = 0.100

# What comes after silence begins softly.
ATTACK_SAMPLES: Final = SAMPLE_RATE // 200

# Copies are waited for while two losses lie within this many frames (10 s): a sender repeats for whoever hears it
# worst, and those who hear it well should not pay for that with delay.
LOSS_MEMORY_FRAMES: Final = 500

# One loss is enough within the first of a sender's frames (2 s): it is more likely the rule than the exception, and
# the delay had better settle before much has been said. A sender that begins with copies has somebody with losses:
# as long as it may be us, the delay is what it takes from the first frame on, for stretching it later is heard.
FIRST_FRAMES: Final = 100

# FEC is in the frame after the missing one, so it needs a frame of delay. Packets without (silence) come in between.
FEC_MEMORY_FRAMES: Final = 50


class Kind(enum.StrEnum):
    """How a frame came to be."""

    PLAYED = "played"
    FEC = "fec"
    CONCEALED = "concealed"
    SILENCE = "silence"


# Looked up once: a member of an enum takes ten times as long to name as a constant, and there are 50 of these a second.
_PLAYED: Final = Kind.PLAYED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverStatistics:
    """Counts since the beginning, in frames."""

    frames_played: int
    frames_fec: int
    # By libopus, fades included. What is put after a speaker's last frame is not loss: it counts when there is more.
    frames_concealed: int
    packets_bad: int  # authentic, yet not what a decoder takes
    jitter: JitterStatistics


class Receiver:
    """One remote sender's sound, a frame at a time. Pure but for libopus, which only computes."""

    __slots__ = (
        "_attack",
        "_bad",
        "_begun_at",
        "_conceal_at_most",
        "_concealed",
        "_concealed_run",
        "_decoder",
        "_fade_out",
        "_fec",
        "_fec_at",
        "_jitter",
        "_last",
        "_loss_at",
        "_meter",
        "_played",
        "_unproven",
        "_wanted",
        "last_played",
    )

    def __init__(self, opus: Opus, *, frame_ms: int = 20) -> None:
        self._decoder = Decoder(opus, frame_ms=frame_ms)
        self._jitter = JitterBuffer(frame_ms=frame_ms)
        self._meter = LossMeter()
        self._conceal_at_most = int(CONCEAL_AT_MOST_S * 1000) // frame_ms
        self._fade_out = np.linspace(1.0, 0.0, self._decoder.samples, dtype=np.float32)
        self._attack = np.linspace(0.0, 1.0, ATTACK_SAMPLES, dtype=np.float32)
        self._concealed_run = self._conceal_at_most + 1  # as after silence
        self._last: Pcm | None = None
        self._played = self._fec = self._concealed = self._unproven = self._bad = 0
        self._wanted = 0  # frames after the original that are waited for
        self._loss_at: deque[int] = deque(maxlen=2)
        self._begun_at = 0
        self._fec_at = -FEC_MEMORY_FRAMES  # the last packet that had some
        self.last_played: int | None = None
        """The number of the frame that was last `PLAYED`, if any."""

    @property
    def statistics(self) -> ReceiverStatistics:
        """What has happened so far."""
        return ReceiverStatistics(
            frames_played=self._played,
            frames_fec=self._fec,
            frames_concealed=self._concealed,
            packets_bad=self._bad,
            jitter=self._jitter.statistics,
        )

    @property
    def level_dbfs(self) -> float:
        """How loud the last frame was. Computed when asked for, from the array `pull` gave."""
        return SILENCE_DBFS if self._last is None else rms_dbfs(self._last)

    @property
    def burst_frames(self) -> float | None:
        """How many datagrams in a row were lost on average since `take_losses`, when any were."""
        return self._meter.burst_frames

    def take_losses(self) -> tuple[int, int]:
        """Datagrams (received, lost) since this was last called, for the report to the sender."""
        return self._meter.take()

    def push(self, seq: int, payload: bytes, *, now: float, repeated: bool = False, farthest: int = 0) -> None:
        """An opened frame: `repeated` when it came as an earlier frame in another's datagram.

        `farthest` is how many frames back the oldest frame in its datagram was: where there is loss, play-out
        is delayed enough to make use of it.
        """
        if not repeated:
            lost = self._meter.count(seq)
            # Once begun, without loss or copies, there is nothing to await.
            if lost or farthest or self._wanted or len(self._loss_at) != 1:
                self._await_remedies(seq, payload, farthest, lost)
        self._jitter.push(seq, payload, now=now)

    def _await_remedies(self, seq: int, packet: bytes, farthest: int, lost: int) -> None:
        """Where frames are lost, delay play-out by as many frames as copies or FEC come after them."""
        if not self._loss_at:
            self._loss_at.append(seq + FIRST_FRAMES - LOSS_MEMORY_FRAMES)
            self._begun_at = seq
        if lost:
            self._loss_at.append(seq)
        wanted = 0
        lossy = len(self._loss_at) > 1 and seq - self._loss_at[0] < LOSS_MEMORY_FRAMES
        if lossy or (farthest and seq - self._begun_at < FIRST_FRAMES):
            if has_fec(packet):
                self._fec_at = seq
            wanted = max(farthest, int(seq - self._fec_at < FEC_MEMORY_FRAMES))
        if wanted != self._wanted:
            self._wanted = wanted
            self._jitter.await_copies(wanted)

    def pull(self, *, now: float) -> tuple[Pcm | None, Kind]:
        """The sound for the frame that begins now, and how it came to be; None is silence.

        Whatever was sent, this gives a frame: a packet that cannot be decoded is a lost one.
        """
        due = self._jitter.pop(now=now, quiet=self._quiet)
        if isinstance(due, Play):
            pcm, kind = self._play(due)
        elif isinstance(due, Wait):
            pcm, kind = None, Kind.SILENCE
            self._concealed_run = self._conceal_at_most + 1
        else:
            pcm, kind = self._mend(due.fec)
        self._last = pcm
        return pcm, kind

    def _quiet(self) -> bool:
        return self.level_dbfs < QUIET_DBFS

    def _play(self, due: Play) -> tuple[Pcm | None, Kind]:
        skipped = None if due.dropped is None else self._decode(due.dropped)
        pcm = self._decode(due.payload)
        if pcm is None:
            return self._conceal()
        self._played += 1
        if self._unproven:
            self._count_concealed(due.seq)
        self.last_played = due.seq
        if skipped is not None:  # both frames in the time of one, and both are heard
            self._played += 1
            pcm += (skipped - pcm) * self._fade_out
        if self._concealed_run:
            self._soften(pcm)
        return pcm, _PLAYED

    def _mend(self, fec: bytes | None) -> tuple[Pcm | None, Kind]:
        if fec is None or not has_fec(fec):
            return self._conceal()
        try:
            pcm = self._decoder.decode_fec(fec)
        except OpusError:  # it will be counted when it is its turn to be played
            return self._conceal()
        self._fec += 1
        self._concealed += self._unproven
        self._unproven = 0
        self._soften(pcm)
        return pcm, Kind.FEC

    def _conceal(self) -> tuple[Pcm | None, Kind]:
        self._concealed_run += 1
        fading = self._concealed_run - self._conceal_at_most
        if fading > 1:
            return None, Kind.SILENCE
        self._unproven += 1
        pcm = self._decoder.conceal()
        if fading == 1:
            pcm *= self._fade_out
        return pcm, Kind.CONCEALED

    def _count_concealed(self, seq: int) -> None:
        """A frame plays again: were those concealed before it lost or late, or had its sender paused?"""
        paused = self._concealed_run > self._conceal_at_most and self.last_played == seq - 1
        self._concealed += 0 if paused else self._unproven
        self._unproven = 0

    def _soften(self, pcm: Pcm) -> None:
        """Begin without a click if silence was before; a real frame ends any run of concealed ones."""
        if self._concealed_run > self._conceal_at_most:
            pcm[:ATTACK_SAMPLES] *= self._attack
        self._concealed_run = 0

    def _decode(self, packet: bytes) -> Pcm | None:
        try:
            return self._decoder.decode(packet)
        except OpusError:
            self._bad += 1
            return None
