"""Members who break the rules, strangers who hold the link, and a relay that lies: honest members stay together."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest

from relay_quic import wire
from tests.conference.world import Guest, Stranger, World, agree
from tuiconf.conference import content
from tuiconf.conference.effects import InstallKeys
from tuiconf.conference.events import (
    ChatReceived,
    CommitRefused,
    EpochChanged,
    Failed,
    ParticipantJoined,
    ParticipantLeft,
    Reconnected,
)
from tuiconf.conference.knocking import FORGET_S
from tuiconf.conference.membership import Membership
from tuiconf.conference.policy import EXTENSION_TYPE, Policy
from tuiconf.conference.stranding import DEAF_S, FALSE_ALARM_S, STRANDED_S
from tuiconf.crypto.mls import Group, KeyPackageBundle, Staged, WireFormat, new_key_package, parse_key_package
from tuiconf.crypto.mls.commit import make_commit
from tuiconf.identity.credential import Credential, encode_credential
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import PSK_ID


def group_of(guest: Guest) -> Group:
    return guest.membership.group


def bundles(ref: bytes) -> list[KeyPackageBundle]:
    """Every bundle of this key package that can still be reached."""
    return [held for held in gc.get_objects() if isinstance(held, KeyPackageBundle) and held.ref == ref]


def commit(guest: Guest, staged: Staged, *, to: list[int] | None = None) -> None:
    """Send a commit the guest's session did not make."""
    send_commit(guest, staged.commit, welcome=staged.welcome or b"", to=to)


def send_commit(guest: Guest, data: bytes, *, welcome: bytes = b"", to: list[int] | None = None) -> None:
    """Send it as the commit that comes next, whatever the session thinks."""
    room = guest.world.rooms.room_of(guest.line.peer) if guest.line else None
    assert room is not None
    after = room.last_commit
    guest.inject(wire.Commit(request=777, after=after, data=data, welcome=welcome, welcome_to=to or []))
    guest.world.run(0.5)


def make(guest: Guest, *, add: bytes | None = None, remove: list[int] | None = None, psk: bool = True) -> Staged:
    at = guest.world.at
    packages = [parse_key_package(add, now=int(at.unix))] if add else []
    return group_of(guest).commit(
        add=packages,
        remove=remove or [],
        psk=[PSK_ID] if psk else [],
        psks=guest.me.psks,
        rng=guest.world.rng,
        now=int(at.unix),
    )


def refused(guest: Guest) -> list[str]:
    return [event.reason for event in guest.of(CommitRefused)]


def still_usable(world: World, honest: list[Guest]) -> None:
    """The old epoch is: chat goes through it, and the next newcomer is let in from it."""
    for guest in honest:
        guest.say(f"from {guest.identity.name}")
    world.run(1.0)
    for guest in honest:
        heard = {event.text for event in guest.of(ChatReceived)}
        assert heard == {f"from {other.identity.name}" for other in honest if other is not guest}


# --- commits that policy forbids


def test_a_removal_by_one_who_is_no_host_is_refused_by_all() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    before = ann.code
    commit(mal, make(mal, remove=[ben.leaf], psk=False))
    assert refused(ann) == refused(ben) == ["remove_not_allowed"]
    assert ann.code == ben.code == before
    still_usable(world, [ann, ben])


def test_an_add_without_the_links_secret_is_refused_by_all() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    package = world.stranger().package(Identity.create("Eve", world.rng)).key_package
    commit(mal, make(mal, add=package, psk=False))
    assert refused(ann) == refused(ben) == ["added_without_link"]
    assert ann.names == ben.names == ["Ann", "Ben", "Mal"]
    still_usable(world, [ann, ben])


def test_a_change_of_the_policy_is_refused_by_all() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    coup = {EXTENSION_TYPE: Policy(hosts=frozenset((mal.identity.public_key,))).encode()}
    now = int(world.at.unix)
    commit(mal, group_of(mal).commit(extensions=coup, psks=mal.me.psks, rng=world.rng, now=now))
    assert refused(ann) == refused(ben) == ["policy_change"]
    assert not mal.membership.is_host
    still_usable(world, [ann, ben])


