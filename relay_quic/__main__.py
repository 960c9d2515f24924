"""`python -m relay_quic`."""

from __future__ import annotations

import sys

from relay_quic.cli import main

if __name__ == "__main__":
    sys.exit(main())
