"""Devices are looked for beside the call: it never stands still for a driver, and one look serves all who ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from tests.control.support import PATIENCE_S
from tuiconf.adapters.audio.devices import Device, Found, PortAudioMissing, describe
from tuiconf.adapters.audio.soundcard import NO_PORTAUDIO
from tuiconf.control import schema
from tuiconf.control.devices_desk import DevicesDesk

FOUND = describe(
    [Found(name="USB Headset: Audio (hw:1,0)", host_api="ALSA", inputs=1, outputs=2)],
    default_input=0,
    default_output=None,
)


async def ask(desk: DevicesDesk) -> schema.Devices:
    async with asyncio.timeout(PATIENCE_S):
        answer = await desk.do(schema.GetDevices())
    assert isinstance(answer, schema.Devices)
    return answer


async def test_what_there_is_is_told_by_the_names_that_audio_set_takes() -> None:
    spec = "device:USB Headset: Audio"
    found = await ask(DevicesDesk(lambda: FOUND))
    assert [(device.spec, device.default, device.stable) for device in found.inputs] == [(spec, True, True)]
    assert [(device.spec, device.default, device.stable) for device in found.outputs] == [(spec, False, True)]
    assert found.problem == ""


async def test_without_portaudio_there_is_one_sentence() -> None:
    def look() -> Sequence[Device]:
        raise PortAudioMissing(NO_PORTAUDIO)

    found = await ask(DevicesDesk(look))
    assert (found.inputs, found.outputs, found.problem) == ((), (), NO_PORTAUDIO)


async def test_the_call_goes_on_while_a_driver_thinks_and_one_look_serves_all() -> None:
    answers, looks = threading.Event(), []

    def look() -> Sequence[Device]:
        looks.append(threading.current_thread())
        answers.wait(PATIENCE_S)
        return FOUND

    desk = DevicesDesk(look)
    asking = [asyncio.create_task(ask(desk)) for _ in range(10)]
    impatient = asyncio.create_task(ask(desk))
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in asking)
    impatient.cancel()
    answers.set()
    results = await asyncio.gather(*asking)
    assert len(looks) == 1 and looks[0] is not threading.main_thread()
    assert all(found == results[0] for found in results)
    await ask(desk)  # later, one looks again
    assert len(looks) == 2


async def test_other_requests_are_for_other_desks() -> None:
    assert await DevicesDesk(lambda: FOUND).do(schema.Mute()) is None


def test_a_program_that_ends_does_not_wait_for_a_driver() -> None:
    answers = threading.Event()

    async def begin() -> None:
        asking = asyncio.create_task(DevicesDesk(lambda: FOUND if answers.wait(PATIENCE_S) else ()).do(GET))
        await asyncio.sleep(0.01)
        asking.cancel()

    asyncio.run(begin())
    answers.set()


GET = schema.GetDevices()
