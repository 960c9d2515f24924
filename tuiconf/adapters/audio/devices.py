"""The sound cards of this machine, by the names that `device:NAME` takes and that outlast a reboot.

PortAudio numbers devices as it finds them, and so does ALSA («hw:1,0»): with a second USB headset, or after a reboot,
the numbers are other ones. So a device is named by what stays, as long as that means no other device.
"""

from __future__ import annotations

import re
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Literal

from tuiconf.adapters.audio.base import AudioError
from tuiconf.adapters.audio.soundcard import NO_PORTAUDIO, OPEN_TIMEOUT_S, mute_c_libraries

Direction = Literal["input", "output"]

_ALSA_NUMBERS: Final = re.compile(r"\s*\((?:plug)?hw:\d+(?:,\d+)*\)")


class PortAudioMissing(AudioError):
    """The library that every sound card is reached through is not installed."""

    code = "no_portaudio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device as PortAudio tells it; its index is its place in the list."""

    name: str
    host_api: str
    inputs: int
    outputs: int

    def channels(self, direction: Direction) -> int:
        """How many it has in that direction."""
        return self.inputs if direction == "input" else self.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One direction of a device."""

    name: str  # as the driver says: untrusted, to be neutralised before it is shown
    selector: str | None  # what stands after `device:`; None when nothing means this device alone
    stable: bool  # the selector holds no number that a reboot may change
    direction: Direction
    channels: int
    default: bool  # what `default` means at the moment

    @property
    def spec(self) -> str | None:
        """What stands for it in `--audio-in`, `--audio-out` and `audio.set`."""
        return None if self.selector is None else f"device:{self.selector}"


def devices(*, timeout_s: float = OPEN_TIMEOUT_S) -> list[Device]:
    """All inputs, then all outputs. Blocks while PortAudio looks for them, which can take seconds.

    Raises:
        PortAudioMissing: it is not installed.
        AudioError: a driver does not answer.
    """
    answers: list[list[Device] | AudioError] = []

    def look() -> None:
        try:
            answers.append(_look())
        except AudioError as error:
            answers.append(error)

    # A driver that hangs is left to a daemon thread, which does not keep the program from ending.
    looking = threading.Thread(target=look, name="look for devices", daemon=True)
    looking.start()
    looking.join(timeout_s)
    if not answers:
        raise AudioError("the sound system does not answer")
    if isinstance(answers[0], AudioError):
        raise answers[0]
    return answers[0]


def describe(found: Sequence[Found], *, default_input: int | None, default_output: int | None) -> list[Device]:
    """Names for what PortAudio has found; the defaults are places in the list. Pure."""
    return [
        _describe(found, index, direction, default=index == default)
        for direction, default in _directions(default_input, default_output)
        for index, device in enumerate(found)
        if device.channels(direction) > 0
    ]


def resolve(found: Sequence[Found], selector: str, direction: Direction) -> int | None:
    """Which device sounddevice takes for `selector`: all its words in this order, anywhere in «NAME, API». Pure."""
    matches = []
    exact = []
    for index, device in enumerate(found):
        if device.channels(direction) <= 0:
            continue
        full = f"{device.name}, {device.host_api}".lower()
        if _holds(full, selector.lower().split()):
            matches.append(index)
            if selector.lower() in (device.name.lower(), full):
                exact.append(index)
    candidates = matches if len(matches) == 1 else exact
    return candidates[0] if len(candidates) == 1 else None


def _directions(
    default_input: int | None, default_output: int | None
) -> tuple[tuple[Direction, int | None], tuple[Direction, int | None]]:
    return ("input", default_input), ("output", default_output)


def _describe(found: Sequence[Found], index: int, direction: Direction, *, default: bool) -> Device:
    device = found[index]
    selectors = (name for name in _selectors(device) if resolve(found, name, direction) == index)
    selector = next(selectors, None)
    return Device(
        name=device.name,
        selector=selector,
        stable=selector is not None and not _ALSA_NUMBERS.search(selector),
        direction=direction,
        channels=device.channels(direction),
        default=default,
    )


def _selectors(device: Found) -> Iterator[str]:
    """What may be typed for it, the plainest and most lasting first."""
    lasting = _typeable(_ALSA_NUMBERS.sub("", device.name))
    whole = _typeable(device.name)
    for name in (lasting.rstrip(" :-"), lasting, _typeable(f"{lasting} {device.host_api}"), whole):
        if name:
            yield name


def _typeable(text: str) -> str:
    """The words of a name without what cannot be seen or typed: words are all that is compared."""
    return " ".join("".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text).split())


def _holds(text: str, words: Sequence[str]) -> bool:
    at = 0
    for word in words:
        at = text.find(word, at)
        if at < 0:
            return False
        at += len(word)
    return True


def _look() -> list[Device]:
    sounddevice = _sounddevice()
    apis = [str(api["name"]) for api in sounddevice.query_hostapis()]
    found = [
        Found(
            name=str(told["name"]),
            host_api=apis[told["hostapi"]],
            inputs=int(told["max_input_channels"]),
            outputs=int(told["max_output_channels"]),
        )
        for told in sounddevice.query_devices()
    ]
    return describe(found, default_input=_default(sounddevice, "input"), default_output=_default(sounddevice, "output"))


def _default(sounddevice: ModuleType, direction: Direction) -> int | None:
    try:
        return int(sounddevice.query_devices(None, direction)["index"])
    except (sounddevice.PortAudioError, ValueError):  # there is none
        return None


def _sounddevice() -> ModuleType:
    if "sounddevice" not in sys.modules:
        mute_c_libraries()
    try:
        import sounddevice
    except OSError as error:
        raise PortAudioMissing(NO_PORTAUDIO) from error
    module: ModuleType = sounddevice
    return module
