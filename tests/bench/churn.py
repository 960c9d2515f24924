"""An hour of what a participant meets in months: does it stay in the call, agree with the others, and not grow?

200 people come and go, the relay is killed 20 times, the network is cut 20 times, and the participant's address
changes 5 times, all in a random order. `rss_growth` is the memory at the end over that after the first minute.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.e2e.churn import Amount, Churn
from tests.e2e.processes import World

AMOUNT = Amount(joins=200, restarts=20, cuts=20, moves=5)
FIRST_MINUTE_S = 60.0


def run() -> dict[str, object]:
    """Memory in MB, tasks and descriptors, after the first minute and at the end."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        began = time.monotonic()
        try:
            before, after = Churn(world).run(AMOUNT, settle_s=FIRST_MINUTE_S)
        finally:
            world.close()
    return {
        "took_s": round(time.monotonic() - began),
        "rss_mb_after_a_minute": round(before.rss_bytes / 1e6, 1),
        "rss_mb_at_the_end": round(after.rss_bytes / 1e6, 1),
        "rss_growth": round(after.rss_bytes / before.rss_bytes, 3),
        "tasks_leaked": after.tasks - before.tasks,
        "file_descriptors_leaked": after.file_descriptors - before.file_descriptors,
    }
