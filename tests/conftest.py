"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A job that a shell started in the background ignores Ctrl-C, one under nohup also that the terminal hangs up.

    So would every process the tests start, and these are to do what they do when told so.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
