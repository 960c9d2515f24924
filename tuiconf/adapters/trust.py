"""Whether a relay may be used: by the link's pin, by one accepted before, by a public authority, or by asking.

A wrong relay cannot read the call, but it can refuse it, and it learns addresses and times.
"""

from __future__ import annotations

from tuiconf.adapters.known_relays import KnownRelays, KnownRelaysError, PinChanged
from tuiconf.adapters.private_files import FileError
from tuiconf.adapters.relay import Offered, RelayNotTrusted
from tuiconf.crypto.primitives import equal
from tuiconf.identity.link import RelayAddress, format_host_port, format_pin


class AskPerson(RelayNotTrusted):
    """Nothing is known of this relay: a person has to say whether its pin is right."""

    code = "relay_unknown"

    def __init__(self, address: RelayAddress, pin: bytes) -> None:
        self.address = address
        self.pin = pin
        super().__init__(
            f"nothing is known of the relay {format_host_port(address.host, address.port)}: use a link or an address"
            f" with its pin (?pin={format_pin(pin)}, if its operator confirms it), or start once on a terminal"
        )


class RelayTrust:
    """Decides by what this participant knows. `known` remembers what a person has accepted."""

    def __init__(self, known: KnownRelays) -> None:
        self._known = known

    def __call__(self, address: RelayAddress, offered: Offered) -> None:
        """Whether this relay may be used.

        Raises:
            AskPerson: nothing tells; a person may accept the pin.
            RelayNotTrusted: it is not the relay it should be.
        """
        if address.pin is not None:
            if not equal(address.pin, offered.pin):
                raise RelayNotTrusted(
                    "the relay's certificate does not have the pin that the link says: it is another relay, or someone"
                    " is in between; ask whoever gave you the link"
                )
            return
        try:
            if self._known.check(address.host, address.port, offered.pin):
                return
        except (PinChanged, KnownRelaysError, FileError) as error:
            # Also when the pins cannot be read: to go on without them would be to forget what they are for.
            raise RelayNotTrusted(str(error)) from error
        if not offered.publicly_trusted():
            raise AskPerson(address, offered.pin)

    def accept(self, address: RelayAddress, pin: bytes) -> None:
        """A person says that this is the relay's pin: it is kept, and not asked for again."""
        self._known.remember(address.host, address.port, pin)
