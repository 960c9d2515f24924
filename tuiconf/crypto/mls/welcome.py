"""Letting newcomers in: making a Welcome and opening one (RFC 9420 §12.4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuiconf.crypto.mls import codec, treemath
from tuiconf.crypto.mls.codec import opaque
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.keypackage import KeyPackage
from tuiconf.crypto.mls.messages import GroupInfo, GroupSecrets, HpkeCiphertext, Welcome
from tuiconf.crypto.mls.proposals import Applied
from tuiconf.crypto.mls.schedule import ExternalPsk, GroupContext, Joining, KnownPsks, PskId, joining, psk_secret
from tuiconf.crypto.mls.spent import SPENT_KEY_PACKAGES, Spent
from tuiconf.crypto.mls.suite import (
    decrypt_with_label,
    encrypt_with_label,
    expand_with_label,
    sign_with_label,
    verify_with_label,
)
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.mls.treecheck import check_tree
from tuiconf.crypto.mls.treekem import PathSecrets, derive_known
from tuiconf.crypto.primitives import AEAD_KEY_BYTES, AEAD_NONCE_BYTES, CryptoError, aead_open, aead_seal

RATCHET_TREE = 2
"""The GroupInfo extension that carries the tree."""


def make_welcome(
    context: GroupContext,
    tree: RatchetTree,
    confirmation_tag: bytes,
    applied: Applied,
    secrets: Joining,
    known: PathSecrets | None,
    *,
    signer: int,
    signing_key: bytes,
    with_tree: bool,
    spent: Spent,
) -> bytes | None:
    """The Welcome (an MLSMessage) for all that a commit added; None if it added nobody."""
    if not applied.added:
        return None
    extensions = {RATCHET_TREE: tree.encode()} if with_tree else {}
    extensions[SPENT_KEY_PACKAGES] = spent.encode_for(tree)
    info = GroupInfo(context=context, extensions=extensions, confirmation_tag=confirmation_tag, signer=signer)
    signature = sign_with_label(signing_key, b"GroupInfoTBS", info.unsigned())
    # The welcome secret comes from the transcript, so from this very commit. The same commit made once more gives the
    # same GroupInfo and the same ciphertext, for `Group` lets neither `with_tree` nor `spent` change within an epoch.
    key, nonce = _welcome_key(secrets.welcome_secret)
    sealed_info = aead_seal(key, nonce, info.unsigned() + opaque(signature), b"")
    entries = []
    for leaf, package in applied.added:
        path_secret = known.path_secrets[_common_ancestor(leaf, signer, tree.width)] if known else None
        plain = GroupSecrets(joiner_secret=secrets.joiner_secret, path_secret=path_secret, psks=applied.psks)
        sealed = encrypt_with_label(package.init_key, b"Welcome", sealed_info, plain.encode())
        entries.append((package.ref, HpkeCiphertext(*sealed)))
    return Welcome(secrets=tuple(entries), group_info=sealed_info).encode()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Opened:
    """A Welcome that has proved right in everything but its confirmation tag."""

    context: GroupContext
    tree: RatchetTree
    confirmation_tag: bytes
    epoch_secret: bytes
    own_leaf: int
    path_keys: Mapping[int, bytes]
    spent: Spent  # without those in the tree


def open_welcome(
    data: bytes,
    package: KeyPackage,
    init_private: bytes,
    *,
    psks: Mapping[bytes, bytes],
    required_psk: bytes | None,
    ratchet_tree: bytes | None,
) -> Opened:
    """Everything a Welcome says, verified as §12.4.3.1 asks.

    Raises:
        MlsError: it is not for this key package, was not made with the pre-shared keys, or is not consistent.
    """
    welcome = codec.decode(data, Welcome.decode)
    secrets = open_secrets(welcome, package, init_private)
    _check_psks(secrets.psks, required_psk)
    mixed_psks = psk_secret(secrets.psks, KnownPsks(external=psks))
    info = open_info(welcome.group_info, joining(secrets.joiner_secret, mixed_psks, None).welcome_secret)
    context = info.context
    tree = _read_tree(info, ratchet_tree)
    if tree.root_hash() != context.tree_hash:
        raise MlsError("invalid_tree", "a ratchet tree is not the one the group has")
    _verify_info(info, tree)
    own_leaf = tree.signer(package.signature_key)
    own_node = None if own_leaf is None else tree.leaf(own_leaf)
    if own_leaf is None or own_node is None or own_node.raw != package.leaf_node.raw:
        raise MlsError("invalid_tree", "the newcomer is not in the tree it is given")
    check_tree(tree, context.group_id, context.extensions)
    return Opened(
        context=context,
        tree=tree,
        confirmation_tag=info.confirmation_tag,
        epoch_secret=joining(secrets.joiner_secret, mixed_psks, context.encode()).epoch_secret,
        own_leaf=own_leaf,
        path_keys=_path_keys(tree, own_leaf, info.signer, secrets.path_secret),
        spent=Spent.decode(info.extensions[SPENT_KEY_PACKAGES]) if SPENT_KEY_PACKAGES in info.extensions else Spent(),
    )


def open_secrets(welcome: Welcome, package: KeyPackage, init_private: bytes) -> GroupSecrets:
    """What a Welcome seals to a key package.

    Raises:
        MlsError: `not_for_us`, `decryption` or `malformed`.
    """
    ref = package.ref
    for new_member, sealed in welcome.secrets:
        if new_member == ref:
            plain = decrypt_with_label(
                init_private, b"Welcome", welcome.group_info, sealed.kem_output, sealed.ciphertext
            )
            return codec.decode(plain, GroupSecrets.decode)
    raise MlsError("not_for_us", "a Welcome is for somebody else")


def _check_psks(psks: tuple[PskId, ...], required: bytes | None) -> None:
    if len({psk.encode() for psk in psks}) != len(psks):
        raise MlsError("invalid_proposals", "a pre-shared key is used twice")
    if required is not None and required not in [psk.psk_id for psk in psks if isinstance(psk, ExternalPsk)]:
        raise MlsError("missing_psk", "a Welcome was made without the pre-shared key it needs")


def _welcome_key(welcome_secret: bytes) -> tuple[bytes, bytes]:
    return (
        expand_with_label(welcome_secret, b"key", b"", AEAD_KEY_BYTES),
        expand_with_label(welcome_secret, b"nonce", b"", AEAD_NONCE_BYTES),
    )


def open_info(sealed: bytes, welcome_secret: bytes) -> GroupInfo:
    """The group as a Welcome describes it; its signature is yet to be verified.

    Raises:
        MlsError: `decryption` or `malformed`.
    """
    key, nonce = _welcome_key(welcome_secret)
    try:
        return codec.decode(aead_open(key, nonce, sealed, b""), GroupInfo.decode)
    except CryptoError as error:
        raise MlsError("decryption", "a Welcome could not be opened") from error


def _read_tree(info: GroupInfo, outside: bytes | None) -> RatchetTree:
    data = info.extensions.get(RATCHET_TREE, outside)
    if data is None:
        raise MlsError("invalid_tree", "a Welcome comes without a ratchet tree")
    return codec.decode(data, RatchetTree.decode)


def _verify_info(info: GroupInfo, tree: RatchetTree) -> None:
    signer = tree.leaf(info.signer)
    if signer is None:
        raise MlsError("signature", "a Welcome is signed by nobody in the group")
    verify_with_label(signer.signature_key, b"GroupInfoTBS", info.unsigned(), info.signature)


def _path_keys(tree: RatchetTree, own_leaf: int, signer: int, path_secret: bytes | None) -> Mapping[int, bytes]:
    if path_secret is None:
        return {}
    if own_leaf == signer:
        raise MlsError("invalid_path", "a newcomer cannot have made the path itself")
    steps = [x for x, _ in tree.filtered_path(signer) if treemath.below(x, own_leaf)]
    return derive_known(tree, steps, path_secret).keys


def _common_ancestor(a: int, b: int, width: int) -> int:
    return next(x for x, _ in treemath.direct_path(a, width) if treemath.below(x, b))
