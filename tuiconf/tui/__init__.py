"""The terminal interface: a client of the control API, and of nothing below it."""
