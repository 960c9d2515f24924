"""A small blind relay over QUIC: it orders opaque messages and fans out opaque datagrams."""
