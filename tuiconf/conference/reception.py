"""Notes from outside the group: the knocks of those who want to be let in, and what we answer. Pure."""

from __future__ import annotations

from relay_quic import wire
from tuiconf.conference import content, notes
from tuiconf.conference.attendance import Attendance
from tuiconf.conference.commits import Commits
from tuiconf.conference.effects import Effect, Send
from tuiconf.conference.membership import Instant, Membership, Self
from tuiconf.conference.roster import NotAPerson, check_key_package
from tuiconf.crypto.mls import MlsError, parse_key_package
from tuiconf.errors import RemoteProtocolError
from tuiconf.identity.link import LinkKeys


class Reception:
    """Opens notes, and keeps the knocks among them for whoever commits next."""

    def __init__(self, me: Self, keys: LinkKeys, attendance: Attendance, commits: Commits) -> None:
        self._me = me
        self._keys = keys
        self._attendance = attendance
        self._commits = commits

    def read(self, message: wire.Noted) -> content.NoteContent | None:
        """The note, or None: it is not from someone with the link, or not of this version."""
        try:
            return notes.unseal(message.data, self._keys)
        except RemoteProtocolError:
            return None

    def knock(self, key_package: bytes) -> Send:
        """Our own knock, to everyone else in the room."""
        sealed = notes.seal(content.Knock(key_package=key_package), self._keys, rng=self._me.rng)
        return Send(message=wire.Note(to=None, data=sealed))

    def knocked(
        self, connection: int, knock: content.Knock, membership: Membership | None, at: Instant
    ) -> list[Effect]:
        """Someone shows a KeyPackage: remember it, whether we are in the group already or not."""
        if connection not in self._attendance.connections or connection == self._attendance.own:
            return []
        if not self._commits.door.has_room(connection):
            return []
        try:
            key_package = parse_key_package(knock.key_package, now=int(at.unix))
            check_key_package(key_package)
        except (MlsError, NotAPerson) as error:
            return self._deny(connection, error.code, membership)
        if key_package.signature_key != self._me.identity.public_key:
            self._commits.door.knock(connection, key_package, now=at.now)
        return []

    def _deny(self, connection: int, reason: str, membership: Membership | None) -> list[Effect]:
        """Only the committer answers, so that one bad knock is not answered a thousand times."""
        if membership is None or self._commits.rank(membership) > 0:
            return []
        return [self.denial(connection, reason)]

    def denial(self, connection: int, reason: str = content.NOT_WANTED) -> Send:
        """The note that tells someone who knocks that they are not let in, and why."""
        sealed = notes.seal(content.Denied(reason=reason), self._keys, rng=self._me.rng)
        return Send(message=wire.Note(to=connection, data=sealed))
