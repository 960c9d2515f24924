"""Ten thousand mutations of every message type: each is either understood or refused with the one error type.

A changed byte outside the encryption is found by the first tag it meets, so the messages are changed *inside*, too,
by a member who signs and seals what came out. How far they come is counted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.mls import attacker
from tests.crypto.mls.mutations import Edit, Field, Mutation, fields_of, mutated, survive
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
    WireFormat,
    codec,
    parse_key_package,
    peek,
)
from tuiconf.crypto.mls.codec import Reader, opaque, u32
from tuiconf.crypto.mls.keypackage import KeyPackage
from tuiconf.crypto.mls.messages import (
    Commit,
    GroupInfo,
    GroupSecrets,
    HpkeCiphertext,
    Welcome,
    decode_proposal,
    encode_proposal,
)
from tuiconf.crypto.mls.schedule import ExternalPsk, GroupContext, KnownPsks, joining, psk_secret
from tuiconf.crypto.mls.suite import encrypt_with_label, expand_with_label, sign_with_label
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.mls.treecheck import check_tree
from tuiconf.crypto.mls.welcome import RATCHET_TREE, open_info, open_secrets
from tuiconf.crypto.primitives import aead_seal

KINDS = ["add", "update", "remove", "psk", "extensions"]


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

    def proposal(self, kind: str, *, public: bool) -> bytes:
        """Alice's message that proposes something."""
        content = attacker.framed(self.alice, ContentType.PROPOSAL, _proposal(self.alice, kind, self.package))
        send = attacker.send_public if public else attacker.send_private
        return send(self.alice, content)

    def open(self, message: bytes) -> None:
        """Read it as Bob would, without any consequence."""
        state = attacker.state_of(self.bob)
        if peek(message).wire_format is WireFormat.PUBLIC:
            state.messages.open_public(message, state.secrets.membership_key)
        else:
            state.messages.open_private(message, own_leaf=state.own_leaf)

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


def past_the_parser(outcomes: Counter[str]) -> None:
    """Two of five were well-formed at least, and refused (or not) for what they say; mostly it is four of five."""
    assert outcomes["malformed"] <= 0.6 * outcomes.total(), outcomes


# --- the mutations themselves


def test_lengths_are_put_right_around_a_field_that_changes() -> None:
    inner = opaque(b"inside")
    data = b"\x05" + opaque(b"\x01" + inner + opaque(b"x" * 60)) + b"\x06"
    fields = fields_of(data, lambda whole: _nested(Reader(whole)))
    assert data[fields[0].start : fields[0].end] == b"inside"
    assert len(fields) == 3
    longer = mutated(data, fields, Mutation(((Edit.LENGTHEN, 0, 0x41),)))
    assert longer == b"\x05" + opaque(b"\x01" + opaque(b"inside" + b"A" * 66) + opaque(b"x" * 60)) + b"\x06"
    assert (
        mutated(data, fields, Mutation(((Edit.DROP, 1, 0),))) == b"\x05" + opaque(b"\x01" + inner + b"\x00") + b"\x06"
    )
    assert mutated(data, [Field(0, 0, 0)], Mutation(((Edit.DROP, 0, 0),))) != data


def _nested(reader: Reader) -> None:
    reader.u8()
    within = Reader(reader.opaque())
    within.u8()
    within.opaque()
    within.opaque()


def test_a_mutation_that_fails_is_shrunk_to_one_small_change() -> None:
    def attempt(changed: bytes) -> None:
        if changed[:4] != b"head":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        survive(b"head" + bytes(60), lambda data: None, attempt)
    notes = "\n".join(caught.value.__notes__)
    assert str(Mutation(((Edit.FLIP, 0, 0),))) in notes
    assert (bytes((ord("h") ^ 1,)) + b"ead").hex() in notes


# --- key packages


def test_mutated_key_packages() -> None:
    def read(data: bytes) -> KeyPackage:
        return parse_key_package(data, now=NOW)

    past_the_parser(survive(scene().bundle().key_package, read, read))


