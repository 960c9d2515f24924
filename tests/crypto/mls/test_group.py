"""What a call relies on when it uses a group as it should."""

from __future__ import annotations

import pytest

from tests.crypto.mls.people import LINK, NOW, PSKS, Person, person, room, seeded
from tuiconf.crypto.mls import (
    POLICY_EXTENSION,
    ContentType,
    Group,
    GroupContextExtensions,
    Member,
    MlsError,
    ProposalReceived,
    Remove,
    Staged,
    Update,
    WireFormat,
    new_key_package,
    parse_key_package,
    peek,
)
from tuiconf.crypto.mls.group import MAX_PROPOSALS, PAST_EPOCH_S, PAST_EPOCHS
from tuiconf.errors import LocalProtocolError


def commit(by: Person, **wanted: object) -> Staged:
    return by.group.commit(psks=PSKS, rng=by.rng, now=NOW, **wanted)  # type: ignore[arg-type]


def heard(result: object) -> ProposalReceived:
    assert isinstance(result, ProposalReceived)
    return result


def names(somebody: Person) -> list[bytes]:
    return [member.identity for member in somebody.group.members()]


# --- who is in it


def test_members_are_in_the_order_of_their_leaves() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    assert names(bob) == [b"Alice", b"Bob", b"Carol"]
    assert [p.group.own_leaf for p in found.people] == [0, 1, 2]
    assert carol.group.member(1) == bob.group.members()[1]
    assert carol.group.member(3) is None
    assert alice.group.member(1 << 40) is None
    assert bob.group.group_id == b"a room"
    assert bob.group.extensions == {POLICY_EXTENSION: b"policy"}


def test_a_key_package_tells_who_it_is_of() -> None:
    carol = person("Carol")
    bundle = carol.new_bundle()
    package = parse_key_package(bundle.key_package, now=NOW)
    assert (package.identity, package.ref) == (b"Carol", bundle.ref)
    assert len(package.signature_key) == 32


def test_several_newcomers_share_one_commit_and_one_welcome() -> None:
    found = room("Alice")
    found.add(*map(person, ("Bob", "Carol", "Dave", "Eve")))
    assert found.agree()
    assert found.people[0].group.epoch == 1


def test_a_place_that_was_left_is_taken_by_the_next() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, _ = found.people
    found.take_up(alice, commit(alice, remove=[bob.group.own_leaf]))
    found.add(person("Dave"))
    assert names(alice) == [b"Alice", b"Dave", b"Carol"]
    assert found.agree()


def test_somebody_who_left_can_come_back_with_the_same_identity_in_the_same_commit() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, _ = found.people
    leaf = bob.group.own_leaf
    staged = commit(alice, remove=[leaf], add=[bob.offer()], psk=[LINK])
    found.take_up(alice, staged, [bob])
    assert found.agree()
    assert [gone.member.identity for gone in staged.changes.removed] == [b"Bob"]
    assert [new.member.leaf for new in staged.changes.added] == [leaf]


# --- epochs


def test_exported_secrets_agree_between_members_and_differ_between_labels_contexts_and_epochs() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    exports = set()
    for _ in range(2):
        for label, context in (("SFrame 1.0 Base Key", b""), ("other", b""), ("other", b"context")):
            secret = alice.group.export(label, context, 16)
            assert bob.group.export(label, context, 16) == secret
            exports.add(secret)
        found.take_up(alice, commit(alice))
    assert len(exports) == 6


def test_a_commit_changes_nothing_until_it_is_merged() -> None:
    alice, bob = room("Alice", "Bob").people
    before = alice.group.epoch_authenticator
    staged = commit(alice)
    assert (alice.group.epoch, alice.group.epoch_authenticator) == (1, before)
    assert bob.hear_text(alice.say(b"still here")).epoch == 1
    theirs = bob.hear_commit(staged.commit)
    assert (bob.group.epoch, bob.group.epoch_authenticator) == (1, before)
    assert theirs.epoch == staged.epoch == 2
    assert theirs.merge().epoch_authenticator == staged.merge().epoch_authenticator != before


def test_a_commit_that_lost_the_race_is_thrown_away_and_made_again() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, _ = found.people
    lost = commit(bob, remove=[2])
    found.take_up(alice, commit(alice))
    assert bob.group.epoch == 2
    with pytest.raises(LocalProtocolError):
        lost.merge()
    with pytest.raises(MlsError) as caught:
        alice.hear(lost.commit)
    assert caught.value.code == "wrong_epoch"
    found.take_up(bob, commit(bob, remove=[2]))
    assert found.agree()
    assert names(alice) == [b"Alice", b"Bob"]


