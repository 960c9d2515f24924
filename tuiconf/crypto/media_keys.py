"""Who may seal and open media in which MLS epoch: KIDs, replay windows, and keys that come and go. Pure.

A KID is laid out as RFC 9605 §5.2 says, `context ‖ leaf ‖ epoch`, with the stream as the context, 12 bits of
leaf index and the low 8 bits of the epoch. All keys of an epoch come from one exported secret, so SFrame shows
that *a member* sealed a frame; that it was the member named in the KID, members have to believe of each other.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from tuiconf.crypto import sframe
from tuiconf.crypto.sframe import FrameKey, SFrameError
from tuiconf.errors import LocalProtocolError

SUITE: Final = sframe.AES_128_GCM_SHA256_128

BASE_KEY_LABEL: Final = "SFrame 1.0 Base Key"
"""The base key of an epoch is `MLS-Exporter(BASE_KEY_LABEL, "", BASE_KEY_BYTES)`."""
BASE_KEY_BYTES: Final = SUITE.key_bytes

EPOCH_BITS: Final = 8
LEAF_BITS: Final = 12  # 1,000 participants are what we build for; changing it changes the protocol
MAX_LEAVES: Final = 1 << LEAF_BITS
_EPOCH_MASK: Final = (1 << EPOCH_BITS) - 1
_LEAF_MASK: Final = MAX_LEAVES - 1

# How long frames of an older epoch still open: those in flight when it ended, and those of senders that have not
# yet seen the commit. After a removal it is how long the removed member is still heard.
KEEP_AFTER_JOIN_S: Final = 5.0
KEEP_AFTER_REMOVAL_S: Final = 1.0

# How long a frame waits for the commit that opens it. Longer is of no use: it would be played too late.
WAIT_S: Final = 0.5

# What anyone who can send datagrams can make us hold. Seven speakers' frames and reports of half a second are
# under 200 frames and 25 kB; doubling either doubles what a stranger can fill.
MAX_WAITING_FRAMES: Final = 256
MAX_WAITING_BYTES: Final = 1 << 16

# An epoch every 200 ms, the fastest that joins are gathered, makes 25 in the 5 s that one is kept. Each costs its
# set of leaves, and a window of about 120 bytes for every sender heard in it.
MAX_EPOCHS: Final = 32

# Senders whose key is kept ready, over all epochs; the others' is derived again for each frame, which costs twice what
# opening it does. A key is 2.5 kB, so this is 640 kB; it is more than are ever forwarded at once.
MAX_READY_KEYS: Final = 256

# Frames a repeat or a straggler may be behind: 2.5 s at 20 ms, and redundancy reaches back 3 to 6. A wider window
# only makes its integer longer.
WINDOW: Final = 128
_WINDOW_MASK: Final = (1 << WINDOW) - 1

# One key never seals more: at 100 frames/s this is 16 months, and AES-GCM's bound for distinguishing 2³² frames of
# 80 bytes is 2⁻⁶⁰. A larger counter is not taken from others either, so what numbers the frames has 32 bits.
MAX_COUNTER: Final = (1 << 32) - 1


class Stream(enum.IntEnum):
    """What a frame is part of: the context of its KID. Each stream counts its frames by itself."""

    AUDIO = 0
    REPORT = 1


# The SFrame metadata ties a frame to its stream and to this protocol's version.
_METADATA: Final = {stream: f"tuiconf v1 {stream.name.lower()}".encode() for stream in Stream}


class Reason(enum.StrEnum):
    """Why a frame was not opened."""

    MALFORMED = "malformed"  # not SFrame, or not of this stream
    OWN_LEAF = "own_leaf"  # our own KID: a reflection, or someone posing as us
    UNKNOWN_SENDER = "unknown_sender"  # nobody who may send in that epoch
    UNKNOWN_EPOCH = "unknown_epoch"  # its epoch did not come in time, or too much was waiting
    REPLAYED = "replayed"  # opened before: how redundant repeats are dropped, not a fault
    AUTHENTICATION = "authentication"
    TOO_OLD = "too_old"  # of an epoch no longer kept, or behind the window


class Undecryptable(SFrameError):
    """A frame that stays closed; `code` is its `Reason`. Nothing has changed but a count."""

    code: Reason

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"a frame could not be opened: {reason}")
        self.code = reason


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An authentic frame. `counter`, below 2³², numbers a sender's frames: it never wraps, and goes on across epochs.

    The sender is whoever is at `leaf` *in `epoch`*: in a later epoch the leaf may be someone else's. (A Struct, because
    making a frozen dataclass of this takes longer than deciphering the frame.)
    """

    epoch: int
    leaf: int
    stream: Stream
    counter: int
    payload: bytes

    def __repr__(self) -> str:
        return f"<Opened {self.stream.name} of leaf {self.leaf} in epoch {self.epoch}>"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The frame's epoch is not here yet; when it comes in time, `OpeningKeys.install` returns the frame."""


