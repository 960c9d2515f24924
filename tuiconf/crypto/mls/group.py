"""A member's view of one MLS group: the part of this package that a call uses.

A `Group` stands for one epoch. Within the epoch it changes in place, and only when something succeeds: `protect` and
`propose_*` use up a key of our own, `process` one of the sender's, and proposals are remembered. Going to the next
epoch makes a new `Group`: `commit` and `process` give a `Staged`, and `Staged.merge` the next one, after which the
old one refuses to be used and has forgotten its secrets. A `Staged` that is not merged has changed nothing but used
up a key of our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tuiconf.crypto.mls.commit import State, enter_epoch, known_psks, make_commit, process_commit
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.framing import MessageEpoch, peek
from tuiconf.crypto.mls.keypackage import MAX_LIFETIME_S, POLICY_EXTENSION, KeyPackage, KeyPackageBundle
from tuiconf.crypto.mls.messages import (
    Add,
    AuthenticatedContent,
    Commit,
    ContentType,
    GroupContextExtensions,
    Proposal,
    Remove,
    Update,
    WireFormat,
    new_psk,
)
from tuiconf.crypto.mls.nodes import DEFAULT_EXTENSIONS, Capabilities, LeafTemplate
from tuiconf.crypto.mls.proposals import (
    Changes,
    Member,
    Proposed,
    Selection,
    check_unspent,
    choose,
    member_at,
    needs_path,
    verify_proposal,
)
from tuiconf.crypto.mls.received import Application, ProposalReceived, application
from tuiconf.crypto.mls.schedule import GroupContext
from tuiconf.crypto.mls.spent import Spent
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.mls.welcome import open_welcome
from tuiconf.crypto.primitives import HASH_BYTES, KEY_BYTES, Random, ed25519_public, equal, hpke_derive_key_pair
from tuiconf.errors import LocalProtocolError

# A chat line sent just before a commit arrives just after it. The relay delivers in order and within seconds; each
# epoch kept is one more whose messages a thief of this process could read.
PAST_EPOCHS: Final = 3
PAST_EPOCH_S: Final = 10

# Proposals of one epoch, by all members together: every member may leave at once. About 700 bytes each.
MAX_PROPOSALS: Final = 1024


class Staged:
    """A commit, our own or another's, that is valid but has not been taken up.

    `commit` and `welcome` are to be sent when it is our own (`welcome` None: nobody was added); `commit` is the
    message that was processed otherwise. `own_removed`: we are no longer a member, and there is nothing to merge.
    """

    __slots__ = ("_base", "_now", "_state", "changes", "commit", "committer", "epoch", "own_removed", "welcome")

    def __init__(
        self,
        base: Group,
        state: State | None,
        changes: Changes,
        *,
        committer: int,
        commit: bytes,
        welcome: bytes | None,
        now: int,
    ) -> None:
        self._base, self._state, self._now = base, state, now
        self.changes = changes
        self.committer = committer
        self.epoch = base.epoch + 1
        self.commit = commit
        self.welcome = welcome
        self.own_removed = state is None

    def merge(self) -> Group:
        """The group in its next epoch. The one this was made from can no longer be used.

        Raises:
            LocalProtocolError: the group has gone on already, or we are no longer in it.
        """
        if self.own_removed:
            raise LocalProtocolError("this commit removed us: there is no next epoch for us")
        state, self._state = self._state, None  # whoever goes on holding this must not hold an epoch's secrets
        return self._base._succeed(state, self.changes, now=self._now)


@dataclass(frozen=True, slots=True, repr=False)
class _Past:
    """An earlier epoch whose application messages still open, until a unix time in seconds."""

    messages: MessageEpoch
    own_leaf: int
    until: int


class Group:
    """See the module. Everything raises `LocalProtocolError` once the group has gone on to another epoch."""

    __slots__ = ("_current", "_members", "_own_updates", "_past", "_proposals", "_spent", "_tree_in_welcome")

    def __init__(self, state: State, *, past: tuple[_Past, ...] = (), spent: Spent | None = None) -> None:
        """Only for this package: a group comes from `create`, `join` or `Staged.merge`."""
        self._current: State | None = state  # None: this epoch is over
        self._past = past
        self._spent = spent or Spent()  # fixed for the epoch: a Welcome tells of it, and must be the same made again
        self._proposals: dict[bytes, Proposed] = {}
        self._own_updates: dict[bytes, bytes] = {}
        self._members: tuple[Member, ...] | None = None
        self._tree_in_welcome: bool | None = None  # what the first Welcome made in this epoch did

    # --- how a group begins

    @classmethod
    def create(
        cls,
        group_id: bytes,
        signing_key: bytes,
        credential: bytes,
        *,
        extensions: Mapping[int, bytes] | None = None,
        extension_types: Sequence[int] = (POLICY_EXTENSION,),
        rng: Random,
        now: int,
    ) -> Group:
        """A group with one member (§11). `extension_types` are those we understand, besides those in `extensions`."""
        wanted = dict(extensions or {})
        types = tuple(sorted({*wanted, *extension_types} - DEFAULT_EXTENSIONS))
        template = LeafTemplate(
            signing_key=signing_key, identity=credential, capabilities=Capabilities(extensions=types)
        )
        private, public = hpke_derive_key_pair(rng(KEY_BYTES))
        tree = RatchetTree()
        leaf_node = template.for_key_package(public, (now, now + MAX_LIFETIME_S))
        leaf_node.check(wanted)
        leaf = tree.add(leaf_node)
        context = GroupContext(
            group_id=group_id, epoch=0, tree_hash=tree.root_hash(), confirmed_transcript_hash=b"", extensions=wanted
        )
        keys = {2 * leaf: private}
        state, _ = enter_epoch(context, tree, rng(HASH_BYTES), own_leaf=leaf, keys=keys, template=template)
        return cls(state)

    @classmethod
    def join(
        cls,
        welcome: bytes,
        bundle: KeyPackageBundle,
        signing_key: bytes,
        *,
        psks: Mapping[bytes, bytes],
        ratchet_tree: bytes | None = None,
        required_psk: bytes | None = None,
        now: int,
    ) -> Group:
        """The group a Welcome leads into. On success, and only then, the bundle's private keys are gone.

        `psks` are external pre-shared keys by id. With `required_psk` (an id) a Welcome made without that key is
        refused: anyone who has seen a key package can otherwise welcome its owner into a group of his own.
        `ratchet_tree` is for a Welcome without the tree in it.

        Raises:
            MlsError: the Welcome is not valid, or not for this bundle, or the bundle has expired or been used.
            LocalProtocolError: the bundle is not of this signing key.
        """
        if bundle.used:  # who sends a second Welcome is a peer, so this is no mistake of ours
            raise MlsError("not_for_us", "a Welcome is for a key package that has been used")
        package, init_private, encryption_private = bundle.private
        if ed25519_public(signing_key) != package.signature_key:
            raise LocalProtocolError("a key package was made with another signing key")
        package.check_lifetime(now=now)
        found = open_welcome(
            welcome, package, init_private, psks=psks, required_psk=required_psk, ratchet_tree=ratchet_tree
        )
        template = LeafTemplate(
            signing_key=signing_key, identity=package.identity, capabilities=package.leaf_node.capabilities
        )
        state, tag = enter_epoch(
            found.context,
            found.tree,
            found.epoch_secret,
            own_leaf=found.own_leaf,
            keys={2 * found.own_leaf: encryption_private, **found.path_keys},
            template=template,
        )
        if not equal(tag, found.confirmation_tag):
            raise MlsError("confirmation_tag", "a Welcome does not lead where it says")
        bundle.forget()
        return cls(state, spent=found.spent.and_those_of((leaf for _, leaf in found.tree.leaves()), now=now))

    # --- what it is

    @property
    def _state(self) -> State:
        if self._current is None:
            raise LocalProtocolError("this epoch of the group is over")
        return self._current

    @property
    def group_id(self) -> bytes:
        """The group's name."""
        return self._state.context.group_id

    @property
    def epoch(self) -> int:
        """How many commits the group has seen."""
        return self._state.context.epoch

    @property
    def own_leaf(self) -> int:
        """Our own leaf index. It never changes."""
        return self._state.own_leaf

    @property
    def extensions(self) -> Mapping[int, bytes]:
        """The GroupContext's extensions."""
        return dict(self._state.context.extensions)

    @property
    def epoch_authenticator(self) -> bytes:
        """32 bytes that are equal for exactly those who are in the same epoch of the same group (§8.7)."""
        return self._state.secrets.authenticator

    @property
    def ratchet_tree(self) -> bytes:
        """The tree, for someone whose Welcome does not carry it."""
        return self._state.tree.encode()

    @property
    def proposals(self) -> tuple[ProposalReceived, ...]:
        """The proposals of this epoch that a commit may take up, our own included, in the order they came."""
        return tuple(
            ProposalReceived(ref=ref, sender_leaf=item.sender, proposal=item.proposal)
            for ref, item in self._proposals.items()
        )

    def members(self) -> tuple[Member, ...]:
        """Everyone in the group, by leaf index."""
        if self._members is None:
            self._members = tuple(member_at(leaf, node) for leaf, node in self._state.tree.leaves())
        return self._members

    def member(self, leaf: int) -> Member | None:
        """The member at a leaf index, or None."""
        node = self._state.tree.leaf(leaf)
        return None if node is None else member_at(leaf, node)

    def holds(self, key_package: KeyPackage) -> bool:
        """Whether the key package's leaf is in the tree: it was used, by whomever."""
        return self._state.tree.has_key(key_package.leaf_node.encryption_key)

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """MLS-Exporter (§8.5): a secret of this epoch for a use of one's own."""
        return self._state.secrets.export(label, context, length)

    # --- saying something

    def protect(self, data: bytes, *, authenticated_data: bytes = b"", rng: Random) -> bytes:
        """An application message to the group; `authenticated_data` is signed, and readable by the relay."""
        return self._send(data, authenticated_data, public=False, rng=rng)[0]

    def propose_add(self, key_package: KeyPackage, *, public: bool = False, rng: Random, now: int) -> bytes:
        """The message that proposes to add someone (from `parse_key_package`)."""
        self._check_packages([key_package], now)
        return self._propose(Add(key_package), public=public, rng=rng)

    def propose_remove(self, leaf: int, *, public: bool = False, rng: Random) -> bytes:
        """The message that proposes to remove a member, or ourselves: nobody can commit its own removal."""
        if self._state.tree.leaf(leaf) is None:
            raise LocalProtocolError("there is nobody at that leaf")
        return self._propose(Remove(leaf), public=public, rng=rng)

    def propose_update(self, *, public: bool = False, rng: Random) -> bytes:
        """The message that proposes a new encryption key for ourselves."""
        private, key = hpke_derive_key_pair(rng(KEY_BYTES))
        leaf_node = self._state.template.for_update(key, self.group_id, self.own_leaf)
        message = self._propose(Update(leaf_node), public=public, rng=rng)
        self._own_updates[key] = private
        return message

    def propose_psk(self, psk_id: bytes, *, public: bool = False, rng: Random) -> bytes:
        """The message that proposes to mix in an external pre-shared key."""
        return self._propose(new_psk(psk_id, rng=rng), public=public, rng=rng)

    def propose_extensions(self, extensions: Mapping[int, bytes], *, public: bool = False, rng: Random) -> bytes:
        """The message that proposes to replace all extensions of the group."""
        return self._propose(GroupContextExtensions(dict(extensions)), public=public, rng=rng)

    def forget_proposal(self, ref: bytes) -> None:
        """Leave a proposal out for good: one of ours that was never delivered, or one that policy forbids."""
        self._proposals.pop(ref, None)

    def _propose(self, proposal: Proposal, *, public: bool, rng: Random) -> bytes:
        message, content = self._send(proposal, b"", public=public, rng=rng)
        self._remember(content, proposal)
        return message

    def _send(
        self, content: bytes | Proposal, authenticated_data: bytes, *, public: bool, rng: Random
    ) -> tuple[bytes, AuthenticatedContent]:
        messages = self._state.messages
        wire_format = WireFormat.PUBLIC if public else WireFormat.PRIVATE
        framed = messages.frame(self.own_leaf, content, authenticated_data)
        signed = messages.sign(framed, wire_format, self._state.template.signing_key)
        if public:
            return messages.seal_public(signed, self._state.secrets.membership_key), signed
        return messages.seal_private(signed, rng=rng), signed

    # --- going on

    def commit(
        self,
        *,
        add: Sequence[KeyPackage] = (),
        remove: Sequence[int] = (),
        psk: Sequence[bytes] = (),
        extensions: Mapping[int, bytes] | None = None,
        refs: Sequence[bytes] | None = None,
        with_path: bool | None = None,
        public: bool = False,
        tree_in_welcome: bool = True,
        authenticated_data: bytes = b"",
        psks: Mapping[bytes, bytes],
        rng: Random,
        now: int,
    ) -> Staged:
        """A commit of ours. The group is unchanged until the result is merged; throw it away if the relay refuses it.

        `psk` names external pre-shared keys to mix in, whose values are in `psks`. `refs` are the remembered
        proposals to take up: a list means exactly those; None means all that are valid together, without those for
        pre-shared keys that are not in `psks`. `with_path` None means only where RFC 9420 asks for it.
        `tree_in_welcome` False leaves the tree to `ratchet_tree`.

        Raises:
            MlsError: a key package is expired or used, or what others proposed makes an invalid group.
            LocalProtocolError: what was asked for contradicts itself or RFC 9420.
        """
        self._check_packages(add, now)
        if any(self._state.tree.leaf(leaf) is None for leaf in remove):
            raise LocalProtocolError("there is nobody at that leaf")
        explicit: list[Proposal] = [*map(Remove, remove), *map(Add, add)]
        explicit += [new_psk(psk_id, rng=rng) for psk_id in psk]
        if extensions is not None:
            explicit.append(GroupContextExtensions(dict(extensions)))
        items = self._choose(explicit, refs, psks).items
        self._settle_tree_in_welcome(tree_in_welcome, items)
        required = needs_path(items)
        if with_path is False and required:
            raise LocalProtocolError("this commit needs a path")
        made = make_commit(
            self._state,
            items,
            with_path=required if with_path is None else with_path,
            wire_format=WireFormat.PUBLIC if public else WireFormat.PRIVATE,
            tree_in_welcome=tree_in_welcome,
            authenticated_data=authenticated_data,
            psks=psks,
            rng=rng,
            spent=self._spent,
        )
        return Staged(
            self, made.state, made.changes, committer=self.own_leaf, commit=made.commit, welcome=made.welcome, now=now
        )

    def _settle_tree_in_welcome(self, inside: bool, items: Sequence[Proposed]) -> None:
        """All Welcomes of an epoch carry the tree, or none: the key and nonce of two may be the same."""
        # A commit that only adds has nothing random in it, so made again it is the same, and leads to the same keys.
        if not any(isinstance(item.proposal, Add) for item in items):
            return
        if self._tree_in_welcome not in (None, inside):
            raise LocalProtocolError("a Welcome of this epoch was made with the tree elsewhere")
        self._tree_in_welcome = inside

    def _check_packages(self, packages: Sequence[KeyPackage], now: int) -> None:
        for package in packages:
            package.check_lifetime(now=now)
            check_unspent(package, self._spent)

    def _choose(
        self, explicit: Sequence[Proposal], refs: Sequence[bytes] | None, psks: Mapping[bytes, bytes]
    ) -> Selection:
        own = [Proposed(proposal=proposal, sender=self.own_leaf, ref=None) for proposal in explicit]
        tree, extensions = self._state.tree, self._state.context.extensions
        # Our own are inlined: nobody then needs to have seen them.
        stored = {
            ref: replace(item, ref=None) if item.sender == self.own_leaf else item
            for ref, item in self._proposals.items()
        }
        try:
            if refs is None:
                return choose(
                    stored.values(),
                    own,
                    committer=self.own_leaf,
                    tree=tree,
                    extensions=extensions,
                    psks=known_psks(self._state, psks),
                )
            chosen = Selection(self.own_leaf)
            for item in [*own, *(stored[ref] for ref in refs)]:
                chosen.admit(item)
        except MlsError as error:
            raise LocalProtocolError("the proposals of this commit do not go together") from error
        except KeyError:
            raise LocalProtocolError("a proposal of this commit is not known") from None
        return chosen

    def _succeed(self, state: State | None, changes: Changes, *, now: int) -> Group:
        if state is None or self._current is None:
            raise LocalProtocolError("this epoch of the group is over")
        past = (*self._past, _Past(self._state.messages, self.own_leaf, now + PAST_EPOCH_S))[-PAST_EPOCHS:]
        newcomers = (state.tree.member(added.member.leaf) for added in changes.added)
        following = Group(state, past=past, spent=self._spent.and_those_of(newcomers, now=now))
        following.expire(now)
        # Whoever goes on holding this must not hold what the secrets of this epoch and the next are made of.
        self._current, self._past, self._own_updates = None, (), {}
        return following

    # --- hearing something

    def process(
        self, message: bytes, *, psks: Mapping[bytes, bytes], now: int
    ) -> Application | ProposalReceived | Staged:
        """What another member's message says. On failure nothing has changed.

        A commit can be processed again until it is merged; the key of any other message is gone with it.

        Raises:
            MlsError: it is not valid, not of this group, or not of an epoch that is known.
        """
        self.expire(now)
        header = peek(message)
        if header.group_id != self.group_id:
            raise MlsError("wrong_group", "a message is for another group")
        if header.epoch != self.epoch:
            return self._process_past(message, header.epoch, header.content_type)
        if header.wire_format is WireFormat.PUBLIC:
            content = self._state.messages.open_public(message, self._state.secrets.membership_key)
            if content.framed.sender == self.own_leaf:
                raise MlsError("own_message", "a message is this member's own")
            return self._take(message, content, psks, now)
        opened = self._state.messages.open_private(message, own_leaf=self.own_leaf)
        result = self._take(message, opened.message, psks, now)
        if not isinstance(result, Staged):
            opened.use()
        return result

    def _process_past(self, message: bytes, epoch: int, content_type: ContentType) -> Application:
        for past in self._past:
            if past.messages.context.epoch == epoch and content_type is ContentType.APPLICATION:
                opened = past.messages.open_private(message, own_leaf=past.own_leaf)
                opened.use()
                return application(opened.message)
        raise MlsError("wrong_epoch", "a message is of an epoch that is over or has not begun")

    def _take(
        self, message: bytes, content: AuthenticatedContent, psks: Mapping[bytes, bytes], now: int
    ) -> Application | ProposalReceived | Staged:
        said, sender = content.framed.content, content.framed.sender
        if isinstance(said, bytes):
            return application(content)
        if not isinstance(said, Commit):
            verify_proposal(said, sender, tree=self._state.tree, group_id=self.group_id, spent=self._spent, now=now)
            return self._remember(content, said)
        changes, state = process_commit(
            self._state,
            content,
            said,
            stored=self._proposals,
            own_updates=self._own_updates,
            psks=psks,
            spent=self._spent,
            now=now,
        )
        return Staged(self, state, changes, committer=sender, commit=message, welcome=None, now=now)

    def _remember(self, content: AuthenticatedContent, proposal: Proposal) -> ProposalReceived:
        if len(self._proposals) >= MAX_PROPOSALS:
            raise MlsError("limit", "there are too many proposals in this epoch")
        ref, sender = content.proposal_ref(), content.framed.sender
        self._proposals[ref] = Proposed(proposal=proposal, sender=sender, ref=ref)
        return ProposalReceived(ref=ref, sender_leaf=sender, proposal=proposal)

    def expire(self, now: int) -> None:
        """Drop the keys of past epochs whose time is over."""
        self._past = tuple(past for past in self._past if now < past.until)
