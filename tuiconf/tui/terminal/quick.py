"""A quick start: nobody looks for garbage until the first screen is there.

Loading Textual and composing a screen makes a hundred thousand objects that all stay. Looking through them again and
again was 70 of the 420 ms of processor time until the first paint, measured in November 2026; not looking costs 1 MB.
"""

from __future__ import annotations

import gc


def begin() -> None:
    """To be called before anything heavy is imported, by whoever then runs a `PatientOutput`."""
    gc.disable()


def over() -> None:
    """The first screen is there. What exists by now is never looked through again, if it was not until now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
