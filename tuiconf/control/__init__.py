"""The control API: everything that can be done with a running call, as JSON-RPC 2.0, one object per line."""
