"""Ten thousand mutations of every message type: each is either understood or refused with the one error type.

A changed byte outside the encryption is found by the first tag it meets, so the messages are changed *inside*, too,
by a member who signs and seals what came out. Each Hypothesis example is a batch of mutations from one seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.crypto.mls import attacker
from tests.crypto.mls.people import LINK, NOW, PSKS, Person, person, room
from tuiconf.crypto.mls import (
    Add,
    ContentType,
    Group,
    GroupContextExtensions,
    KeyPackageBundle,
    MlsError,
    PreSharedKey,
    Proposal,
    Remove,
    Update,
    codec,
    parse_key_package,
    peek,
)
from tuiconf.crypto.mls.codec import opaque, u32
from tuiconf.crypto.mls.keypackage import KeyPackage
from tuiconf.crypto.mls.messages import GroupInfo, HpkeCiphertext, Welcome, encode_proposal
from tuiconf.crypto.mls.schedule import ExternalPsk, KnownPsks, joining, psk_secret
from tuiconf.crypto.mls.suite import encrypt_with_label, expand_with_label, sign_with_label
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.mls.treecheck import check_tree
from tuiconf.crypto.mls.welcome import open_info, open_secrets
from tuiconf.crypto.primitives import aead_seal

MUTATIONS: Final = 10_000
BATCH: Final = 200

seeds = st.integers(min_value=0, max_value=(1 << 64) - 1)
in_batches = settings(
    max_examples=MUTATIONS // BATCH,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)

_INTERESTING: Final = (
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x3f",
    b"\x40",
    b"\x7f\xff",
    b"\x80\x00",
    b"\xbf\xff\xff\xff",
    b"\xff",
)


def mutate(data: bytes, choice: random.Random) -> bytes:
    """`data` with one to three small changes: bytes flipped, set, cut out, doubled or put in; ends cut off."""
    for _ in range(choice.choice((1, 1, 1, 2, 3))):
        at = choice.randrange(len(data) + 1)
        size = choice.choice((1, 1, 2, 4, 32))
        match choice.randrange(6):
            case 0:
                data = data[:at] + bytes(byte ^ 1 << choice.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]
            case 1:
                put = choice.choice(_INTERESTING)
                data = data[:at] + put + data[at + len(put) :]
            case 2:
                data = data[:at] + data[at + size :]
            case 3:
                data = data[:at] + data[at : at + size] + data[at:]
            case 4:
                data = data[:at] + choice.randbytes(size) + data[at:]
            case _:
                data = data[:at]
    return data


def survive(seed: int, original: bytes, attempt: Callable[[bytes], object]) -> None:
    """Every mutation of a batch is understood or refused; whatever else comes out fails the test."""
    choice = random.Random(seed)
    for _ in range(BATCH):
        data = mutate(original, choice)
        try:
            attempt(data)
        except MlsError as error:
            assert error.code != "mls"


class Scene:
    """Three members and somebody at the door, made once."""

    def __init__(self) -> None:
        self.alice, self.bob, _ = room("Alice", "Bob", "Carol").people
        self.dave = person("Dave")
        self.package = self.dave.offer()
        self.staged = self.alice.group.commit(
            add=[self.package], psk=[LINK], with_path=True, public=True, psks=PSKS, rng=self.alice.rng, now=NOW
        )
        self.private_commit = self.alice.group.commit(remove=[2], psks=PSKS, rng=self.alice.rng, now=NOW).commit
        self.commit_body = self._body(self.staged.commit)
        self.before = attacker.unchanged(self.bob.group)

    def _body(self, message: bytes) -> bytes:
        state = attacker.state_of(self.alice)
        return state.messages.open_public(message, state.secrets.membership_key).framed.body

    def bundle(self) -> KeyPackageBundle:
        """Dave's private keys, to be used up again and again."""
        assert self.dave.bundle is not None
        return KeyPackageBundle(*self.dave.bundle.private)

    def hear(self, message: bytes) -> None:
        """Bob processes it, and has not changed if he refuses it."""
        try:
            self.bob.hear(message)
        except MlsError:
            assert attacker.unchanged(self.bob.group) == self.before
            raise
        for known in self.bob.group.proposals:
            self.bob.group.forget_proposal(known.ref)

    def join(self, welcome: bytes) -> Group:
        """Dave's attempt."""
        return Group.join(welcome, self.bundle(), self.dave.signing_key, psks=PSKS, required_psk=LINK, now=NOW)


@cache
def scene() -> Scene:
    return Scene()


@in_batches
@given(seeds)
def test_mutated_key_packages(seed: int) -> None:
    assert scene().dave.bundle is not None
    data = scene().bundle().key_package
    survive(seed, data, lambda changed: parse_key_package(changed, now=NOW))


@in_batches
@given(seeds)
def test_mutated_key_packages_that_are_signed_again(seed: int) -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        signature = sign_with_label(s.dave.signing_key, b"KeyPackageTBS", changed)
        codec.decode(changed + opaque(signature), KeyPackage.decode).verify(now=NOW)

    survive(seed, s.package.unsigned, attempt)


@in_batches
@given(seeds)
def test_mutated_private_messages(seed: int) -> None:
    s = scene()
    message = s.alice.say(b"a chat line")
    survive(seed, message, s.hear)


