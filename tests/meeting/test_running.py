"""The process around meetings: what it says, and that nobody has to listen."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tuiconf.meeting import running
from tuiconf.meeting.script import parse


async def test_a_standard_error_that_nobody_reads_stops_no_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one event's failure had to tell goes nowhere, and the event after it is delivered all the same."""
    (tmp_path / "hook.py").write_text(
        "import json, sys; event = json.load(sys.stdin)['event']; "
        "event == 'joined' and sys.exit(3); open('heard', 'a').write(event)"
    )
    command = json.dumps([sys.executable, "hook.py"])
    file = parse(f'[room]\nlink = "x"\n[[hook]]\ncommand = {command}\n', path=tmp_path / "meeting.toml")
    runner = running.Runner(file, now=True)
    with Path("/dev/full").open("w") as full:  # noqa: ASYNC230 - opened at once, and never written
        monkeypatch.setattr(sys, "stderr", full)
        runner._hooks.start()
        for event in ("joined", "ended"):
            runner._hooks.tell(event, {}, title="", start=0.0)
        async with asyncio.timeout(30):
            await runner._hooks.finish(asyncio.Event())
    assert (tmp_path / "heard").read_text() == "ended"
