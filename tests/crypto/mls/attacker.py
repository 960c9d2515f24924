"""What an attacker with a member's state can make: well-formed messages that no honest member would send.

Reaches into the group on purpose; everything it makes is then given to other members through their public verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.crypto.mls.people import PSKS, Person
from tuiconf.crypto.mls import ContentType, Group, KeyPackage, KeyPackageBundle, WireFormat, codec
from tuiconf.crypto.mls.codec import opaque
from tuiconf.crypto.mls.commit import State, make_commit
from tuiconf.crypto.mls.framing import with_tag
from tuiconf.crypto.mls.messages import (
    AuthenticatedContent,
    FramedContent,
    GroupInfo,
    HpkeCiphertext,
    Proposal,
    Welcome,
)
from tuiconf.crypto.mls.nodes import LeafNode, LeafTemplate
from tuiconf.crypto.mls.proposals import Proposed
from tuiconf.crypto.mls.schedule import KnownPsks, joining, psk_secret
from tuiconf.crypto.mls.secret_tree import SecretTree
from tuiconf.crypto.mls.suite import encrypt_with_label, expand_with_label, sign_with_label
from tuiconf.crypto.mls.welcome import open_info, open_secrets
from tuiconf.crypto.primitives import aead_seal, hpke_derive_key_pair

__all__ = ["LeafNode", "SecretTree", "hpke_derive_key_pair"]


def state_of(person: Person) -> State:
    return person.group._state


def framed(person: Person, content_type: ContentType, body: bytes, *, sender: int | None = None) -> FramedContent:
    """Content with any bytes at all as its body."""
    group = person.group
    return FramedContent(
        group_id=group.group_id,
        epoch=group.epoch,
        sender=group.own_leaf if sender is None else sender,
        authenticated_data=b"",
        content_type=content_type,
        content=b"",
        body=body,
    )


def send_private(
    person: Person, content: FramedContent, *, signing_key: bytes | None = None, tag: bytes = b""
) -> bytes:
    """A PrivateMessage of it, by default rightly signed."""
    messages = state_of(person).messages
    signed = messages.sign(content, WireFormat.PRIVATE, signing_key or person.signing_key)
    return messages.seal_private(with_tag(signed, tag), rng=person.rng)


def send_public(person: Person, content: FramedContent, *, tag: bytes = b"") -> bytes:
    """A PublicMessage of it, rightly signed and with the right membership tag."""
    state = state_of(person)
    signed = state.messages.sign(content, WireFormat.PUBLIC, person.signing_key)
    return state.messages.seal_public(with_tag(signed, tag), state.secrets.membership_key)


def send_unsigned(person: Person, data: bytes) -> bytes:
    """An application message with an empty signature."""
    content = framed(person, ContentType.APPLICATION, opaque(data))
    message = AuthenticatedContent(wire_format=WireFormat.PRIVATE, framed=content, signature=b"", confirmation_tag=b"")
    return state_of(person).messages.seal_private(message, rng=person.rng)


def commit_with_tag(person: Person, staged_commit: bytes, tag: bytes) -> bytes:
    """A public commit of ours with another confirmation tag, and the membership tag that goes with it."""
    state = state_of(person)
    message = state.messages.open_public(staged_commit, state.secrets.membership_key)
    return state.messages.seal_public(with_tag(message, tag), state.secrets.membership_key)


def commit_anything(
    person: Person, *proposals: Proposal, with_path: bool = False, info_key: bytes | None = None
) -> Made:
    """A commit of proposals that nobody has checked; `info_key` signs in the place of the person's own key."""
    state = state_of(person)
    if info_key is not None:
        state = replace(state, template=replace(state.template, signing_key=info_key))
    items = [Proposed(proposal=proposal, sender=person.group.own_leaf, ref=None) for proposal in proposals]
    made = make_commit(
        state,
        items,
        with_path=with_path,
        wire_format=WireFormat.PRIVATE,
        tree_in_welcome=True,
        authenticated_data=b"",
        psks={},
        rng=person.rng,
    )
    return Made(made.commit, made.welcome)


class Made:
    """A commit and Welcome."""

    def __init__(self, commit: bytes, welcome: bytes | None) -> None:
        self.commit, self.welcome = commit, welcome


def reparse(package: KeyPackage, raw: bytes) -> KeyPackage:
    """A key package from other bytes, which nobody has verified."""
    assert raw != package.raw
    return codec.decode(raw, KeyPackage.decode)


def with_bad_signature(package: KeyPackage) -> KeyPackage:
    """A key package whose own signature is wrong."""
    return reparse(package, package.raw[:-1] + bytes((package.raw[-1] ^ 1,)))


def with_bad_leaf_signature(package: KeyPackage, signing_key: bytes) -> KeyPackage:
    """A key package, rightly signed, around a leaf node whose signature is wrong."""
    leaf = package.leaf_node
    broken = leaf.unsigned + opaque(leaf.signature[:-1] + bytes((leaf.signature[-1] ^ 1,)))
    return around_leaf(package, codec.decode(broken, LeafNode.decode), signing_key)


def around_leaf(package: KeyPackage, leaf: LeafNode, signing_key: bytes) -> KeyPackage:
    """The key package with another leaf node, signed anew."""
    unsigned = package.unsigned.replace(package.leaf_node.raw, leaf.raw)
    signature = sign_with_label(signing_key, b"KeyPackageTBS", unsigned)
    return reparse(package, unsigned + opaque(signature))


def unchanged(group: Group) -> tuple[object, ...]:
    """Everything of a group that a refused message must leave as it is."""
    state = group._state
    refs = tuple(proposal.ref for proposal in group.proposals)
    return group.epoch, group.epoch_authenticator, group.ratchet_tree, refs, dict(state.keys), group.extensions


def template_for(person: Person, package: KeyPackage) -> LeafTemplate:
    """What makes leaf nodes like that of a key package."""
    return LeafTemplate(
        signing_key=person.signing_key, identity=package.identity, capabilities=package.leaf_node.capabilities
    )


def reseal(
    welcome: bytes,
    bundle: KeyPackageBundle,
    signer: Person,
    *,
    change: Callable[[GroupInfo], GroupInfo] = lambda info: info,
    to: KeyPackage | None = None,
) -> bytes:
    """A Welcome for `bundle`, its GroupInfo changed and signed again, for the same or another key package."""
    opened = codec.decode(welcome, Welcome.decode)
    package, init_private, _ = bundle.private
    secrets = open_secrets(opened, package, init_private)
    known = psk_secret(secrets.psks, KnownPsks(external=PSKS))
    welcome_secret = joining(secrets.joiner_secret, known, None).welcome_secret
    unsigned = change(open_info(opened.group_info, welcome_secret)).unsigned()
    signature = sign_with_label(signer.signing_key, b"GroupInfoTBS", unsigned)
    key, nonce = (expand_with_label(welcome_secret, label, b"", size) for label, size in ((b"key", 16), (b"nonce", 12)))
    info = aead_seal(key, nonce, unsigned + opaque(signature), b"")
    target = to or package
    entry = HpkeCiphertext(*encrypt_with_label(target.init_key, b"Welcome", info, secrets.encode()))
    return Welcome(secrets=((target.ref, entry),), group_info=info).encode()
