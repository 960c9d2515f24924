"""Which datagrams go to whom: speaker selection, and what waits for one receiver.

Pure: `now` is the caller's monotonic clock in seconds. Datagrams are opaque and leave as the bytes they came in.
That a receiver has gone silent is noticed below, in connection.py, which then takes nothing for it.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple, NewType

from relay_quic.limits import TokenBucket
from relay_quic.wire import DatagramKind

PeerId = NewType("PeerId", int)
"""The endpoint's number of one QUIC connection, never used twice."""

# In rooms of up to so many connections everybody hears everybody and no loudness is told (DESIGN.md §3).
FORWARD_ALL_UP_TO: Final = 8

# Reports that a room is sent: members agree on 50 a second among them, whatever their number. Everybody receives each,
# so without a bound a few members of a large room could make the relay send more than it can. Doubling it doubles that.
REPORTS_PER_S: Final = 100.0

# How many are heard at once in larger rooms. People follow one voice and notice two or three more; each costs every
# receiver 40 kbit/s.
MAX_SPEAKERS: Final = 4

# A newcomer takes the place of the quietest speaker only when it has been clearly louder. Half a step of the four
# steps: less flips between two similar voices, more keeps a cough in the place of a sentence.
LOUDER_BY: Final = 0.5
# A speaker keeps the place at least so long, about a syllable or two, so that no word is cut in pieces.
HOLD_S: Final = 0.6
# A speaker that sends nothing for so long has stopped (DTX, mute), and the place is free.
SILENT_AFTER_S: Final = 1.0
# The loudness hint is averaged over about this time: shorter follows clicks, longer loses the start of a sentence.
SMOOTHING_S: Final = 0.2


class _Voice:
    __slots__ = ("heard_at", "level", "selected_at")

    def __init__(self, *, now: float) -> None:
        self.heard_at = now
        self.level = 0.0
        self.selected_at: float | None = None


class SpeakerSelector:
    """Chooses whose audio a large room hears, by the senders' loudness hints, with hysteresis.

    Bounded by the room: one small record per connection, gone with `forget`.
    """

    def __init__(self) -> None:
        self._voices: dict[PeerId, _Voice] = {}
        self._speakers: set[PeerId] = set()

    def heard(self, sender: PeerId, loudness: int, *, now: float) -> bool:
        """An audio datagram came; whether it is forwarded.

        A hint of 0 counts as the quietest: it is heard when a place is free.
        """
        voice = self._voices.get(sender)
        if voice is None:
            voice = self._voices[sender] = _Voice(now=now)
            voice.level = loudness
        else:
            weight = min(1.0, max(0.0, now - voice.heard_at) / SMOOTHING_S)
            voice.level += (loudness - voice.level) * weight
            voice.heard_at = now
        if sender in self._speakers:
            return True
        if not self._has_place(voice, now=now):
            return False
        self._speakers.add(sender)
        voice.selected_at = now
        return True

    def forget(self, sender: PeerId) -> None:
        """The connection is gone."""
        self._voices.pop(sender, None)
        self._speakers.discard(sender)

    def _has_place(self, voice: _Voice, *, now: float) -> bool:
        """Whether there is a place for `voice`, made free if need be."""
        for speaker in [s for s in self._speakers if now - self._voices[s].heard_at >= SILENT_AFTER_S]:
            self._speakers.discard(speaker)
        if len(self._speakers) < MAX_SPEAKERS:
            return True
        quietest = min(self._speakers, key=lambda speaker: self._voices[speaker].level)
        other = self._voices[quietest]
        held_s = now - (other.selected_at if other.selected_at is not None else now)
        if voice.level < other.level + LOUDER_BY or held_s < HOLD_S:
            return False
        self._speakers.discard(quietest)
        return True


# Datagrams of one sender that wait for one receiver: 100 ms of 20 ms frames, which is what a relay that was itself
# held up may still deliver. More is only heard as delay.
MAX_WAITING_PER_SENDER: Final = 5
# All that waits for one receiver: 8 speakers' frames and some reports. Doubling it doubles its memory, 70 kB.
MAX_WAITING: Final = 64
# What a datagram costs a receiver's line beside its own bytes (IP, UDP and QUIC): without it, tiny ones would be free.
DATAGRAM_OVERHEAD_BYTES: Final = 60
# How much of a second's bytes a receiver may be sent at once: one full queue of audio and a picture.
RECEIVER_BURST_S: Final = 0.25


class _Waiting(NamedTuple):  # half the price of a dataclass, and one is made for each datagram and receiver
    sender: PeerId
    kind: DatagramKind
    data: bytes


class ReceiverQueue:
    """What waits for one receiver until the end of the turn: when the relay was held up, more than is worth sending.

    Bounded in number; the oldest goes first, and reports before audio.
    """

    __slots__ = ("_budget", "_per_sender", "_waiting", "dropped")

    def __init__(self, *, bytes_per_s: float, now: float) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._per_sender: dict[PeerId, int] = {}
        self._budget = TokenBucket(rate=bytes_per_s, burst=bytes_per_s * RECEIVER_BURST_S, now=now)
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, sender: PeerId, kind: DatagramKind, data: bytes) -> None:
        """Let one more datagram wait; makes room for it by dropping older ones."""
        mine = self._per_sender.get(sender, 0)
        if mine >= MAX_WAITING_PER_SENDER:
            self._drop_oldest(of=sender)
            mine -= 1
        elif len(self._waiting) >= MAX_WAITING:
            self._drop_oldest(of=None)
            mine = self._per_sender.get(sender, 0)
        self._per_sender[sender] = mine + 1
        self._waiting.append(_Waiting(sender, kind, data))

    def drain(self, *, now: float) -> list[bytes]:
        """What may be sent to the receiver now, oldest first. The oldest go when its rate does not allow all."""
        ready: list[bytes] = []
        for waiting in reversed(self._waiting):
            if self._budget.take(len(waiting.data) + DATAGRAM_OVERHEAD_BYTES, now=now):
                ready.append(waiting.data)
            else:
                self.dropped += 1
        self._waiting.clear()
        self._per_sender.clear()
        ready.reverse()
        return ready

    def _drop_oldest(self, *, of: PeerId | None) -> None:
        candidates = [w for w in self._waiting if of is None or w.sender == of]
        victim = next((w for w in candidates if w.kind is DatagramKind.SIDE), candidates[0])
        for index, waiting in enumerate(self._waiting):
            if waiting is victim:
                del self._waiting[index]
                break
        left = self._per_sender[victim.sender] - 1
        if left:
            self._per_sender[victim.sender] = left
        else:
            del self._per_sender[victim.sender]
        self.dropped += 1
