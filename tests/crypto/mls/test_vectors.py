"""The official vectors of cipher suite 1, through the functions the call uses."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest

from tests.vectors import load
from tuiconf.crypto.mls import Group, KeyPackageBundle, ProposalReceived, Staged, codec, suite, treemath
from tuiconf.crypto.mls.codec import Reader
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.framing import MessageEpoch, sender_data_key, with_tag
from tuiconf.crypto.mls.keypackage import KeyPackage
from tuiconf.crypto.mls.messages import (
    AuthenticatedContent,
    Commit,
    ContentType,
    FramedContent,
    Proposal,
    UpdatePath,
    Welcome,
    WireFormat,
    decode_proposal,
)
from tuiconf.crypto.mls.nodes import Capabilities, LeafTemplate
from tuiconf.crypto.mls.proposals import Proposed, apply
from tuiconf.crypto.mls.schedule import (
    EpochSecrets,
    ExternalPsk,
    GroupContext,
    KnownPsks,
    confirmed_hash,
    interim_hash,
    joiner_secret,
    joining,
    psk_secret,
)
from tuiconf.crypto.mls.secret_tree import RatchetKind, SecretTree
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.mls.treecheck import check_tree
from tuiconf.crypto.mls.treekem import PathSecrets, create_path, derive_known, merge_path, process_path
from tuiconf.crypto.mls.welcome import open_info, open_secrets
from tuiconf.crypto.primitives import ed25519_public, equal, hpke_derive_key_pair, x25519_public

Case = dict[str, Any]


def cases(name: str) -> list[Case]:
    """The cases of suite 1, or of no suite in particular."""
    return [case for case in load(f"mls/{name}.json") if case.get("cipher_suite", 1) == 1]


def unhex(case: Case, *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def test_tree_math_agrees_with_the_vectors() -> None:
    for case in cases("tree-math"):
        width, nodes = case["n_leaves"], case["n_nodes"]
        assert nodes == 2 * width - 1
        assert treemath.width_for(nodes) == width
        assert treemath.root(width) == case["root"]
        for x in range(nodes):
            assert (treemath.left(x) if x & 1 else None) == case["left"][x]
            assert (treemath.right(x) if x & 1 else None) == case["right"][x]
            is_root = x == treemath.root(width)
            assert (None if is_root else treemath.parent(x)) == case["parent"][x]
            assert (None if is_root else treemath.sibling(x)) == case["sibling"][x]


def test_lengths_are_read_and_written_as_in_the_vectors() -> None:
    for case in cases("deserialization"):
        header = bytes.fromhex(case["vlbytes_header"])
        reader = Reader(header)
        assert reader.length() == case["length"]
        reader.finish()
        assert codec.length(case["length"]) == header


def test_labelled_operations_agree_with_the_vectors() -> None:
    for case in cases("crypto-basics"):
        c = case["ref_hash"]
        assert suite.ref_hash(c["label"].encode(), bytes.fromhex(c["value"])).hex() == c["out"]
        c = case["expand_with_label"]
        secret, context = unhex(c, "secret", "context")
        assert suite.expand_with_label(secret, c["label"].encode(), context, c["length"]).hex() == c["out"]
        c = case["derive_secret"]
        assert suite.derive_secret(bytes.fromhex(c["secret"]), c["label"].encode()).hex() == c["out"]
        c = case["derive_tree_secret"]
        out = suite.derive_tree_secret(bytes.fromhex(c["secret"]), c["label"].encode(), c["generation"], c["length"])
        assert out.hex() == c["out"]


def test_signatures_of_the_vectors_verify_and_ours_equal_them() -> None:
    for case in cases("crypto-basics"):
        c = case["sign_with_label"]
        private, public, content, signature = unhex(c, "priv", "pub", "content", "signature")
        label = c["label"].encode()
        suite.verify_with_label(public, label, content, signature)
        assert suite.sign_with_label(private, label, content) == signature
        with pytest.raises(MlsError):
            suite.verify_with_label(public, label, content + b"\x00", signature)


def test_sealed_secrets_of_the_vectors_open_and_so_do_ours() -> None:
    for case in cases("crypto-basics"):
        c = case["encrypt_with_label"]
        private, public, context, plaintext = unhex(c, "priv", "pub", "context", "plaintext")
        label = c["label"].encode()
        kem, sealed = unhex(c, "kem_output", "ciphertext")
        assert suite.decrypt_with_label(private, label, context, kem, sealed) == plaintext
        ours = suite.encrypt_with_label(public, label, context, plaintext)
        assert suite.decrypt_with_label(private, label, context, *ours) == plaintext


def test_the_key_schedule_agrees_with_the_vectors() -> None:
    for case in cases("key-schedule"):
        init = bytes.fromhex(case["initial_init_secret"])
        for number, e in enumerate(case["epochs"]):
            tree_hash, confirmed = unhex(e, "tree_hash", "confirmed_transcript_hash")
            context = GroupContext(
                group_id=bytes.fromhex(case["group_id"]),
                epoch=number,
                tree_hash=tree_hash,
                confirmed_transcript_hash=confirmed,
                extensions={},
            )
            encoded = context.encode()
            assert encoded.hex() == e["group_context"]
            assert codec.decode(encoded, GroupContext.decode) == context
            joiner = joiner_secret(init, bytes.fromhex(e["commit_secret"]), encoded)
            assert joiner.hex() == e["joiner_secret"]
            found = joining(joiner, bytes.fromhex(e["psk_secret"]), encoded)
            assert found.welcome_secret.hex() == e["welcome_secret"]
            init = _check_epoch(EpochSecrets.derive(found.epoch_secret), e)


def _check_epoch(secrets: EpochSecrets, e: Case) -> bytes:
    assert secrets.init.hex() == e["init_secret"]
    assert secrets.sender_data.hex() == e["sender_data_secret"]
    assert secrets.encryption.hex() == e["encryption_secret"]
    assert secrets.exporter.hex() == e["exporter_secret"]
    assert secrets.authenticator.hex() == e["epoch_authenticator"]
    assert secrets.external.hex() == e["external_secret"]
    assert hpke_derive_key_pair(secrets.external)[1].hex() == e["external_pub"]
    assert secrets.confirmation_key.hex() == e["confirmation_key"]
    assert secrets.membership_key.hex() == e["membership_key"]
    assert secrets.resumption.hex() == e["resumption_psk"]
    x = e["exporter"]
    assert secrets.export(x["label"], bytes.fromhex(x["context"]), x["length"]).hex() == x["secret"]
    return secrets.init


def test_psk_secrets_agree_with_the_vectors() -> None:
    for case in cases("psk_secret"):
        ids = [
            ExternalPsk(psk_id=bytes.fromhex(p["psk_id"]), nonce=bytes.fromhex(p["psk_nonce"])) for p in case["psks"]
        ]
        known = {bytes.fromhex(p["psk_id"]): bytes.fromhex(p["psk"]) for p in case["psks"]}
        assert psk_secret(ids, KnownPsks(external=known)).hex() == case["psk_secret"]


def test_the_secret_tree_agrees_with_the_vectors() -> None:
    for case in cases("secret-tree"):
        sender = case["sender_data"]
        secret, ciphertext = unhex(sender, "sender_data_secret", "ciphertext")
        assert [part.hex() for part in sender_data_key(secret, ciphertext)] == [sender["key"], sender["nonce"]]
        tree = SecretTree(len(case["leaves"]), bytes.fromhex(case["encryption_secret"]))
        for leaf, generations in enumerate(case["leaves"]):
            for expected in generations:
                for kind in RatchetKind:
                    key, after = tree.find(leaf, kind, expected["generation"])
                    tree.use(leaf, kind, after)
                    name = kind.value.decode()
                    assert (key.key.hex(), key.nonce.hex()) == (expected[f"{name}_key"], expected[f"{name}_nonce"])


def test_transcript_hashes_agree_with_the_vectors() -> None:
    for case in cases("transcript-hashes"):
        before, key = unhex(case, "interim_transcript_hash_before", "confirmation_key")
        reader = Reader(bytes.fromhex(case["authenticated_content"]))
        wire_format = WireFormat(reader.u16())
        framed = FramedContent.decode(reader)
        message = AuthenticatedContent(
            wire_format=wire_format, framed=framed, signature=reader.opaque(), confirmation_tag=reader.opaque()
        )
        reader.finish()
        assert message.encode().hex() == case["authenticated_content"]
        confirmed = confirmed_hash(before, message.confirmed_input())
        assert confirmed.hex() == case["confirmed_transcript_hash_after"]
        zero = bytes(32)
        secrets = EpochSecrets(
            sender_data=zero,
            encryption=zero,
            exporter=zero,
            external=zero,
            confirmation_key=key,
            membership_key=zero,
            resumption=zero,
            authenticator=zero,
            init=zero,
        )
        assert equal(secrets.confirmation_tag(confirmed), message.confirmation_tag)
        assert interim_hash(confirmed, message.confirmation_tag).hex() == case["interim_transcript_hash_after"]


# --- trees


def read_tree(data: str) -> RatchetTree:
    return codec.decode(bytes.fromhex(data), RatchetTree.decode)


def test_trees_of_the_vectors_are_valid_and_hash_as_they_say() -> None:
    for case in cases("tree-validation"):
        tree = read_tree(case["tree"])
        assert [tree.hash(x).hex() for x in range(2 * tree.width - 1)] == case["tree_hashes"]
        assert [tree.resolution(x) for x in range(2 * tree.width - 1)] == case["resolutions"]
        assert tree.encode().hex() == case["tree"]
        check_tree(tree, bytes.fromhex(case["group_id"]), {})


def test_a_tree_of_the_vectors_with_one_byte_of_a_parent_hash_changed_is_refused() -> None:
    for case in cases("tree-validation"):
        tree = read_tree(case["tree"])
        for _, parent in [*tree.parents()][-1:]:
            data = bytes.fromhex(case["tree"])
            at = data.index(parent.encryption_key)
            broken = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
            with pytest.raises(MlsError) as caught:
                check_tree(codec.decode(broken, RatchetTree.decode), bytes.fromhex(case["group_id"]), {})
            assert caught.value.code == "invalid_tree"


def test_proposals_change_trees_as_in_the_vectors() -> None:
    for case in cases("tree-operations"):
        before = read_tree(case["tree_before"])
        assert before.root_hash().hex() == case["tree_hash_before"]
        proposal = codec.decode(bytes.fromhex(case["proposal"]), decode_proposal)
        tree = before.copy()
        apply([Proposed(proposal=proposal, sender=case["proposal_sender"], ref=b"r")], tree, {})
        assert tree.encode().hex() == case["tree_after"]
        assert tree.root_hash().hex() == case["tree_hash_after"]
        assert before.encode().hex() == case["tree_before"], "the tree it was copied from has not changed"


# --- TreeKEM


def treekem_keys(tree: RatchetTree, case: Case) -> dict[int, dict[int, bytes]]:
    """Every member's private keys, each checked against the public key in the tree."""
    found: dict[int, dict[int, bytes]] = {}
    for private in case["leaves_private"]:
        leaf = private["index"]
        keys = {2 * leaf: bytes.fromhex(private["encryption_priv"])}
        node = tree.leaf(leaf)
        assert node is not None
        assert node.encryption_key == x25519_public(keys[2 * leaf])
        assert node.signature_key == ed25519_public(bytes.fromhex(private["signature_priv"]))
        for entry in private["path_secrets"]:
            keys |= derive_known(tree, [entry["node"]], bytes.fromhex(entry["path_secret"])).keys
        found[leaf] = keys
    return found


