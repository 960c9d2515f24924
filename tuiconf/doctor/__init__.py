"""`tuiconf doctor`: looks at everything a call needs, and says what is wrong and what to type."""

from tuiconf.doctor.command import add_arguments, run_doctor

__all__ = ["add_arguments", "run_doctor"]
