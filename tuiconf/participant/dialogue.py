"""`tuiconf --plain` without a command: the questions of `plain.start` at standard input, and the call they lead to."""

from __future__ import annotations

import argparse
import os

from tuiconf.adapters.standard_streams import LineWriter, typed_lines
from tuiconf.participant.front_end import FrontEnd
from tuiconf.participant.launcher import ProcessLauncher
from tuiconf.plain.printer import Printer, shows_utf8
from tuiconf.plain.start import start_dialogue


async def run(args: argparse.Namespace) -> int:
    """Choose a room, try the microphone, and be in the call; the exit code.

    Raises:
        TuiconfError: the identity or the settings cannot be used, or the engine is gone.
    """
    # One reader for both: what was typed ahead, or stands in a pipe, belongs to the call.
    typed = typed_lines()
    words = LineWriter(1, on_broken=lambda _: None)
    printer = Printer(words.write, words.write, as_json=False, ascii=not shows_utf8(os.environ))

    async def ask(question: str) -> str | None:
        printer.say((question,))
        return await anext(typed, None)

    launcher = ProcessLauncher(args)
    try:
        await launcher.begin()
        call = await start_dialogue(launcher, ask, lambda line: printer.say((line,)))
    finally:
        launcher.close()
        words.close()
    return 0 if call is None else await FrontEnd(call, as_json=False, typed=typed).run(since=None)
