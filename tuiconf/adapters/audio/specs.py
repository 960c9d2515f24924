"""What may be given to --audio-in and --audio-out, and the source or sink that it means."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuiconf.adapters.audio.base import FRAME_SAMPLES, AudioSpecError, Sink, Source
from tuiconf.adapters.audio.tone import DEFAULT_HZ, MAX_HZ, MIN_HZ
from tuiconf.adapters.sound_help import INPUT_HELP, OUTPUT_HELP

if TYPE_CHECKING:
    from tuiconf.adapters.audio.recorder import AudioFile

RECORDING_SUFFIXES: Final = (".wav", ".ogg", ".oga", ".opus")


class Kind(enum.Enum):
    """Where audio comes from or goes to."""

    DEVICE = "device"
    FILE = "file"
    STANDARD = "standard"
    COMMAND = "command"
    TONE = "tone"
    NULL = "null"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """Where audio comes from. The fields that its kind does not need keep their defaults."""

    kind: Kind
    device: str | None = None  # None: the system's default
    path: Path | None = None
    argv: tuple[str, ...] = ()
    hz: float = DEFAULT_HZ
    loop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """Where audio goes to."""

    kind: Kind
    device: str | None = None
    path: Path | None = None
    argv: tuple[str, ...] = ()


def parse_input(spec: str) -> InputSpec:
    """The meaning of --audio-in. Looks at nothing but the text.

    Raises:
        AudioSpecError: it has none.
    """
    if spec == "tone":
        return InputSpec(kind=Kind.TONE)
    head, colon, rest = spec.partition(":")
    if colon and head == "tone":
        return InputSpec(kind=Kind.TONE, hz=_hertz(rest))
    if colon and head == "loop":
        return InputSpec(kind=Kind.FILE, path=_path(rest), loop=True)
    common = _parse_common(spec, "input", INPUT_HELP)
    return InputSpec(kind=common.kind, device=common.device, path=common.path, argv=common.argv)


def parse_output(spec: str) -> OutputSpec:
    """The meaning of --audio-out. Looks at nothing but the text.

    Raises:
        AudioSpecError: it has none.
    """
    parsed = _parse_common(spec, "output", OUTPUT_HELP)
    if parsed.path is not None and parsed.path.suffix.lower() not in RECORDING_SUFFIXES:
        raise AudioSpecError(f"an audio output file ends in .wav, .ogg or .opus, which {parsed.path} does not")
    return parsed


def _parse_common(spec: str, which: str, help_text: str) -> OutputSpec:
    if spec == "default":
        return OutputSpec(kind=Kind.DEVICE)
    if spec == "-":
        return OutputSpec(kind=Kind.STANDARD)
    if spec == "null":
        return OutputSpec(kind=Kind.NULL)
    head, colon, rest = spec.partition(":")
    if colon and head == "device":
        if not rest.strip():
            raise AudioSpecError("device: needs a name after the colon, or say default")
        return OutputSpec(kind=Kind.DEVICE, device=rest.strip())
    if colon and head == "cmd":
        return OutputSpec(kind=Kind.COMMAND, argv=_argv(rest))
    if not spec.strip():
        raise AudioSpecError(f"the audio {which} is empty: give {help_text}")
    return OutputSpec(kind=Kind.FILE, path=_path(rest if colon and head == "file" else spec))


def _argv(text: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise AudioSpecError("cmd: has a quotation mark that is not closed") from error
    if not argv or not argv[0]:
        raise AudioSpecError("cmd: needs a command after the colon")
    if any("\0" in word for word in argv):
        raise AudioSpecError("cmd: cannot contain a NUL character")
    return argv


def _hertz(text: str) -> float:
    try:
        hz = float(text)
    except ValueError:
        hz = 0.0
    if not MIN_HZ <= hz <= MAX_HZ:
        raise AudioSpecError(f"tone: takes a frequency from {MIN_HZ:g} to {MAX_HZ:g} Hz")
    return hz


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise AudioSpecError("an audio file needs a name")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise AudioSpecError(f"there is no home folder for {text.split('/')[0]}") from error


def open_source(spec: InputSpec, *, delay_s: float = 0.0, frame_samples: int = FRAME_SAMPLES) -> Source:
    """The source that `spec` means, not started yet. `delay_s` is for files: silence before they begin."""
    if spec.kind is Kind.FILE and spec.path is not None:
        from tuiconf.adapters.audio.files import FileSource

        return FileSource(spec.path, loop=spec.loop, delay_s=delay_s, frame_samples=frame_samples)
    if spec.kind is Kind.STANDARD:
        from tuiconf.adapters.audio.pipes import StdinSource

        return StdinSource(frame_samples=frame_samples)
    if spec.kind is Kind.COMMAND:
        from tuiconf.adapters.audio.command import CommandSource

        return CommandSource(list(spec.argv), frame_samples=frame_samples)
    if spec.kind is Kind.DEVICE:
        from tuiconf.adapters.audio.soundcard import SoundCardSource

        return SoundCardSource(spec.device, frame_samples=frame_samples)
    if spec.kind is Kind.TONE:
        from tuiconf.adapters.audio.tone import ToneSource

        return ToneSource(spec.hz, frame_samples=frame_samples)
    from tuiconf.adapters.audio.null import NullSource

    return NullSource()


def _file_format(path: Path) -> Callable[[Path], AudioFile]:
    if path.suffix.lower() == ".wav":
        from tuiconf.adapters.audio.wav import WavFile

        return WavFile
    from tuiconf.adapters.audio.ogg import OggOpusFile

    return OggOpusFile


def open_sink(spec: OutputSpec) -> Sink:
    """The sink that `spec` means, not started yet."""
    if spec.kind is Kind.FILE and spec.path is not None:
        from tuiconf.adapters.audio.recorder import FileSink

        return FileSink(spec.path, _file_format(spec.path))
    if spec.kind is Kind.STANDARD:
        from tuiconf.adapters.audio.pipes import StdoutSink

        return StdoutSink()
    if spec.kind is Kind.COMMAND:
        from tuiconf.adapters.audio.command import CommandSink

        return CommandSink(list(spec.argv))
    if spec.kind is Kind.DEVICE:
        from tuiconf.adapters.audio.soundcard import SoundCardSink

        return SoundCardSink(spec.device)
    from tuiconf.adapters.audio.null import NullSink

    return NullSink()
