"""The screens of the terminal interface, one a file. They are imported when they are first shown."""
