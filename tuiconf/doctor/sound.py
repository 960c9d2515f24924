"""The sound system, PortAudio, the devices that are asked for, and libopus."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tuiconf import config as settings
from tuiconf.adapters.audio import AudioError, AudioSpecError, Kind, parse_input, parse_output
from tuiconf.adapters.audio.devices import Device, Direction, Found, PortAudioMissing, devices, resolve
from tuiconf.doctor.findings import Context, Finding, ok, problem, warning
from tuiconf.doctor.system import Package
from tuiconf.media import opus

_LISTING: Final = "tuiconf devices"


def codec(context: Context) -> Iterator[Finding]:
    """The libopus that calls would use."""
    try:
        library = opus.load(context.config.audio.opus)
    except opus.OpusMissing as error:
        yield problem(error.code, str(error), context.system.install(Package.OPUS))
        return
    version = ".".join(map(str, library.version))
    yield ok("opus", f"libopus {version}", facts={"version": version})


def sound(context: Context) -> Iterator[Finding]:
    """From the sound server down to the device that the settings name."""
    try:
        found = devices()
    except PortAudioMissing:
        command = context.system.install(Package.PORTAUDIO)
        sentence = "PortAudio is not installed: without it there is no sound card, only files, pipes and commands"
        yield _as_wanted(context, "no_portaudio", sentence, command)
        yield from _server(context, [])
        return
    except AudioError as error:
        yield _as_wanted(context, "sound_hangs", f"{error}: a driver hangs, or the sound server", _restart(context))
        return
    inputs = [device for device in found if device.direction == "input"]
    outputs = [device for device in found if device.direction == "output"]
    counts = f"{len(inputs)} inputs and {len(outputs)} outputs"
    yield ok("portaudio", f"PortAudio works; it sees {counts}", facts={"inputs": len(inputs), "outputs": len(outputs)})
    yield from _server(context, found)
    yield from _device(context, "input", inputs)
    yield from _device(context, "output", outputs)


def wanted(context: Context, direction: Direction) -> str:
    """What --audio-in or --audio-out, or the settings, say."""
    if direction == "input":
        return context.audio_in or context.config.audio.input
    return context.audio_out or context.config.audio.output


def wants_card(context: Context, direction: Direction) -> str | None:
    """The device asked for by name, "" for the default; None when sound is to go elsewhere.

    Raises:
        AudioSpecError: what was asked for has no meaning.
    """
    text = wanted(context, direction)
    spec = parse_input(text) if direction == "input" else parse_output(text)
    if spec.kind is not Kind.DEVICE:
        return None
    return spec.device or ""


def _device(context: Context, direction: Direction, there: Sequence[Device]) -> Iterator[Finding]:
    noun = "microphone" if direction == "input" else "speaker"
    try:
        name = wants_card(context, direction)
    except AudioSpecError as error:
        yield problem(error.code, f"the settings for {direction}: {error}")
        return
    if name is None:
        yield ok(f"{direction}_elsewhere", f"{direction} is not a sound card: {wanted(context, direction)}")
    elif name:
        # Resolved among those of its direction only, as sounddevice does.
        cards = [Found(name=device.name, host_api="", inputs=1, outputs=1) for device in there]
        by_selector = any(device.selector == name for device in there)
        if by_selector or resolve(cards, name, direction) is not None:
            yield ok(f"{direction}_there", f"the {noun} {name} is there")
        else:
            sentence = f"no single {noun} is called {name}: choose one by a name from the list"
            yield problem(f"{direction}_not_there", sentence, _LISTING)
    elif not there:
        yield warning(f"no_{direction}", f"this machine has no {noun}", _LISTING)
    elif not any(device.default for device in there):
        sentence = f"there is no default {noun}: name one with --audio-{direction[:-3]} device:NAME"
        yield warning(f"no_default_{direction}", sentence, _LISTING)
    else:
        default = next(device for device in there if device.default)
        yield ok(f"{direction}_there", f"the default {noun} is {default.name}")


def _as_wanted(context: Context, code: str, sentence: str, command: str | None) -> Finding:
    """A problem when a sound card was asked for; a call without one is normal."""
    standard = settings.SOUND_CARD
    asked = any(wanted(context, direction) != standard for direction in ("input", "output"))
    try:
        named = asked and any(wants_card(context, direction) for direction in ("input", "output"))
    except AudioSpecError:
        named = False  # told elsewhere
    return (problem if named else warning)(code, sentence, command)


# --- what is between PortAudio and the card


def _server(context: Context, found: Sequence[Device]) -> Iterator[Finding]:
    if not context.system.linux:
        return
    names = {device.name for device in found}
    if _pipewire(context):
        yield from _reached(context, found, "PipeWire", bool(names & {"pipewire", "pulse"}), Package.ALSA_PIPEWIRE)
    elif _pulse(context):
        yield from _reached(context, found, "PulseAudio", "pulse" in names, Package.ALSA_PULSE)
    elif not _cards(context.root):
        yield warning("no_card", "there is neither a sound server nor a sound card that the kernel knows")
    elif not _may_use_cards(context.root):
        command = context.system.as_root(f'usermod -aG audio "{context.system.user}"')
        yield warning("no_access", "there is a sound card, but you may not use it (log in again afterwards)", command)
    else:
        yield ok("alsa", "sound goes to the card itself (ALSA): one program at a time", facts={"server": "alsa"})


def _reached(
    context: Context, found: Sequence[Device], server: str, reached: bool, plugin: Package
) -> Iterator[Finding]:
    if reached or not found:
        yield ok("sound_server", f"{server} runs", facts={"server": server.lower()})
    else:
        sentence = f"{server} runs, but ALSA's way to it is missing, so PortAudio sees bare cards that are often busy"
        yield warning("no_way_to_server", sentence, context.system.install(plugin), facts={"server": server.lower()})


def _pipewire(context: Context) -> bool:
    folder = context.environ.get("PIPEWIRE_RUNTIME_DIR") or context.environ.get("XDG_RUNTIME_DIR")
    return folder is not None and _is_socket(Path(folder) / "pipewire-0")


def _pulse(context: Context) -> bool:
    server = context.environ.get("PULSE_SERVER", "")
    if server.startswith(("unix:", "/")):
        return _is_socket(Path(server.removeprefix("unix:")))
    folder = context.environ.get("XDG_RUNTIME_DIR")
    return bool(server) or (folder is not None and _is_socket(Path(folder) / "pulse/native"))


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _cards(root: Path) -> bool:
    try:
        return "[" in (root / "proc/asound/cards").read_text(errors="replace")
    except OSError:
        return False


def _may_use_cards(root: Path) -> bool:
    streams = list((root / "dev/snd").glob("pcm*"))
    return any(os.access(stream, os.R_OK | os.W_OK) for stream in streams)


def _restart(context: Context) -> str | None:
    if not context.system.linux:
        return "sudo killall coreaudiod"
    if _pipewire(context):
        return "systemctl --user restart pipewire pipewire-pulse wireplumber"
    return "pulseaudio --kill" if _pulse(context) else None