def test_an_epoch_that_is_over_cannot_be_used() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    old, message = alice.group, bob.say(b"hello")
    found.take_up(alice, commit(alice))
    for attempt in (
        lambda: old.protect(b"late", rng=alice.rng),
        lambda: old.process(message, psks={}, now=NOW),
        lambda: old.commit(psks={}, rng=alice.rng, now=NOW),
        lambda: old.export("label", b"", 16),
    ):
        with pytest.raises(LocalProtocolError):
            attempt()


def test_a_commit_that_policy_refuses_can_be_left_and_the_epoch_goes_on() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    refused = bob.hear_commit(commit(alice, remove=[2]).commit)
    assert refused.changes.removed
    assert carol.hear_text(bob.say(b"no")).data == b"no"
    found.take_up(carol, commit(carol))
    assert found.agree()


def test_a_commit_with_a_path_where_none_is_needed_gives_new_keys() -> None:
    found = room("Alice", "Bob")
    alice = found.people[0]
    without = commit(alice, psk=[LINK])
    assert without.changes.updated == ()
    with_path = commit(alice, psk=[LINK], with_path=True)
    assert [change.after.leaf for change in with_path.changes.updated] == [0]
    assert all(change.before == change.after for change in with_path.changes.updated)
    found.take_up(alice, with_path)
    assert found.agree()
    with pytest.raises(LocalProtocolError):
        commit(alice, remove=[1], with_path=False)


def test_commits_and_proposals_can_be_public() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    alice.hear(bob.group.propose_update(public=True, rng=bob.rng))
    staged = commit(alice, public=True)
    header = peek(staged.commit)
    assert (header.wire_format, header.content_type) == (WireFormat.PUBLIC, ContentType.COMMIT)
    found.take_up(alice, staged)
    assert found.agree()


def test_a_group_of_one_can_go_on() -> None:
    alice = room("Alice").people[0]
    after = commit(alice).merge()
    assert after.epoch == 1
    assert [member.identity for member in after.members()] == [b"Alice"]


# --- proposals and what a commit tells of itself


def test_members_leave_by_asking_the_others_to_remove_them() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    message = carol.group.propose_remove(carol.group.own_leaf, rng=carol.rng)
    received = [heard(other.hear(message)) for other in (alice, bob)]
    assert {(r.sender_leaf, r.proposal) for r in received} == {(2, Remove(2))}
    assert len({r.ref for r in received}) == 1
    staged = commit(alice)
    for changes in (staged.changes, bob.hear_commit(staged.commit).changes):
        (gone,) = changes.removed
        assert (gone.member.identity, gone.proposer, gone.by_reference) == (b"Carol", 2, True)
    found.take_up(alice, staged)
    assert found.people == [alice, bob]
    assert found.agree()


def test_a_remove_by_the_committer_is_told_from_one_that_was_asked_for() -> None:
    alice, bob, _ = room("Alice", "Bob", "Carol").people
    (gone,) = bob.hear_commit(commit(alice, remove=[2]).commit).changes.removed
    assert (gone.member.leaf, gone.proposer, gone.by_reference) == (2, 0, False)


def test_added_members_extensions_and_psks_are_told() -> None:
    alice, bob = room("Alice", "Bob").people
    package = person("Carol").offer()
    staged = commit(alice, add=[package], psk=[LINK], extensions={POLICY_EXTENSION: b"new"})
    seen = bob.hear_commit(staged.commit)
    assert seen.committer == 0
    (new,) = seen.changes.added
    assert new.member == Member(leaf=2, identity=b"Carol", signature_key=package.signature_key)
    assert new.key_package_ref == package.ref
    assert seen.changes.extensions is not None
    assert (seen.changes.extensions.old, seen.changes.extensions.new) == (
        {POLICY_EXTENSION: b"policy"},
        {POLICY_EXTENSION: b"new"},
    )
    assert seen.changes.psk_ids == (LINK,)
    assert bob.group.extensions == {POLICY_EXTENSION: b"policy"}
    assert seen.merge().extensions == {POLICY_EXTENSION: b"new"}


def test_the_conference_chooses_which_proposals_a_commit_takes_up() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    messages = [
        bob.group.propose_remove(2, rng=bob.rng),
        carol.group.propose_update(rng=carol.rng),
        bob.group.propose_extensions({POLICY_EXTENSION: b"mine"}, rng=bob.rng),
    ]
    refs = [heard(alice.hear(message)).ref for message in messages]
    carol.hear(messages[0])
    carol.hear(messages[2])
    bob.hear(messages[1])
    assert [p.ref for p in alice.group.proposals] == refs
    chosen = commit(alice, refs=[refs[1]])
    assert not chosen.changes.removed
    assert [change.after.leaf for change in chosen.changes.updated] == [2, 0]
    assert chosen.changes.extensions is None
    everything = commit(alice)
    assert everything.changes.removed, "a remove wins over the update of the same member"
    assert [change.after.leaf for change in everything.changes.updated] == [0]
    none = commit(alice, refs=[])
    assert not none.changes.removed
    with pytest.raises(LocalProtocolError):
        commit(alice, refs=[bytes(32)])
    with pytest.raises(LocalProtocolError):
        commit(alice, refs=[refs[0], refs[1]])
    found.take_up(alice, chosen)
    assert found.agree()
    assert alice.group.proposals == (), "proposals are of one epoch"


