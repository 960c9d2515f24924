"""What `peers.*` answer: who is meant, what is known of them, and what a decision changes. Pure.

The same in a call and, for `tuiconf peers`, outside of one. A person is meant by leaf, by the beginning of their
fingerprint, or by a name that only one key stands for, among all that are here or were ever met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuiconf.control.people import LEAST_FINGERPRINT_CHARACTERS, NobodyMeant
from tuiconf.control.verifying import Peer, Peers, PeerShown, VerifyPeer
from tuiconf.errors import LocalProtocolError, UsageError
from tuiconf.identity.keys import fingerprint
from tuiconf.identity.safety import qr_text, safety_number
from tuiconf.identity.trust import Accepted, Compared, Finding, Forgotten, Pin, Pins, Standing, look

# Where a name stands for many, so many of their fingerprints are said.
MAX_TOLD: Final = 4


class NotChanged(LocalProtocolError):
    """Only someone who is `changed` can be accepted."""

    code = "not_changed"


class EpochOver(LocalProtocolError):
    """The room code that was compared is not that of the group any more."""

    code = "epoch_over"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Someone:
    """An identity that can be meant."""

    key: bytes
    name: str
    trust: Standing
    leaf: int | None = None  # None: not in the group

    def __repr__(self) -> str:
        """Without name and key."""
        return "<Someone>"


class PeerBook:
    """Made for one request. `here` are those in the call, and those who knock, without this participant itself.

    `own_key` is needed for what two people share, and to tell someone who means themselves.
    """

    def __init__(self, own_key: bytes | None, pins: Pins, here: Iterable[Someone] = ()) -> None:
        self._own_key = own_key
        self._pins = pins
        self._here = {who.key: who for who in here}

    def all(self) -> Peers:
        """Everyone in the store, who was met last first."""
        latest = sorted(self._pins, key=lambda pin: (-pin.last_met, pin.name, pin.key))
        return Peers(peers=tuple(self._peer(pin) for pin in latest))

    def show(self, wanted: int | str) -> PeerShown:
        """All about one of them.

        Raises:
            NobodyMeant: there is none, or it is not clear who.
        """
        if self._own_key is None:
            raise LocalProtocolError("a safety number takes one's own key")
        who = self.find(wanted)
        pin = self._pins.get(who.key)
        others = self._pins.namesakes(who.key, who.name) if who.trust == "changed" else []
        number = safety_number(self._own_key, who.key)
        return PeerShown(
            fingerprint=fingerprint(who.key),
            name=who.name,
            trust=who.trust,
            stored=None if pin is None else self._peer(pin),
            others=tuple(self._peer(other) for other in others),
            safety_number=number,
            qr=qr_text(number),
        )

    def verify(self, request: VerifyPeer, *, at: float, epoch: int | None) -> Compared:
        """Something was compared, at that time; `epoch` is the group's, None outside.

        Raises:
            NobodyMeant: it is not clear with whom.
            EpochOver: it was the code of another epoch.
            UsageError: a room code says nothing of someone who is not in the room, or in an epoch that nobody named.
        """
        who = self.find(request.peer)
        if request.how == "room_code":
            if who.leaf is None:
                raise UsageError("the room code can be compared with those who are in the call, and with nobody else")
            if request.epoch is None:
                raise UsageError("say the epoch of the room code that was compared")
            if request.epoch != epoch:
                raise EpochOver("the room code is another one since somebody came or went: compare the new one")
        finding = Finding(at=float(int(at)), how=request.how, matches=request.matches)
        return Compared(key=who.key, name=who.name, finding=finding)

    def accept(self, wanted: int | str, *, at: float) -> Accepted:
        """Someone who is `changed` is taken for whom they say they are.

        Raises:
            NobodyMeant: there is none, or it is not clear who.
            NotChanged: they are not.
        """
        changed = {key: who for key, who in self._everyone().items() if who.trust == "changed"}
        if not self._matching(wanted, changed):
            self.find(wanted)
            raise NotChanged("their identity is not changed, so there is nothing to accept")
        who = self._one(wanted, changed)
        return Accepted(key=who.key, name=who.name, at=float(int(at)))

    def forget(self, wanted: int | str) -> Forgotten:
        """Someone in the store is to be as if never met.

        A name that another has taken is not clear, though only one of the two is stored: whoever forgets the friend,
        meaning the impostor, hears the impostor.

        Raises:
            NobodyMeant: there is none, or it is not clear who.
        """
        who = self.find(wanted)
        if self._pins.get(who.key) is None:
            raise NobodyMeant("nothing is stored of them, so there is nothing to forget")
        return Forgotten(key=who.key)

    def find(self, wanted: int | str) -> Someone:
        """The one that is meant.

        Raises:
            NobodyMeant: there is none, or it is not clear who.
        """
        return self._one(wanted, self._everyone())

    def _everyone(self) -> dict[bytes, Someone]:
        """Where someone is here and in the store, they are who they are here."""
        stored = {pin.key: Someone(key=pin.key, name=pin.name, trust=pin.trust) for pin in self._pins}
        return {**stored, **self._here}

    def _one(self, wanted: int | str, among: Mapping[bytes, Someone]) -> Someone:
        matches = self._matching(wanted, among)
        if not matches:
            raise NobodyMeant("that is you" if self._is_own(wanted) else "there is nobody of that name")
        if len(matches) > 1:
            marks = ", ".join(sorted(fingerprint(who.key) for who in matches)[:MAX_TOLD])
            raise NobodyMeant(f"several are called that, or alike: say the fingerprint ({marks})")
        return matches[0]

    def _is_own(self, wanted: int | str) -> bool:
        return isinstance(wanted, str) and self._own_key is not None and _begins(wanted, fingerprint(self._own_key))

    def _matching(self, wanted: int | str, among: Mapping[bytes, Someone]) -> Sequence[Someone]:
        if isinstance(wanted, int):
            return [who for who in among.values() if who.leaf == wanted]
        whole = [who for who in among.values() if fingerprint(who.key) == wanted.lower()]
        if whole:  # whoever calls themselves by another's fingerprint takes nothing from them
            return whole
        return [who for who in among.values() if self._fits(wanted, who)]

    def _fits(self, wanted: str, who: Someone) -> bool:
        """By names as they look: who types one does not see which of two it was."""
        pin = self._pins.get(who.key)
        looks = {look(who.name)} | ({look(pin.name)} if pin is not None else set())
        return look(wanted) in looks or _begins(wanted, fingerprint(who.key))

    def _peer(self, pin: Pin) -> Peer:
        here = self._here.get(pin.key)
        finding = pin.finding
        verified = finding if finding is not None and finding.matches else None
        return Peer(
            fingerprint=pin.fingerprint,
            name=pin.name,
            trust=pin.trust if here is None else here.trust,
            first_met=pin.first_met,
            last_met=pin.last_met,
            verified_at=None if verified is None else verified.at,
            verified_how=None if verified is None else verified.how,
        )


def _begins(wanted: str, mark: str) -> bool:
    beginning = wanted.lower()
    return len(beginning) >= LEAST_FINGERPRINT_CHARACTERS and mark.startswith(beginning)
