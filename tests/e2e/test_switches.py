"""Foot switches and buttons: live while they are down, and never because a word about them was lost."""

from __future__ import annotations

import os
import signal
import struct
import time
from pathlib import Path

import pytest

from tests.e2e.driving import Machine, until
from tests.e2e.processes import Process, Relay, World

KEY_A, KEY_B = 30, 48


@pytest.fixture
def ann(world: World, relay: Relay) -> Machine:
    """Somebody who is in a call, muted."""
    ann = Machine(world, "ann")
    ann.detached("host", relay.to_type, "--muted")
    return ann


class Pedal:
    """A FIFO that a switch's events are written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._fd = -1

    def plug_in(self) -> None:
        """Once somebody reads it."""
        self._fd = until(self._open, "reader of the switch")

    def _open(self) -> int | None:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    def unplug(self) -> None:
        os.close(self._fd)

    def press(self, code: int, value: int = 1) -> None:
        os.write(self._fd, struct.pack("@llHHi", 0, 0, 1, code, value) + struct.pack("@llHHi", 0, 0, 0, 0, 0))

    def release(self, code: int) -> None:
        self.press(code, 0)


def _says(switch: Process, what: str) -> None:
    switch.wait_for(lambda: what in switch.errors, what)


def test_a_pedal_talks_while_it_is_down_whatever_goes_away_and_comes_back(
    world: World, relay: Relay, ann: Machine
) -> None:
    wire = ann.wire()
    wire.do("subscribe", events=["audio_changed"])

    def is_live(live: bool) -> None:
        assert wire.event("audio_changed")["live"] is live

    pedal = Pedal(world.folder / "pedal")
    switch = world.command("tuiconf", "ptt", str(pedal.path), home="ann")
    _says(switch, "the key is that of the call")
    pedal.plug_in()
    pedal.press(KEY_A)  # learnt, and no word yet
    _says(switch, "--key KEY_A")
    pedal.release(KEY_A)
    pedal.press(KEY_B)
    pedal.press(KEY_A)
    is_live(True)
    pedal.press(KEY_A, 2)  # repeated by itself
    pedal.release(KEY_A)
    is_live(False)
    pedal.press(KEY_A)
    is_live(True)
    pedal.unplug()
    is_live(False)
    _says(switch, "waiting until it is there again")
    pedal.plug_in()
    pedal.press(KEY_A)
    is_live(True)
    wire.close()
    ann.ctl("leave")
    _says(switch, "is over")
    pedal.release(KEY_A)
    pedal.press(KEY_A)
    ann.detached("host", relay.to_type, "--muted")  # pressed before it began: that was no word of it
    until(lambda: switch.errors.count("the key is that of the call") == 2, "new call")
    wire = ann.wire()
    wire.do("subscribe", events=["audio_changed"])
    assert not wire.do("state.get")["audio"]["push_to_talk"]
    pedal.release(KEY_A)
    pedal.press(KEY_A)
    is_live(True)
    switch.kill()
    is_live(False)
    wire.close()
    pedal.unplug()


def test_a_pedal_that_goes_up_leaves_the_keys_of_others_down(world: World, ann: Machine) -> None:
    pedal = Pedal(world.folder / "pedal")
    switch = world.command("tuiconf", "ptt", str(pedal.path), "--key", "b", home="ann")
    pedal.plug_in()
    pedal.press(KEY_B)  # before there is a call at the other end
    _says(switch, "the key is that of the call")
    wire = ann.wire()
    wire.do("ptt.down")
    pedal.release(KEY_B)
    pedal.press(KEY_B)
    pedal.release(KEY_B)
    switch.signal(signal.SIGTERM)
    assert switch.wait() == 0, switch.transcript()
    assert wire.do("state.get")["audio"]["live"]
    wire.close()
    pedal.unplug()


def test_what_cannot_be_a_switch_is_one_sentence(world: World) -> None:
    for arguments, code in (
        (("/dev/null",), 1),
        (("nothing-there",), 1),
        (("/dev/null", "--key", "no such key"), 2),
    ):
        refused = Machine(world, "ann").run("ptt", *arguments)
        assert refused.popen.returncode == code, refused.transcript()
        assert len(refused.error_lines) == 1 and refused.lines == [], refused.transcript()


def test_a_button_whose_process_ends_at_once_or_hangs_says_for_how_long_it_may_be_down(ann: Machine) -> None:
    def live() -> object:
        return ann.ctl("state.get")["audio"]["live"]

    ann.ctl("ptt.down", "hold_s=60")
    assert live()
    ann.ctl("ptt.up")
    assert not live()
    began = time.monotonic()
    ann.ctl("ptt.down", "hold_s=2")
    until(lambda: not live(), "end of a key whose release was lost")
    assert time.monotonic() - began >= 2
    wire = ann.wire()
    wire.do("ptt.down", renew_s=1)  # and hangs
    assert live()
    until(lambda: not live(), "end of a key of which nothing is heard any more")
    wire.close()
    wrong = (*("hold_s=0", "hold_s=-1", "hold_s=121", "hold_s=nan", "hold_s=inf"), *("renew_s=0", "renew_s=121"))
    for words in (*((word,) for word in wrong), ("hold_s=1", "renew_s=1")):
        refused = ann.run("ctl", "ptt.down", *words)
        assert refused.popen.returncode == 2, refused.transcript()
    assert not live()
