"""Who sits at a call: nobody is heard who is not there, and nobody stays for ever whose terminal is gone."""

from __future__ import annotations

import asyncio
import math

import pytest

from tests.control.support import NothingService, until
from tuiconf.control import front_ends

ANN, BO = object(), object()


async def test_nothing_is_sent_until_the_first_front_end_is_there() -> None:
    service = NothingService()
    service.front_ends.expect()
    assert service.held_back
    service.front_ends.attach(ANN)
    service.front_ends.attach(BO)
    assert service.told == ["hold back True", "hold back False"]


async def test_a_lost_terminal_is_muted_at_once_and_left_in_time() -> None:
    service = NothingService()
    service.front_ends.attach(ANN)
    service.front_ends.gone(ANN)
    assert service.told == ["mute True", "notice"]
    await asyncio.sleep(0.1)
    assert service.told[2:] == ["leave"]


async def test_whoever_comes_back_in_time_stays() -> None:
    service = NothingService()
    service.front_ends.attach(ANN)
    service.front_ends.gone(ANN)
    service.front_ends.attach(BO)
    await asyncio.sleep(0.1)
    assert service.told == ["mute True", "notice"]


async def test_one_of_two_who_goes_and_one_who_says_so_change_nothing() -> None:
    service = NothingService()
    service.front_ends.attach(ANN)
    service.front_ends.attach(BO)
    service.front_ends.gone(ANN)
    service.front_ends.detach(BO, wanted=True)
    service.front_ends.gone(BO)
    await asyncio.sleep(0.1)
    assert service.told == []


async def test_a_call_that_is_over_is_not_left_again() -> None:
    service = NothingService()
    service.front_ends.attach(ANN)
    service.over = True
    service.front_ends.gone(ANN)
    assert service.told == []


async def test_one_is_live_while_any_key_is_down_and_a_strangers_up_is_up_for_all() -> None:
    service = NothingService()
    service.front_ends.push_to_talk(ANN, down=True)
    service.front_ends.push_to_talk(BO, down=True)
    service.front_ends.gone(ANN)
    assert service.talking
    service.front_ends.push_to_talk(object(), down=False)
    assert not service.talking


async def test_who_is_to_stay_for_ever_is_muted_and_stays() -> None:
    service = NothingService()
    service.front_ends = front_ends.FrontEnds(service, stay_s=math.inf)
    service.front_ends.attach(ANN)
    service.front_ends.gone(ANN)
    await asyncio.sleep(0.05)
    assert service.told == ["mute True", "notice"]


@pytest.mark.parametrize("how", ["gone", "detached", "hung up"])
async def test_a_call_that_has_not_begun_ends_at_once_with_its_last_front_end(how: str) -> None:
    service = NothingService()
    service.prepared = True
    service.front_ends.attach(ANN)
    service.front_ends.attach(BO)
    service.front_ends.gone(BO)
    assert service.told == []
    match how:
        case "gone":
            service.front_ends.gone(ANN)
        case "detached":
            service.front_ends.detach(ANN, wanted=True)
        case _:
            service.front_ends.lose()
    assert service.told == ["leave"]


# --- talk keys


async def test_with_the_terminal_every_key_is_up() -> None:
    service = NothingService()
    service.front_ends.attach(ANN)
    service.front_ends.push_to_talk(BO, down=True)
    service.front_ends.push_to_talk(BO, down=True, hold_s=60.0)
    service.front_ends.gone(ANN)
    assert not service.talking


async def test_a_key_that_is_down_for_too_long_is_stuck_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    service = NothingService()
    monkeypatch.setattr(front_ends, "MAX_HOLD_S", 0.02)
    service.front_ends.push_to_talk(ANN, down=True)
    monkeypatch.setattr(front_ends, "MAX_HOLD_S", 600.0)
    service.front_ends.push_to_talk(ANN, down=True)  # pressed anew
    await asyncio.sleep(0.05)
    assert service.talking
    monkeypatch.setattr(front_ends, "MAX_HOLD_S", 0.02)
    service.front_ends.push_to_talk(ANN, down=True)
    await until(lambda: service.told)
    assert (service.talking, service.told) == (False, ["notice"])


async def test_a_switch_that_says_for_how_long_may_be_gone_before() -> None:
    service = NothingService()
    service.front_ends.push_to_talk(ANN, down=True, hold_s=60.0)
    service.front_ends.gone(ANN)
    assert (service.talking, service.told) == (True, [])
    service.front_ends.push_to_talk(BO, down=False)
    assert not service.talking
    service.front_ends.push_to_talk(ANN, down=True, hold_s=0.02)
    await until(lambda: not service.talking)
    assert service.told == []


async def test_a_key_that_is_to_be_said_again_is_up_when_it_is_not() -> None:
    service = NothingService()
    service.front_ends.push_to_talk(ANN, down=True, renew_s=60.0)
    service.front_ends.push_to_talk(BO, down=True, hold_s=60.0)
    service.front_ends.push_to_talk(ANN, down=True, renew_s=0.02)  # said again: this counts
    await asyncio.sleep(0.05)
    assert service.talking  # the switch is another key
    service.front_ends.push_to_talk(object(), down=False)
    service.front_ends.push_to_talk(ANN, down=True, renew_s=0.02)
    await until(lambda: not service.talking)
    service.front_ends.push_to_talk(ANN, down=True, renew_s=60.0)
    service.front_ends.gone(ANN)
    assert (service.talking, service.told) == (False, [])


async def test_of_many_presses_of_a_switch_the_last_counts_and_nothing_is_kept_of_the_others() -> None:
    service = NothingService()
    for _ in range(100):
        service.front_ends.push_to_talk(object(), down=True, hold_s=60.0)
    service.front_ends.push_to_talk(object(), down=True, hold_s=0.02)
    await until(lambda: not service.talking)
