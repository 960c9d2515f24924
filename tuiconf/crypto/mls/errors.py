"""The one error that bytes from outside can cause."""

from __future__ import annotations

from tuiconf.errors import RemoteProtocolError


class MlsError(RemoteProtocolError):
    """What a peer sent is refused and nothing has changed. `code` is stable and says why; the text names nobody.

    malformed             not the encoding of anything RFC 9420 knows
    unsupported           well formed, but a version, suite, credential, proposal or sender this call has no use for
    limit                 larger or further ahead than a named cap allows
    wrong_group           for another group
    wrong_epoch           of an epoch that is past (and no longer kept) or still to come
    own_message           sent by this member itself, who cannot open it
    decryption            not sealed to us, changed, or made under a secret (such as a PSK) that is not ours
    replayed              its key has been used, or was dropped
    signature             not signed by whom it says
    membership_tag        a PublicMessage by someone who is not in the group
    confirmation_tag      the committer ended up with other secrets than we did
    unknown_psk           needs a pre-shared key we do not have
    missing_psk           does not use the pre-shared key it must
    unknown_proposal      refers to a proposal we have not seen
    invalid_proposals     the proposals of a commit do not go together (RFC 9420 §12.2)
    invalid_leaf          a leaf node or key package breaks a rule of RFC 9420 §7.3 or §10.1
    lifetime              a key package that is expired, not yet valid, or valid for too long
    duplicate_key         a key that is already in the tree, or a key package that has been in it
    invalid_tree          the ratchet tree contradicts itself or its hash
    invalid_path          an UpdatePath does not fit the tree, or its secrets do not fit its keys
    not_for_us            a Welcome for another key package, or for one that has been used
    """

    code = "mls"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
