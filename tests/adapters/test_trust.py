"""Which relay may be used: the link's pin decides, then what was accepted before, then authorities, then a person."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuiconf.adapters.known_relays import KnownRelays
from tuiconf.adapters.relay import Offered, RelayNotTrusted
from tuiconf.adapters.trust import AskPerson, RelayTrust
from tuiconf.identity.link import RelayAddress, format_pin

PIN, OTHER = bytes(32), bytes(range(32))
UNPINNED = RelayAddress(host="relay.example", port=4433, pin=None)
PINNED = RelayAddress(host="relay.example", port=4433, pin=PIN)


@pytest.fixture
def trust(tmp_path: Path) -> RelayTrust:
    return RelayTrust(KnownRelays(tmp_path / "known_relays", rng=os.urandom))


def offered(pin: bytes, *, publicly_trusted: bool = False) -> Offered:
    """What a relay shows."""
    return Offered(pin=pin, publicly_trusted=lambda: publicly_trusted)


def _never_asked() -> bool:
    pytest.fail("the machine's authorities were asked")


def test_the_pin_of_the_link_decides_alone(trust: RelayTrust) -> None:
    trust(PINNED, Offered(pin=PIN, publicly_trusted=_never_asked))
    with pytest.raises(RelayNotTrusted, match="pin"):
        trust(PINNED, offered(OTHER, publicly_trusted=True))
    trust.accept(UNPINNED, OTHER)
    with pytest.raises(RelayNotTrusted):
        trust(PINNED, offered(OTHER))


def test_without_a_pin_a_public_authority_is_enough(trust: RelayTrust) -> None:
    trust(UNPINNED, offered(OTHER, publicly_trusted=True))


def test_an_unknown_relay_is_for_a_person_to_accept_once(trust: RelayTrust) -> None:
    with pytest.raises(AskPerson) as asked:
        trust(UNPINNED, offered(PIN))
    assert (asked.value.address, asked.value.pin) == (UNPINNED, PIN)
    assert format_pin(PIN) in str(asked.value)
    trust.accept(asked.value.address, asked.value.pin)
    trust(UNPINNED, Offered(pin=PIN, publicly_trusted=_never_asked))


def test_an_accepted_relay_that_changes_is_refused_even_with_a_public_certificate(trust: RelayTrust) -> None:
    trust.accept(UNPINNED, PIN)
    with pytest.raises(RelayNotTrusted, match="CHANGED") as refused:
        trust(UNPINNED, offered(OTHER, publicly_trusted=True))
    assert not isinstance(refused.value, AskPerson)


@pytest.mark.parametrize("content", ["nonsense\n", "a:1 b\n", None])
def test_pins_that_cannot_be_read_are_not_forgotten_but_refuse(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "known_relays"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    trust = RelayTrust(KnownRelays(path, rng=os.urandom))
    with pytest.raises(RelayNotTrusted, match="known_relays"):
        trust(UNPINNED, offered(PIN, publicly_trusted=True))
    trust(PINNED, offered(PIN))
