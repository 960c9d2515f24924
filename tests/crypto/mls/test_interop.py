"""What the official vectors do not hold: messages of clients that know more than ours, and must be understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.crypto.mls import attacker
from tests.crypto.mls.people import LINK, NOW, PSKS, Person, person, room
from tests.crypto.mls.test_attacks import refused, refused_by
from tests.crypto.mls.test_refusals import wrapped
from tuiconf.crypto.mls import PreSharedKey, codec, parse_key_package
from tuiconf.crypto.mls.codec import opaque, u16
from tuiconf.crypto.mls.keypackage import KeyPackage, KeyPackageBundle
from tuiconf.crypto.mls.nodes import Capabilities, LeafNode
from tuiconf.crypto.mls.schedule import ResumptionPsk
from tuiconf.crypto.mls.suite import sign_with_label

# RFC 9420 §13.5: values nobody will ever use, sent so that clients that do not skip the unknown are found out.
GREASE = (0x0A0A, 0x1A1A, 0x8A8A, 0xEAEA)


def greased(somebody: Person, *, leaf_extensions: Mapping[int, bytes]) -> KeyPackage:
    """A key package as a client makes it that follows §13.5 in every field it names."""
    somebody.offer()
    assert somebody.bundle is not None
    package, init_private, encryption_private = somebody.bundle.private
    capabilities = Capabilities(
        versions=(*GREASE[:1], 1),
        suites=(*GREASE, 1, 0xF0F0),
        extensions=(*GREASE, 0xF001),
        proposals=GREASE,
        credentials=(*GREASE, 1),
    )
    template = replace(attacker.template_for(somebody, package), capabilities=capabilities)
    plain = template.for_key_package(package.leaf_node.encryption_key, (NOW, NOW + 600))
    unsigned = plain.unsigned[:-1] + codec.extensions(leaf_extensions)
    leaf_signature = sign_with_label(somebody.signing_key, b"LeafNodeTBS", unsigned)
    leaf = codec.decode(unsigned + opaque(leaf_signature), LeafNode.decode)
    tbs = u16(1) + u16(1) + opaque(package.init_key) + leaf.raw + codec.extensions({0x5A5A: b"anything at all"})
    signature = sign_with_label(somebody.signing_key, b"KeyPackageTBS", tbs)
    made = codec.decode(tbs + opaque(signature), KeyPackage.decode)
    somebody.bundle = KeyPackageBundle(made, init_private, encryption_private)
    return parse_key_package(wrapped(made), now=NOW)


def test_a_greased_key_package_is_let_in_and_its_owner_can_do_everything() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    carol = person("Carol")
    package = greased(carol, leaf_extensions={GREASE[1]: b"grease", GREASE[0]: b""})
    staged = alice.group.commit(add=[package], psk=[LINK], psks=PSKS, rng=alice.rng, now=NOW)
    found.take_up(alice, staged, [carol])
    found.add(person("Dave"), by=carol, with_path=True)
    found.take_up(bob, bob.group.commit(remove=[3], psks=PSKS, rng=bob.rng, now=NOW))
    assert found.agree()


def test_a_greased_leaf_extension_that_the_capabilities_do_not_list_is_refused() -> None:
    refused("invalid_leaf", lambda: greased(person("Carol"), leaf_extensions={0x2A2A: b""}))


def test_a_group_info_with_extensions_nobody_knows_is_understood() -> None:
    alice, bob = room("Alice").people[0], person("Bob")
    staged = alice.group.commit(add=[bob.offer()], psk=[LINK], psks=PSKS, rng=alice.rng, now=NOW)
    assert staged.welcome is not None
    assert bob.bundle is not None
    extra = {0x0A0A: b"", 0xEAEA: b"random", 4: bytes(33)}
    bob.join(
        attacker.reseal(
            staged.welcome,
            bob.bundle,
            alice,
            change=lambda info: replace(info, extensions={**extra, **info.extensions}),
        )
    )
    assert bob.group.epoch == 1


def test_a_commit_by_a_leaf_among_blanks_and_unmerged_leaves_is_processed_by_all() -> None:
    """Blank parents, unmerged leaves and a newcomer with a path secret in one tree."""
    found = room(*(f"P{number}" for number in range(9)))
    for committer, leaf in ((8, 3), (0, 6), (5, 1)):
        by = next(each for each in found.people if each.group.own_leaf == committer)
        found.take_up(by, by.group.commit(remove=[leaf], psks=PSKS, rng=by.rng, now=NOW))
    found.add(person("New"), person("Newer"), by=found.people[2], with_path=True)
    found.add(person("Newest"), by=found.people[-1], with_path=True)
    for each in list(found.people):
        found.take_up(each, each.group.commit(psks=PSKS, rng=each.rng, now=NOW))
        assert found.agree()


def test_a_resumption_secret_in_a_commit_is_told_so_that_a_policy_can_refuse_it() -> None:
    """Members who came later do not have it: such a commit would leave them behind."""
    found = room("Alice", "Bob")
    alice, bob = found.people
    carol = person("Carol")
    found.add(carol)
    resumption = ResumptionPsk(group_id=alice.group.group_id, epoch=1, nonce=bytes(32))
    made = attacker.commit_anything(alice, PreSharedKey(resumption)).commit
    assert bob.hear_commit(made).changes.psk_ids == (resumption.encode(),)
    refused_by(carol, "unknown_psk", made, bob)
