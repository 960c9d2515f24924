"""The cryptography of a call: MLS (RFC 9420) and SFrame (RFC 9605). Pure: no I/O, no clock, no hidden randomness."""