def treekem_context(case: Case, tree_hash: bytes) -> bytes:
    group_id, confirmed = unhex(case, "group_id", "confirmed_transcript_hash")
    return GroupContext(
        group_id=group_id,
        epoch=case["epoch"],
        tree_hash=tree_hash,
        confirmed_transcript_hash=confirmed,
        extensions={},
    ).encode()


def treekem_process(
    case: Case, before: RatchetTree, sender: int, path: UpdatePath, leaf: int, keys: dict[int, bytes]
) -> tuple[RatchetTree, PathSecrets]:
    tree = before.copy()
    secrets = process_path(
        tree,
        sender,
        path,
        own_leaf=leaf,
        keys=keys,
        group_id=bytes.fromhex(case["group_id"]),
        context_for=partial(treekem_context, case),
        newcomers=frozenset(),
    )
    return tree, secrets


def test_paths_of_the_vectors_are_processed() -> None:
    for case in cases("treekem"):
        before = read_tree(case["ratchet_tree"])
        keys = treekem_keys(before, case)
        for update in case["update_paths"]:
            path = codec.decode(bytes.fromhex(update["update_path"]), UpdatePath.decode)
            assert path.encode().hex() == update["update_path"]
            public = before.copy()
            group_id = bytes.fromhex(case["group_id"])
            merge_path(public, update["sender"], path, group_id=group_id, newcomers=frozenset())
            assert public.root_hash().hex() == update["tree_hash_after"]
            for leaf, own in keys.items():
                if leaf == update["sender"]:
                    continue
                tree, secrets = treekem_process(case, before, update["sender"], path, leaf, own)
                assert tree.root_hash().hex() == update["tree_hash_after"]
                assert secrets.commit_secret.hex() == update["commit_secret"]
                lowest = min(secrets.path_secrets, key=treemath.level)
                assert secrets.path_secrets[lowest].hex() == update["path_secrets"][leaf]