_WAITING: Final = Waiting()


def metadata(stream: Stream) -> bytes:
    """The SFrame metadata of a stream's frames: authenticated, never sent."""
    return _METADATA[stream]


def kid(stream: Stream, leaf: int, epoch: int) -> int:
    """The key id of a sender's stream in an epoch."""
    return stream << (LEAF_BITS + EPOCH_BITS) | leaf << EPOCH_BITS | epoch & _EPOCH_MASK


def _check_leaf(leaf: int) -> None:
    if not 0 <= leaf < MAX_LEAVES:
        raise LocalProtocolError("a leaf is beyond what a KID can name")


class SealingKeys:
    """Seals this participant's own frames. One lives as long as the participant, through all groups and epochs.

    Why no nonce repeats: a nonce is a counter under a key, and each stream's counter only ever goes up in the life
    of this object, whatever is installed and however often. Another run of the program joins anew, so in a later
    epoch, and has other keys.
    """

    def __init__(self) -> None:
        self._keys: dict[Stream, FrameKey] = {}
        self._next = dict.fromkeys(Stream, 0)

    def install(self, epoch: int, base_key: bytes, own_leaf: int) -> None:
        """Seal with this epoch's keys from now on; the earlier keys are forgotten.

        Raises:
            LocalProtocolError: the leaf is beyond `MAX_LEAVES`.
        """
        _check_leaf(own_leaf)
        secret = sframe.extract(SUITE, base_key)
        self._keys = {stream: FrameKey(SUITE, secret, kid(stream, own_leaf, epoch)) for stream in Stream}

    def seal(self, stream: Stream, payload: bytes) -> tuple[int, bytes]:
        """The frame's counter, and the sealed frame: `payload` and 17 to 24 bytes.

        Raises:
            LocalProtocolError: no keys are installed, or the counter has come to its end.
        """
        key = self._keys.get(stream)
        counter = self._next[stream]
        if key is None or counter > MAX_COUNTER:
            raise LocalProtocolError("there is no key to seal with")
        self._next[stream] = counter + 1  # before sealing: a counter is spent even if sealing fails
        return counter, key.seal(counter, _METADATA[stream], payload)


class _Sender:
    """One sender's stream in one epoch, once a frame of it was authentic: its window and, while kept, its key."""

    __slots__ = ("highest", "key", "seen")

    def __init__(self, counter: int) -> None:
        self.key: FrameKey | None = None
        self.highest = counter
        self.seen = 0  # bit n: the frame `highest - n` has been opened

    def refusal(self, counter: int) -> Reason | None:
        """Whether the window rules the frame out, before the cost of opening it."""
        behind = self.highest - counter
        if behind < 0:
            return None
        if behind >= WINDOW:
            return Reason.TOO_OLD
        return Reason.REPLAYED if self.seen >> behind & 1 else None

    def opened(self, counter: int) -> None:
        """Move the window; only for a frame that was authentic."""
        ahead = counter - self.highest
        if ahead <= 0:
            self.seen |= 1 << -ahead
            return
        self.highest = counter
        # A peer chooses the counter, so the shift is bounded before it is made.
        self.seen = (self.seen << ahead & _WINDOW_MASK | 1) if ahead < WINDOW else 1


