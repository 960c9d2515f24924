"""Keys of a Linux input device: foot switches, buttons on a headset, GPIO pins that `gpio-keys` makes keys of.

What is read from /dev/input/event* is `struct input_event` of `linux/input.h`: a time (two longs), the type and the
code of the event (`__u16` each), and its value (`__s32`). `Documentation/input/event-codes.rst` says what they mean.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuiconf.errors import TuiconfError

# In the sizes and byte order of this machine: 24 bytes where longs have 64 bits, 16 where they have 32.
_EVENT: Final = struct.Struct("@llHHi")
EVENT_BYTES: Final = _EVENT.size

_EV_SYN, _EV_KEY = 0x00, 0x01
_SYN_REPORT, _SYN_DROPPED = 0, 3
_UP, _DOWN = 0, 1  # 2 is said again and again by a keyboard whose key is held

_EVIOCGVERSION: Final = 0x80044501
_EVIOCGRAB: Final = 0x40044590

# The kernel keeps some 64 events for each reader.
_READ_BYTES: Final = 64 * EVENT_BYTES


class SwitchError(TuiconfError):
    """An input device cannot be used; one sentence for whoever named it."""

    code = "input_device"


class SwitchGone(SwitchError):
    """It was unplugged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """A key went down, or up. None: events were lost, and what is down is not known."""

    code: int | None
    down: bool


class EventParser:
    """Bytes of an input device to events, in whatever portions they come. Pure."""

    def __init__(self) -> None:
        self._rest = b""
        self._dropping = False  # events were lost: those up to the next report belong to nothing

    def feed(self, data: bytes) -> list[KeyEvent]:
        """The key events that are complete now."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT_BYTES
        self._rest = data[whole:]
        found = (self._event(*fields[2:]) for fields in _EVENT.iter_unpack(data[:whole]))
        return [event for event in found if event is not None]

    def _event(self, kind: int, code: int, value: int) -> KeyEvent | None:
        if kind == _EV_SYN and code == _SYN_DROPPED:
            self._dropping = True
            return KeyEvent(code=None, down=False)
        if self._dropping:
            self._dropping = not (kind == _EV_SYN and code == _SYN_REPORT)
            return None
        return KeyEvent(code=code, down=value == _DOWN) if kind == _EV_KEY and value in (_UP, _DOWN) else None


class Switch:
    """An open input device. A FIFO is one, too: for what has keys of its own."""

    def __init__(self, path: Path, *, grab: bool = False) -> None:
        """Open it. `grab`: nothing else is given its events.

        Raises:
            SwitchError: it cannot be.
        """
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError as error:
            raise SwitchError(
                f"{path} may not be read: sudo usermod -aG input $USER, and log in again (or be root)"
            ) from error
        except FileNotFoundError as error:
            raise SwitchError(f"{path}: there is no such device: ls /dev/input/by-id lists those there are") from error
        except OSError as error:
            raise SwitchError(f"{path}: {(error.strerror or str(error)).lower()}") from error
        try:
            self._check(grab=grab)
        except SwitchError:
            self.close()
            raise

    async def events(self) -> AsyncIterator[KeyEvent]:
        """What its keys do.

        Raises:
            SwitchGone: in the end.
        """
        parser = EventParser()
        while True:
            for event in parser.feed(await self._read()):
                yield event

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)

    async def _read(self) -> bytes:
        await self._readable()
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return b""  # woken up for nothing
        except OSError as error:
            raise SwitchGone(f"{self._path} is gone") from error
        if not data:
            raise SwitchGone(f"{self._path} has ended")
        return data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._fd, lambda: None if readable.done() else readable.set_result(None))
        try:
            await readable
        finally:
            loop.remove_reader(self._fd)

    def _check(self, *, grab: bool) -> None:
        kind = os.fstat(self._fd).st_mode
        if stat.S_ISFIFO(kind):
            return
        try:
            if not stat.S_ISCHR(kind):
                raise OSError
            fcntl.ioctl(self._fd, _EVIOCGVERSION, b"\0" * 4)
        except OSError as error:
            message = f"{self._path} is not an input device: ls /dev/input/by-id lists those there are"
            raise SwitchError(message) from error
        if grab:
            try:
                fcntl.ioctl(self._fd, _EVIOCGRAB, 1)
            except OSError as error:
                raise SwitchError(f"{self._path} belongs to another program alone") from error
