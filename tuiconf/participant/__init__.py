"""A call from the command line: in this process, or in an engine of its own that a front end attaches to."""
