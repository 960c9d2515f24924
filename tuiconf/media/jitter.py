"""The jitter buffer: one sender's frames back in order, and every 20 ms a decision what to play.

How it keeps time: a frame's *transit* is when it came less when it would have come had every frame taken as
long as the first. The quickest transit of the last seconds is the link at its best; the *lag* of play-out is
how much later than that a frame is played, and the *target* is the lag that would have let (nearly) all of
them be in time. Copies of lost frames count like any other arrival, so the lag grows to make use of them.

How it treats a hole: it never waits. A missing frame is concealed at its time, and if the sender turns out to
have lost it, it has cost one frame. If it merely was late and play-out runs earlier than the target, it is
played after all, which is how the lag grows. A sender that stops (mute) is the same to us as a link that
stops, until it goes on: its numbers then tell which it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

# One second of 20 ms frames: a longer gap is a reconnection, not a delay. Doubling it doubles what one sender can
# make us hold (about 6 kB) and the worst delay we can fall behind by.
MAX_AHEAD: Final = 50

# A frame this far behind is not late but from a sender that numbers anew: the replay window (crypto/media_keys.py)
# lets none through that is so late.
MAX_BEHIND: Final = 128

# So is one of which there are this many in a row (half a second), all «late».
MAX_LATE_RUN: Final = 25

# More than this lag is worse in a conversation than the loss it would avoid (ITU-T G.114: 150 ms one way is felt,
# 400 ms is the end of a conversation).
MAX_TARGET_S: Final = 0.240

# What the clocks and schedulers of both ends add even on a perfect link.
MARGIN_S: Final = 0.005

# Transits are remembered for 200 frames (4 s), and two of them may be late: a hiccup should not delay everybody's
# speech, more of them within 4 s are a pattern.
WINDOW_FRAMES: Final = 200
ALLOWED_LATE: Final = 2

# Whoever stood still for a moment, sender or link, sends what has piled up sooner than a frame takes: a frame that
# comes this much sooner after the one before it is of the same hiccup.
CATCH_UP_S: Final = 0.005
RECOMPUTE_EVERY: Final = 16

# The target comes down to what is wanted with this time constant, in frames (4 s): quicker, and rare losses that are
# mended by late copies would make it swing.
DECAY_FRAMES: Final = 200

# The lag may be over the target by a frame (play-out goes in whole frames) and this, before frames are dropped.
SLACK_S: Final = 0.005

# So many pops in a row must agree before a frame is dropped or held back: one late pop is no trend.
AGREE_QUIET: Final = 3
AGREE_SPEECH: Final = 25
# To hold back is one concealed frame, and saves more of them.
AGREE_TO_STRETCH: Final = 5

# In speech a frame is dropped only for more than this; in silence nobody hears it. For so much more, sooner.
WORTH_A_CUT_S: Final = 0.040
AGREE_FAR: Final = 10
FAR_BEHIND_S: Final = 0.060

# Behind by more than this after a stall: at once to the present, whatever is lost of the past.
MAX_CATCH_UP_S: Final = 0.120

# After so many pops with nothing at all (200 ms) the sender has stopped, and the next frame starts anew.
MAX_STARVED: Final = 10

_SEEN_FRAMES: Final = 64
_SEEN_MASK: Final = (1 << _SEEN_FRAMES) - 1


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """The frame due now is here.

    `dropped` is the frame before it when that is left out to catch up: the decoder must see it all the same.
    (A Struct because there is one for nearly every frame, and a frozen dataclass takes five times as long to make.)
    """

    seq: int
    payload: bytes
    dropped: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conceal:
    """The frame due now is missing."""

    fec: bytes | None  # the frame after it, when it is already here: Opus can rebuild from it


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due: the sender is not sending, or has just begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JitterStatistics:
    """Counts since the beginning, in frames, and the lag play-out is kept at."""

    received: int  # distinct frames, late ones included
    late: int  # came after their time
    lost: int  # their time passed and they have not come
    concealed: int  # answers that were `Conceal`
    dropped: int  # left out to catch up
    depth_ms: float


_WAIT: Final = Wait()
_CONCEAL: Final = Conceal(fec=None)


class JitterBuffer:
    """Puts one sender's frames back in order and decides, every `frame_ms`, what to play.

    Pure: the caller's `pop` is the clock. `seq` is the SFrame counter, which never wraps; payloads are not
    looked at. Holds at most `MAX_AHEAD` frames.
    """

    __slots__ = (
        "_base",
        "_caught_up",
        "_concealed",
        "_credit",
        "_dropped",
        "_floor",
        "_frame_s",
        "_held",
        "_last_transit",
        "_late",
        "_late_run",
        "_lost",
        "_next",
        "_origin_seq",
        "_origin_time",
        "_over",
        "_playing",
        "_received",
        "_seen",
        "_seen_top",
        "_starved",
        "_target",
        "_transits",
        "_under",
        "_until_recompute",
    )

    def __init__(self, *, frame_ms: int = 20) -> None:
        self._frame_s = frame_ms / 1000
        self._held: dict[int, bytes] = {}
        self._next = 0  # the frame to play next; meaningful once something came
        self._playing = False
        self._starved = 0  # pops in a row with nothing held
        self._credit = 0  # concealed frames not yet known to stand for `_next` and those after it
        self._seen = 0  # bit i: `_seen_top - i` has come
        self._seen_top = -1
        self._origin_seq, self._origin_time = 0, 0.0
        self._transits: deque[float] = deque(maxlen=WINDOW_FRAMES)
        self._base = 0.0  # the quickest of the transits
        self._last_transit = 0.0  # of the newest frame
        self._caught_up = False  # the transit remembered last is of a frame that caught up
        self._target = MARGIN_S
        self._floor = 0.0  # the target is not below this
        self._until_recompute = RECOMPUTE_EVERY
        self._late_run = 0
        self._over = self._under = 0  # pops in a row that found the lag too large, too small
        self._received = self._late = self._lost = self._concealed = self._dropped = 0

    @property
    def statistics(self) -> JitterStatistics:
        """What has happened so far."""
        return JitterStatistics(
            received=self._received,
            late=self._late,
            lost=self._lost,
            concealed=self._concealed,
            dropped=self._dropped,
            depth_ms=self._target * 1000,
        )

    @property
    def held(self) -> int:
        """Frames waiting to be played."""
        return len(self._held)

    # --- in

    def await_copies(self, frames: int) -> None:
        """Copies that come this many frames after the original are worth being in time for; 0 ends it."""
        self._floor = min(frames * self._frame_s + MARGIN_S, MAX_TARGET_S) if frames > 0 else 0.0
        self._target = max(self._target, self._floor)

    def push(self, seq: int, payload: bytes, *, now: float) -> None:
        """A frame has come: `payload` is kept if its time has not passed. Copies and late frames do no harm."""
        if self._seen_top < 0 or not -MAX_BEHIND < seq - self._next < MAX_AHEAD:
            # After a pause (muted, or not among those the relay passes on) the link is still the one it was.
            self._start_over(seq, now=now, forget=self._playing or bool(self._held))
        elif not self._playing and not self._held:
            self._rebase(seq, now=now)  # after a pause of unknown length
        transit = now - self._origin_time - (seq - self._origin_seq) * self._frame_s
        if seq == self._seen_top + 1:  # nearly always: `_mark` in short
            self._seen, self._seen_top = (self._seen << 1 | 1) & _SEEN_MASK, seq
            self._learn(transit, transit <= self._last_transit - CATCH_UP_S)
            self._last_transit = transit
        elif self._mark(seq):
            self._learn(transit, False)
        else:
            return
        self._received += 1
        if seq < self._next:
            self._late += 1
            self._lost = max(0, self._lost - 1)
            self._late_run += 1
            if self._late_run < MAX_LATE_RUN:
                return
            self._start_over(seq, now=now, forget=True)
        self._late_run = 0
        self._held[seq] = payload

    def _mark(self, seq: int) -> bool:
        """Note that `seq` came; whether it is the first time. Too old to know counts as not."""
        ahead = seq - self._seen_top
        if ahead > 0:
            self._seen = (self._seen << min(ahead, _SEEN_FRAMES) | 1) & _SEEN_MASK
            self._seen_top = seq
            return True
        bit = 1 << -ahead if -ahead < _SEEN_FRAMES else 0
        if not bit or self._seen & bit:
            return False
        self._seen |= bit
        return True

    def _start_over(self, seq: int, *, now: float, forget: bool) -> None:
        """The sender numbers from `seq` on: nothing held belongs to what comes now. `forget` the transits too."""
        self._held.clear()
        self._next, self._seen_top, self._seen = seq, seq - 1, 0
        self._playing, self._credit, self._starved = False, 0, 0
        if forget:
            self._transits.clear()
            self._target = max(MARGIN_S, self._floor)
        self._rebase(seq, now=now)

    def _rebase(self, seq: int, *, now: float) -> None:
        """Take `seq`, here now, for one of the quickest; keep what is known of how much others vary."""
        self._origin_seq, self._origin_time = seq, now
        self._transits = deque((transit - self._base for transit in self._transits), maxlen=WINDOW_FRAMES)
        self._base = self._last_transit = 0.0

    def _learn(self, transit: float, catching_up: bool) -> None:
        """Of a hiccup, the first frame and the last are remembered: those between say nothing new."""
        if catching_up and self._caught_up:
            self._transits.pop()
        self._caught_up = catching_up
        self._transits.append(transit)
        if transit < self._base:
            self._base = transit
        self._until_recompute -= 1
        if catching_up:
            return  # as late as it is, those that follow are less so
        # At once when this one was later than we allow for: the next may be too.
        if self._until_recompute <= 0 or transit - self._base > self._target:
            self._recompute()

    def _recompute(self) -> None:
        frames = RECOMPUTE_EVERY - self._until_recompute
        self._until_recompute = RECOMPUTE_EVERY
        ordered = sorted(self._transits)
        rise = ordered[0] - self._base
        self._base = ordered[0]
        wanted = ordered[max(0, len(ordered) - 1 - ALLOWED_LATE)] - self._base + MARGIN_S
        # When the whole link got slower, the same moment is a smaller lag.
        same_moment = self._target - max(rise, 0.0)
        decayed = same_moment - max(same_moment - wanted, 0.0) * frames / DECAY_FRAMES
        self._target = min(max(wanted, decayed, self._floor), MAX_TARGET_S)

    # --- out

    def pop(self, *, now: float, quiet: Callable[[], bool] = lambda: False) -> Play | Conceal | Wait:
        """What to play in the frame that begins now.

        `quiet` tells whether what was played last was silence, the time to shrink or stretch without being heard;
        it is asked only when there is something to mend, which on a steady link is never.
        """
        if not self._held:
            return self._starve()
        if not self._playing and not self._begin(now):
            return _WAIT
        self._starved = 0
        lag = self._lag(self._next, now)
        if not self._credit and self._next in self._held and 0 <= lag - self._target <= self._frame_s + SLACK_S:
            self._over = self._under = 0  # the frame is here, neither early nor late: nearly always so
            return self._play(cut=False)
        first = self._settle_credit()
        lag = self._lag(self._next, now)
        if lag > self._target + MAX_CATCH_UP_S:
            first = self._jump(now)
            lag = self._lag(first, now)
        if first > self._next:
            return self._hole(first, lag)
        if self._stretches(lag, quiet=quiet):
            self._concealed += 1
            return _CONCEAL
        return self._play(cut=self._cuts(lag, quiet=quiet))

    def _lag(self, seq: int, now: float) -> float:
        """How long frame `seq` has been here, had it come by the quickest way."""
        return now - self._origin_time - self._base - (seq - self._origin_seq) * self._frame_s

    def _begin(self, now: float) -> bool:
        """Whether to start playing: as soon as the first frame has been here long enough."""
        first = min(self._held)
        if self._lag(first, now) < self._target:
            return False
        self._settle_credit()
        self._next, self._playing = first, True
        if self._lag(first, now) > self._target + self._frame_s:
            self._jump(now)
        return True

    def _starve(self) -> Conceal | Wait:
        if not self._playing:
            return _WAIT
        self._starved += 1
        if self._starved > MAX_STARVED:
            self._playing, self._starved = False, 0
            return _WAIT
        self._credit += 1
        self._concealed += 1
        return _CONCEAL

    def _settle_credit(self) -> int:
        """Charge what was concealed so far to the frames missing before the first one held; that one's number.

        Concealed frames that turn out to stand for nothing have made the lag larger, and that is that.
        """
        first = min(self._held)
        if self._credit:
            missing = min(first - self._next, self._credit)
            self._next += missing
            self._lost += missing
            self._credit = 0
        return first

    def _hole(self, first: int, lag: float) -> Conceal:
        self._concealed += 1
        if lag < self._target:
            self._credit = 1  # decided at the next pop: lost, or late and still wanted
            return _CONCEAL
        self._next += 1
        self._lost += 1
        return Conceal(fec=self._held[first]) if first == self._next else _CONCEAL

    def _stretches(self, lag: float, *, quiet: Callable[[], bool]) -> bool:
        """Whether to hold the next frame back to let the lag grow."""
        if lag >= self._target:
            self._under = 0
            return False
        self._under += 1
        if self._under < (AGREE_QUIET if quiet() else AGREE_TO_STRETCH):
            return False
        self._under = 0
        return True

    def _cuts(self, lag: float, *, quiet: Callable[[], bool]) -> bool:
        """Whether to leave a frame out to let the lag shrink."""
        excess = lag - self._target - self._frame_s
        if excess <= SLACK_S or self._next + 1 not in self._held:
            self._over = 0
            return False
        self._over += 1
        # In speech only a large excess is worth a cut, and only after a while.
        agree = AGREE_FAR if excess > FAR_BEHIND_S else AGREE_SPEECH
        if self._over < AGREE_QUIET or not (quiet() or (self._over >= agree and excess > WORTH_A_CUT_S)):
            return False
        self._over = 0
        return True

    def _play(self, *, cut: bool) -> Play:
        dropped = None
        if cut:
            dropped = self._held.pop(self._next)
            self._dropped += 1
            self._next += 1
        seq = self._next
        self._next += 1
        return Play(seq=seq, payload=self._held.pop(seq), dropped=dropped)

    def _jump(self, now: float) -> int:
        """Give up what is too old to be worth playing, but never the newest frame; the first one held now."""
        behind = int((self._lag(self._next, now) - self._target) / self._frame_s)
        until = min(self._next + behind, max(self._held))
        stale = [seq for seq in self._held if seq < until]
        for seq in stale:
            del self._held[seq]
        first = min(self._held)
        self._dropped += len(stale)
        self._lost += first - self._next - len(stale)
        self._next = first
        return first
