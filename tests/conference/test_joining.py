"""Coming in: by link, knock, Welcome and commit."""

from __future__ import annotations

import random

from relay_quic import wire
from tests.conference.world import Guest, World, agree
from tuiconf.conference import content, notes
from tuiconf.conference.effects import Emit, InstallKeys, Send
from tuiconf.conference.entering import SOLITUDE_S
from tuiconf.conference.events import (
    EpochChanged,
    Failed,
    Joined,
    ParticipantJoined,
    Waiting,
)
from tuiconf.crypto.mls import new_key_package
from tuiconf.identity.credential import Credential, encode_credential
from tuiconf.identity.keys import Identity, fingerprint


def kinds(guest: Guest) -> list[str]:
    return [type(event).__name__ for event in guest.events]


def test_whoever_has_the_link_is_let_in_by_knock_commit_and_welcome() -> None:
    world = World()
    ann = world.guest("Ann", creator=True)
    world.run(0.1)
    ben = world.guest("Ben")
    world.run(1.0)
    agree([ann, ben])
    assert kinds(ann) == ["Joined", "EpochChanged", "ParticipantJoined"]
    assert kinds(ben) == ["Waiting", "Joined"]
    [joined] = ben.of(Joined)
    assert [person.name for person in joined.participants] == ["Ann", "Ben"]
    assert joined.me.fingerprint == fingerprint(ben.identity.public_key)
    assert [person.host for person in joined.participants] == [True, False]


def test_the_effects_of_letting_someone_in_come_in_this_order() -> None:
    world = World()
    ann = world.guest("Ann", creator=True)
    world.run(0.1)
    ann.effects.clear()
    world.guest("Ben")
    world.run(1.0)
    shape = [type(e.message if isinstance(e, Send) else e.event if isinstance(e, Emit) else e) for e in ann.effects]
    assert shape == [wire.Commit, InstallKeys, EpochChanged, ParticipantJoined, wire.Publish]


def test_the_creator_needs_nobody_and_knocks_at_no_door() -> None:
    world = World()
    ann = world.guest("Ann", creator=True)
    world.run(10.0)
    assert kinds(ann) == ["Joined"]
    assert [type(message) for message in ann.sent] == [wire.Enter]


def test_those_who_come_within_a_fifth_of_a_second_share_an_epoch() -> None:
    world = World()
    ann = world.guest("Ann", creator=True)
    world.run(0.5)
    others = []
    for name in ("Ben", "Cyd", "Dee"):
        others.append(world.guest(name))
        world.run(0.05)
    world.run(1.0)
    agree([ann, *others])
    assert ann.membership.epoch == 1
    assert [event.epoch for event in ann.of(ParticipantJoined)] == [1, 1, 1]


def test_those_who_come_apart_have_an_epoch_each() -> None:
    world = World()
    ann = world.guest("Ann", creator=True)
    world.run(0.5)
    ben = world.guest("Ben")
    world.run(0.3)
    cyd = world.guest("Cyd")
    world.run(1.0)
    agree([ann, ben, cyd])
    assert [event.epoch for event in ann.of(EpochChanged)] == [1, 2]


def test_of_two_newcomers_in_an_empty_room_exactly_one_makes_the_group() -> None:
    world = World()
    ann, ben = world.guest("Ann"), world.guest("Ben")
    world.run(SOLITUDE_S - 0.1)
    assert not ann.is_member
    assert not ben.is_member
    world.run(1.0)
    agree([ann, ben])
    assert [person.host for person in ann.membership.people()] == [False, False]


def test_a_guest_who_was_first_gives_way_to_the_creator() -> None:
    world = World()
    ben = world.guest("Ben")
    world.run(SOLITUDE_S + 1.0)
    assert ben.is_member
    assert [event.created for event in ben.events if isinstance(event, Joined)] == [True]
    ann = world.guest("Ann", creator=True)
    world.run(8.0)
    agree([ann, ben])
    assert next(person.name for person in ben.membership.people() if person.host) == "Ann"


def test_guests_who_were_first_give_way_together_to_the_creator_and_can_be_removed_by_it() -> None:
    world = World()
    ben, cyd, dee = world.guest("Ben"), world.guest("Cyd"), world.guest("Dee")
    world.run(SOLITUDE_S + 2.0)
    agree([ben, cyd, dee])
    ann = world.guest("Ann", creator=True)
    world.run(8.0)
    agree([ann, ben, cyd, dee])
    ann.kick(dee)
    world.run(1.0)
    agree([ann, ben, cyd])


def test_a_newcomer_waits_once_and_is_told_so_once() -> None:
    world = World()
    world.stranger()
    ben = world.guest("Ben")
    world.run(60.0)
    assert len(ben.of(Waiting)) == 1
    assert not ben.is_member


