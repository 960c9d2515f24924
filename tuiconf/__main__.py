"""`python -m tuiconf`."""

import sys

from tuiconf.cli import main

sys.exit(main())
