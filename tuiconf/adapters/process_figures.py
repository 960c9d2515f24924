"""What this process uses of the machine, for statistics."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Memory and CPU of this process. `rss_bytes` is the present one on Linux, the highest elsewhere."""

    rss_bytes: int
    cpu_s: float
    file_descriptors: int


def figures() -> Figures:
    """As of now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Figures(rss_bytes=_rss_bytes(usage), cpu_s=usage.ru_utime + usage.ru_stime, file_descriptors=_descriptors())


def _rss_bytes(usage: resource.struct_rusage) -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return pages * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    """0 where it cannot be known. The one that looks is not counted."""
    try:
        return len(os.listdir("/dev/fd")) - 1  # noqa: PTH208 - pathlib would open one more
    except OSError:
        return 0