def test_a_flood_of_knocks_is_capped_and_does_not_keep_others_out_for_long() -> None:
    world = World()
    [ann] = world.party("Ann")
    strangers = [world.stranger() for _ in range(70)]
    for number, stranger in enumerate(strangers):
        stranger.knock(stranger.package(Identity.create(f"Flood {number}", world.rng)).key_package)
    ben = world.guest("Ben")
    world.run(8.0)
    assert ben.is_member
    assert ben.code == ann.code
    commits = [message for message in ann.sent if isinstance(message, wire.Commit)]
    assert max(len(commit.welcome_to) for commit in commits) == 32


def test_a_key_package_is_let_in_once() -> None:
    world = World()
    [ann] = world.party("Ann")
    stranger = world.stranger()
    package = stranger.package(Identity.create("Eve", world.rng)).key_package
    stranger.knock(package)
    world.run(1.0)
    epoch = ann.membership.epoch
    stranger.knock(package)
    world.run(5.0)
    assert ann.membership.epoch == epoch == 1
    assert ann.names == ["Ann", "Eve"]


def test_a_package_shown_again_by_someone_else_still_lets_its_maker_in() -> None:
    """Whoever holds the link can repeat a knock, from another connection and at once."""
    world = World()
    [ann] = world.party("Ann")
    stranger = world.stranger()
    ben = world.guest("Ben")
    world.run(0.05)
    for package in stranger.knocks_heard():
        stranger.knock(package)
    world.run(1.0)
    agree([ann, ben])


def test_two_packages_that_cannot_go_together_do_not_keep_the_others_out() -> None:
    """One may put another's public key into a package of their own; a batch of both can never be committed."""
    world = World()
    [ann] = world.party("Ann")
    for name in ("Mal", "Twin"):
        identity = Identity.create(name, world.rng)
        credential = encode_credential(Credential(name=name, public_key=identity.public_key))
        same_keys, now = random.Random(5).randbytes, int(world.at.unix)
        package = new_key_package(identity.seed, credential, rng=same_keys, now=now, lifetime_s=3600)
        world.stranger().knock(package.key_package)
    ben = world.guest("Ben")
    world.run(4.0)
    assert ben.is_member
    assert ann.names == ben.names == ["Ann", "Ben", "Mal"]
    assert ben.code == ann.code


def test_a_knock_with_a_wrong_clock_is_denied_once_and_by_one() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    stranger = world.stranger()
    late = Identity.create("Late", world.rng)
    world.now += 6 * 3600
    package = stranger.package(late).key_package
    world.now -= 6 * 3600
    before = len([m for m in ann.sent + ben.sent if isinstance(m, wire.Note)])
    stranger.knock(package)
    world.run(1.0)
    assert len([m for m in ann.sent + ben.sent if isinstance(m, wire.Note)]) == before + 1
    assert ann.names == ["Ann", "Ben"]


def test_who_made_the_room_once_makes_it_again_as_its_host_where_nobody_is() -> None:
    world = World()
    ann = world.guest("Ann", founder=True)
    world.run(SOLITUDE_S + 2)
    [joined] = ann.of(Joined)
    assert joined.created
    assert joined.me.host


def test_who_made_the_room_once_is_let_in_like_anybody_where_someone_is() -> None:
    world = World()
    ben = world.guest("Ben")
    world.run(SOLITUDE_S + 2)
    ann = world.guest("Ann", founder=True)
    world.run(3.0)
    agree([ann, ben])
    [joined] = ann.of(Joined)
    assert [person.host for person in joined.participants] == [False, False]


def test_a_forged_denial_is_told_and_does_not_stop_the_knocking() -> None:
    world = World()
    stranger = world.stranger()
    ben = world.guest("Ben")
    world.run(0.1)
    sealed = notes.seal(content.Denied(reason="lifetime"), world.keys, rng=world.rng)
    for _ in range(3):
        stranger.say(wire.Note(to=None, data=sealed))
    world.run(1.0)
    assert [event.code for event in ben.of(Failed)] == ["denied"]
    assert not ben.of(Failed)[0].fatal
    ann = world.guest("Ann", creator=True)
    world.run(6.0)
    agree([ann, ben])


def test_the_same_identity_from_elsewhere_ends_the_older_one() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    again = world.guest("Ben", identity=ben.identity)
    world.run(3.0)
    assert again.is_member
    agree([ann, again])
    assert ben.finished == "failed"
    assert [event.code for event in ben.of(Failed)] == ["replaced"]
    assert ann.of(ParticipantJoined) == []


def test_names_come_from_credentials_and_a_new_name_is_told() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    renamed = Identity(name="Benedict", seed=ben.identity.seed)
    world.guest("Benedict", identity=renamed)
    world.run(3.0)
    assert [type(event).__name__ for event in ann.take()] == ["EpochChanged", "ParticipantLeft", "ParticipantJoined"]
    assert ann.names == ["Ann", "Benedict"]
