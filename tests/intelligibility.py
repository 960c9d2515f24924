"""How well speech can still be understood: STOI (Taal et al., 2011), after the recording is brought into line.

`score` is what tests use: 1 is the original, below 0.6 is hard to follow. `python -m tests.intelligibility A B`
prints it for two files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuiconf.adapters.audio.decoder import decode

Samples = NDArray[np.float32]

SAMPLE_RATE: Final = 48_000
STOI_RATES: Final = (10_000, 16_000, 48_000)

# Less than that and there are too few of the 384 ms segments that STOI compares to mean anything.
MIN_SAMPLES: Final = SAMPLE_RATE


def read(path: Path) -> Samples:
    """Any audio file, mono at 48 kHz."""
    blocks = list(decode(path))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def find(original: Samples, recording: Samples) -> int:
    """Where in the recording the original begins, in samples; negative when its start was cut off.

    By the largest cross-correlation, computed by FFT over everything: no assumption about the delay.
    """
    size = 1 << (len(original) + len(recording) - 1).bit_length()
    spectrum = np.fft.rfft(recording, size) * np.conj(np.fft.rfft(original, size))
    correlation = np.fft.irfft(spectrum, size)
    shift = int(np.argmax(np.abs(correlation)))
    return shift if shift < len(recording) else shift - size


def align(original: Samples, recording: Samples) -> tuple[Samples, Samples]:
    """Both, cut to the part they share."""
    shift = find(original, recording)
    a, b = (original, recording[shift:]) if shift >= 0 else (original[-shift:], recording)
    length = min(len(a), len(b))
    return a[:length], b[:length]


def score(original: Samples, recording: Samples, *, rate: int = 10_000) -> float:
    """STOI of the recording against the original, both at 48 kHz, wherever in the recording it is.

    The original counts whole: a recording that lost its end is compared as if it were silent there.
    `rate` is what both are brought to first; STOI itself works at 10 kHz, so that is the plain choice.

    Raises:
        ValueError: less than a second is shared, or `rate` is not 10, 16 or 48 kHz.
    """
    from pystoi import stoi

    if rate not in STOI_RATES:
        raise ValueError(f"rate must be one of {STOI_RATES}")
    shift = find(original, recording)
    if min(len(recording) - shift, len(original) + min(shift, 0)) < MIN_SAMPLES:
        raise ValueError("less than a second of the original is in the recording")
    placed = np.zeros(len(original), np.float32)
    start, at = max(shift, 0), max(-shift, 0)
    part = recording[start : start + len(original) - at]
    placed[at : at + len(part)] = part
    return float(stoi(_resample(original, rate), _resample(placed, rate), rate, extended=False))


def _resample(samples: Samples, rate: int) -> NDArray[np.float64]:
    from scipy.signal import resample_poly

    wide = samples.astype(np.float64)
    if rate == SAMPLE_RATE:
        return wide
    common = int(np.gcd(rate, SAMPLE_RATE))
    narrow: NDArray[np.float64] = resample_poly(wide, rate // common, SAMPLE_RATE // common)
    return narrow


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.intelligibility", description=__doc__)
    parser.add_argument("original", type=Path)
    parser.add_argument("recording", type=Path)
    args = parser.parse_args()
    original, recording = read(args.original), read(args.recording)
    print(f"stoi {score(original, recording):.4f} at {find(original, recording) / SAMPLE_RATE:.4f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
