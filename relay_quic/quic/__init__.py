"""QUIC, whichever library is underneath: the one place that names aioquic and qh3, and where their traps end.

`Client` is a client's connection on the event loop; `choose` picks the library. The relay's side is made by
`libraries.Listener` and served by `relay_quic.endpoint`. Nothing outside this package knows which library runs.
"""

from relay_quic.quic.client import Client
from relay_quic.quic.events import Closed, DatagramReceived, Event, StreamData
from relay_quic.quic.libraries import Library, choose

__all__ = ["Client", "Closed", "DatagramReceived", "Event", "Library", "StreamData", "choose"]
