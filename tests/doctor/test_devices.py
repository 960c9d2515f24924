"""Sound cards by names that last, and that mean one of them."""

from __future__ import annotations

import argparse
import json
import shlex
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doctor.commands import Home, SoundServer
from tuiconf.adapters.audio import AudioError, parse_input
from tuiconf.adapters.audio import devices as adapter
from tuiconf.adapters.audio.devices import Device, Found, describe, resolve
from tuiconf.devices import add_arguments, as_json, as_lines, run_devices
from tuiconf.untrusted import visible


def card(name: str, inputs: int = 1, outputs: int = 0, api: str = "ALSA") -> Found:
    return Found(name=name, host_api=api, inputs=inputs, outputs=outputs)


def named(*found: Found) -> list[Device]:
    return describe(found, default_input=0, default_output=None)


USB = "USB PnP Sound Device: Audio"


def test_a_name_holds_nothing_that_a_reboot_changes() -> None:
    before = named(card("bcm2835 Headphones: - (hw:0,0)", 0, 8), card(f"{USB} (hw:1,0)", 1, 2), card("pulse", 32, 32))
    after = named(card(f"{USB} (hw:0,0)", 1, 2), card("bcm2835 Headphones: - (hw:1,0)", 0, 8), card("pulse", 32, 32))
    assert {device.selector for device in before} == {device.selector for device in after}
    assert [device.selector for device in before] == [USB, "pulse", "bcm2835 Headphones", USB, "pulse"]
    assert all(device.stable for device in before)


def test_two_cards_of_one_name_have_only_their_numbers() -> None:
    devices = named(card(f"{USB} (hw:1,0)"), card(f"{USB} (hw:2,0)"))
    assert [device.selector for device in devices] == [f"{USB} (hw:1,0)", f"{USB} (hw:2,0)"]
    assert not any(device.stable for device in devices)


def test_one_card_under_two_systems_is_told_apart_by_the_system() -> None:
    devices = named(card(USB, api="Core Audio"), card(USB, api="JACK Audio Connection Kit"))
    assert [device.selector for device in devices] == [
        f"{USB} Core Audio",
        f"{USB} JACK Audio Connection Kit",
    ]


def test_what_cannot_be_told_apart_has_no_name() -> None:
    devices = named(card("twin"), card("twin"))
    assert [device.selector for device in devices] == [None, None]
    assert "cannot be told apart" in "\n".join(as_lines(devices))


def test_the_default_is_marked_and_what_can_be_copied_stands_there() -> None:
    lines = list(as_lines(named(card(f"{USB} (hw:1,0)"), card("pulse"))))
    assert lines == [
        "inputs:",
        f"  --audio-in 'device:{USB}'  (default)",
        "  --audio-in device:pulse",
        "this machine has no output",
    ]


NAMES = st.text(min_size=1) | st.builds("{}: {} (hw:{},0)".format, st.text(), st.text(), st.integers(0, 9))
CARDS = st.builds(
    Found, name=NAMES, host_api=st.sampled_from(["ALSA", "JACK"]), inputs=st.integers(0, 2), outputs=st.integers(0, 2)
)


@given(st.lists(CARDS, max_size=6))
def test_a_name_means_its_device_and_comes_through_the_command_line(found: list[Found]) -> None:
    for device in describe(found, default_input=None, default_output=None):
        if device.selector is None:
            continue
        index = resolve(found, device.selector, device.direction)
        assert index is not None and found[index].name == device.name
        assert parse_input(f"device:{device.selector}").device == device.selector


@given(st.lists(CARDS, max_size=6))
def test_whatever_a_driver_calls_itself_is_printed_neutralised(found: list[Found]) -> None:
    devices = describe(found, default_input=0, default_output=None)
    for line in as_lines(devices):
        assert visible(line) == line
    assert json.loads(as_json(devices))["inputs"] == [
        {
            "spec": None if device.selector is None else f"device:{device.selector}",
            "name": device.name,
            "channels": device.channels,
            "default": device.default,
            "stable": device.stable,
        }
        for device in devices
        if device.direction == "input"
    ]


def test_a_driver_that_hangs_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(adapter, "_look", never.wait)
    with pytest.raises(AudioError, match="does not answer"):
        adapter.devices(timeout_s=0.05)
    never.set()


def test_our_rule_is_the_rule_of_sounddevice(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        import sounddevice
    except OSError:
        pytest.skip("libportaudio2 is not installed")
    found = [card("Pulse"), card("pulse"), card("USB: A (hw:1,0)"), card("USB: B (hw:2,0)", api="JACK"), card("b")]
    apis = ["ALSA", "JACK"]
    told = [
        {"name": one.name, "hostapi": apis.index(one.host_api), "max_input_channels": 1, "max_output_channels": 0}
        for one in found
    ]
    monkeypatch.setattr(sounddevice, "query_devices", lambda: told)
    monkeypatch.setattr(sounddevice, "query_hostapis", lambda index: {"name": apis[index]})
    for selector in ("pulse", "usb", "usb a", "USB: A", "usb jack", "b", "alsa", "USB: B (hw:2,0), JACK", "none"):
        theirs = sounddevice._get_device_id(selector, "input")
        assert resolve(found, selector, "input") == (None if theirs == -1 else theirs), selector


def test_the_names_of_a_real_sound_system_open_its_devices(sound_server: SoundServer) -> None:
    listed = sound_server.home.run("devices", "--json")
    assert listed.returncode == 0 and listed.stderr == ""
    specs = [device["spec"] for device in json.loads(listed.stdout)["inputs"]]
    assert "device:pulse" in specs
    for line in sound_server.home.run("devices").stdout.splitlines():
        if "--audio-in" in line:
            option, spec, *_ = shlex.split(line)
            assert (option, spec in specs) == ("--audio-in", True)


def test_a_machine_without_sound_says_so(tmp_path: Path) -> None:
    done = Home(tmp_path).run("devices")
    if done.returncode == 1:
        assert "sudo apt install libportaudio2" in done.stderr  # there is no PortAudio
    elif "--audio-in" not in done.stdout:
        assert done.stdout == "this machine has no input\nthis machine has no output\n"
    assert "Traceback" not in done.stderr and "ALSA" not in done.stderr


def test_the_options_are_parsed() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["--json"]).json is True
    assert callable(run_devices)