def test_a_foreign_pre_shared_key_is_refused_by_all() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    now = int(world.at.unix)
    commit(mal, group_of(mal).commit(psk=[b"mine"], psks={b"mine": bytes(32)}, rng=world.rng, now=now))
    assert len(refused(ann)) == len(refused(ben)) == 1
    still_usable(world, [ann, ben])


@pytest.mark.parametrize(
    "credential",
    [
        b"not a credential",
        encode_credential(Credential(name="Someone else", public_key=bytes(32))),
        encode_credential(Credential(name="Two\nlines", public_key=bytes(32))),
    ],
)
def test_whoever_has_a_bad_credential_is_refused_by_all(credential: bytes) -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    now = int(world.at.unix)
    package = new_key_package(world.rng(32), credential, rng=world.rng, now=now, lifetime_s=3600)
    commit(mal, make(mal, add=package.key_package))
    assert refused(ann) == refused(ben) == ["bad_credential"]
    still_usable(world, [ann, ben])


def test_a_renewed_leaf_with_another_name_is_refused_by_all() -> None:
    """Mal's client signs its own path with a credential that says «Ann»."""
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    state = group_of(mal)._state
    posing = encode_credential(Credential(name="Ann", public_key=mal.identity.public_key))
    made = make_commit(
        replace(state, template=replace(state.template, identity=posing)),
        [],
        with_path=True,
        wire_format=WireFormat.PRIVATE,
        tree_in_welcome=True,
        authenticated_data=b"",
        psks=mal.me.psks,
        rng=world.rng,
    )
    send_commit(mal, made.commit)
    assert refused(ann) == refused(ben) == ["identity_change"]
    assert ann.names == ["Ann", "Ben", "Mal"]
    still_usable(world, [ann, ben])


def test_another_members_package_played_back_as_a_removal_does_not_throw_them_out() -> None:
    """Removing and adding the same person is allowed, for those who come back; only they can open the Welcome."""
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    ben.session._call.knocking.begin(world.at)  # a package of Ben's that nobody has used
    unused = ben.session._call.knocking.knocked(world.at)
    ben.session._call.knocking.stop()
    commit(mal, make(mal, add=unused, remove=[ben.leaf]), to=[])
    world.run(15.0)
    assert ben.finished is None
    mal.leave()
    world.run(3.0)
    agree([ann, ben])


# --- a group of one's own: what policy forbids must not come in by the way back


def test_a_refused_removal_is_not_made_good_by_welcoming_the_others_into_a_fork() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    staged = make(mal, remove=[ben.leaf], psk=False)
    commit(mal, staged)
    fork = Membership(mal.me, staged.merge(), mal.membership.roster, mal.membership.policy)
    data = fork.group.protect(content.encode(content.RollCall()), rng=world.rng)
    mal.tamper = lambda message: []
    mal.session._call.stranding.cut(room_went_on=True)  # Mal's own client is out of the game
    stranger = world.stranger()
    mal.inject(wire.Publish(request=778, handshake=False, data=data))
    world.run(STRANDED_S + 0.5)
    [package, *_] = [
        p for p in stranger.knocks_heard() if parse_key_package(p, now=int(world.at.unix)).identity == ann.me.credential
    ]
    known = parse_key_package(package, now=int(world.at.unix))
    forked = fork.group.commit(
        add=[known], remove=[ann.leaf], psk=[PSK_ID], psks=mal.me.psks, rng=world.rng, now=int(world.at.unix)
    )
    commit(mal, forked, to=[ann.connection])
    assert "removed_unseen" in [event.code for event in ann.of(Failed)]
    assert ann.names == ["Ann", "Ben", "Mal"]
    world.run(FALSE_ALARM_S + DEAF_S)
    assert ann.code == ben.code
    still_usable(world, [ann, ben])


