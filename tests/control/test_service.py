"""One call as the control API sees it: a real engine that nobody has connected."""

from __future__ import annotations

import os

import pytest

from tests.control.support import until
from tuiconf.adapters.audio.null import NullSink, NullSource
from tuiconf.conference.events import Event, Left, LeftReason, Undecryptable
from tuiconf.conference.membership import Self
from tuiconf.conference.session import Session
from tuiconf.conference.sound import Sound
from tuiconf.config import Recording
from tuiconf.control import schema
from tuiconf.control.events import AudioChanged
from tuiconf.control.recorder import CallRecorder
from tuiconf.control.service import About, CallService
from tuiconf.engine import Call, Engine
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import RelayAddress, derive_keys, new_link
from tuiconf.media import opus

ANN = object()


class Seat:
    """A call that has not begun, and all that was told of it."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        about = About(call="abcd", room="room", socket="", version="", pid=0, link=lambda: "")
        self.service = CallService(about, self.told.append)
        self.engine = Engine(_call(), self.service.on_event, self.service.played)
        recorder = CallRecorder(self.engine, opus.load(), Recording(), self.service.on_event)
        self.service.serve(self.engine, recorder)

    async def state(self) -> schema.State:
        """What a front end that comes now is told."""
        state = await self.service.do(schema.GetState())
        assert isinstance(state, schema.State)
        return state

    @property
    def live(self) -> list[bool]:
        """Whether somebody could have been heard, at each change."""
        return [event.live for event in self.told if isinstance(event, AudioChanged)]


def _call() -> Call:
    relay = RelayAddress(host="127.0.0.1", port=9)
    keys = derive_keys(new_link(relay, None, rng=os.urandom))
    me = Self(identity=Identity.create("Ann", os.urandom), psk=keys.psk, rng=os.urandom)
    return Call(
        relay=relay,
        session=Session(me, keys, creator=True),
        sound=Sound(opus.load()),
        source=NullSource(),
        sink=NullSink(),
        trust=lambda address, offered: None,
        library="auto",
    )


@pytest.fixture
async def seat() -> Seat:
    return Seat()


async def test_nothing_follows_upon_the_end_of_a_call(seat: Seat) -> None:
    seat.service.mute(True)
    seat.service.front_ends.push_to_talk(ANN, down=True)
    left = Left(reason=LeftReason.LEFT)
    seat.service.on_event(left)
    seat.service.front_ends.gone(ANN)
    await seat.service.do(schema.Unmute())
    seat.service.notice("something")
    assert seat.told[-1] == left
    assert seat.service.history.seq == len(seat.told)


async def test_whoever_attaches_while_sound_cannot_be_opened_is_told_so(seat: Seat) -> None:
    assert not (await seat.state()).undecryptable
    seat.service.on_event(Undecryptable(active=True, frames=3))
    assert (await seat.state()).undecryptable
    seat.service.on_event(Undecryptable(active=False, frames=3))
    assert not (await seat.state()).undecryptable


async def test_a_talk_key_that_is_not_renewed_is_up_and_nobody_is_heard(seat: Seat) -> None:
    seat.service.mute(True)
    seat.service.front_ends.push_to_talk(ANN, down=True, renew_s=0.05)
    assert seat.live == [False, True]
    await until(lambda: seat.live == [False, True, False])