def test_paths_we_make_in_the_trees_of_the_vectors_are_understood_by_all_members() -> None:
    for case in cases("treekem"):
        before = read_tree(case["ratchet_tree"])
        keys = treekem_keys(before, case)
        for private in case["leaves_private"]:
            sender, tree = private["index"], before.copy()
            path, made = create_path(
                tree,
                sender,
                _template(before, private),
                group_id=bytes.fromhex(case["group_id"]),
                context_for=partial(treekem_context, case),
                newcomers=frozenset(),
                rng=os.urandom,
            )
            path = codec.decode(path.encode(), UpdatePath.decode)
            for leaf, own in keys.items():
                if leaf == sender:
                    continue
                theirs, secrets = treekem_process(case, before, sender, path, leaf, own)
                assert theirs.encode() == tree.encode()
                assert secrets.commit_secret == made.commit_secret
                assert secrets.path_secrets.items() <= made.path_secrets.items()
            check_tree(tree, bytes.fromhex(case["group_id"]), {})


def _template(tree: RatchetTree, private: Case) -> LeafTemplate:
    node = tree.leaf(private["index"])
    assert node is not None
    signing_key = bytes.fromhex(private["signature_priv"])
    return LeafTemplate(signing_key=signing_key, identity=node.identity, capabilities=node.capabilities)


