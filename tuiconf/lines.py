"""Where `visible` was before it had a file of its own (`untrusted`)."""

from __future__ import annotations

from tuiconf.untrusted import visible as visible
