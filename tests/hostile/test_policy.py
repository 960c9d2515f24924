"""Members who take rights they do not have, link holders in the lobby, and a relay that plays back what was allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from relay_quic import wire
from tests.conference.world import Guest, World, agree
from tests.hostile.test_members import commit, group_of, refused, still_usable
from tuiconf.conference import content
from tuiconf.conference.attendance import VANISH_S
from tuiconf.conference.callers import caller_ref
from tuiconf.conference.events import (
    CommitRefused,
    Failed,
    Knocked,
    KnockEnded,
    MuteRequested,
    PolicyChanged,
)
from tuiconf.conference.membership import Membership
from tuiconf.conference.policy import EXTENSION_TYPE, HOSTLESS, Lobby, Policy, Right, RoomRules
from tuiconf.conference.rules import CommitForbidden, check_way_back
from tuiconf.conference.stranding import DEAF_S, FALSE_ALARM_S, STRANDED_S
from tuiconf.crypto.mls import Staged, parse_key_package
from tuiconf.identity.keys import Identity, fingerprint
from tuiconf.identity.link import PSK_ID

EVERYONE = RoomRules(lobby="everyone")


def make(
    guest: Guest,
    *,
    policy: Policy | dict[int, bytes] | None = None,
    add: bytes | None = None,
    remove: tuple[int, ...] = (),
) -> Staged:
    """A commit as a modified client makes it: with whatever policy it likes."""
    at = guest.world.at
    extensions = {EXTENSION_TYPE: policy.encode()} if isinstance(policy, Policy) else policy
    return group_of(guest).commit(
        add=[parse_key_package(add, now=int(at.unix))] if add else [],
        remove=remove,
        psk=[PSK_ID] if add else [],
        extensions=extensions,
        psks=guest.me.psks,
        rng=guest.world.rng,
        now=int(at.unix),
    )


def key(guest: Guest) -> bytes:
    return guest.identity.public_key


def say(guest: Guest, said: content.Content) -> bytes:
    """Send what the session would not; the message as it went."""
    data = group_of(guest).protect(content.encode(said), rng=guest.world.rng)
    guest.inject(wire.Publish(request=5, handshake=False, data=data))
    return data


def newcomer(world: World, name: str = "Eve") -> bytes:
    return world.stranger().package(Identity.create(name, world.rng)).key_package


# --- commits by those who have no right to them


@pytest.mark.parametrize(
    "change",
    [
        lambda policy, mal: replace(policy, hosts=policy.hosts | {mal}),
        lambda policy, mal: replace(policy, hosts=frozenset({mal})),
        lambda policy, _: replace(policy, locked=True),
        lambda policy, _: replace(policy, lobby=Lobby.EVERYONE),
        lambda policy, _: replace(policy, admit=Right.MEMBERS),
        lambda policy, _: replace(policy, remove=Right.MEMBERS),
        lambda policy, _: replace(policy, record=Right.NOBODY),
        lambda policy, _: replace(policy, successors=frozenset({bytes(20)})),
        lambda policy, _: policy,
    ],
)
def test_a_policy_by_one_who_is_no_host_is_refused_by_all(change: Callable[[Policy, bytes], Policy]) -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    commit(mal, make(mal, policy=change(mal.membership.policy, key(mal))))
    assert refused(ann) == refused(ben) == ["policy_change"]
    assert ann.of(PolicyChanged) == []
    still_usable(world, [ann, ben])


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (HOSTLESS, "no_host"),
        (Policy(hosts=frozenset({bytes(32)})), "no_host"),
        ({}, "bad_policy"),
        ({EXTENSION_TYPE: b"junk"}, "bad_policy"),
        ({EXTENSION_TYPE: b"\x92\x01\x90"}, "bad_policy"),
    ],
)
def test_even_a_host_cannot_leave_the_room_without_a_host_or_a_policy(
    policy: Policy | dict[int, bytes], reason: str
) -> None:
    world = World()
    mal, ann, ben = world.party("Mal", "Ann", "Ben")
    commit(mal, make(mal, policy=policy))
    assert refused(ann) == refused(ben) == [reason]
    still_usable(world, [ann, ben])


def test_a_newcomer_past_the_lobby_is_refused_by_all() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal", rules=EVERYONE)
    commit(mal, make(mal, add=newcomer(world)))
    assert refused(ann) == refused(ben) == ["admit_not_allowed"]
    still_usable(world, [ann, ben])


def test_nobody_is_added_to_a_locked_room_not_even_by_the_host() -> None:
    world = World()
    mal, ann, ben = world.party("Mal", "Ann", "Ben")
    mal.lock()
    world.run(1.0)
    commit(mal, make(mal, add=newcomer(world)))
    assert refused(ann) == refused(ben) == ["locked"]
    unlocked = replace(mal.membership.policy, locked=False)
    commit(mal, make(mal, add=newcomer(world), policy=unlocked))  # a commit is judged by the epoch before it
    assert refused(ann) == refused(ben) == ["locked", "locked"]


def test_where_members_may_remove_they_may_not_remove_a_host() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal", rules=RoomRules(remove="members"))
    commit(mal, make(mal, remove=(ann.leaf,)))
    assert refused(ben) == ["no_host"]
    heir = mal.membership.policy.with_host(key(mal), set())
    commit(mal, make(mal, remove=(ann.leaf,), policy=heir))
    assert refused(ben)[1:] == ["successor"]  # Ben was here before Mal
    heir = mal.membership.policy.with_host(key(ben), set())
    commit(mal, make(mal, remove=(ann.leaf,), policy=heir))
    assert refused(ben)[2:] == ["remove_not_allowed"]
    still_usable(world, [ann, ben])
    ben.kick(mal)
    world.run(1.0)
    assert mal.finished == "removed"
    agree([ann, ben])


# --- succession


def leaderless(world: World, *, rules: RoomRules | None = None) -> tuple[Guest, Guest, Guest, Guest]:
    """Ann, the host, is cut off for a moment; Ben is here longest, Mal before Cyd."""
    ann, ben, mal, cyd = world.party("Ann", "Ben", "Mal", "Cyd", rules=rules or RoomRules())
    ann.cut()
    world.run(1.0)
    return ann, ben, mal, cyd


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda policy, mal, _: policy.with_host(key(mal), set()), "successor"),
        (lambda policy, _, cyd: policy.with_host(key(cyd), set()), "successor"),
        (lambda policy, mal, _: Policy(hosts=frozenset({key(mal)})), "policy_change"),
        (lambda policy, mal, cyd: policy.with_host(key(mal), set()).with_host(key(cyd), set()), "policy_change"),
        (lambda policy, *_: policy.with_host(bytes(32), set()), "policy_change"),
        (lambda policy, *_: None, "no_host"),
        (lambda policy, *_: HOSTLESS, "policy_change"),
    ],
)
def test_a_wrong_successor_or_none_is_refused_by_all(
    change: Callable[[Policy, Guest, Guest], Policy | None], reason: str
) -> None:
    world = World()
    ann, ben, mal, cyd = leaderless(world)
    policy = change(mal.membership.policy, mal, cyd)
    commit(mal, make(mal, remove=(ann.leaf,), policy=policy))
    assert refused(ben) == refused(cyd) == [reason]
    ann.back()
    world.run(1.0)
    assert cyd.hosts == ["Ann"]
    still_usable(world, [ann, ben, cyd])


@pytest.mark.parametrize(
    "more",
    [
        lambda policy: replace(policy, locked=True),
        lambda policy: replace(policy, lobby=Lobby.EVERYONE),
        lambda policy: replace(policy, admit=Right.MEMBERS),
    ],
)
def test_a_succession_changes_nothing_else(more: Callable[[Policy], Policy]) -> None:
    world = World()
    ann, ben, mal, cyd = leaderless(world)
    policy = more(mal.membership.policy.with_host(key(ben), set()))
    commit(mal, make(mal, remove=(ann.leaf,), policy=policy))
    assert refused(ben) == refused(cyd) == ["policy_change"]


def test_there_is_no_succession_while_the_host_is_there_or_another_host_stays() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    policy = mal.membership.policy.with_host(key(ben), set())
    commit(mal, make(mal, policy=policy))
    commit(mal, make(mal, remove=(ann.leaf,), policy=policy))
    assert refused(ben) == refused(ann) == ["policy_change", "remove_not_allowed"]
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    ann.cut()
    world.run(1.0)
    policy = mal.membership.policy.with_host(key(mal), set())
    commit(mal, make(mal, remove=(ann.leaf,), policy=policy))
    assert refused(ben)[2:] == ["policy_change"]


def test_a_successor_who_is_not_named_is_refused_while_one_who_is_named_is_there() -> None:
    world = World()
    cyd_identity = Identity.create("Cyd", world.rng)
    rules = RoomRules(successors=(fingerprint(cyd_identity.public_key),))
    ann, ben, mal = world.party("Ann", "Ben", "Mal", rules=rules)
    cyd = world.guest("Cyd", identity=cyd_identity)
    world.run(1.0)
    ann.cut()
    world.run(1.0)
    commit(mal, make(mal, remove=(ann.leaf,), policy=mal.membership.policy.with_host(key(ben), set())))
    assert refused(ben) == refused(cyd) == ["successor"]
    world.run(VANISH_S)
    assert ben.hosts == cyd.hosts == ["Cyd"]


def test_one_who_has_lied_to_a_newcomer_of_how_long_it_is_here_is_still_refused_by_the_others() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    ann.session._call.presences.tell_newcomers = lambda membership: None  # type: ignore[method-assign]
    cyd = world.guest("Cyd")
    world.run_until(lambda: cyd.is_member)
    say(mal, content.PresenceTable(entries=[(ben.leaf, None, 2), (mal.leaf, None, 0)]))
    world.run(1.0)
    ann.cut()
    world.run(1.0)
    commit(mal, make(mal, remove=(ann.leaf,), policy=mal.membership.policy.with_host(key(mal), set())))
    assert refused(ben) == ["successor"]
    world.run(VANISH_S + 40.0)  # Ben goes on; Cyd, who was deceived, comes after
    assert ben.hosts == ["Ben"]
    assert ben.names == ["Ben", "Cyd", "Mal"] or ben.names == ["Ben", "Cyd"]
    ann.back()
    world.run(60.0)
    assert ben.code == ann.code


def test_whoever_is_told_of_the_others_believes_nothing_that_cannot_be() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    say(ann, content.PresenceTable(entries=[(0, 1, 99), (ben.leaf, None, 0), (500, 1, 1)]))
    world.run(0.5)
    since = {who.name: who.here_since for who in ben.membership.roster.by_leaf.values()}
    assert since == {"Ann": 0, "Ben": 1}


# --- what was allowed is played back


@pytest.mark.parametrize("act", ["admit", "deny", "remove", "lock", "hand_over", "mute_request"])
@pytest.mark.parametrize("later", [False, True])
def test_what_a_host_did_does_nothing_when_the_relay_plays_it_back(act: str, later: bool) -> None:
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee", rules=RoomRules(lobby="everyone", admit="members"))
    eve = world.guest("Eve")
    world.run(1.0)
    heard: list[wire.Ordered] = []

    def record(message: wire.RelayMessage) -> list[wire.RelayMessage]:
        if isinstance(message, wire.Ordered):
            heard.append(message)
        return [message]

    ben.tamper = record
    acts: dict[str, Callable[[], None]] = {
        "admit": lambda: ann.admit("Eve"),
        "deny": lambda: ann.deny("Eve"),
        "remove": lambda: ann.kick(dee),
        "lock": ann.lock,
        "hand_over": lambda: ann.hand_over(cyd),
        "mute_request": lambda: ann.ask_to_mute(ben),
    }
    acts[act]()
    world.run(1.0)
    assert heard
    if later:  # the opposite has happened since
        if act == "lock":
            ann.lock(False)
        elif act == "hand_over":
            cyd.hand_over(ann)
        elif act == "remove":
            world.guest("Dee", identity=dee.identity)
            world.run(1.0)
            ann.admit("Dee")
        else:
            ann.set_lobby("off")
        world.run(3.0)
    ben.tamper = lambda message: [message]
    before = ben.membership.policy, ben.membership.epoch, ben.names, ben.hosts
    asked, waiting = len(ben.of(MuteRequested)), ben.session.callers
    for message in heard:
        room = world.rooms.room_of(ben.line.peer) if ben.line else None
        assert room is not None
        ben.receive(replaced(message, room.last_seq + 1))
        world.run(2.5)
    assert (ben.membership.policy, ben.membership.epoch, ben.names, ben.hosts) == before
    assert len(ben.of(MuteRequested)) == asked
    assert ben.session.callers == waiting
    assert eve.finished is None


def replaced(message: wire.Ordered, seq: int) -> wire.Ordered:
    """The same under another number."""
    return wire.Ordered(seq=seq, sender=message.sender, kind=message.kind, data=message.data)


@pytest.mark.parametrize("said", ["deny", "mute_request"])
def test_a_command_that_the_relay_holds_back_until_the_next_epoch_does_nothing(said: str) -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd", rules=RoomRules(lobby="everyone", admit="members"))
    world.guest("Eve")
    world.run(1.0)
    held: list[wire.Ordered] = []

    def hold(message: wire.RelayMessage) -> list[wire.RelayMessage]:
        if isinstance(message, wire.Ordered) and message.kind is wire.Kind.APPLICATION:
            held.append(message)
            return []
        return [message]

    ben.tamper = hold
    if said == "deny":
        ann.deny("Eve")
    else:
        ann.ask_to_mute(ben)
    cyd.leave()
    world.run(1.0)
    ben.tamper = lambda message: [message]
    assert held
    for number, message in enumerate(held):
        ben.receive(replaced(message, 1000 + number))
    assert ben.of(MuteRequested) == []
    assert [event.reason for event in ben.of(KnockEnded)] == []
    assert [caller.name for caller in ben.session.callers] == ["Eve"]


@pytest.mark.parametrize("by_host", [False, True])
def test_requests_and_denials_by_those_without_the_right_do_nothing(by_host: bool) -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal", rules=EVERYONE)
    world.guest("Eve")
    world.run(1.0)
    sender = ann if by_host else mal
    say(sender, content.MuteRequest(key=key(ben)))
    say(sender, content.Deny(ref=ann.caller("Eve").ref))
    world.run(1.0)
    assert len(ben.of(MuteRequested)) == by_host
    assert ann.of(KnockEnded) == []  # Ann's own session has not said it


def test_a_member_cannot_be_kept_out_for_later_by_denying_it_while_it_is_here() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal", rules=RoomRules(lobby="everyone", admit="members"))
    say(mal, content.Deny(ref=caller_ref(key(ben))))
    world.run(0.5)
    ben.leave()
    world.run(1.0)
    world.guest("Ben", identity=ben.identity)
    world.run(1.0)
    assert [event.caller.name for event in ann.of(Knocked)].count("Ben") == 1


# --- the way back, with a policy that changed


def party_with_fork(world: World) -> tuple[Guest, Guest, Guest, Membership]:
    """Mal has made a commit that everybody refused, and goes on alone as if it counted."""
    ann, ben, mal = world.party("Ann", "Ben", "Mal")
    coup = replace(mal.membership.policy, hosts=frozenset({key(mal)}))
    staged = make(mal, policy=coup)
    commit(mal, staged)
    fork = Membership(mal.me, staged.merge(), mal.membership.roster, coup)
    mal.tamper = lambda message: []
    mal.session._call.stranding.cut(room_went_on=True)  # Mal's own client is out of the game
    return ann, ben, mal, fork


@pytest.mark.parametrize("victim", ["Ann", "Ben"])
def test_a_refused_policy_is_not_made_good_by_welcoming_others_into_a_fork(victim: str) -> None:
    world = World()
    ann, ben, mal, fork = party_with_fork(world)
    target = {"Ann": ann, "Ben": ben}[victim]
    stranger = world.stranger()
    data = fork.group.protect(content.encode(content.RollCall()), rng=world.rng)
    mal.inject(wire.Publish(request=778, handshake=False, data=data))
    world.run(STRANDED_S + 0.5)
    now = int(world.at.unix)
    packages = [parse_key_package(p, now=now) for p in stranger.knocks_heard()]
    package = next(p for p in packages if p.identity == target.me.credential)
    forked = fork.group.commit(
        add=[package], remove=[target.leaf], psk=[PSK_ID], psks=mal.me.psks, rng=world.rng, now=now
    )
    commit(mal, forked, to=[target.connection])
    assert "policy_change" in [event.code for event in target.of(Failed)]
    world.run(FALSE_ALARM_S + DEAF_S)
    assert ann.hosts == ["Ann"]
    assert ann.code == ben.code
    still_usable(world, [ann, ben])


class Side:
    """A membership as `check_way_back` sees it."""

    def __init__(
        self,
        guest: Guest,
        policy: Policy,
        *,
        later: int = 0,
        by: bytes | None = None,
        sure: frozenset[bytes] | None = None,
    ) -> None:
        self.group_id = guest.membership.group_id
        self.epoch = guest.membership.epoch + later
        self.own_leaf = guest.leaf
        self.roster = guest.membership.roster
        self.policy = policy
        self.sure_hosts = policy.hosts if sure is None else sure
        self.welcomed_by = by


def test_a_policy_that_changed_unseen_is_believed_of_a_host_or_of_a_successor_to_hosts_who_are_gone() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    old = ben.membership.policy
    handed = replace(old, hosts=frozenset({key(cyd)}), locked=True)
    succeeded = old.with_host(key(cyd), set())

    def allowed(policy: Policy, by: Guest, *gone: Guest, went_on: bool = False, sure: bool = True) -> bool:
        before = Side(ben, old, sure=None if sure else frozenset())
        after = Side(ben, policy, later=1, by=key(by))
        leaves = {guest.leaf for guest in gone}
        try:
            check_way_back(before, after, gone=leaves.__contains__, room_went_on=went_on)
        except CommitForbidden as error:
            assert error.code == "policy_change"
            return False
        return True

    assert allowed(old, cyd)
    assert allowed(handed, ann)
    assert not allowed(handed, cyd)
    assert not allowed(succeeded, cyd)
    assert allowed(succeeded, cyd, ann)
    assert allowed(handed, cyd, ann)
    assert not allowed(succeeded, ben, ann)  # Ben is no host of the new policy
    assert allowed(succeeded, cyd, sure=False)  # a successor whom nobody has heard is no host to defend
    assert allowed(handed, cyd, went_on=True)
    assert not allowed(HOSTLESS, cyd, went_on=True)


def test_a_group_whose_hosts_are_all_missing_is_not_joined() -> None:
    world = World()
    stranger = world.stranger()
    ben = world.guest("Ben")
    world.run(0.1)
    eve = Guest(world, Identity.create("Eve", world.rng), creator=True)
    own = Membership.create(eve.me, world.at, host=True)
    now = int(world.at.unix)
    [package] = [parse_key_package(p, now=now) for p in stranger.knocks_heard()]
    gone = Policy(hosts=frozenset({bytes(32)}))
    trap = own.commit(add=[package], remove=[], policy=gone, at=world.at)
    stranger.say(
        wire.Commit(
            request=1,
            after=stranger.last_commit,
            data=trap.commit,
            welcome=trap.welcome or b"",
            welcome_to=[ben.connection],
        )
    )
    world.run(0.5)
    assert [event.code for event in ben.of(Failed)] == ["policy"]
    assert not ben.is_member


def test_a_right_that_was_just_taken_away_is_no_right() -> None:
    """Cyd was host until this epoch: what it sealed before is refused, and so is what it makes now."""
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.hand_over(cyd, stay=True)
    world.run(1.0)
    late = make(cyd, policy=replace(cyd.membership.policy, locked=True))
    cyd.tamper = lambda message: []
    ann.kick(ben)
    world.run(1.0)
    assert ben.finished == "removed"
    ann.take()
    commit(cyd, late)
    assert refused(ann) == ["wrong_epoch"]
    assert [type(event) for event in ann.take()] == [CommitRefused]