# --- messages


def protection(case: Case) -> MessageEpoch:
    """An epoch of a group with two members, of which leaf 1 speaks."""
    group_id, tree_hash, confirmed = unhex(case, "group_id", "tree_hash", "confirmed_transcript_hash")
    context = GroupContext(
        group_id=group_id,
        epoch=case["epoch"],
        tree_hash=tree_hash,
        confirmed_transcript_hash=confirmed,
        extensions={},
    )
    tree = RatchetTree()
    for signing_key in (bytes(31) + b"\x01", bytes.fromhex(case["signature_priv"])):
        template = LeafTemplate(signing_key=signing_key, identity=b"", capabilities=Capabilities())
        tree.add(template.for_update(hpke_derive_key_pair(signing_key)[1], group_id, tree.width))
    encryption, sender_data = unhex(case, "encryption_secret", "sender_data_secret")
    return MessageEpoch(context, tree, sender_data, SecretTree(2, encryption))


def test_private_messages_of_the_vectors_open() -> None:
    for case in cases("message-protection"):
        for name in ("proposal", "commit", "application"):
            opened = protection(case).open_private(bytes.fromhex(case[f"{name}_priv"]), own_leaf=0)
            framed = opened.message.framed
            content = framed.content if isinstance(framed.content, bytes) else framed.body
            assert content.hex() == case[name]
            assert framed.sender == 1


def test_public_messages_of_the_vectors_open_and_ours_equal_them() -> None:
    for case in cases("message-protection"):
        key = bytes.fromhex(case["membership_key"])
        for name in ("proposal", "commit"):
            data = bytes.fromhex(case[f"{name}_pub"])
            message = protection(case).open_public(data, key)
            assert message.framed.body.hex() == case[name]
            assert protection(case).seal_public(message, key) == data


