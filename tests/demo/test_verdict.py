"""The demo's verdict: it must be able to fail."""

from __future__ import annotations

import msgspec
import pytest

from tuiconf.demo.verdict import StreamVerdict, Verdict, codes_equal, judge

EXPECTED = frozenset({("Ada", "Ben"), ("Ben", "Ada")})


def stream(speaker: str, listener: str, *, sent: int = 200, played: int = 200) -> StreamVerdict:
    return StreamVerdict(
        from_=speaker,
        to=listener,
        frames_sent=sent,
        frames_played=played,
        frames_concealed=0,
        delay_ms_p50=30.0,
        delay_ms_p95=40.0,
    )


def verdict(
    *,
    equal: bool = True,
    tried: int = 100,
    opened: int = 0,
    streams: tuple[StreamVerdict, ...] = (stream("Ada", "Ben"), stream("Ben", "Ada")),
) -> Verdict:
    return judge(
        participants=("Ada", "Ben", "Cleo"),
        epochs=(0, 1, 2),
        equal=equal,
        tried=tried,
        opened=opened,
        streams=streams,
        expected=EXPECTED,
    )


def test_a_call_in_which_everything_arrived_is_good() -> None:
    good = verdict()
    assert good.ok
    assert not good.failures
    assert not good.removed_could_decrypt


@pytest.mark.parametrize(
    "bad",
    [
        verdict(equal=False),
        verdict(opened=1),
        verdict(tried=0),
        verdict(streams=(stream("Ada", "Ben"),)),
        verdict(streams=(stream("Ada", "Ben"), stream("Ben", "Ada", played=100))),
        verdict(streams=(stream("Ada", "Ben"), stream("Ben", "Ada", sent=0, played=0))),
    ],
    ids=["codes differ", "opened", "nothing to try", "not heard", "half heard", "not sent"],
)
def test_any_one_thing_amiss_makes_it_fail_and_is_named(bad: Verdict) -> None:
    assert not bad.ok
    assert len(bad.failures) == 1


def test_a_single_opened_frame_is_told() -> None:
    assert verdict(opened=1).removed_could_decrypt


def test_the_json_has_the_names_that_scripts_rely_on() -> None:
    plain = msgspec.to_builtins(verdict())
    assert {"participants", "epochs", "security_codes_equal", "removed_could_decrypt", "streams"} <= set(plain)
    assert set(plain["streams"][0]) == {
        "from",
        "to",
        "frames_sent",
        "frames_played",
        "frames_concealed",
        "delay_ms_p50",
        "delay_ms_p95",
    }


BOTH = frozenset({"Ada", "Ben"})


@pytest.mark.parametrize(
    ("codes", "equal"),
    [
        ({"Ada": {0: "a", 1: "b"}, "Ben": {1: "b"}}, True),
        ({"Ada": {0: "a", 1: "b"}, "Ben": {1: "c"}}, False),
        ({"Ada": {0: "a", 1: "b"}, "Ben": {}}, False),
        ({"Ada": {0: "a", 1: "a"}, "Ben": {1: "a"}}, False),
    ],
    ids=["equal", "different", "missing", "the same in two epochs"],
)
def test_codes_are_equal_only_if_all_of_an_epoch_show_one_and_no_other_epoch_has_it(
    codes: dict[str, dict[int, str]], equal: bool
) -> None:
    assert codes_equal(codes, {0: frozenset({"Ada"}), 1: BOTH}) is equal


def test_no_epochs_are_not_equal_codes() -> None:
    assert not codes_equal({}, {})
