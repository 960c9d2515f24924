"""Bots to use as they are, or to copy: `python -m tuiconf.examples.NAME SETTINGS.toml`. Each says what it takes."""