class _Epoch:
    """What opens the frames of one epoch."""

    __slots__ = ("expires", "leaves", "number", "own_leaf", "secret", "senders")

    def __init__(self, number: int, base_key: bytes, own_leaf: int, leaves: frozenset[int]) -> None:
        self.number = number
        self.secret = sframe.extract(SUITE, base_key)
        self.own_leaf = own_leaf
        self.leaves = leaves
        self.expires = math.inf
        self.senders: dict[int, _Sender] = {}  # by KID; at most one per leaf and stream


class _WaitingRoom:
    """Frames whose epoch is not here yet, oldest first, each once, bounded in number and bytes."""

    def __init__(self) -> None:
        self._since: dict[tuple[Stream, bytes], float] = {}
        self._bytes = 0

    def add(self, stream: Stream, sealed: bytes, now: float) -> bool:
        """Whether there was room, or the frame was here already: redundancy brings each several times."""
        if (stream, sealed) in self._since:
            return True
        if len(self._since) >= MAX_WAITING_FRAMES or self._bytes + len(sealed) > MAX_WAITING_BYTES:
            return False
        self._since[stream, sealed] = now
        self._bytes += len(sealed)
        return True

    def expire(self, now: float) -> int:
        """Forget what has waited too long, and say how many frames that were."""
        late = []
        for frame, since in self._since.items():
            if now - since < WAIT_S:
                break
            late.append(frame)
        for frame in late:
            self._remove(frame)
        return len(late)

    def take(self, epoch: int) -> list[tuple[Stream, bytes]]:
        """The frames whose KID names this epoch."""
        low = epoch & _EPOCH_MASK
        frames = [frame for frame in self._since if sframe.decode_header(frame[1])[0] & _EPOCH_MASK == low]
        for frame in frames:
            self._remove(frame)
        return frames

    def _remove(self, frame: tuple[Stream, bytes]) -> None:
        del self._since[frame]
        self._bytes -= len(frame[1])


