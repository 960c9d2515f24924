"""Is the clock right? Nobody is asked: what the kernel knows of it is all that can be known without calling home.

A relay tells no time (TLS 1.3 has none in its handshake). The call needs the time in two places: whoever knocks shows a
key package that is valid for two hours, and delays are computed from the clocks of both ends.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tuiconf
from tuiconf.doctor.findings import Context, Finding, ok, problem, skipped, warning

# Where the kernel stops counting: nobody has corrected the clock for long. timedatectl goes by the same number and
# not by STA_UNSYNC, which is also set to keep the kernel's hands off the hardware clock.
_UNSYNCHRONISED_US: Final = 16_000_000

# Further off, delays that are shown mean nothing, but calls work.
_LARGE_ERROR_US: Final = 1_000_000

_STA_UNSYNC: Final = 0x40


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as far as it is read; the rest is room for the kernel to write into."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock(context: Context) -> Iterator[Finding]:
    """Whether something keeps the clock right, and whether it can be right at all."""
    yield from not_before(Path(tuiconf.__file__).stat().st_mtime, now=time.time(), context=context)
    state = _kernel_state() if context.system.linux else None
    if state is None:
        yield skipped("clock_unknown", "this system does not say whether its clock is synchronised")
    else:
        yield judge(*state, context=context)


def not_before(installed: float, *, now: float, context: Context) -> Iterator[Finding]:
    """A machine without a battery for its clock starts in the past. Both times are in Unix seconds."""
    if now < installed:
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(now))
        yield problem(
            "clock_in_the_past",
            f"the clock says {day} UTC, before this program was installed: nobody would let you in",
            _set_clock(context),
        )


def judge(maxerror_us: int, status: int, *, context: Context) -> Finding:
    """What the kernel's numbers mean."""
    unsynchronised = bool(status & _STA_UNSYNC)
    if maxerror_us >= _UNSYNCHRONISED_US:
        return warning(
            "clock_not_synchronised",
            "nothing keeps this machine's clock right, as far as the kernel knows (in a virtual machine the host may):"
            " more than an hour off, and nobody is let in",
            _set_clock(context),
            facts={"maxerror_ms": None, "sta_unsync": unsynchronised},
        )
    within_ms = maxerror_us / 1000
    facts = {"maxerror_ms": within_ms, "sta_unsync": unsynchronised}
    if maxerror_us > _LARGE_ERROR_US:
        sentence = f"the clock is synchronised, but only to within {within_ms / 1000:.1f} s: delays are shown wrong"
        return warning("clock_imprecise", sentence, "timedatectl timesync-status", facts=facts)
    return ok(
        "clock", f"the clock is synchronised, to within {within_ms:.0f} ms by the kernel's own estimate", facts=facts
    )


def _set_clock(context: Context) -> str:
    if not context.system.linux:
        return "sudo systemsetup -setusingnetworktime on"
    return context.system.as_root("timedatectl set-ntp true")


def _kernel_state() -> tuple[int, int] | None:
    """The largest error in microseconds, and the status bits; None when the kernel does not say."""
    timex = _Timex(modes=0)  # 0 changes nothing, and needs no right
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    return None if result < 0 else (timex.maxerror, timex.status)
