"""`tuiconf ptt`: a foot switch or button as talk key, for whichever call runs: live while it is down.

The key is down as long as this process holds a connection and says so; when either ends, or the switch is unplugged,
it is up. The engine takes a key that is down for two minutes for one that is stuck.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Final

from tuiconf.adapters.evdev import KeyEvent, Switch, SwitchError, SwitchGone
from tuiconf.adapters.key_names import code_of_key, name_of_key
from tuiconf.adapters.printing import OutputLost, print_to
from tuiconf.control import schema
from tuiconf.control.calls import NoSuchCall, find_call, socket_path
from tuiconf.control.client import ControlClient, EngineGone
from tuiconf.control.rpc import ControlError
from tuiconf.untrusted import visible

# How often one looks whether there is a call now, or the switch again: a person who plugs something in waits as long.
LOOK_S: Final = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `tuiconf ptt`."""
    parser.add_argument("device", metavar="DEVICE", type=Path, help="as /dev/input/by-id/…-event-kbd")
    parser.add_argument("--key", metavar="KEY", help="its name or code (default: the first that is pressed, and told)")
    parser.add_argument("--call", metavar="CALL", help="which call, where several run: tuiconf calls lists them")
    parser.add_argument(
        "--grab", action="store_true", help="nothing else is given what the device types: not with your only keyboard"
    )


def run_ptt(args: argparse.Namespace) -> int:
    """Until it is interrupted.

    Raises:
        SwitchError: the device cannot be used.
        UsageError: there is no such key.
    """
    key = TalkKey(code_of_key(args.key) if args.key is not None else None)
    asyncio.run(PushToTalk(args.device, key, call=args.call, grab=args.grab).run())
    return 0


class TalkKey:
    """Which key talks, and whether it is down. Without a `code` it is the first that is pressed. Pure."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        self.down = False

    def learns(self, event: KeyEvent) -> bool:
        """Whether this event says which key it is. That press is no word yet."""
        if self.code is None and event.down:
            self.code = event.code
            return True
        return False

    def take(self, event: KeyEvent) -> bool:
        """Whether `down` is another now."""
        before = self.down
        if event.code is None:
            self.down = False  # something was missed: whoever speaks presses again
        elif event.code == self.code:
            self.down = event.down
        return self.down is not before


class PushToTalk:
    """One switch, and the call it belongs to now."""

    def __init__(self, device: Path, key: TalkKey, *, call: str | None, grab: bool) -> None:
        self._device, self._key, self._grab = device, key, grab
        self._wanted = call
        self._client: ControlClient | None = None
        self._talking_to: ControlClient | None = None
        self._said = ""

    async def run(self) -> None:
        """Until a signal ends it.

        Raises:
            SwitchError: the device cannot be used from the beginning.
        """
        switch = Switch(self._device, grab=self._grab)
        tasks = [asyncio.create_task(self._follow_switch(switch)), asyncio.create_task(self._follow_calls())]
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        waiting = asyncio.create_task(ended.wait())
        try:
            done, _ = await asyncio.wait((*tasks, waiting), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, waiting):
                task.cancel()
            await asyncio.gather(*tasks, waiting, return_exceptions=True)

    # --- the switch

    async def _follow_switch(self, switch: Switch) -> None:
        self._say("press the key to talk with" if self._key.code is None else f"the talk key is {self._key_name}")
        while True:
            with contextlib.closing(switch), contextlib.suppress(SwitchGone):
                async for event in switch.events():
                    await self._take(event)
            self._say(f"{self._device} is gone: waiting until it is there again")
            await self._take(KeyEvent(code=None, down=False))
            switch = await self._again()
            self._say(f"{self._device} is there again")

    async def _again(self) -> Switch:
        """Its permissions come a moment after the device."""
        while True:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(SwitchError):
                return Switch(self._device, grab=self._grab)

    async def _take(self, event: KeyEvent) -> None:
        if self._key.learns(event):
            self._say(f"the talk key is {self._key_name} from now on (next time: --key {self._key_name})")
        elif self._key.take(event):
            try:
                await (self._talk() if self._key.down else self._be_silent())
            except (EngineGone, ControlError) as error:
                self._say(str(error))

    async def _talk(self) -> None:
        self._talking_to = self._client
        if self._client is not None:
            await self._client.call(schema.PushToTalkDown())

    async def _be_silent(self) -> None:
        """Only where we said that it is down: from anybody else, `ptt.up` means the keys of all."""
        client, self._talking_to = self._talking_to, None
        if client is not None and client is self._client:
            await client.call(schema.PushToTalkUp())

    @property
    def _key_name(self) -> str:
        return name_of_key(self._key.code) if self._key.code is not None else ""

    # --- the call

    async def _follow_calls(self) -> None:
        while True:
            call = await self._find()
            try:
                await self._serve(call)
            except (EngineGone, ControlError) as error:
                self._say(str(error))
            await asyncio.sleep(LOOK_S)

    async def _find(self) -> str:
        while True:
            try:
                return find_call(self._wanted)
            except NoSuchCall as error:
                self._say(f"{error}; waiting for one")
            await asyncio.sleep(LOOK_S)

    async def _serve(self, call: str) -> None:
        """Until the call is over. A key that is down when it begins was pressed for something else."""
        client = await ControlClient.connect(socket_path(call))
        try:
            audio = (await client.call(schema.GetState())).audio
            hint = "" if audio.muted else ": it makes no difference until you mute"
            self._say(f"the key is that of the call {call}{hint}")
            self._client = client
            async for _ in client.events():  # none come without being asked for; it ends with the engine
                pass
            self._say(f"the call {call} is over")
        finally:
            self._client = None
            await client.close()

    def _say(self, line: str) -> None:
        """Once, however often it is so."""
        if line != self._said:
            self._said = line
            with contextlib.suppress(OutputLost):  # the key works all the same
                print_to(sys.stderr, f"{visible(line)}\n")