def test_messages_we_protect_in_the_epochs_of_the_vectors_open() -> None:
    for case in cases("message-protection"):
        ours = protection(case)
        signing_key, key = unhex(case, "signature_priv", "membership_key")
        contents: list[bytes | Proposal | Commit] = [
            bytes.fromhex(case["application"]),
            codec.decode(bytes.fromhex(case["proposal"]), decode_proposal),
            codec.decode(bytes.fromhex(case["commit"]), Commit.decode),
        ]
        for content in contents:
            framed = ours.frame(1, content, b"aad")
            for wire_format in WireFormat.PRIVATE, WireFormat.PUBLIC:
                message = with_tag(ours.sign(framed, wire_format, signing_key), b"t" * 32)
                if framed.content_type is not ContentType.COMMIT:
                    message = with_tag(message, b"")
                if wire_format is WireFormat.PRIVATE:
                    data = ours.seal_private(message, rng=os.urandom)
                    assert protection(case).open_private(data, own_leaf=0).message == message
                elif framed.content_type is not ContentType.APPLICATION:
                    assert protection(case).open_public(ours.seal_public(message, key), key) == message


def test_the_welcome_of_the_vectors_opens() -> None:
    for case in cases("welcome"):
        package = codec.decode(bytes.fromhex(case["key_package"])[4:], KeyPackage.decode)
        welcome = codec.decode(bytes.fromhex(case["welcome"]), Welcome.decode)
        init_private, signer = unhex(case, "init_priv", "signer_pub")
        secrets = open_secrets(welcome, package, init_private)
        psk = psk_secret(secrets.psks, KnownPsks(external={}))
        found = joining(secrets.joiner_secret, psk, None)
        info = open_info(welcome.group_info, found.welcome_secret)
        suite.verify_with_label(signer, b"GroupInfoTBS", info.unsigned(), info.signature)
        epoch = joining(
            secrets.joiner_secret, psk_secret(secrets.psks, KnownPsks(external={})), info.context.encode()
        ).epoch_secret
        tag = EpochSecrets.derive(epoch).confirmation_tag(info.context.confirmed_transcript_hash)
        assert equal(tag, info.confirmation_tag)


# --- a client that only listens


def passive_client(case: Case) -> Group:
    """The group that a vector's Welcome leads into, by `Group.join`."""
    package = codec.decode(bytes.fromhex(case["key_package"])[4:], KeyPackage.decode)
    bundle = KeyPackageBundle(package, *unhex(case, "init_priv", "encryption_priv"))
    assert bundle.key_package.hex() == case["key_package"]
    group = Group.join(
        bytes.fromhex(case["welcome"]),
        bundle,
        bytes.fromhex(case["signature_priv"]),
        psks=passive_psks(case),
        ratchet_tree=bytes.fromhex(case["ratchet_tree"]) if case["ratchet_tree"] else None,
        now=passive_now(package),
    )
    assert group.epoch_authenticator.hex() == case["initial_epoch_authenticator"]
    return group


def passive_psks(case: Case) -> dict[bytes, bytes]:
    return {bytes.fromhex(psk["psk_id"]): bytes.fromhex(psk["psk"]) for psk in case["external_psks"]}


def passive_now(package: KeyPackage) -> int:
    """A time at which the vectors' key packages are valid: they were made one after the other."""
    assert package.leaf_node.lifetime is not None
    return package.leaf_node.lifetime[0] + 60


def test_a_client_is_welcomed_into_the_groups_of_the_vectors() -> None:
    for case in cases("passive-client-welcome"):
        passive_client(case)


def test_a_client_follows_the_commits_of_the_vectors() -> None:
    for case in cases("passive-client-handling-commit"):
        group, psks = passive_client(case), passive_psks(case)
        package = codec.decode(bytes.fromhex(case["key_package"])[4:], KeyPackage.decode)
        now = passive_now(package)
        for epoch in case["epochs"]:
            for proposal in epoch["proposals"]:
                assert isinstance(group.process(bytes.fromhex(proposal), psks=psks, now=now), ProposalReceived)
            staged = group.process(bytes.fromhex(epoch["commit"]), psks=psks, now=now)
            assert isinstance(staged, Staged)
            group = staged.merge()
            assert group.epoch_authenticator.hex() == epoch["epoch_authenticator"]