def test_a_link_holder_cannot_welcome_a_member_into_a_group_of_its_own() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    stranger = world.stranger()
    false_alarm(world, stranger, ann)
    world.run(STRANDED_S + 0.5)
    knocks = stranger.knocks_heard()
    assert len(knocks) == 2
    eve = Guest(world, Identity.create("Eve", world.rng), creator=True)
    own = Membership.create(eve.me, world.at, host=True)
    now = int(world.at.unix)
    for knock in knocks:
        trap = own.commit(add=[parse_key_package(knock, now=now)], remove=[], at=world.at)
        for connection in (1, 2):
            stranger.say(
                wire.Commit(
                    request=1,
                    after=stranger.last_commit,
                    data=trap.commit,
                    welcome=trap.welcome or b"",
                    welcome_to=[connection],
                )
            )
            world.run(0.1)
    assert {"other_group"} <= {event.code for event in ann.of(Failed) + ben.of(Failed)}
    world.run(20.0)
    agree([ann, ben])


# --- false alarms


def false_alarm(world: World, stranger: Stranger, victim: Guest) -> None:
    """A message of the group's epoch 99, for all that its header tells."""
    own = Guest(world, Identity.create("Eve", world.rng), creator=True)
    other = Membership.create(own.me, world.at, host=True).group
    data = bytearray(other.protect(b"x", rng=world.rng))
    at = data.index(other.group_id)
    data[at : at + 16] = victim.membership.group_id
    data[at + 16 : at + 24] = (99).to_bytes(8, "big")
    stranger.say(wire.Publish(request=1, handshake=False, data=bytes(data)))


def test_a_false_alarm_dissolves_nothing_and_delays_commits_for_ten_seconds_at_most() -> None:
    world = World()
    guests = world.party("Ann", "Ben", "Cyd")
    stranger = world.stranger()
    false_alarm(world, stranger, guests[0])
    world.run(STRANDED_S + 0.1)
    dee = world.guest("Dee")
    took = world.run_until(lambda: dee.is_member)
    assert took < FALSE_ALARM_S + 3.0
    world.run(5.0)
    agree([*guests, dee])
    for guest in guests:
        assert guest.of(Reconnected) == []
        assert [event.participant.name for event in guest.of(ParticipantJoined)] == ["Dee"]
        assert len(guest.of(EpochChanged)) == 1


def test_false_alarms_one_after_the_other_are_not_believed() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    stranger = world.stranger()
    speaking = 0
    for _ in range(int(2 * (DEAF_S + FALSE_ALARM_S))):
        false_alarm(world, stranger, ann)
        world.run(1.0)
        speaking += ann.session._call.may_speak
    assert speaking >= 50
    agree([ann, ben])


# --- the relay lies


def passed_off(kind: wire.Kind) -> Callable[[wire.RelayMessage], list[wire.RelayMessage]]:
    def lie(message: wire.RelayMessage) -> list[wire.RelayMessage]:
        if isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT:
            return [wire.Ordered(seq=message.seq, sender=message.sender, kind=kind, data=message.data)]
        return [message]

    return lie


@pytest.mark.parametrize("kind", [wire.Kind.APPLICATION, wire.Kind.HANDSHAKE])
def test_a_commit_passed_off_as_something_else_is_not_taken_up(kind: wire.Kind) -> None:
    world = World()
    _, ben, cyd = world.party("Ann", "Ben", "Cyd")
    epoch = ben.membership.epoch
    ben.tamper = passed_off(kind)
    cyd.leave()
    world.run(0.5)
    assert ben.membership.epoch == epoch
    assert [event.code for event in ben.of(Failed)] == ["kind"]


def test_what_the_relay_says_twice_is_heard_once() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.tamper = lambda message: [message, message]
    ann.say("once")
    cyd = world.guest("Cyd")
    world.run(2.0)
    agree([ann, ben, cyd])
    assert [event.text for event in ben.of(ChatReceived)] == ["once"]
    assert ben.of(CommitRefused) == []