def test_a_forgotten_proposal_is_not_taken_up() -> None:
    alice, bob, _ = room("Alice", "Bob", "Carol").people
    received = heard(alice.hear(bob.group.propose_remove(2, rng=bob.rng)))
    alice.group.forget_proposal(received.ref)
    assert not commit(alice).changes.removed


def test_own_proposals_are_inlined_so_that_nobody_must_have_seen_them() -> None:
    found = room("Alice", "Bob", "Carol")
    alice = found.people[0]
    alice.group.propose_remove(2, rng=alice.rng)  # and never delivered
    alice.group.propose_update(rng=alice.rng)  # of no use to its own committer
    alice.group.propose_psk(LINK, rng=alice.rng)
    found.take_up(alice, commit(alice))
    assert found.agree()
    assert names(alice) == [b"Alice", b"Bob"]


def test_proposals_that_do_not_go_together_do_not_stop_a_commit() -> None:
    found = room("Alice", "Bob", "Carol", "Dave")
    alice, bob, carol, dave = found.people
    newcomer = person("Eve")
    package = newcomer.offer()
    messages = [
        (bob, bob.group.propose_remove(2, rng=bob.rng)),
        (dave, dave.group.propose_remove(2, rng=dave.rng)),
        (bob, bob.group.propose_add(package, rng=bob.rng, now=NOW)),
        (dave, dave.group.propose_add(package, rng=dave.rng, now=NOW)),
        (bob, bob.group.propose_remove(0, rng=bob.rng)),
        (bob, bob.group.propose_extensions({POLICY_EXTENSION: b"1"}, rng=bob.rng)),
        (dave, dave.group.propose_extensions({POLICY_EXTENSION: b"2"}, rng=dave.rng)),
        (dave, dave.group.propose_extensions({0xF0F0: b"nobody knows this"}, rng=dave.rng)),
        (bob, bob.group.propose_psk(LINK, rng=bob.rng)),
    ]
    for sender, message in messages:
        for other in found.people:
            if other is not sender:
                heard(other.hear(message))
    staged = commit(alice)
    assert [gone.member.identity for gone in staged.changes.removed] == [b"Carol"]
    assert [new.member.identity for new in staged.changes.added] == [b"Eve"]
    assert staged.changes.psk_ids == (LINK,)
    found.take_up(alice, staged, [newcomer])
    assert found.agree()
    assert carol not in found.people
    assert alice.group.extensions == {POLICY_EXTENSION: b"1"}


def test_what_contradicts_itself_is_our_own_mistake() -> None:
    alice = room("Alice", "Bob").people[0]
    for wanted in ({"remove": [0]}, {"remove": [1, 1]}, {"remove": [2]}, {"remove": [-1]}, {"remove": [1 << 40]}):
        with pytest.raises(LocalProtocolError):
            commit(alice, **wanted)
    with pytest.raises(LocalProtocolError):
        alice.group.propose_remove(5, rng=alice.rng)


def test_there_are_only_so_many_proposals_in_an_epoch() -> None:
    alice, bob = room("Alice", "Bob").people
    for _ in range(MAX_PROPOSALS):
        alice.hear(bob.group.propose_psk(LINK, rng=bob.rng))
        bob.group.forget_proposal(bob.group.proposals[0].ref)
    with pytest.raises(MlsError) as caught:
        alice.hear(bob.group.propose_psk(LINK, rng=bob.rng))
    assert caught.value.code == "limit"
    assert alice.hear_text(bob.say(b"hello")).data == b"hello"


def test_update_and_extension_proposals_are_readable_by_the_policy() -> None:
    alice, bob = room("Alice", "Bob").people
    update = heard(alice.hear(bob.group.propose_update(rng=bob.rng)))
    assert isinstance(update.proposal, Update)
    changed = heard(alice.hear(bob.group.propose_extensions({POLICY_EXTENSION: b"x"}, rng=bob.rng)))
    assert changed.proposal == GroupContextExtensions({POLICY_EXTENSION: b"x"})


# --- application messages


def test_a_message_arrives_with_its_sender_and_authenticated_data() -> None:
    alice, bob, carol = room("Alice", "Bob", "Carol").people
    message = bob.group.protect(b"hello", authenticated_data=b"kind: chat", rng=bob.rng)
    for other in (alice, carol):
        said = other.hear_text(message)
        assert (said.sender_leaf, said.data, said.authenticated_data) == (1, b"hello", b"kind: chat")
    header = peek(message)
    assert (header.group_id, header.epoch, header.content_type, header.wire_format) == (
        b"a room",
        1,
        ContentType.APPLICATION,
        WireFormat.PRIVATE,
    )