@in_batches
@given(seeds)
def test_mutated_private_commits(seed: int) -> None:
    survive(seed, scene().private_commit, scene().hear)


@in_batches
@given(seeds)
def test_mutated_public_commits(seed: int) -> None:
    survive(seed, scene().staged.commit, scene().hear)


@in_batches
@given(seeds)
def test_mutated_commits_that_a_member_signs(seed: int) -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        s.hear(attacker.send_public(s.alice, attacker.framed(s.alice, ContentType.COMMIT, changed), tag=bytes(32)))

    survive(seed, s.commit_body, attempt)


@pytest.mark.parametrize("kind", ["add", "update", "remove", "psk", "extensions"])
@settings(in_batches, max_examples=MUTATIONS // BATCH // 5)
@given(seed=seeds)
def test_mutated_proposals_that_a_member_signs(kind: str, seed: int) -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        s.hear(attacker.send_public(s.alice, attacker.framed(s.alice, ContentType.PROPOSAL, changed)))

    survive(seed, _proposal(s.alice, kind, s.package), attempt)


def _proposal(alice: Person, kind: str, package: KeyPackage) -> bytes:
    public = attacker.hpke_derive_key_pair(alice.rng(32))[1]
    update = attacker.state_of(alice).template.for_update(public, alice.group.group_id, alice.group.own_leaf)
    kinds: dict[str, Proposal] = {
        "add": Add(package),
        "update": Update(update),
        "remove": Remove(2),
        "psk": PreSharedKey(ExternalPsk(psk_id=LINK, nonce=bytes(32))),
        "extensions": GroupContextExtensions({0xF001: b"policy", 3: opaque(b"") * 3}),
    }
    return encode_proposal(kinds[kind])


@in_batches
@given(seeds)
def test_mutated_private_contents_that_a_member_signs(seed: int) -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        if choose.random() < 0.02:  # a ratchet goes only so far ahead: let Bob hear something now and then
            s.bob.hear(s.alice.say(b""))
        s.hear(attacker.send_private(s.alice, attacker.framed(s.alice, ContentType.APPLICATION, changed)))

    choose = random.Random(seed)
    survive(seed, opaque(b"a chat line"), attempt)


@in_batches
@given(seeds)
def test_mutated_welcomes(seed: int) -> None:
    assert scene().staged.welcome is not None
    survive(seed, scene().staged.welcome or b"", scene().join)


@settings(in_batches, max_examples=MUTATIONS // BATCH // 2)
@given(seeds)
def test_mutated_group_infos_that_a_member_signs(seed: int) -> None:
    s = scene()
    welcome = codec.decode(s.staged.welcome or b"", Welcome.decode)
    package, init_private, _ = s.bundle().private
    secrets = open_secrets(welcome, package, init_private)
    welcome_secret = joining(
        secrets.joiner_secret, psk_secret(secrets.psks, KnownPsks(external=PSKS)), None
    ).welcome_secret
    info: GroupInfo = open_info(welcome.group_info, welcome_secret)
    key, nonce = (expand_with_label(welcome_secret, label, b"", size) for label, size in ((b"key", 16), (b"nonce", 12)))

    def attempt(changed: bytes) -> None:
        signature = sign_with_label(s.alice.signing_key, b"GroupInfoTBS", changed)
        sealed = aead_seal(key, nonce, changed + opaque(signature), b"")
        entry = HpkeCiphertext(*encrypt_with_label(package.init_key, b"Welcome", sealed, secrets.encode()))
        s.join(Welcome(secrets=((package.ref, entry),), group_info=sealed).encode())

    attempt(info.unsigned())
    survive(seed, info.unsigned(), attempt)


@settings(in_batches, max_examples=MUTATIONS // BATCH // 2)
@given(seeds)
def test_mutated_group_secrets(seed: int) -> None:
    s = scene()
    welcome = codec.decode(s.staged.welcome or b"", Welcome.decode)
    package, init_private, _ = s.bundle().private
    secrets = open_secrets(welcome, package, init_private)

    def attempt(changed: bytes) -> None:
        sealed = encrypt_with_label(package.init_key, b"Welcome", welcome.group_info, changed)
        entry = HpkeCiphertext(*sealed)
        s.join(Welcome(secrets=((package.ref, entry),), group_info=welcome.group_info).encode())

    attempt(secrets.encode())
    survive(seed, secrets.encode(), attempt)


@in_batches
@given(seeds)
def test_mutated_ratchet_trees(seed: int) -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        tree = codec.decode(changed, RatchetTree.decode)
        tree.root_hash()
        check_tree(tree, s.bob.group.group_id, s.bob.group.extensions)

    survive(seed, s.bob.group.ratchet_tree, attempt)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    heads = b"", bytes((0, 1, 0, data[0] % 6 if data else 0)), u32(0x10001)
    attempts: list[Callable[[bytes], object]] = [
        peek,
        scene().hear,
        scene().join,
        lambda changed: parse_key_package(changed, now=NOW),
    ]
    for head in heads:
        for attempt in attempts:
            try:
                attempt(head + data)
            except MlsError:
                continue
            assert attempt is peek, "only a look at the first fields can succeed"
