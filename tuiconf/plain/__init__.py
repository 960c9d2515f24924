"""The front end of plain lines: for screen readers and braille, serial consoles, pipes, and whoever likes it calm.

A line is said once, and nothing moves afterwards. Its first words carry the meaning; nothing is repeated each second.
"""
