"""A real socket in the place of the service manager's."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.systemd import MAX_STATUS_CHARACTERS, ServiceManager


class Manager:
    """What listens at NOTIFY_SOCKET."""

    def __init__(self, address: str, written: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": written}

    def heard(self) -> str | None:
        """The next thing that was said."""
        try:
            return self.socket.recv(4096).decode()
        except BlockingIOError:
            return None


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    if request.param == "path":
        listening = Manager(str(tmp_path / "notify"), str(tmp_path / "notify"))
    elif sys.platform == "linux":
        name = f"tuiconf-test-{uuid.uuid4()}"
        listening = Manager("\0" + name, "@" + name)
    else:
        pytest.skip("abstract sockets are Linux's")
    yield listening
    listening.socket.close()


def test_each_state_is_one_datagram(manager: Manager) -> None:
    service = ServiceManager(manager.environ)
    service.ready()
    service.reloading(12.5)
    service.status("in a call of 3")
    service.alive()
    service.stopping()
    assert [manager.heard() for _ in range(6)] == [
        "READY=1",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "STATUS=in a call of 3",
        "WATCHDOG=1",
        "STOPPING=1",
        None,
    ]


def test_the_watchdog_is_fed_twice_in_its_time(manager: Manager) -> None:
    environ = manager.environ | {"WATCHDOG_USEC": "30000000"}
    assert ServiceManager(environ).watchdog_interval_s == 15
    assert ServiceManager(environ | {"WATCHDOG_PID": str(os.getpid())}).watchdog_interval_s == 15


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"},
    ],
)
def test_a_watchdog_that_is_off_wrong_or_for_another_process_is_not_fed(said: dict[str, str], manager: Manager) -> None:
    assert ServiceManager(manager.environ | said).watchdog_interval_s is None


@pytest.mark.parametrize(
    "address", [None, "", "relative", "vsock:2:1234", "/nowhere/at/all", "@nobody-there", "/a\0b", "/" + "x" * 500]
)
def test_without_a_manager_nothing_happens(address: str | None) -> None:
    service = ServiceManager({} if address is None else {"NOTIFY_SOCKET": address})
    for say in (service.ready, service.stopping, service.alive):
        say()
    service.reloading(0.0)
    service.status("nobody hears")


def test_a_manager_that_does_not_read_holds_nothing_up(manager: Manager) -> None:
    service = ServiceManager(manager.environ)
    for _ in range(5000):
        service.alive()


@given(st.text())
def test_a_status_is_one_line_whatever_it_says(text: str) -> None:
    name = f"tuiconf-test-{uuid.uuid4()}"
    if sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    manager = Manager("\0" + name, "@" + name)
    ServiceManager(manager.environ).status(text)
    heard = manager.heard()
    manager.socket.close()
    assert heard is not None and heard.startswith("STATUS=")
    assert "\n" not in heard and len(heard) <= MAX_STATUS_CHARACTERS + len("STATUS=")
