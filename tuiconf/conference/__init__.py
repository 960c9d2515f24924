"""The conference as a pure state machine: session, roster, policy, epochs, events, commands."""