class OpeningKeys:
    """Opens the others' frames. One per group: a participant that joins another group makes a new one.

    `now` is in seconds of any monotonic clock, the same for all calls.
    """

    def __init__(self) -> None:
        self._epochs: dict[int, _Epoch] = {}  # by the low bits of the number, oldest first
        self._newest = -1
        self._ready: dict[int, _Sender] = {}  # whose key is kept, by KID, in the order of being derived
        self._waiting = _WaitingRoom()
        self._failures = dict.fromkeys(Reason, 0)

    @property
    def failures(self) -> dict[Reason, int]:
        """How many frames stayed closed, and why. `REPLAYED` counts the redundant repeats too."""
        return dict(self._failures)

    def install(
        self, epoch: int, base_key: bytes, *, own_leaf: int, leaves: Collection[int], removal: bool, now: float
    ) -> list[Opened]:
        """Open this epoch's frames too; returns those that were waiting for it.

        `leaves` are all who may send in this epoch; anyone else's KID is refused in it. Older epochs expire
        `KEEP_AFTER_REMOVAL_S` from now if the commit removed someone (`removal`), else `KEEP_AFTER_JOIN_S`.

        Raises:
            LocalProtocolError: the epoch is not newer than all before (its replay windows would start
                again), or a leaf is beyond `MAX_LEAVES`.
        """
        if epoch <= self._newest:
            raise LocalProtocolError("media keys of an epoch are installed once, and in order")
        for leaf in (own_leaf, *leaves):
            _check_leaf(leaf)
        self.expire(now=now)
        self._retire(epoch, now + (KEEP_AFTER_REMOVAL_S if removal else KEEP_AFTER_JOIN_S))
        self._newest = epoch
        self._epochs[epoch & _EPOCH_MASK] = _Epoch(epoch, base_key, own_leaf, frozenset(leaves))
        return self._open_waiting(epoch, now)

    def open(self, stream: Stream, sealed: bytes, *, now: float) -> Opened | Waiting:
        """The frame, if it is authentic, of a member that may send, and not opened before.

        Raises:
            Undecryptable: it stays closed; `code` says why, and it is counted.
        """
        try:
            return self._open(stream, sealed, now)
        except Undecryptable as error:
            self._failures[error.code] += 1
            raise

    def expire(self, *, now: float) -> None:
        """Forget old epochs' keys and frames that waited too long. Call it about once a second.

        Both are refused on time without it; this is what frees them, and deletes the keys.
        """
        for low in [low for low, epoch in self._epochs.items() if now >= epoch.expires]:
            self._drop(low)
        self._failures[Reason.UNKNOWN_EPOCH] += self._waiting.expire(now)

    def _open(self, stream: Stream, sealed: bytes, now: float) -> Opened | Waiting:
        try:
            frame_kid, counter, header_bytes = sframe.decode_header(sealed)
        except SFrameError:
            raise Undecryptable(Reason.MALFORMED) from None
        if frame_kid >> (LEAF_BITS + EPOCH_BITS) != stream or counter > MAX_COUNTER:
            raise Undecryptable(Reason.MALFORMED)
        epoch = self._epochs.get(frame_kid & _EPOCH_MASK)
        if epoch is None or now >= epoch.expires:
            return self._wait(stream, sealed, frame_kid, now)
        sender = epoch.senders.get(frame_kid)
        if sender is not None and counter <= sender.highest and (refusal := sender.refusal(counter)):
            raise Undecryptable(refusal)
        key = (sender and sender.key) or self._derive(epoch, frame_kid)
        try:
            payload = key.open(sealed, counter, header_bytes, _METADATA[stream])
        except SFrameError:
            raise Undecryptable(Reason.AUTHENTICATION) from None
        if sender is None:
            sender = epoch.senders[frame_kid] = _Sender(counter)
        if sender.key is None:
            self._keep_ready(frame_kid, sender, key)
        sender.opened(counter)
        leaf = frame_kid >> EPOCH_BITS & _LEAF_MASK
        return Opened(epoch=epoch.number, leaf=leaf, stream=stream, counter=counter, payload=payload)

    def _derive(self, epoch: _Epoch, frame_kid: int) -> FrameKey:
        leaf = frame_kid >> EPOCH_BITS & _LEAF_MASK
        if leaf == epoch.own_leaf:
            raise Undecryptable(Reason.OWN_LEAF)
        if leaf not in epoch.leaves:
            raise Undecryptable(Reason.UNKNOWN_SENDER)
        return FrameKey(SUITE, epoch.secret, frame_kid)

    def _keep_ready(self, frame_kid: int, sender: _Sender, key: FrameKey) -> None:
        """Only for a sender that was authentic, so that strangers cannot push members' keys out."""
        if len(self._ready) >= MAX_READY_KEYS:
            self._ready.pop(next(iter(self._ready))).key = None
        sender.key = key
        self._ready[frame_kid] = sender

    def _wait(self, stream: Stream, sealed: bytes, frame_kid: int, now: float) -> Waiting:
        """For a frame of no epoch that is open: the half of the low bits' circle behind the newest is the past."""
        ahead = (frame_kid - self._newest) & _EPOCH_MASK
        if self._newest >= 0 and (ahead == 0 or ahead > _EPOCH_MASK // 2):
            raise Undecryptable(Reason.TOO_OLD)
        self._failures[Reason.UNKNOWN_EPOCH] += self._waiting.expire(now)
        if not self._waiting.add(stream, sealed, now):
            raise Undecryptable(Reason.UNKNOWN_EPOCH)
        return _WAITING

    def _open_waiting(self, epoch: int, now: float) -> list[Opened]:
        opened = []
        for stream, sealed in self._waiting.take(epoch):
            try:
                frame = self.open(stream, sealed, now=now)
            except Undecryptable:
                continue  # counted
            if isinstance(frame, Opened):
                opened.append(frame)
        return opened

    def _retire(self, new: int, expires: float) -> None:
        """Give every epoch its end, and make room for the new one."""
        self._drop(new & _EPOCH_MASK)
        while len(self._epochs) >= MAX_EPOCHS:
            self._drop(next(iter(self._epochs)))
        for epoch in self._epochs.values():
            epoch.expires = min(epoch.expires, expires)

    def _drop(self, low: int) -> None:
        epoch = self._epochs.pop(low, None)
        for frame_kid in epoch.senders if epoch else ():
            self._ready.pop(frame_kid, None)
