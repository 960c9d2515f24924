"""A person at a terminal: asked about an unknown relay once, and never again."""

from __future__ import annotations

import contextlib
import os
import pty
from collections.abc import Iterator

import pytest

from tests.e2e.processes import Process, Relay, World


class Terminal:
    """A pseudo-terminal: `inside` is a program's standard input, `type` is what a person does."""

    def __init__(self) -> None:
        self.outside, self.inside = pty.openpty()

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self.outside, text.encode())

    def close(self) -> None:
        """Close the window."""
        for fd in (self.outside, self.inside):
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def _host(world: World, relay: Relay, terminal: Terminal, *options: str) -> Process:
    """Without the relay's pin."""
    address = f"127.0.0.1:{relay.address[1]}"
    silent = ("--audio-in", "null", "--audio-out", "null")
    return world.command("tuiconf", "host", address, *silent, *options, stdin=terminal.inside, home="ann")


def _wait_for_question(process: Process) -> None:
    process.wait_for(lambda: any("not known yet" in line for line in process.error_lines), "question")


def test_an_unknown_relay_is_asked_about_once(world: World, terminal: Terminal) -> None:
    relay = world.relay()
    first = _host(world, relay, terminal)
    _wait_for_question(first)
    terminal.type("y\n")
    first.wait_for(lambda: first.lines and f"pin={relay.pin}" in first.lines[0], "link with the pin")
    assert relay.pin in first.errors
    terminal.type("/leave\n")
    assert first.wait() == 0, first.transcript()
    second = _host(world, relay, terminal, "--for", "0")
    assert second.wait() == 0, second.transcript()
    assert "not known" not in second.errors
    headless = _host(world, relay, terminal, "--for", "0", "--headless")
    assert headless.wait() == 0, headless.transcript()


def test_no_means_no(world: World, terminal: Terminal) -> None:
    relay = world.relay()
    for answer in ("n\n", "\n", "\x04"):
        process = _host(world, relay, terminal)
        _wait_for_question(process)
        terminal.type(answer)
        assert process.wait() == 1
        assert process.lines == []
        assert process.errors.count("\ntuiconf: ") + process.errors.count("] tuiconf: ") == 1
    assert not (world.folder / "ann" / "xdg_state_home" / "tuiconf" / "known_relays").exists()


def test_a_relay_that_was_accepted_and_is_now_another_is_refused_without_a_question(
    world: World, terminal: Terminal
) -> None:
    relay = world.relay()
    first = _host(world, relay, terminal, "--for", "0")
    _wait_for_question(first)
    terminal.type("yes\n")
    assert first.wait() == 0
    relay.kill()
    world.relay(state="impostor", listen=f"127.0.0.1:{relay.address[1]}")
    second = _host(world, relay, terminal)
    assert second.wait() == 1
    assert "HAS CHANGED" in second.errors
    assert "[y/N]" not in second.errors


def test_the_end_of_typing_leaves(world: World, terminal: Terminal) -> None:
    relay = world.relay()
    process = world.command(
        *("tuiconf", "host", relay.to_type, "--audio-in", "null", "--audio-out", "null"), stdin=terminal.inside
    )
    process.wait_for(lambda: len(process.lines) >= 2, "joining")
    terminal.type("\x04")
    assert process.wait() == 0
    assert process.lines[-1] == "left"
