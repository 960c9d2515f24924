"""A link as one word."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.identity.invite import format_invite, is_invite, parse_invitation, parse_invite
from tuiconf.identity.link import LinkError, format_link, parse_link

SECRET = "XZGvIOC3FmjR_FPfTbTPFQ"
PIN = "2HZlJwF7aXlMQKlurwIAYq2HZ5DScV7qVvYIpijLgsA"
LINKS = [
    f"tuiconf://192.0.2.7/jqqjvgmk?pin={PIN}#{SECRET}",
    f"tuiconf://relay.example:4434/friday-standup#{SECRET}",
    f"tuiconf://[2001:db8::1]/a?pin={PIN}#{SECRET}",
    f"tuiconf://{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}:65535/{'r' * 64}?pin={PIN}#{SECRET}",
]

links = st.builds(
    lambda host, port, room, pin: parse_link(f"tuiconf://{host}:{port}/{room}{pin}#{SECRET}"),
    st.sampled_from(["relay.example", "192.0.2.7", "[2001:db8::1]", "xn--bcher-kva.example"]),
    st.integers(1, 65_535),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.sampled_from(["", f"?pin={PIN}"]),
)


@pytest.mark.parametrize("text", LINKS)
def test_a_code_is_the_same_link(text: str) -> None:
    link = parse_link(text)
    code = format_invite(link)
    assert parse_invite(code) == link
    assert parse_invitation(code) == parse_invitation(text) == link


@given(links)
def test_every_link_has_a_code_of_letters_digits_and_dashes_only(link: object) -> None:
    code = format_invite(link)  # type: ignore[arg-type]
    assert parse_invite(code) == link
    assert set(code) <= set("abcdefghijklmnopqrstuvwxyz234567-1")
    assert is_invite(code)
    assert len(code) < 1024


def test_case_spaces_and_grouping_do_not_matter() -> None:
    link = parse_link(LINKS[0])
    code = format_invite(link)
    for spelled in (
        code.upper(),
        code.replace("-", ""),
        code.replace("-", " "),
        f"  {code}\n",
        code.replace("-", "-\n"),
    ):
        assert parse_invitation(spelled) == link


def test_a_wrong_character_is_noticed() -> None:
    code = format_invite(parse_link(LINKS[0]))
    for at in range(4, len(code)):
        if code[at] == "-":
            continue
        wrong = code[:at] + ("a" if code[at] != "a" else "b") + code[at + 1 :]
        with pytest.raises(LinkError, match="wrong or missing"):
            parse_invite(wrong)
    for cut in range(4, len(code)):
        with pytest.raises(LinkError):
            parse_invite(code[:cut])


def test_no_link_is_taken_for_a_code() -> None:
    assert not is_invite(LINKS[0])
    assert not is_invite(f"tc1.example/room#{SECRET}")
    assert format_link(parse_invitation(LINKS[1])) == LINKS[1]


def test_nothing_of_the_secret_is_in_what_is_said() -> None:
    code = format_invite(parse_link(LINKS[0]))
    with pytest.raises(LinkError) as error:
        parse_invite(code[:-1])
    assert not any(group in str(error.value) for group in code.split("-")[1:])


@given(st.text(max_size=300) | st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567-", max_size=300))
def test_whatever_is_typed_only_one_error_comes_out(text: str) -> None:
    for spelled in (text, f"tc1-{text}"):
        with contextlib.suppress(LinkError):
            parse_invite(spelled)


@given(st.binary(max_size=120))
def test_whatever_has_a_right_checksum_is_a_link_or_refused(content: bytes) -> None:
    """As one who wants to do harm would make it."""
    import base64

    from tuiconf.crypto.primitives import sha256

    data = content + sha256(b"tuiconf v1 invite code" + content)[:4]
    text = base64.b32encode(data).decode().rstrip("=")
    with contextlib.suppress(LinkError):
        link = parse_invite(f"tc1{text}")
        assert parse_link(format_link(link)) == link
