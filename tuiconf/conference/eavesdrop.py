"""What one who was removed can still open: nothing, which the demo and the tests show by really trying. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from tuiconf.conference.effects import InstallKeys
from tuiconf.crypto import sframe
from tuiconf.crypto.media_keys import SUITE, Stream, metadata
from tuiconf.crypto.sframe import FrameKey, SFrameError
from tuiconf.media.redundancy import BundleError, unbundle

# The epochs whose keys are tried. The last is the only one that could ever fit.
KEPT_EPOCHS: Final = 4


class Eavesdropper:
    """Keeps every key it was given, and after its removal tries each on every frame of sound it is sent."""

    def __init__(self) -> None:
        self._secrets: deque[bytes] = deque(maxlen=KEPT_EPOCHS)
        self.removed = False
        self.frames_tried = 0
        self.frames_opened = 0

    def install(self, keys: InstallKeys) -> None:
        """A member still: learn an epoch's base key."""
        self._secrets.append(sframe.extract(SUITE, keys.base_key))

    def hear(self, datagram: bytes) -> None:
        """A datagram the relay sent; before the removal they are our right to open, and do not count."""
        if not self.removed:
            return
        try:
            frames = unbundle(datagram[1:])
        except BundleError:
            return  # a report
        for sealed in frames:
            self.frames_tried += 1
            self.frames_opened += any(self._opens(secret, sealed) for secret in self._secrets)

    def _opens(self, secret: bytes, sealed: bytes) -> bool:
        try:
            kid, counter, header = sframe.decode_header(sealed)
            FrameKey(SUITE, secret, kid).open(sealed, counter, header, metadata(Stream.AUDIO))
        except SFrameError:
            return False
        return True
