"""Whatever people do, in whatever order: the promises of a room hold."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay_quic.fanout import PeerId
from relay_quic.log import KEPT_MESSAGES
from relay_quic.rooms import RESUME_S, ROOM_LINGER_S
from relay_quic.wire import Accepted, Came, Entered, Gone, GoodbyeCode, Kind, Ordered, RefusalCode, Refused, Welcome
from tests.relay.relaysupport import Client, House, commit, publish

MAX_PER_ROOM = 5


class RoomMachine(RuleBasedStateMachine):
    """One room, seen through its clients, beside a plain list of what was ordered in it."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House(max_per_room=MAX_PER_ROOM, max_rooms=1)
        self.gone: list[tuple[Client, float]] = []
        self.ordered: list[Ordered] = []
        self.commits_after: set[int] = set()
        self.welcomes: dict[tuple[int, int], bytes] = {}
        self.incarnation = b""
        self.told: dict[PeerId, set[int]] = {}

    # --- rules

    @rule()
    def come(self) -> None:
        full = len(self.house.clients) >= MAX_PER_ROOM
        client = self.house.come()
        if full:
            assert client.goodbye is GoodbyeCode.ROOM_FULL
            return
        entered = client.entered
        assert not entered.resumed
        assert entered.created == (entered.incarnation != self.incarnation)
        if entered.created:
            self._begin_anew(entered)
        assert (entered.last_seq, entered.last_commit) == (len(self.ordered), self._last_commit())

    @precondition(lambda self: self.house.clients)
    @rule(data=st.data(), handshake=st.booleans(), size=st.integers(0, 3000))
    def publish(self, data: st.DataObject, handshake: bool, size: int) -> None:
        sender = self._someone(data)
        kind = Kind.HANDSHAKE if handshake else Kind.APPLICATION
        answer = sender.say(publish(bytes(size), handshake=handshake))
        self._expect_place(sender, answer, Ordered(seq=self._next(), sender=sender.id, kind=kind, data=bytes(size)))

    @precondition(lambda self: self.house.clients)
    @rule(data=st.data(), stale=st.integers(0, 2), size=st.integers(0, 200_000))
    def commit(self, data: st.DataObject, stale: int, size: int) -> None:
        sender = self._someone(data)
        joiners = data.draw(st.sets(st.sampled_from(sorted(self.house.clients)), max_size=3))
        to = [self.house.clients[peer].id for peer in sorted(joiners)]
        after = max(0, self._last_commit() - stale)
        welcome = b"%d" % self._next()
        answer = sender.say(commit(after, data=bytes(size), welcome=welcome, to=to))
        if after != self._last_commit():
            assert answer == [Refused(request=1, reason=RefusalCode.COMMIT_TAKEN)]
            return
        assert after not in self.commits_after
        self.commits_after.add(after)
        seq = self._next()
        self.welcomes.update({(seq, connection): welcome for connection in to})
        ordered = Ordered(seq=seq, sender=sender.id, kind=Kind.COMMIT, data=bytes(size))
        self._expect_place(sender, answer, ordered)

    @precondition(lambda self: self.house.clients)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        client = self._someone(data)
        self._check_received(client)
        client.lose()
        self.gone.append((client, self.house.now))

    @precondition(lambda self: self.house.clients)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        client = self._someone(data)
        self._check_received(client)
        client.leave()
        assert client.goodbye is GoodbyeCode.LEFT

    @precondition(lambda self: self.house.clients)
    @rule(data=st.data())
    def replace(self, data: st.DataObject) -> None:
        client = self._someone(data)
        after = data.draw(st.integers(0, len(self.ordered)))
        self._comes_back(client, after, left_at=self.house.now)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        client, left_at = self.gone.pop(data.draw(st.integers(0, len(self.gone) - 1)))
        after = data.draw(st.integers(0, client.last_seq + 1))
        self._comes_back(client, after, left_at=left_at)

    @rule(seconds=st.sampled_from([1.0, 20.0, 59.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.house.wait(seconds)

    # --- promises

    @invariant()
    def each_receives_the_one_order_without_a_gap(self) -> None:
        for client in self.house.clients.values():
            self._check_received(client)

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        assert len(self.house.rooms) <= 1
        assert self.house.rooms.kept_bytes <= 3 * ((1 << 20) + 4096)
        assert self.house.rooms.lost_count <= len(self.gone)

    def teardown(self) -> None:
        for client in list(self.house.clients.values()):
            client.lose()
        self.house.wait(max(RESUME_S, ROOM_LINGER_S))
        rooms = self.house.rooms
        assert (len(rooms), rooms.kept_bytes, rooms.lost_count) == (0, 0, 0)

    # --- how

    def _someone(self, data: st.DataObject) -> Client:
        return self.house.clients[data.draw(st.sampled_from(sorted(self.house.clients)))]

    def _next(self) -> int:
        return len(self.ordered) + 1

    def _last_commit(self) -> int:
        return max((message.seq for message in self.ordered if message.kind is Kind.COMMIT), default=0)

    def _begin_anew(self, entered: Entered) -> None:
        self.incarnation = entered.incarnation
        self.ordered.clear()
        self.commits_after.clear()
        self.welcomes.clear()

    def _expect_place(self, sender: Client, answer: Sequence[object], ordered: Ordered) -> None:
        self.ordered.append(ordered)
        assert answer[-1] == Accepted(request=1, seq=ordered.seq)

    def _comes_back(self, client: Client, after: int, *, left_at: float) -> None:
        was = client.entered
        replacing = client.peer in self.house.clients
        full = len(self.house.clients) >= MAX_PER_ROOM
        back = client.back(after=after)
        if back.goodbye is GoodbyeCode.ROOM_FULL:
            assert full
            assert not replacing
            self.gone.append((client, left_at))
            return
        entered = back.entered
        if entered.created:
            self._begin_anew(entered)
            return
        same_room = was.incarnation == entered.incarnation
        assert replacing is False or client.goodbye is GoodbyeCode.REPLACED
        if not entered.resumed:
            assert entered.connection != was.connection or not same_room
            return
        assert same_room
        assert entered.connection == was.connection
        assert self.house.now - left_at < RESUME_S
        handshakes = [m for m in self.ordered if m.seq > after and m.kind is not Kind.APPLICATION]
        assert [m for m in back.received if isinstance(m, Ordered) and m.kind is not Kind.APPLICATION] == handshakes
        assert len(handshakes) <= KEPT_MESSAGES
        due = {seq for seq, connection in self.welcomes if connection == back.id and seq >= after}
        got = {m.seq for m in back.received if isinstance(m, Welcome)}
        assert max(due, default=0) == max(got, default=0)

    def _check_received(self, client: Client) -> None:
        """In order, without a gap since it came, each as it was ordered; Welcomes are its own and in their place."""
        entered = client.entered
        if entered.incarnation != self.incarnation:
            return
        mine = {m.seq for m in client.received if isinstance(m, Accepted)}
        seqs = sorted([m.seq for m in client.received if isinstance(m, Ordered)] + list(mine))
        assert len(seqs) == len(set(seqs))
        if not entered.resumed:
            assert seqs == list(range(entered.last_seq + 1, len(self.ordered) + 1))
        in_order = [m.seq for m in client.received if isinstance(m, Ordered | Accepted)]
        assert in_order == seqs
        for message in client.received:
            if isinstance(message, Ordered):
                assert message == self.ordered[message.seq - 1]
            elif isinstance(message, Welcome):
                assert self.welcomes[message.seq, client.id] == message.data
        self._check_attendance(client)

    def _check_attendance(self, client: Client) -> None:
        """Came and Gone, on top of the list at the start, give exactly who is there."""
        present = set(client.entered.connections)
        for message in client.received:
            if isinstance(message, Came):
                assert message.connection not in present
                present.add(message.connection)
            elif isinstance(message, Gone):
                present.remove(message.connection)
        assert present == {other.id for other in self.house.clients.values()}


TestRooms = RoomMachine.TestCase
TestRooms.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
