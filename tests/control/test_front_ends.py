"""Who sits at a call: nobody is heard who is not there, and nobody stays for ever whose terminal is gone."""

from __future__ import annotations

import asyncio

from tests.control.support import NothingService

ANN, BO = object(), object()


async def test_nothing_is_sent_until_the_first_front_end_is_there() -> None:
    service = NothingService()
    service.front_ends.expect()
    assert service.told == []
    service.front_ends.attach(ANN)
    service.front_ends.attach(BO)
    assert service.told == ["go ahead"]


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
