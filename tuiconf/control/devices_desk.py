"""The sound devices of this machine, for whoever chooses one in a call or before it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

import msgspec

from tuiconf.adapters.audio import AudioError
from tuiconf.adapters.audio.devices import Device, Direction, devices
from tuiconf.control import schema
from tuiconf.control.schema import AnyRequest


class DevicesDesk:
    """Looks for devices on a thread: a driver can take seconds, and the call goes on meanwhile.

    Those who ask while it looks are given what it finds. `look` is `devices`, which blocks.
    """

    def __init__(self, look: Callable[[], Sequence[Device]] = devices) -> None:
        self._look = look
        self._looking: asyncio.Future[schema.Devices] | None = None

    async def do(self, request: AnyRequest) -> msgspec.Struct | None:
        """Do it; None when it is not about devices."""
        if not isinstance(request, schema.GetDevices):
            return None
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_future()
            # A thread of its own: the default executor's would be waited for when the program ends.
            threading.Thread(target=self._find, args=(self._looking,), name="devices.get", daemon=True).start()
        return await asyncio.shield(self._looking)

    def _find(self, answer: asyncio.Future[schema.Devices]) -> None:
        found = schema.Devices(inputs=(), outputs=(), problem="the sound system does not answer")
        try:
            found = as_result(self._look())
        except AudioError as error:
            found = schema.Devices(inputs=(), outputs=(), problem=str(error))
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                answer.get_loop().call_soon_threadsafe(_settle, answer, found)


def as_result(found: Sequence[Device]) -> schema.Devices:
    """What the control API says about devices."""
    return schema.Devices(inputs=_of("input", found), outputs=_of("output", found))


def _of(direction: Direction, found: Sequence[Device]) -> tuple[schema.Device, ...]:
    return tuple(
        schema.Device(
            name=device.name,
            spec=device.spec,
            default=device.default,
            stable=device.stable,
        )
        for device in found
        if device.direction == direction
    )


def _settle(answer: asyncio.Future[schema.Devices], found: schema.Devices) -> None:
    if not answer.done():
        answer.set_result(found)
