"""Cutting what a client writes into lines. Pure."""

from __future__ import annotations

from typing import Final

from tuiconf.control.rpc import MAX_LINE_BYTES, ControlError, ErrorNumber

_TOO_LONG: Final = f"a line has at most {MAX_LINE_BYTES} bytes"


class LineCutter:
    """Bytes in, complete lines out; of a line that is too long nothing is kept, and its end is told by an error."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """More of what the client wrote."""
        self._held += data

    def take(self) -> bytes | None:
        """The next complete line without its end, or None.

        Raises:
            ControlError: the next line was too long. The one after it comes next.
        """
        end = self._held.find(b"\n")
        if end < 0:
            if len(self._held) > MAX_LINE_BYTES:
                self._held.clear()
                self._skipping = True
            return None
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        too_long, self._skipping = self._skipping or len(line) > MAX_LINE_BYTES, False
        if too_long:
            raise ControlError(ErrorNumber.INVALID_REQUEST, _TOO_LONG)
        return line

    def rest(self) -> bytes:
        """What came after the last line that was taken: no lines follow, but something else."""
        rest = bytes(self._held)
        self._held.clear()
        return rest
