"""Well-formed and rightly signed messages that break a single rule of RFC 9420, each made by a member."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.crypto.mls import attacker
from tests.crypto.mls.people import LINK, NOW, PSKS, Person, person, room
from tests.crypto.mls.test_attacks import refused, refused_by
from tuiconf.crypto.mls import ContentType, Group, KeyPackage, Staged, codec, parse_key_package
from tuiconf.crypto.mls.codec import opaque, u8, u16
from tuiconf.crypto.mls.keypackage import MAX_LIFETIME_S
from tuiconf.crypto.mls.messages import Commit, UpdatePath, WireFormat, message_head
from tuiconf.crypto.mls.nodes import MAX_LEAF_BYTES, Capabilities, LeafNode
from tuiconf.crypto.mls.suite import sign_with_label
from tuiconf.crypto.primitives import hpke_seal


def wrapped(package: KeyPackage) -> bytes:
    return message_head(WireFormat.KEY_PACKAGE) + package.raw


def staged_path(alice: Person) -> UpdatePath:
    """The path of a commit that Alice could make."""
    staged = alice.group.commit(public=True, psks={}, rng=alice.rng, now=NOW)
    state = attacker.state_of(alice)
    commit = state.messages.open_public(staged.commit, state.secrets.membership_key).framed.content
    assert isinstance(commit, Commit)
    assert commit.path is not None
    return commit.path


def broken(leaf: LeafNode) -> LeafNode:
    """The leaf node with another signature."""
    signature = leaf.signature[:-1] + bytes((leaf.signature[-1] ^ 1,))
    return codec.decode(leaf.unsigned + opaque(signature), LeafNode.decode)


# --- Welcomes


def welcomed() -> tuple[Person, Person, Staged]:
    alice, bob = room("Alice").people[0], person("Bob")
    staged = alice.group.commit(add=[bob.offer()], psk=[LINK], psks=PSKS, rng=alice.rng, now=NOW)
    return alice, bob, staged


def test_a_group_info_with_another_confirmation_tag_is_refused() -> None:
    alice, bob, staged = welcomed()
    assert staged.welcome is not None
    assert bob.bundle is not None
    changed = attacker.reseal(
        staged.welcome, bob.bundle, alice, change=lambda info: replace(info, confirmation_tag=bytes(32))
    )
    refused("confirmation_tag", lambda: bob.join(changed))
    bob.join(attacker.reseal(staged.welcome, bob.bundle, alice))


def test_a_tree_that_is_not_the_one_of_the_group_is_refused_though_the_newcomer_is_in_it() -> None:
    alice, bob = room("Alice").people[0], person("Bob")
    package = bob.offer()
    bundle = bob.bundle
    assert bundle is not None
    one, two = (
        alice.group.commit(add=added, tree_in_welcome=False, psks={}, rng=alice.rng, now=NOW)
        for added in ([package], [package, person("Carol").offer()])
    )
    assert one.welcome is not None
    welcome, other = one.welcome, two.merge().ratchet_tree
    refused(
        "invalid_tree",
        lambda: Group.join(welcome, bundle, bob.signing_key, psks={}, ratchet_tree=other, now=NOW),
    )


def test_a_tree_with_another_leaf_of_the_newcomer_is_refused() -> None:
    alice, bob, staged = welcomed()
    used = bob.bundle
    assert used is not None
    other = bob.offer()
    assert staged.welcome is not None
    refused("invalid_tree", lambda: bob.join(attacker.reseal(staged.welcome or b"", used, alice, to=other)))


# --- key packages and leaf nodes


def test_an_init_key_that_is_also_the_encryption_key_is_refused() -> None:
    carol = person("Carol")
    package = carol.offer()
    unsigned = package.unsigned.replace(package.init_key, package.leaf_node.encryption_key)
    signature = sign_with_label(carol.signing_key, b"KeyPackageTBS", unsigned)
    forged = attacker.reparse(package, unsigned + opaque(signature))
    refused("invalid_leaf", lambda: parse_key_package(wrapped(forged), now=NOW))


def test_a_key_package_from_outside_that_is_valid_for_too_long_is_refused() -> None:
    carol = person("Carol")
    package = carol.offer()
    template = attacker.template_for(carol, package)
    for lifetime, fits in ((MAX_LIFETIME_S - 1, True), (MAX_LIFETIME_S + 1, False)):
        leaf = template.for_key_package(package.leaf_node.encryption_key, (NOW, NOW + lifetime))
        forged = attacker.around_leaf(package, leaf, carol.signing_key)
        if fits:
            assert parse_key_package(wrapped(forged), now=NOW).identity == b"Carol"
        else:
            refused("lifetime", lambda forged=forged: parse_key_package(wrapped(forged), now=NOW))  # type: ignore[misc]


def test_a_leaf_that_uses_an_extension_it_does_not_list_is_refused() -> None:
    carol = person("Carol")
    package = carol.offer()
    leaf = package.leaf_node
    unsigned = leaf.unsigned[:-1] + codec.extensions({0xF00F: b""})
    signed = unsigned + opaque(sign_with_label(carol.signing_key, b"LeafNodeTBS", unsigned))
    forged = attacker.around_leaf(package, codec.decode(signed, LeafNode.decode), carol.signing_key)
    refused("invalid_leaf", lambda: parse_key_package(wrapped(forged), now=NOW))


@pytest.mark.parametrize("where", ["capabilities", "extensions"])
def test_a_leaf_that_is_blown_up_is_refused_wherever_it_stands(where: str) -> None:
    carol = person("Carol")
    package = carol.offer()
    leaf, room_left = package.leaf_node, MAX_LEAF_BYTES - len(package.leaf_node.raw) - 20

    def blown_up(size: int) -> bytes:
        if where == "capabilities":
            more = replace(leaf.capabilities, extensions=tuple(range(0xA000, 0xA000 + size // 2)))
            unsigned = leaf.unsigned.replace(leaf.capabilities.encode(), more.encode())
        else:
            unsigned = leaf.unsigned[:-1] + codec.extensions({0xF00F: bytes(size)})
        return unsigned + opaque(sign_with_label(carol.signing_key, b"LeafNodeTBS", unsigned))

    assert codec.decode(blown_up(room_left), LeafNode.decode).signature_key == leaf.signature_key
    refused("limit", lambda: codec.decode(blown_up(room_left + 30), LeafNode.decode))
    package_with_it = package.raw.replace(leaf.raw, blown_up(room_left + 30))
    refused("limit", lambda: parse_key_package(message_head(WireFormat.KEY_PACKAGE) + package_with_it, now=NOW))


def test_a_leaf_made_for_something_else_cannot_be_in_a_key_package() -> None:
    alice, _ = room("Alice", "Bob").people
    carol = person("Carol")
    package = carol.offer()
    template = attacker.template_for(carol, package)
    leaf = template.for_update(package.leaf_node.encryption_key, alice.group.group_id, 2)
    forged = attacker.around_leaf(package, leaf, carol.signing_key)
    refused("invalid_leaf", lambda: parse_key_package(wrapped(forged), now=NOW))


def test_a_newcomer_without_a_required_capability_is_refused() -> None:
    alice, bob = person("Alice"), person("Bob")
    required = codec.u16s((0xF00F,)) + codec.u16s(()) + codec.u16s((1,))
    alice.inside = Group.create(
        b"id",
        alice.signing_key,
        b"Alice",
        extensions={3: required},
        extension_types=(0xF001, 0xF00F),
        rng=alice.rng,
        now=NOW,
    )
    group = alice.inside
    refused("invalid_leaf", lambda: group.commit(add=[bob.offer()], psks={}, rng=alice.rng, now=NOW))
    assert group.commit(extensions={}, add=[bob.offer()], psks={}, rng=alice.rng, now=NOW).changes.added


def test_required_capabilities_that_cannot_be_read_are_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    proposal = u16(7) + codec.extensions({0xF001: b"policy", 3: b"\x01"})
    content = attacker.framed(alice, ContentType.COMMIT, opaque(u8(1) + proposal) + u8(0))
    refused_by(bob, "invalid_path", attacker.send_public(alice, content, tag=bytes(32)), alice)
    body = opaque(u8(1) + proposal) + u8(1) + staged_path(alice).encode()
    content = attacker.framed(alice, ContentType.COMMIT, body)
    refused_by(bob, "malformed", attacker.send_public(alice, content, tag=bytes(32)), alice)


# --- updates and paths


def test_an_update_whose_leaf_is_not_rightly_signed_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    template, public = attacker.state_of(alice).template, attacker.hpke_derive_key_pair(bytes(32))[1]
    for leaf, code in (
        (broken(template.for_update(public, alice.group.group_id, 0)), "signature"),
        (template.for_update(public, alice.group.group_id, 1), "signature"),
        (template.for_update(public, b"another room", 0), "signature"),
        (template.for_commit(public, b"", alice.group.group_id, 0), "invalid_leaf"),
    ):
        content = attacker.framed(alice, ContentType.PROPOSAL, u16(2) + leaf.raw)
        refused_by(bob, code, attacker.send_private(alice, content), alice)


def test_an_update_with_a_key_of_somebody_else_is_refused() -> None:
    alice, bob, carol = room("Alice", "Bob", "Carol").people
    tree = attacker.state_of(alice).tree
    leaf = attacker.state_of(alice).template.for_update(tree.member(2).encryption_key, alice.group.group_id, 0)
    content = attacker.framed(alice, ContentType.PROPOSAL, u16(2) + leaf.raw)
    refused_by(bob, "duplicate_key", attacker.send_private(alice, content), alice, carol)


def test_a_path_whose_leaf_is_not_rightly_signed_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    path = staged_path(alice)
    forged = Commit((), UpdatePath(broken(path.leaf_node), path.nodes))
    content = attacker.framed(alice, ContentType.COMMIT, forged.encode())
    refused_by(bob, "signature", attacker.send_public(alice, content, tag=bytes(32)), alice)


def test_a_path_whose_leaf_was_made_for_something_else_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    path = staged_path(alice)
    leaf = attacker.state_of(alice).template.for_update(path.leaf_node.encryption_key, alice.group.group_id, 0)
    content = attacker.framed(alice, ContentType.COMMIT, Commit((), UpdatePath(leaf, path.nodes)).encode())
    refused_by(bob, "invalid_leaf", attacker.send_public(alice, content, tag=bytes(32)), alice)


def test_a_path_that_keeps_the_committers_key_is_refused() -> None:
    found = room("Alice", "Bob")
    alice, carol = found.people[0], person("Carol")
    drawn, source = [], carol.rng

    def recording(size: int) -> bytes:
        drawn.append(source(size))
        return drawn[-1]

    carol.rng = recording
    found.add(carol)
    key_material = drawn[1]  # the init key's comes first
    again = iter([key_material])
    carol.rng = lambda size: next(again, None) or source(size)
    same = carol.group.commit(psks={}, rng=carol.rng, now=NOW)
    refused_by(alice, "duplicate_key", same.commit, carol)


def test_a_path_that_gives_up_a_capability_the_group_needs_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    state = attacker.state_of(alice)
    weaker = replace(state, template=replace(state.template, capabilities=Capabilities()))
    staged = Group(weaker).commit(psks={}, rng=alice.rng, now=NOW)
    refused_by(bob, "invalid_leaf", staged.commit, alice)


def test_path_secrets_that_do_not_fit_the_public_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = room("Alice", "Bob").people

    def seal_something_else(public: bytes, label: bytes, context: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
        content = codec.length(len(label) + 8) + b"MLS 1.0 " + label + opaque(context)
        return hpke_seal(public, content, bytes(len(plaintext)))

    with monkeypatch.context() as patched:
        patched.setattr("tuiconf.crypto.mls.treekem.encrypt_with_label", seal_something_else)
        staged = alice.group.commit(psks={}, rng=alice.rng, now=NOW)
    refused_by(bob, "invalid_path", staged.commit, alice)


def test_a_psk_with_a_nonce_of_another_size_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    for size in (0, 31, 33):
        proposal = u16(4) + u8(1) + opaque(LINK) + opaque(bytes(size))
        content = attacker.framed(alice, ContentType.PROPOSAL, proposal)
        refused_by(bob, "malformed", attacker.send_private(alice, content), alice)


def test_psks_for_reinit_and_branching_are_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    for usage in (2, 3):
        psk = u8(2) + u8(usage) + opaque(b"id") + codec.u64(0) + opaque(bytes(32))
        content = attacker.framed(alice, ContentType.PROPOSAL, u16(4) + psk)
        refused_by(bob, "unsupported", attacker.send_private(alice, content), alice)
