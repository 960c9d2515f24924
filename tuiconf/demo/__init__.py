"""`tuiconf demo`: a real call of three on this machine, explained as it happens, with a verdict at the end."""

from tuiconf.demo.run import run_demo

__all__ = ["run_demo"]
