"""In a call in which everything happens, nothing is sealed under a key and nonce that sealed something else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.conference.world import Guest, World
from tuiconf.conference.effects import InstallKeys
from tuiconf.crypto import primitives, sframe
from tuiconf.crypto.media_keys import SealingKeys, Stream
from tuiconf.identity import knock


class Witness:
    """Remembers all that is sealed, by everybody in this process."""

    def __init__(self) -> None:
        self.sealed: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
        self.repeated = 0

    def cipher(self, key: bytes) -> Cipher:
        return Cipher(self, key)

    def saw(self, key: bytes, nonce: bytes, what: tuple[bytes, bytes]) -> None:
        self.repeated += self.sealed.setdefault((key, nonce), what) != what


class Cipher:
    """AES-GCM with a witness."""

    def __init__(self, witness: Witness, key: bytes) -> None:
        self._witness, self._key, self._real = witness, key, AESGCM(key)
        self.decrypt: Callable[[bytes, bytes, bytes], bytes] = self._real.decrypt

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        self._witness.saw(self._key, nonce, (data, associated_data))
        return self._real.encrypt(nonce, data, associated_data)


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    found = Witness()
    for module in (primitives, sframe, knock):
        monkeypatch.setattr(module, "AESGCM", found.cipher)
    return found


class Speaker:
    """Seals the same frame over and over under whatever keys its session installs: only the nonce can differ."""

    def __init__(self, guest: Guest) -> None:
        self._guest, self._keys, self._done = guest, SealingKeys(), 0
        self.installed: list[InstallKeys] = []

    def speak(self) -> None:
        for effect in self._guest.effects[self._done :]:
            if isinstance(effect, InstallKeys):
                self._keys.install(effect.epoch, effect.base_key, effect.own_leaf)
                self.installed.append(effect)
                for stream in Stream:
                    self._keys.seal(stream, b"%d" % len(self.installed))
        self._done = len(self._guest.effects)


def test_no_nonce_is_used_twice_in_a_call_with_everything_in_it(witness: Witness) -> None:
    world = World(11)
    guests = world.party("Alice", "Bob", "Carol", "Dave")
    alice, bob, carol, dave = guests
    speakers = [Speaker(guest) for guest in guests]

    def live(seconds: float) -> None:
        for guest in guests:
            if guest.finished is None:
                guest.say("the same line")
        world.run(seconds)
        for speaker in speakers:
            speaker.speak()

    live(1.0)
    bob.cut()
    guests += [world.guest(name) for name in ("Eve", "Frank")]
    speakers += [Speaker(guest) for guest in guests[4:]]
    alice.drop_after_sending = lambda message: True  # a commit that may or may not have arrived
    live(6.0)
    bob.back()
    live(6.0)
    dave.leave()
    alice.kick(carol)
    live(3.0)
    world.kill_relay()
    live(2.0)
    world.start_relay()
    live(20.0)
    alice.vanish()
    live(80.0)
    assert max(len(speaker.installed) for speaker in speakers) > 4
    assert len(witness.sealed) > 100
    assert witness.repeated == 0


def test_the_witness_sees_a_repeated_nonce(witness: Witness) -> None:
    for payload in (b"one", b"other"):
        sealing = SealingKeys()
        sealing.install(1, bytes(16), 0)
        sealing.seal(Stream.AUDIO, payload)
    assert witness.repeated == 1


def test_a_participant_that_joins_another_group_at_the_same_epoch_and_leaf_goes_on_counting(witness: Witness) -> None:
    """Even if the other group had the very same base key."""
    sealing = SealingKeys()
    for payload in (b"one", b"other"):
        sealing.install(1, bytes(16), 0)
        sealing.seal(Stream.AUDIO, payload)
    assert witness.repeated == 0
