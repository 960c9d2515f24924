"""Each attack is made in earnest, and fails with the one error type while the group goes on as before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crypto.mls import attacker
from tests.crypto.mls.people import LINK, NOW, PSKS, Person, Room, person, room
from tuiconf.crypto.mls import (
    Add,
    ContentType,
    Group,
    KeyPackage,
    MlsError,
    PreSharedKey,
    Remove,
    Staged,
    Update,
    WireFormat,
    new_key_package,
    parse_key_package,
)
from tuiconf.crypto.mls.codec import opaque, u8, u16, u32, u64
from tuiconf.crypto.mls.framing import MessageEpoch
from tuiconf.crypto.mls.messages import AuthenticatedContent, Commit, UpdatePath, encode_proposal
from tuiconf.crypto.mls.schedule import ExternalPsk, ResumptionPsk
from tuiconf.crypto.mls.secret_tree import Ratchet, RatchetKind
from tuiconf.errors import LocalProtocolError, RemoteProtocolError


def refused(code: str, attempt: Callable[[], object]) -> None:
    """The attempt lets out `MlsError` with this code and nothing else."""
    with pytest.raises(MlsError) as caught:
        attempt()
    assert isinstance(caught.value, RemoteProtocolError)
    assert caught.value.code == code


def refused_by(victim: Person, code: str, message: bytes, *others: Person) -> None:
    """The victim refuses the message, has not changed, and still talks with the others and goes on with them."""
    before = attacker.unchanged(victim.group)
    refused(code, lambda: victim.hear(message))
    assert attacker.unchanged(victim.group) == before
    for other in others:
        assert victim.hear_text(other.say(b"still here")).data == b"still here"
        assert other.hear_text(victim.say(b"so am I")).data == b"so am I"


# --- Welcomes


def test_an_outsider_who_knows_only_a_key_package_cannot_welcome_its_owner() -> None:
    outsider, victim = room("Mallory").people[0], person("Bob")
    package = victim.offer()
    fake = outsider.group.commit(add=[package], psks={}, rng=outsider.rng, now=NOW)
    refused("missing_psk", lambda: victim.join(fake.welcome))


def test_an_outsider_who_names_the_link_but_does_not_know_it_cannot_welcome_anybody() -> None:
    outsider, victim = room("Mallory").people[0], person("Bob")
    guess = {LINK: b"guessed".ljust(32)}
    fake = outsider.group.commit(add=[victim.offer()], psk=[LINK], psks=guess, rng=outsider.rng, now=NOW)
    refused("decryption", lambda: victim.join(fake.welcome))
    found = room("Alice")
    found.add(victim)  # the forgery has not used up the key package: a new one is not needed
    assert found.agree()


def test_a_refused_welcome_leaves_the_key_package_good_for_the_right_one() -> None:
    outsider, host, victim = room("Mallory").people[0], room("Alice").people[0], person("Bob")
    package = victim.offer()
    fake = outsider.group.commit(add=[package], psks={}, rng=outsider.rng, now=NOW)
    right = host.group.commit(add=[package], psk=[LINK], psks=PSKS, rng=host.rng, now=NOW)
    refused("missing_psk", lambda: victim.join(fake.welcome))
    victim.join(right.welcome)
    assert victim.group.epoch_authenticator == right.merge().epoch_authenticator


def test_a_group_info_signed_by_a_non_member_is_refused() -> None:
    alice, victim = room("Alice").people[0], person("Bob")
    assert victim.offer()
    bundle = victim.bundle
    assert bundle is not None
    package = parse_key_package(bundle.key_package, now=NOW)
    made = attacker.commit_anything(alice, Add(package), info_key=person("Mallory").signing_key)
    refused(
        "signature",
        lambda: Group.join(made.welcome or b"", bundle, victim.signing_key, psks={}, now=NOW),
    )


def test_a_welcome_for_someone_else_is_refused() -> None:
    alice, victim = room("Alice").people[0], person("Bob")
    staged = alice.group.commit(add=[person("Carol").offer()], psk=[LINK], psks=PSKS, rng=alice.rng, now=NOW)
    victim.new_bundle()
    refused("not_for_us", lambda: victim.join(staged.welcome))


def test_a_welcome_with_another_tree_is_refused() -> None:
    alice, victim = room("Alice").people[0], person("Bob")
    staged = alice.group.commit(add=[victim.offer()], psks={}, rng=alice.rng, now=NOW, tree_in_welcome=False)
    assert staged.welcome is not None
    assert victim.bundle is not None
    welcome, bundle = staged.welcome, victim.bundle
    other = room("Alice", "Carol").people[0].group.ratchet_tree

    def join(tree: bytes | None) -> Group:
        return Group.join(welcome, bundle, victim.signing_key, psks={}, ratchet_tree=tree, now=NOW)

    refused("invalid_tree", lambda: join(other))
    refused("invalid_tree", lambda: join(None))
    after = staged.merge()
    assert join(after.ratchet_tree).epoch_authenticator == after.epoch_authenticator


# --- key packages


def test_an_add_with_a_bad_key_package_signature_inlined_in_a_commit_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    package = attacker.with_bad_signature(person("Carol").offer())
    refused_by(bob, "signature", attacker.commit_anything(alice, Add(package)).commit, alice)


def test_an_add_with_a_bad_leaf_signature_inlined_in_a_commit_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    carol = person("Carol")
    package = attacker.with_bad_leaf_signature(carol.offer(), carol.signing_key)
    refused_by(bob, "signature", attacker.commit_anything(alice, Add(package)).commit, alice)


def test_a_key_package_with_a_bad_signature_is_refused_at_the_door() -> None:
    carol = person("Carol")
    data = carol.new_bundle().key_package
    refused("signature", lambda: parse_key_package(data[:-1] + bytes((data[-1] ^ 1,)), now=NOW))


def test_an_expired_key_package_is_refused_at_the_door_and_in_a_commit() -> None:
    alice, bob = room("Alice", "Bob").people
    data = person("Carol").new_bundle(lifetime_s=600).key_package
    package = parse_key_package(data, now=NOW)
    late = NOW + 600 + 3601
    refused("lifetime", lambda: parse_key_package(data, now=late))
    refused("lifetime", lambda: parse_key_package(data, now=NOW - 3601))
    refused("lifetime", lambda: alice.group.commit(add=[package], psks={}, rng=alice.rng, now=late))
    commit = attacker.commit_anything(alice, Add(package)).commit
    refused("lifetime", lambda: bob.hear(commit, now=late))
    assert bob.hear_commit(commit, now=NOW).changes.added


def test_a_key_package_that_is_valid_for_too_long_is_refused() -> None:
    carol = person("Carol")
    with pytest.raises(LocalProtocolError):
        new_key_package(carol.signing_key, b"Carol", rng=carol.rng, now=NOW, lifetime_s=8 * 86400)


def test_a_key_package_is_used_once() -> None:
    found = room("Alice", "Bob")
    alice, carol = found.people[0], person("Carol")
    package = carol.offer()
    bundle = carol.bundle
    assert bundle is not None
    staged = alice.group.commit(add=[package], psk=[LINK], psks=PSKS, rng=alice.rng, now=NOW)
    found.take_up(alice, staged, [carol])
    refused("not_for_us", lambda: carol.join(staged.welcome))  # whoever can send one Welcome can send two
    with pytest.raises(LocalProtocolError):
        _ = bundle.private
    refused("duplicate_key", lambda: alice.group.commit(add=[package], psks={}, rng=alice.rng, now=NOW))
    commit = attacker.commit_anything
    refused("duplicate_key", lambda: commit(alice, Add(package)))  # she is still there: nobody can add her again
    out = alice.group.commit(remove=[carol.group.own_leaf], psks={}, rng=alice.rng, now=NOW)
    found.take_up(alice, out)
    refused("duplicate_key", lambda: alice.group.commit(add=[package], psks={}, rng=alice.rng, now=NOW))


def carol_has_gone() -> tuple[Room, KeyPackage]:
    """A room of Alice and Bob that Carol was in, and the key package she came by."""
    found = room("Alice", "Bob")
    alice, carol = found.people[0], person("Carol")
    found.add(carol)
    found.take_up(alice, alice.group.commit(remove=[carol.group.own_leaf], psks={}, rng=alice.rng, now=NOW))
    assert carol.bundle is not None
    return found, parse_key_package(carol.bundle.key_package, now=NOW)


def test_a_used_key_package_played_back_in_a_commit_is_refused_when_its_member_has_gone() -> None:
    found, package = carol_has_gone()
    alice, bob = found.people
    for with_path in (False, True):
        made = attacker.commit_anything(alice, Add(package), with_path=with_path)
        refused_by(bob, "duplicate_key", made.commit, alice)
    found.add(person("Dave"), by=bob)
    assert found.agree()


def test_a_used_key_package_played_back_in_a_proposal_is_refused_and_cannot_be_committed() -> None:
    found, package = carol_has_gone()
    alice, bob = found.people
    content = attacker.framed(alice, ContentType.PROPOSAL, encode_proposal(Add(package)))
    for message in (attacker.send_private(alice, content), attacker.send_public(alice, content)):
        refused_by(bob, "duplicate_key", message, alice)
        assert bob.group.proposals == ()


def test_a_used_key_package_does_not_throw_out_a_member_whose_keys_are_others_by_now() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    assert carol.bundle is not None
    package = parse_key_package(carol.bundle.key_package, now=NOW)
    found.take_up(carol, carol.group.commit(psks={}, rng=carol.rng, now=NOW))
    assert not bob.group.holds(package)
    swap = Remove(carol.group.own_leaf), Add(package)
    refused_by(bob, "duplicate_key", attacker.commit_anything(alice, *swap, with_path=True).commit, alice, carol)


def test_those_who_came_later_know_which_key_packages_were_used_before() -> None:
    found, package = carol_has_gone()
    alice, dave, eve = found.people[0], person("Dave"), person("Eve")
    found.add(dave)
    found.add(eve, by=dave)
    for victim in found.people[1:]:
        refused_by(victim, "duplicate_key", attacker.commit_anything(alice, Add(package)).commit, alice)
        refused("duplicate_key", lambda victim=victim: commit_of(victim, package))  # type: ignore[misc]


def test_somebody_who_was_there_comes_back_with_a_fresh_key_package() -> None:
    found, _ = carol_has_gone()
    alice, bob = found.people
    carol = person("Carol")
    carol.rng(1000)  # not the keys she had
    staged = commit_of(alice, carol.offer())
    # What two members heard at once, and what is heard once more while catching up, is no second use.
    lost = commit_of(bob, parse_key_package(carol.new_bundle().key_package, now=NOW))
    assert bob.hear_commit(staged.commit).epoch == bob.hear_commit(staged.commit).epoch == staged.epoch == lost.epoch
    bob.inside, alice.inside = bob.hear_commit(staged.commit).merge(), staged.merge()
    assert found.agree()


def commit_of(somebody: Person, package: KeyPackage) -> Staged:
    return somebody.group.commit(add=[package], psks={}, rng=somebody.rng, now=NOW)


def test_a_member_cannot_be_added_twice() -> None:
    alice, bob = room("Alice", "Bob").people
    again = bob.offer()
    refused("duplicate_key", lambda: alice.group.commit(add=[again], psks={}, rng=alice.rng, now=NOW))


# --- application messages


def test_an_application_message_without_a_signature_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    refused_by(bob, "signature", attacker.send_unsigned(alice, b"hello"), alice)


def test_an_application_message_with_another_members_signature_is_refused() -> None:
    alice, bob, carol = room("Alice", "Bob", "Carol").people
    content = attacker.framed(alice, ContentType.APPLICATION, opaque(b"hello"))
    refused_by(bob, "signature", attacker.send_private(alice, content, signing_key=carol.signing_key), alice, carol)


def test_a_member_cannot_speak_in_another_members_name() -> None:
    alice, bob, carol = room("Alice", "Bob", "Carol").people
    content = attacker.framed(alice, ContentType.APPLICATION, opaque(b"hello"), sender=carol.group.own_leaf)
    refused_by(bob, "signature", attacker.send_private(alice, content), alice, carol)


def test_a_member_cannot_speak_in_the_name_of_an_empty_place() -> None:
    alice, bob, carol = room("Alice", "Bob", "Carol").people
    content = attacker.framed(alice, ContentType.APPLICATION, opaque(b"hello"), sender=3)
    refused_by(bob, "signature", attacker.send_private(alice, content), alice, carol)


def test_a_place_beyond_the_tree_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    state = attacker.state_of(alice)
    wide = MessageEpoch(state.context, state.tree, state.messages.sender_data_secret, _Wide())
    content = attacker.framed(alice, ContentType.APPLICATION, opaque(b"hello"), sender=1 << 31)

    message = wide.seal_private(wide.sign(content, WireFormat.PRIVATE, alice.signing_key), rng=alice.rng)
    refused_by(bob, "signature", message, alice)


class _Wide(attacker.SecretTree):
    """Has a key for every place."""

    def __init__(self) -> None:
        super().__init__(1, bytes(32))

    def _take_leaf_secret(self, leaf: int) -> bytes:
        return bytes(32)


def test_a_replayed_ciphertext_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    message = alice.say(b"once")
    assert bob.hear_text(message).data == b"once"
    refused_by(bob, "replayed", message, alice)


def test_a_replayed_proposal_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    message = alice.group.propose_update(rng=alice.rng)
    bob.hear(message)
    refused_by(bob, "replayed", message, alice)


def test_a_forgery_does_not_use_up_the_key_of_the_real_message() -> None:
    alice, bob = room("Alice", "Bob").people
    message = alice.say(b"real")
    refused("decryption", lambda: bob.hear(message[:-1] + bytes((message[-1] ^ 1,))))
    assert bob.hear_text(message).data == b"real"


def test_generation_2_to_the_32_minus_1_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    ratchets, kind = attacker.state_of(alice).messages.ratchets, RatchetKind.APPLICATION
    _, honest = ratchets.find(alice.group.own_leaf, kind, 0)
    ratchets.use(alice.group.own_leaf, kind, Ratchet(bytes(32), (1 << 32) - 1))
    message = alice.say(b"far ahead")
    refused("limit", lambda: bob.hear(message))
    with pytest.raises(LocalProtocolError):
        alice.say(b"beyond")
    ratchets.use(alice.group.own_leaf, kind, honest)
    assert bob.hear_text(alice.say(b"back")).data == b"back"


def test_application_data_in_clear_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    message = attacker.send_public(alice, attacker.framed(alice, ContentType.APPLICATION, opaque(b"hello")))
    refused_by(bob, "malformed", message, alice)


def test_padding_that_is_not_zero_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people

    messages = attacker.state_of(alice).messages
    content = attacker.framed(alice, ContentType.APPLICATION, opaque(b"hello"))

    signed = messages.sign(content, WireFormat.PRIVATE, alice.signing_key)

    class Dirtier(AuthenticatedContent):
        """Its signature is followed by something."""

        def auth_data(self) -> bytes:
            return super().auth_data() + b"\x01"

    dirty = Dirtier(
        wire_format=signed.wire_format, framed=signed.framed, signature=signed.signature, confirmation_tag=b""
    )
    refused_by(bob, "malformed", messages.seal_private(dirty, rng=alice.rng), alice)


# --- commits


def test_a_commit_with_a_wrong_confirmation_tag_leaves_the_old_epoch_intact_and_usable() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    staged = alice.group.commit(public=True, psks={}, rng=alice.rng, now=NOW)
    for tag in (bytes(32), b"", b"x"):
        refused_by(bob, "confirmation_tag", attacker.commit_with_tag(alice, staged.commit, tag), alice)
    found.take_up(alice, staged)
    assert found.agree()


def test_a_commit_with_an_unknown_psk_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    psks = {b"secret": b"only Alice knows"}
    staged = alice.group.commit(psk=[b"secret"], psks=psks, rng=alice.rng, now=NOW)
    refused_by(bob, "unknown_psk", staged.commit, alice)
    refused("unknown_psk", lambda: alice.group.commit(psk=[b"other"], psks=psks, rng=alice.rng, now=NOW))


def test_a_commit_with_a_wrong_psk_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    staged = alice.group.commit(psk=[LINK], psks={LINK: b"another value"}, rng=alice.rng, now=NOW)
    refused_by(bob, "confirmation_tag", staged.commit, alice)


def test_an_outsider_cannot_make_a_public_message_without_the_membership_key() -> None:
    alice, bob = room("Alice", "Bob").people
    message = alice.group.propose_remove(0, public=True, rng=alice.rng)
    refused_by(bob, "membership_tag", message[:-1] + bytes((message[-1] ^ 1,)), alice)


def test_a_committer_cannot_remove_or_update_itself() -> None:
    alice, bob = room("Alice", "Bob").people
    own = alice.group.own_leaf
    for proposal in (Remove(own), Update(_update_leaf(alice))):
        commit = Commit((proposal,), None)
        content = attacker.framed(alice, ContentType.COMMIT, commit.encode())
        refused_by(bob, "invalid_proposals", attacker.send_public(alice, content, tag=bytes(32)), alice)


def _update_leaf(somebody: Person) -> attacker.LeafNode:
    state = attacker.state_of(somebody)
    public = attacker.hpke_derive_key_pair(somebody.rng(32))[1]
    return state.template.for_update(public, somebody.group.group_id, somebody.group.own_leaf)


def test_a_commit_that_needs_a_path_and_has_none_is_refused() -> None:
    alice, bob, carol = room("Alice", "Bob", "Carol").people
    made = attacker.commit_anything(alice, Remove(carol.group.own_leaf), with_path=False)
    refused_by(bob, "invalid_path", made.commit, alice, carol)
    made = attacker.commit_anything(alice, with_path=False)
    refused_by(bob, "invalid_path", made.commit, alice, carol)


def test_a_commit_that_removes_somebody_twice_or_nobody_is_refused() -> None:
    alice, bob, carol = room("Alice", "Bob", "Carol").people
    leaf = carol.group.own_leaf
    for proposals in ((Remove(leaf), Remove(leaf)), (Remove(3),), (Remove(1 << 31),)):
        content = attacker.framed(alice, ContentType.COMMIT, Commit(proposals, None).encode())
        refused_by(bob, "invalid_proposals", attacker.send_public(alice, content, tag=bytes(32)), alice, carol)


def test_a_commit_that_refers_to_an_unknown_proposal_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    content = attacker.framed(alice, ContentType.COMMIT, Commit((bytes(32),), None).encode())
    refused_by(bob, "unknown_proposal", attacker.send_public(alice, content, tag=bytes(32)), alice)


def test_a_path_that_does_not_fit_is_refused() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    staged = alice.group.commit(public=True, psks={}, rng=alice.rng, now=NOW)
    state = attacker.state_of(alice)
    commit = state.messages.open_public(staged.commit, state.secrets.membership_key).framed.content
    assert isinstance(commit, Commit)
    assert commit.path is not None
    short = UpdatePath(commit.path.leaf_node, commit.path.nodes[:-1])
    swapped = UpdatePath(commit.path.leaf_node, commit.path.nodes[::-1])
    for path in (short, swapped):
        content = attacker.framed(alice, ContentType.COMMIT, Commit((), path).encode())
        refused_by(bob, "invalid_path", attacker.send_public(alice, content, tag=bytes(32)), alice, carol)


def test_external_commits_external_proposals_reinit_and_external_init_are_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    reinit = u16(5) + opaque(b"new") + u16(1) + u16(1) + opaque(b"")
    external_init = u16(6) + opaque(bytes(32))
    for proposal in (reinit, external_init, u16(0xF00D) + opaque(b"")):
        alone = attacker.framed(alice, ContentType.PROPOSAL, proposal)
        refused_by(bob, "unsupported", attacker.send_private(alice, alone), alice)
        inlined = attacker.framed(alice, ContentType.COMMIT, opaque(u8(1) + proposal) + u8(0))
        refused_by(bob, "unsupported", attacker.send_public(alice, inlined, tag=bytes(32)), alice)
    group = alice.group
    for sender in (u8(2) + u32(0), u8(3), u8(4)):
        head = u16(1) + u16(1) + opaque(group.group_id) + u64(group.epoch) + sender + opaque(b"")
        external = head + u8(2) + encode_proposal(Remove(1)) + opaque(bytes(64))
        refused_by(bob, "unsupported", external, alice)


def test_messages_of_another_group_or_epoch_are_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    other = Group.create(b"another room", alice.signing_key, b"Alice", rng=alice.rng, now=NOW)
    refused_by(bob, "wrong_group", other.protect(b"hello", rng=alice.rng), alice)
    ahead = alice.group.commit(psks={}, rng=alice.rng, now=NOW).merge()
    refused("wrong_epoch", lambda: bob.hear(ahead.protect(b"too early", rng=alice.rng)))


def test_a_removed_member_cannot_open_the_next_epoch() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    staged = alice.group.commit(remove=[bob.group.own_leaf], psks={}, rng=alice.rng, now=NOW)
    found.take_up(alice, staged)
    assert found.people == [alice, carol]
    assert found.agree()
    message = alice.say(b"Bob has gone")
    refused("wrong_epoch", lambda: bob.hear(message))
    theirs = bob.hear_commit(staged.commit)
    assert theirs.own_removed
    with pytest.raises(LocalProtocolError):
        theirs.merge()


def test_our_own_messages_are_not_taken_for_somebody_elses() -> None:
    alice, bob = room("Alice", "Bob").people
    refused("own_message", lambda: alice.hear(alice.say(b"hello")))
    refused("own_message", lambda: alice.hear(alice.group.propose_update(public=True, rng=alice.rng)))
    assert bob.group.members() == alice.group.members()


def test_a_member_that_does_not_understand_the_groups_extension_cannot_come_in() -> None:
    alice, bob = room("Alice", "Bob").people
    carol = person("Carol")
    bundle = new_key_package(carol.signing_key, b"Carol", rng=carol.rng, now=NOW, lifetime_s=600, extension_types=())
    package = parse_key_package(bundle.key_package, now=NOW)
    refused("invalid_leaf", lambda: alice.group.commit(add=[package], psks={}, rng=alice.rng, now=NOW))
    content = attacker.framed(alice, ContentType.COMMIT, Commit((Add(package),), None).encode())
    refused_by(bob, "invalid_leaf", attacker.send_public(alice, content, tag=bytes(32)), alice)


def test_an_extension_that_somebody_does_not_understand_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    refused(
        "invalid_leaf",
        lambda: alice.group.commit(extensions={0xF0F0: b"?"}, psks={}, rng=alice.rng, now=NOW),
    )
    assert bob.hear_text(alice.say(b"fine")).data == b"fine"


def test_a_key_nothing_can_be_sealed_to_is_refused() -> None:
    carol = person("Carol")
    package = carol.offer()
    template = attacker.template_for(carol, package)
    for key in (bytes(32), b"\x01" + bytes(31), b"short", b"\xed" + b"\xff" * 30 + b"\xff"):
        leaf = template.for_key_package(key, (NOW, NOW + 600))
        forged = attacker.around_leaf(package, leaf, carol.signing_key)
        refused("invalid_leaf", lambda forged=forged: forged.verify(now=NOW))  # type: ignore[misc]


def test_a_commit_with_more_psks_than_anybody_needs_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    many = tuple(PreSharedKey(ExternalPsk(psk_id=LINK, nonce=number.to_bytes(32, "big"))) for number in range(65))
    content = attacker.framed(alice, ContentType.COMMIT, Commit(many, None).encode())
    refused_by(bob, "limit", attacker.send_public(alice, content, tag=bytes(32)), alice)


def test_nobody_can_stop_commits_with_a_proposal_that_cannot_be_committed() -> None:
    found = room("Alice", "Bob", "Carol")
    alice, bob, carol = found.people
    group_id, dave = bob.group.group_id, person("Dave")
    proposals = [
        bob.group.propose_psk(b"only Bob knows", rng=bob.rng),
        bob.group.propose_extensions({0xF001: b"", 0xF00D: b"nobody knows this"}, rng=bob.rng),
        *(bob.group.propose_psk(LINK, rng=bob.rng) for _ in range(70)),
        attacker.send_private(
            bob,
            attacker.framed(
                bob,
                ContentType.PROPOSAL,
                encode_proposal(PreSharedKey(ResumptionPsk(group_id=group_id, epoch=1, nonce=bytes(32)))),
            ),
        ),
    ]
    for message in proposals:
        alice.hear(message)
        carol.hear(message)
    staged = alice.group.commit(add=[dave.offer()], psk=[LINK], psks=PSKS, rng=alice.rng, now=NOW)
    assert set(staged.changes.psk_ids) == {LINK}
    found.take_up(alice, staged, [dave])
    assert found.agree()
