"""Who made a Welcome. Pure.

`Group.join` verifies the signature of the GroupInfo by the leaf that it names, and does not say which that was.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuiconf.crypto.mls import KeyPackageBundle, codec
from tuiconf.crypto.mls.messages import Welcome
from tuiconf.crypto.mls.schedule import KnownPsks, joining, psk_secret
from tuiconf.crypto.mls.welcome import open_info, open_secrets


def welcomer(welcome: bytes, bundle: KeyPackageBundle, *, psks: Mapping[bytes, bytes]) -> int:
    """The leaf a Welcome names as its maker: to be believed once the same bytes have been joined by.

    Raises:
        MlsError: it is damaged, or not for this key package.
        LocalProtocolError: the package has been used.
    """
    package, init_private, _ = bundle.private
    parsed = codec.decode(welcome, Welcome.decode)
    secrets = open_secrets(parsed, package, init_private)
    mixed = psk_secret(secrets.psks, KnownPsks(external=psks))
    return open_info(parsed.group_info, joining(secrets.joiner_secret, mixed, None).welcome_secret).signer