def test_mutated_key_packages_that_are_signed_again() -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        signature = sign_with_label(s.dave.signing_key, b"KeyPackageTBS", changed)
        codec.decode(changed + opaque(signature), KeyPackage.decode).verify(now=NOW)

    past_the_parser(survive(s.package.unsigned, lambda data: KeyPackage.decode(Reader(data)), attempt))


# --- messages as they are sent


def test_mutated_private_messages() -> None:
    s = scene()
    past_the_parser(survive(s.alice.say(b"a chat line"), s.open, s.hear))


def test_mutated_private_commits() -> None:
    past_the_parser(survive(scene().private_commit, scene().open, scene().hear))


def test_mutated_public_commits() -> None:
    past_the_parser(survive(scene().staged.commit, scene().open, scene().hear))


def test_mutated_private_proposals() -> None:
    s = scene()
    past_the_parser(survive(s.proposal("add", public=False), s.open, s.hear))


def test_mutated_public_proposals() -> None:
    s = scene()
    past_the_parser(survive(s.proposal("add", public=True), s.open, s.hear))


# --- what is in them, rightly signed and sealed


def test_mutated_commits_that_a_member_signs() -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        s.hear(attacker.send_public(s.alice, attacker.framed(s.alice, ContentType.COMMIT, changed), tag=bytes(32)))

    past_the_parser(survive(s.commit_body, lambda data: codec.decode(data, Commit.decode), attempt))


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_proposals_that_a_member_signs(kind: str) -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        s.hear(attacker.send_public(s.alice, attacker.framed(s.alice, ContentType.PROPOSAL, changed)))

    original = _proposal(s.alice, kind, s.package)
    past_the_parser(survive(original, lambda data: codec.decode(data, decode_proposal), attempt))


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


def test_mutated_private_contents_that_a_member_signs() -> None:
    s, attempts = scene(), itertools.count()

    def attempt(changed: bytes) -> None:
        if next(attempts) % 50 == 0:  # a ratchet goes only so far ahead: let Bob hear something now and then
            s.bob.hear(s.alice.say(b""))
        s.hear(attacker.send_private(s.alice, attacker.framed(s.alice, ContentType.APPLICATION, changed)))

    outcomes = survive(opaque(b"a chat line"), lambda data: Reader(data).opaque(), attempt)
    assert outcomes["understood"] > 1000  # any text is one


# --- Welcomes


def test_mutated_welcomes() -> None:
    welcome = scene().staged.welcome
    assert welcome is not None
    past_the_parser(survive(welcome, lambda data: codec.decode(data, Welcome.decode), scene().join))


def test_mutated_group_infos_that_a_member_signs() -> None:
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
    past_the_parser(survive(info.unsigned(), _read_info, attempt))


def _read_info(data: bytes) -> None:
    """With the tree in it, whose fields are most of them; the signature is not there."""
    reader = Reader(data)
    GroupContext.decode(reader)
    RatchetTree.decode(Reader(reader.extensions()[RATCHET_TREE]))
    reader.opaque()


def test_mutated_group_secrets() -> None:
    s = scene()
    welcome = codec.decode(s.staged.welcome or b"", Welcome.decode)
    package, init_private, _ = s.bundle().private
    secrets = open_secrets(welcome, package, init_private)

    def attempt(changed: bytes) -> None:
        sealed = encrypt_with_label(package.init_key, b"Welcome", welcome.group_info, changed)
        entry = HpkeCiphertext(*sealed)
        s.join(Welcome(secrets=((package.ref, entry),), group_info=welcome.group_info).encode())

    attempt(secrets.encode())
    past_the_parser(survive(secrets.encode(), lambda data: codec.decode(data, GroupSecrets.decode), attempt))


def test_mutated_ratchet_trees() -> None:
    s = scene()

    def attempt(changed: bytes) -> None:
        tree = codec.decode(changed, RatchetTree.decode)
        tree.root_hash()
        check_tree(tree, s.bob.group.group_id, s.bob.group.extensions)

    past_the_parser(survive(s.bob.group.ratchet_tree, lambda data: codec.decode(data, RatchetTree.decode), attempt))


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