def test_messages_may_come_in_another_order() -> None:
    alice, bob = room("Alice", "Bob").people
    messages = [alice.say(b"%d" % number) for number in range(5)]
    assert [bob.hear_text(messages[i]).data for i in (3, 0, 4, 1, 2)] == [b"3", b"0", b"4", b"1", b"2"]


def test_lengths_are_hidden_to_64_bytes() -> None:
    alice = room("Alice", "Bob").people[0]
    sizes = {len(alice.say(b"x" * length)) for length in range(200)}
    assert len(sizes) <= 5


def test_a_message_sent_just_before_a_commit_opens_just_after_it() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    messages = [alice.say(b"before"), alice.say(b"before, too late"), alice.say(b"never")]
    proposal = alice.group.propose_update(rng=alice.rng)
    found.take_up(bob, commit(bob))
    said = bob.hear_text(messages[0])
    assert (said.data, said.epoch, bob.group.epoch) == (b"before", 1, 2)
    codes = []
    for message, now in ((messages[0], NOW), (proposal, NOW), (messages[1], NOW + PAST_EPOCH_S)):
        with pytest.raises(MlsError) as caught:
            bob.hear(message, now=now)
        codes.append(caught.value.code)
    assert codes == ["replayed", "wrong_epoch", "wrong_epoch"]
    with pytest.raises(MlsError):
        bob.hear(messages[2])  # an epoch that was dropped does not come back with an earlier clock


def test_only_a_few_past_epochs_are_kept() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    messages = []
    for number in range(PAST_EPOCHS + 1):
        messages.append(alice.say(b"in epoch %d" % number))
        found.take_up(bob, commit(bob))
    with pytest.raises(MlsError):
        bob.hear(messages[0])
    assert [bob.hear_text(message).data for message in messages[1:]] == [b"in epoch 1", b"in epoch 2", b"in epoch 3"]


# --- secrets stay inside


def test_no_repr_shows_a_name_or_a_key() -> None:
    found = room("Alice", "Bob")
    alice = found.people[0]
    bundle = person("Carol").new_bundle()
    package = parse_key_package(bundle.key_package, now=NOW)
    staged = commit(alice, add=[package])
    shown = repr((alice.group, bundle, package, staged, staged.changes, alice.group.members(), package.leaf_node))
    shown += repr((staged.changes.added[0], peek(staged.commit), alice.group._state, alice.group._state.secrets))
    for secret in ("Alice", "Carol", package.signature_key.hex()[:8], repr(package.signature_key)[2:10], "b'"):
        assert secret not in shown


def test_an_identity_has_a_longest_length() -> None:
    longest = new_key_package(bytes(32), bytes(4096), rng=seeded(1), now=NOW, lifetime_s=60)
    assert parse_key_package(longest.key_package, now=NOW).identity == bytes(4096)
    with pytest.raises(LocalProtocolError):
        new_key_package(bytes(32), bytes(4097), rng=seeded(1), now=NOW, lifetime_s=60)


def test_the_same_random_source_gives_the_same_group() -> None:
    first, second = (
        Group.create(b"id", bytes(31) + b"\x01", b"A", rng=seeded(7), now=NOW).epoch_authenticator for _ in range(2)
    )
    assert first == second


def test_a_key_package_of_another_signing_key_cannot_be_used() -> None:
    alice, bob = room("Alice").people[0], person("Bob")
    staged = commit(alice, add=[bob.offer()])
    assert staged.welcome is not None
    assert bob.bundle is not None
    with pytest.raises(LocalProtocolError):
        Group.join(staged.welcome, bob.bundle, alice.signing_key, psks={}, now=NOW)


def test_a_client_lists_the_extensions_it_understands() -> None:
    dave = person("Dave")
    bundle = new_key_package(
        dave.signing_key, b"Dave", rng=dave.rng, now=NOW, lifetime_s=60, extension_types=[0xF001, 0xF002]
    )
    package = parse_key_package(bundle.key_package, now=NOW)
    assert package.leaf_node.capabilities.extensions == (0xF001, 0xF002)


def test_a_group_knows_whether_a_key_package_is_in_it() -> None:
    found = room("Alice")
    alice, bob = found.people[0], person("Bob")
    package, other = bob.offer(), person("Carol").offer()
    staged = commit(alice, add=[package], psk=[LINK])
    assert not alice.group.holds(package)
    found.take_up(alice, staged, [bob])
    assert [p.group.holds(package) for p in found.people] == [True, True]
    assert not alice.group.holds(other)
