"""What --audio-in and --audio-out may say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.audio import (
    AudioSpecError,
    InputSpec,
    Kind,
    OutputSpec,
    open_sink,
    open_source,
    parse_input,
    parse_output,
)
from tuiconf.adapters.audio.null import NullSource
from tuiconf.adapters.audio.tone import ToneSource
from tuiconf.errors import UsageError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("default", InputSpec(kind=Kind.DEVICE)),
        ("device: USB mic ", InputSpec(kind=Kind.DEVICE, device="USB mic")),
        ("-", InputSpec(kind=Kind.STANDARD)),
        ("null", InputSpec(kind=Kind.NULL)),
        ("tone", InputSpec(kind=Kind.TONE)),
        ("tone:1000", InputSpec(kind=Kind.TONE, hz=1000.0)),
        ("talk.ogg", InputSpec(kind=Kind.FILE, path=Path("talk.ogg"))),
        ("file:null", InputSpec(kind=Kind.FILE, path=Path("null"))),
        ("loop:hold music.mp3", InputSpec(kind=Kind.FILE, path=Path("hold music.mp3"), loop=True)),
        ("http://example.org/a.mp3", InputSpec(kind=Kind.FILE, path=Path("http://example.org/a.mp3"))),
        ("cmd:arecord -D 'my mic'", InputSpec(kind=Kind.COMMAND, argv=("arecord", "-D", "my mic"))),
    ],
)
def test_each_input_has_its_spelling(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("default", OutputSpec(kind=Kind.DEVICE)),
        ("-", OutputSpec(kind=Kind.STANDARD)),
        ("null", OutputSpec(kind=Kind.NULL)),
        ("call.WAV", OutputSpec(kind=Kind.FILE, path=Path("call.WAV"))),
        ("file:cmd:x.opus", OutputSpec(kind=Kind.FILE, path=Path("cmd:x.opus"))),
        ("cmd:aplay -q", OutputSpec(kind=Kind.COMMAND, argv=("aplay", "-q"))),
    ],
)
def test_each_output_has_its_spelling(text: str, spec: OutputSpec) -> None:
    assert parse_output(text) == spec


@pytest.mark.parametrize(
    "text", ["", "  ", "tone:", "tone:nan", "tone:5", "device:", "cmd:", "cmd:a 'b", "file:", "loop:"]
)
def test_a_wrong_input_is_one_sentence_and_a_usage_error(text: str) -> None:
    with pytest.raises(AudioSpecError) as caught:
        parse_input(text)
    assert isinstance(caught.value, UsageError)
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 10


@pytest.mark.parametrize("text", ["", "call.mp3", "call", "tone", "device:", "cmd:'", "cmd:\0"])
def test_a_wrong_output_is_one_sentence(text: str) -> None:
    with pytest.raises(AudioSpecError):
        parse_output(text)


@given(
    st.text()
    | st.sampled_from(["cmd:", "file:", "device:", "tone:", "loop:", "~"]).flatmap(lambda p: st.text().map(p.__add__))
)
def test_no_text_lets_out_anything_but_the_one_error(text: str) -> None:
    for parse in (parse_input, parse_output):
        try:
            spec = parse(text)
        except AudioSpecError:
            continue
        if isinstance(spec, InputSpec):
            open_source(spec)
        else:
            open_sink(spec)


async def test_a_tone_goes_on_without_a_click() -> None:
    source = open_source(parse_input("tone:997"))
    assert isinstance(source, ToneSource)
    await source.start()
    first, second = source.frame(), source.frame()
    assert first is not None and second is not None
    assert first.shape == (960,) and first.dtype.name == "float32"
    assert abs(second[0] - first[-1]) <= 1.01 * abs(first[1] - first[0])
    await source.close()


async def test_null_is_silent_and_never_ends() -> None:
    source, sink = open_source(parse_input("null")), open_sink(parse_output("null"))
    assert isinstance(source, NullSource)
    await source.start()
    await sink.start()
    assert source.frame() is None and not source.ended
    await source.close()
    await sink.close()


def test_heavy_libraries_are_imported_only_by_the_kinds_that_need_them() -> None:
    code = (
        "import sys; from tuiconf.adapters.audio import *; "
        "open_source(parse_input('tone')); open_sink(parse_output('x.wav')); open_source(parse_input('default')); "
        "print([m for m in ('av', 'sounddevice') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
