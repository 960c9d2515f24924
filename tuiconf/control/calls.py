"""The running calls of this user: one socket each in the runtime folder."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuiconf import paths
from tuiconf.adapters import private_files
from tuiconf.errors import UsageError

if TYPE_CHECKING:  # every front end needs this file, and none of the cryptography
    from tuiconf.crypto.primitives import Random

_SUFFIX: Final = ".sock"
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # 32, without what is mistaken for something else

# A million names; whoever runs as many calls on one machine sees one refused.
_CHARACTERS: Final = 4
_NAME: Final = re.compile(f"[{_ALPHABET}]{{{_CHARACTERS}}}")

# An engine that is there takes the connection at once, however busy it is: the kernel does it.
CONNECT_TIMEOUT_S: Final = 2.0


class NoSuchCall(UsageError):
    """No running call is meant, or it is not clear which."""

    code = "no_such_call"


def new_call(rng: Random) -> str:
    """A name for a call, short enough to type."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in rng(_CHARACTERS))


def socket_path(call: str) -> Path:
    """Where a call's engine listens."""
    return paths.runtime_dir() / f"{call}{_SUFFIX}"


def running_calls() -> list[str]:
    """The calls whose engine answers, by name. Sockets that were left behind by killed engines are removed.

    Raises:
        NotPrivate: others can write into the folder.
    """
    return sorted(_answering())


def find_call(name: str | None) -> str:
    """The call with this name; without one, the only one there is.

    Raises:
        NoSuchCall: there is none, or more than one.
        NotPrivate: others can write into the folder of the sockets.
    """
    running = running_calls()
    if name is not None:
        if name not in running:
            raise NoSuchCall(f"there is no call {name!r} here: tuiconf calls lists those that run")
        return name
    if not running:
        raise NoSuchCall("no call is running here: tuiconf join LINK --detach starts one")
    if len(running) > 1:
        raise NoSuchCall(f"several calls are running: say which of {', '.join(running)}")
    return running[0]


def _answering() -> Iterator[str]:
    folder = paths.runtime_dir()
    if not folder.is_dir():
        return
    private_files.make_folder(folder)  # refuses one where others could put sockets of their own
    for path in folder.glob(f"*{_SUFFIX}"):
        if not _NAME.fullmatch(path.stem):
            continue
        if answers(path):
            yield path.stem
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def answers(path: Path) -> bool:
    """False only when it is certain that nobody listens: a socket that is removed cannot be found again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
    return True
