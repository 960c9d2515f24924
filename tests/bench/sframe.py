"""What sealing and opening a frame of 60 bytes costs in the call's code, as multiples of the bare AES-GCM call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from time import perf_counter

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tuiconf.crypto.media_keys import OpeningKeys, SealingKeys, Stream

FRAMES = 5_000
ROUNDS = 9
PAYLOAD = bytes(60)
BASE_KEY = bytes(16)


def run() -> dict[str, object]:
    """`seal_ratio` and `open_ratio`, and the microseconds they come from.

    The three are measured in turns, and the median of the rounds' ratios is taken: the machine's speed drifts.
    """
    rounds = [_round() for _ in range(ROUNDS)]
    middle = [sorted(values)[ROUNDS // 2] for values in zip(*rounds, strict=True)]
    return dict(
        zip(("seal_ratio", "open_ratio", "aesgcm_us", "seal_us", "open_us"), (round(v, 2) for v in middle), strict=True)
    )


def _round() -> tuple[float, float, float, float, float]:
    sealing, opening = SealingKeys(), OpeningKeys()
    sealing.install(1, BASE_KEY, 3)
    opening.install(1, BASE_KEY, own_leaf=0, leaves=range(10), removal=False, now=0.0)
    aead, nonce, aad = AESGCM(BASE_KEY), bytes(12), bytes(16)

    bare = _time(lambda _: aead.encrypt(nonce, PAYLOAD, aad), itertools.repeat(b"", FRAMES))
    seal = _time(lambda _: sealing.seal(Stream.AUDIO, PAYLOAD), itertools.repeat(b"", FRAMES))
    frames = [sealing.seal(Stream.AUDIO, PAYLOAD)[1] for _ in range(FRAMES)]
    opened = _time(lambda sealed: opening.open(Stream.AUDIO, sealed, now=0.0), frames)
    return seal / bare, opened / bare, bare, seal, opened


def _time(call: Callable[[bytes], object], frames: Iterable[bytes]) -> float:
    """Microseconds per call."""
    start = perf_counter()
    for frame in frames:
        call(frame)
    return (perf_counter() - start) / FRAMES * 1e6
