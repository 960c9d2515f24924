"""One outside thing each: the relay connection, the sound card, files, pipes, stores, the clock."""
