"""Links, relay addresses, and what a link's secret gives."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_quic import wire
from tuiconf.crypto.primitives import hkdf_expand, hkdf_extract
from tuiconf.identity.link import (
    PIN_BYTES,
    PSK_ID,
    SECRET_BYTES,
    Link,
    LinkError,
    RelayAddress,
    derive_keys,
    format_host_port,
    format_link,
    format_pin,
    format_relay,
    new_link,
    parse_link,
    parse_pin,
    parse_relay,
)

SECRET = bytes(range(16))
SECRET_TEXT = "AAECAwQFBgcICQoLDA0ODw"
PIN = bytes(range(100, 132))
PIN_TEXT = format_pin(PIN)

HOSTS = st.sampled_from(["relay", "relay.example.org", "127.0.0.1", "::1", "2001:db8::42", "a-b.c_d.xn--p1ai"])
RELAYS = st.builds(
    RelayAddress,
    host=HOSTS,
    port=st.integers(1, 65535),
    pin=st.none() | st.binary(min_size=PIN_BYTES, max_size=PIN_BYTES),
)
LINKS = st.builds(
    Link,
    relay=RELAYS,
    room=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    secret=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
)


@given(LINKS)
def test_a_link_is_read_as_it_was_written(link: Link) -> None:
    assert parse_link(format_link(link)) == link


@given(RELAYS)
def test_a_relays_address_is_read_as_it_was_written(relay: RelayAddress) -> None:
    assert parse_relay(format_relay(relay)) == relay


def test_a_link_looks_as_documented() -> None:
    link = Link(relay=RelayAddress(host="relay.example", pin=PIN), room="standup", secret=SECRET)
    assert format_link(link) == f"tuiconf://relay.example/standup?pin={PIN_TEXT}#{SECRET_TEXT}"
    assert (len(PIN_TEXT), len(SECRET_TEXT)) == (43, 22)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("relay", "relay", 4433),
        ("Relay.EXAMPLE.", "relay.example", 4433),
        ("relay:443", "relay", 443),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("[2001:DB8:0::1]", "2001:db8::1", 4433),
        (" [::1]:65535\n", "::1", 65535),
    ],
)
def test_hosts_and_ports_are_read_in_one_spelling(text: str, host: str, port: int) -> None:
    assert parse_relay(text) == RelayAddress(host=host, port=port)
    assert parse_relay(format_host_port(host, port)) == RelayAddress(host=host, port=port)


@pytest.mark.parametrize(
    "bad",
    ["", ":4433", "relay:", "relay:0", "relay:65536", "relay:+1", "relay:٣", "relay:01", "::1", "[::1", "[::1]4433",
     "[relay]", "[::1%eth0]", "[]", "1.2.3", "256.1.1.1", "re lay", "-relay", "a..b", "é.example", "relay?",
     "relay?pin=", "relay?pin=x", f"relay?pin={PIN_TEXT}&x=1", f"relay?PIN={PIN_TEXT}",
     f"relay?pin={PIN_TEXT}&pin={PIN_TEXT}", "tuiconf://relay", "relay/room", "relay#x",
     "user@relay", "x" * 64, ".".join(["abc"] * 80), "x" * 2000],
)  # fmt: skip
def test_a_wrong_relay_address_is_one_sentence(bad: str) -> None:
    with pytest.raises(LinkError) as caught:
        parse_relay(bad)
    sentence = str(caught.value)
    assert sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "bad",
    ["", "relay/room", "http://relay/room#" + SECRET_TEXT, "tuiconf://relay/room", "tuiconf://relay/room#",
     "tuiconf://relay#" + SECRET_TEXT, "tuiconf://relay/#" + SECRET_TEXT, "tuiconf:///room#" + SECRET_TEXT,
     "tuiconf://relay/a/b#" + SECRET_TEXT, "tuiconf://relay/a%20b#" + SECRET_TEXT, "tuiconf://relay/ä#" + SECRET_TEXT,
     "tuiconf://relay/-a#" + SECRET_TEXT, "tuiconf://relay/room#" + SECRET_TEXT[:-1],
     "tuiconf://relay/room#" + SECRET_TEXT + "A", "tuiconf://relay/room#" + SECRET_TEXT[:-1] + "x",
     "tuiconf://relay/room#" + SECRET_TEXT[:-2] + "==", "tuiconf://relay/room#" + "!" * 22,
     "tuiconf://relay/room#" + "é" * 22, f"tuiconf://relay?pin={PIN_TEXT}/room#{SECRET_TEXT}",
     "tuiconf://" + "x" * 2000],
)  # fmt: skip
def test_a_wrong_link_is_one_sentence_without_the_secret(bad: str) -> None:
    with pytest.raises(LinkError) as caught:
        parse_link(bad)
    sentence = str(caught.value)
    assert sentence
    assert "\n" not in sentence
    assert SECRET_TEXT[:10] not in sentence


def test_a_missing_secret_is_told_as_that() -> None:
    with pytest.raises(LinkError, match="no secret"):
        parse_link("tuiconf://relay/room")


def test_the_scheme_may_be_in_capitals_and_spaces_around_a_link_do_not_matter() -> None:
    assert parse_link(f"  TUICONF://relay/room#{SECRET_TEXT}\n").secret == SECRET


@given(st.text() | st.text().map(lambda text: "tuiconf://" + text) | st.text().map(lambda t: f"tuiconf://r/{t}#{t}"))
def test_any_text_is_a_link_or_a_link_error(text: str) -> None:
    for parse in (parse_link, parse_relay, parse_pin):
        try:
            parse(text)
        except LinkError:
            continue


def test_nothing_of_a_link_is_in_a_repr() -> None:
    link = Link(relay=RelayAddress(host="relay.example", pin=PIN), room="standup", secret=SECRET)
    assert repr((link, link.relay, derive_keys(link))) == "(<Link>, <RelayAddress>, <LinkKeys>)"


def test_the_keys_are_hkdf_of_the_secret_salted_with_the_room_and_labelled() -> None:
    keys = derive_keys(Link(relay=RelayAddress(host="relay"), room="standup", secret=SECRET))
    prk = hkdf_extract(b"tuiconf v1 room standup", SECRET)
    assert keys.proof == hkdf_expand(prk, b"tuiconf v1 admission proof", 32)
    assert keys.room_id == wire.room_id(keys.proof)
    assert keys.knock_key == hkdf_expand(prk, b"tuiconf v1 knock key", 16)
    assert keys.psk == hkdf_expand(prk, b"tuiconf v1 psk", 32)
    assert PSK_ID == b"tuiconf v1 link"


def test_another_room_or_secret_has_other_keys_and_another_relay_the_same() -> None:
    relay = RelayAddress(host="relay")
    keys = derive_keys(Link(relay=relay, room="standup", secret=SECRET))
    others = [
        derive_keys(Link(relay=relay, room="standuq", secret=SECRET)),
        derive_keys(Link(relay=relay, room="standup", secret=SECRET[::-1])),
    ]
    for other in others:
        assert not {keys.proof, keys.knock_key, keys.psk} & {other.proof, other.knock_key, other.psk}
    assert derive_keys(Link(relay=RelayAddress(host="moved", port=1), room="standup", secret=SECRET)) == keys


def test_a_new_link_has_a_random_secret_and_room() -> None:
    one, two = (new_link(RelayAddress(host="relay"), None, rng=random.Random(n).randbytes) for n in (1, 2))
    assert one.room != two.room
    assert one.secret != two.secret
    assert parse_link(format_link(one)) == one


def test_a_new_link_takes_the_rooms_name_it_is_given_or_refuses_it() -> None:
    relay = RelayAddress(host="relay")
    assert new_link(relay, "standup", rng=random.Random(1).randbytes).room == "standup"
    with pytest.raises(LinkError, match="room's name"):
        new_link(relay, "stand up", rng=random.Random(1).randbytes)
