"""Messaging Layer Security, RFC 9420, cipher suite 0x0001."""
