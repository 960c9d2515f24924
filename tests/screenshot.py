"""Takes README's screenshot: `python -m tests.screenshot FILE.svg`. A real call of three, with real speech."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.e2e.processes import Participant, World
from tuiconf import speech
from tuiconf.config import Tui
from tuiconf.control.client import ControlClient
from tuiconf.control.schema import State
from tuiconf.tui.app import TuiconfApp
from tuiconf.tui.launcher import Control
from tuiconf.tui.terminal import Terminal

SIZE: Final = (96, 20)

# Until the statistics have seconds to tell of, and somebody is in the middle of a sentence.
SETTLE_S: Final = 8.0


class Scene:
    """Mara hosts and looks at the screen; Ben and Ada speak."""

    def __init__(self, world: World) -> None:
        self._world = world
        samples = [f"loop:{path}" for path in speech.samples()]
        relay = world.relay()
        self.mara = world.host("Mara", relay.to_type, "--room", "friday-standup", "--audio-in", samples[0])
        link = self.mara.link()
        self.ben = world.join("Ben", link, "--audio-in", samples[1])
        self.ada = world.join("Ada", link, "--audio-in", samples[2], "--muted")
        for who in (self.ben, self.ada):
            who.joined()

    def play(self) -> None:
        """What was said and done before the picture is taken."""
        self._ask(self.mara, "peers.verify", "peer=Ben", "how=safety_number")
        self._ask(self.ada, "hand.raise")
        for who, text in (
            (self.ben, "the relay moved to the Pi in the cellar"),
            (self.mara, "took ninety seconds, nobody dropped out"),
            (self.ada, "notes are at https://pad.example/friday, @Mara can you add yours?"),
        ):
            self._ask(who, "chat.send", f"text={text}")

    def socket(self) -> Path:
        """Where Mara's engine listens."""
        return Path(self._ask(self.mara, "hello")["socket"])

    def _ask(self, who: Participant, *arguments: str) -> dict[str, Any]:
        asked = self._world.command("tuiconf", "ctl", *arguments, home=who.home.name)
        assert asked.wait() == 0, asked.transcript()
        answer: dict[str, Any] = json.loads(asked.lines[0])
        return answer


async def photograph(socket: Path) -> str:
    """What Mara sees, as SVG."""

    async def connect(_: str) -> Control:
        return await ControlClient.connect(socket)

    app = TuiconfApp(call="mara", connect=connect, launcher=None, settings=Tui(), terminal=Terminal())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(SETTLE_S)
        for _ in range(200):
            if _speaks(app.model.state, app):
                break
            await pilot.pause(0.1)
        return app.export_screenshot(title="tuiconf")


def _speaks(state: State | None, app: TuiconfApp) -> bool:
    levels = app.model.levels
    return state is not None and levels is not None and any(level.speaking for level in levels.others)


def main() -> None:
    """Write the picture to the file that is named."""
    os.environ["TERM"] = "xterm-256color"
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            scene = Scene(world)
            scene.play()
            svg = asyncio.run(photograph(scene.socket()))
        finally:
            world.close()
    Path(sys.argv[1]).write_text(svg)


if __name__ == "__main__":
    main()