def test_what_the_relay_plays_back_under_new_numbers_is_not_shown_again() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")

    def again(message: wire.RelayMessage) -> list[wire.RelayMessage]:
        if not isinstance(message, wire.Ordered):
            return [message]
        return [message, wire.Ordered(seq=message.seq + 1, sender=message.sender, kind=message.kind, data=message.data)]

    ben.tamper = again
    ann.say("once")
    world.run(1.0)
    assert [event.text for event in ben.of(ChatReceived)] == ["once"]
    assert len(ben.of(Failed)) == 1


def test_a_relay_that_answers_out_of_order_is_left() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    entered = wire.Entered(
        incarnation=bytes(16),
        connection=9,
        token=bytes(16),
        created=False,
        resumed=False,
        last_seq=0,
        last_commit=0,
        connections=[9],
    )
    ben.receive(entered)
    assert [event.code for event in ben.of(Failed)] == ["relay_order"]
    world.run(5.0)
    agree([ann, ben])


def test_a_forged_welcome_is_refused_and_the_right_one_still_lets_in() -> None:
    world = World()
    [ann] = world.party("Ann")
    stranger = world.stranger()
    ann.delay_s = 0.3
    ben = world.guest("Ben")
    world.run(0.1)
    for junk in (b"", b"junk", bytes(2000)):
        stranger.say(
            wire.Commit(
                request=1,
                after=stranger.last_commit,
                data=b"junk",
                welcome=junk,
                welcome_to=[ben.connection],
            )
        )
        world.run(0.1)
    world.run(12.0)
    assert len([event for event in ben.of(Failed) if not event.fatal]) >= 1
    agree([ann, ben])


def test_welcomes_into_groups_without_a_policy_keep_nobody_out() -> None:
    world = World()
    [ann] = world.party("Ann")
    stranger = world.stranger()
    ann.delay_s = 0.4
    ben = world.guest("Ben")
    world.run(0.1)
    eve = Identity.create("Eve", world.rng)
    now = int(world.at.unix)
    for _ in range(2):
        credential = encode_credential(Credential(name=eve.name, public_key=eve.public_key))
        bare = Group.create(world.rng(16), eve.seed, credential, rng=world.rng, now=now)
        package = parse_key_package(stranger.knocks_heard()[0], now=now)
        trap = bare.commit(add=[package], psk=[PSK_ID], psks={PSK_ID: world.keys.psk}, rng=world.rng, now=now)
        stranger.say(
            wire.Commit(
                request=1,
                after=stranger.last_commit,
                data=trap.commit,
                welcome=trap.welcome or b"",
                welcome_to=[ben.connection],
            )
        )
        world.run(0.1)
    assert {"policy"} <= {event.code for event in ben.of(Failed)}
    world.run(15.0)
    agree([ann, ben])


def test_the_keys_of_packages_are_forgotten_some_time_after_joining() -> None:
    world = World(seed=7731)  # so that no other test has made the same packages
    [ann] = world.party("Ann")
    ben = world.guest("Ben")
    world.run(1.0)
    agree([ann, ben])
    stranger = world.stranger()
    false_alarm(world, stranger, ben)  # which makes a package that is never used
    world.run(STRANDED_S + FALSE_ALARM_S + 1.0)
    late = parse_key_package(stranger.knocks_heard()[-1], now=int(world.at.unix))
    assert any(not held.used for held in bundles(late.ref))
    for _ in range(3):
        for guest in (ann, ben):
            guest.session.expire(world.at)
        world.run(FORGET_S)
    assert all(held.used for held in bundles(late.ref))


def test_notes_that_are_forged_changed_or_played_back_change_nothing() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    stranger = world.stranger()
    cyd = world.guest("Cyd")
    world.run(1.0)
    agree([ann, ben, cyd])
    [heard] = {message.data for message in stranger.heard if isinstance(message, wire.Noted)}
    changed = bytearray(heard)
    changed[40] ^= 1
    for data in (heard, bytes(changed), b"", bytes(284), heard[:-1], world.rng(540)):
        stranger.say(wire.Note(to=None, data=data))
        stranger.say(wire.Note(to=1, data=data))
    world.run(5.0)
    agree([ann, ben, cyd])
    assert ann.membership.epoch == 2


def test_a_knock_that_let_somebody_in_lets_nobody_in_again_though_nobody_is_left_who_heard_it() -> None:
    world = World()
    [ann] = world.party("Ann")
    stranger = world.stranger()
    cyd = world.guest("Cyd")
    world.run(1.0)
    [heard] = {message.data for message in stranger.heard if isinstance(message, wire.Noted)}
    cyd.leave()
    world.run(3.0)
    late = [world.guest(name) for name in ("Dan", "Eli")]
    world.run(3.0)
    ann.leave()
    world.run(3.0)
    epoch = late[0].membership.epoch
    stranger.say(wire.Note(to=None, data=heard))
    world.run(10.0)
    agree(late)
    assert late[0].membership.epoch == epoch
    assert late[0].names == ["Dan", "Eli"]
    still_usable(world, late)


def test_garbage_in_the_order_is_told_and_does_not_hold_up_commits() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    stranger = world.stranger()
    for data in (b"", b"\0\1", bytes(200), world.rng(300)):
        for handshake in (True, False):
            stranger.say(wire.Publish(request=1, handshake=handshake, data=data))
        stranger.say(wire.Commit(request=1, after=stranger.last_commit, data=data, welcome=b"", welcome_to=[]))
        world.run(0.2)
    cyd = world.guest("Cyd")
    world.run(3.0)
    agree([ann, ben, cyd])
    assert ann.of(CommitRefused) != []


def test_content_that_is_not_ours_is_told_and_ignored() -> None:
    world = World()
    ann, mal = world.party("Ann", "Mal")
    for data in (b"", b"\xc1", b"\x93\xa4chat\x01", bytes(100)):
        sealed = group_of(mal).protect(data, rng=world.rng)
        mal.inject(wire.Publish(request=5, handshake=False, data=sealed))
    world.run(1.0)
    assert [event.code for event in ann.of(Failed)] == ["content"] * 4
    assert not any(event.fatal for event in ann.of(Failed))


def test_a_member_that_lies_about_connections_gets_nobody_removed_by_the_honest() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    table = content.PresenceTable(entries=[(ann.leaf, 4000, 7), (ben.leaf, 4001, None), (9, 1, 0)])
    mal.inject(
        wire.Publish(request=5, handshake=False, data=group_of(mal).protect(content.encode(table), rng=world.rng))
    )
    world.run(90.0)
    agree([ann, ben, mal])
    assert ann.of(ParticipantLeft) == []


def test_who_asks_to_leave_a_thousand_times_leaves_once() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    for _ in range(50):
        proposal = group_of(mal).propose_remove(mal.leaf, rng=world.rng)
        mal.inject(wire.Publish(request=5, handshake=True, data=proposal))
    world.run(2.0)
    assert ann.names == ben.names == ["Ann", "Ben"]
    assert len(ann.of(ParticipantLeft)) == 1


def test_proposals_of_others_are_never_committed() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    for proposal in (
        group_of(mal).propose_remove(ben.leaf, rng=world.rng),
        group_of(mal).propose_update(rng=world.rng),
        group_of(mal).propose_psk(PSK_ID, rng=world.rng),
        group_of(mal).propose_extensions({EXTENSION_TYPE: Policy(hosts=frozenset()).encode()}, rng=world.rng),
    ):
        mal.inject(wire.Publish(request=5, handshake=True, data=proposal))
    cyd = world.guest("Cyd")
    world.run(2.0)
    agree([ann, ben, mal, cyd])
    assert ann.membership.is_host


def test_keys_never_appear_in_an_effect_twice_for_one_epoch() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    world.run(3.0)
    ben.back()
    cyd = world.guest("Cyd")
    world.run(3.0)
    for guest in (ann, ben, cyd):
        epochs = [effect.epoch for effect in guest.effects if isinstance(effect, InstallKeys)]
        assert epochs == sorted(set(epochs))
