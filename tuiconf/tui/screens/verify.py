"""The room code, to be read aloud, and who was heard to have the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.control.events import Person
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.panel import Panel, lines
from tuiconf.tui.screens.wording import TRUST_TONES, TRUST_WORDS, people, verified_words
from tuiconf.tui.widgets.digits import big_lines, plain_lines
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows
from tuiconf.untrusted import visible

_COLUMNS: Final = (
    Column(cells=3),
    Column(cells=10, grows=True, most=32),
    Column(cells=9),
    Column(cells=35, from_width=64),
)

# From these widths on: words beside big digits, and both with air around them.
_SIDE_BY_SIDE: Final = 78
# A number, and a word of eight letters.
_WORDS_CELLS: Final = 10

_CHANGED: Final = "The group has changed, and so has the code: this is the new one. Compare it anew."
_SENTENCE: Final = "Read it aloud: it is the same for everyone only if all are in one group, with nobody in between."


class VerifyScreen(Panel[None]):
    """What is confirmed is the code that was shown when it was read. Enter shows one person's safety number."""

    HEADING = "Room code"
    DEFAULT_CSS = """
    VerifyScreen .code { height: auto; padding: 0 1; layout: horizontal; }
    VerifyScreen .words { width: 12; height: auto; }
    VerifyScreen .digits { width: 1fr; height: auto; }
    VerifyScreen .sentence { margin-bottom: 1; }
    VerifyScreen Rows { min-height: 2; }
    VerifyScreen.-narrow .code { layout: vertical; }
    VerifyScreen.-narrow .words, VerifyScreen.-narrow .digits { width: 1fr; }
    VerifyScreen.-low .sentence { display: none; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [
        Binding("space", "mark", "Mark someone whose code you have heard, or unmark them", show=False),
        Binding("y", "decide(True)", "It matches: those who are marked are verified", show=False),
        Binding("n", "decide(False)", "It does not match: report it", show=False),
        Binding("v", "safety", "One person's safety number", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._code: schema.RoomCode | None = None
        self._marked: set[str] = set()  # fingerprints: a leaf may be given to someone else
        self._unread = False
        """The code is another one than what was read, and nobody has said that they saw that."""
        self._peers: dict[str, schema.Peer] = {}
        self._asked: frozenset[tuple[str, str]] = frozenset()

    def body(self) -> ComposeResult:
        """The code, and the people."""
        yield Static(_SENTENCE, classes="sentence")
        with Container(classes="code"):
            yield Static(classes="words")
            yield Static(classes="digits")
        yield Rows(_COLUMNS, empty="Nobody else is here yet")

    def hints(self) -> Sequence[Hint]:
        """The keys."""
        if self._unread:
            return (("y", "I see the new code"), ("Esc", "back"))
        return (
            ("y", "matches"),
            ("n", "does NOT match"),
            ("space", "mark"),
            ("Enter", "safety number"),
            ("Esc", "back"),
        )

    def on_mount(self) -> None:
        """Ask for the code."""
        self.query_one(Rows).focus()
        self._list()
        self.work(self._ask_code(), exclusive=True, group="code")
        self._ask_who_they_are()

    def on_resize(self) -> None:
        """The code as large as there is room for."""
        self.set_class(self.size.width < _SIDE_BY_SIDE, "-narrow")
        self._draw()

    def refresh_model(self, parts: Parts) -> None:
        """Another code, or other people."""
        if Part.CODE in parts:
            self.work(self._ask_code(), exclusive=True, group="code")
        if Part.ROSTER in parts:
            self._marked &= {who.fingerprint for who in self._others()}
            self._list()
            self._ask_who_they_are()

    def action_mark(self) -> None:
        """One said that they have the same code."""
        if (key := self.query_one(Rows).key) is not None:
            self._marked ^= {key}
            self._list()

    async def action_decide(self, matches: bool) -> None:
        """For those who are marked; for whoever is under the cursor when nobody is."""
        if self._unread:
            self._unread = not matches
            self.say("" if matches else _CHANGED, "warning")
            self.renew_hints()
            return
        who = self._meant()
        if self._code is None or not who:
            self.say("There is nobody to compare with." if self._code else "There is no code yet.", "quiet")
            return
        decided = [person for person in who if await self._verify(person, self._code, matches=matches)]
        self._marked -= {person.fingerprint for person in decided}
        self._list()
        self._tell(decided, matches=matches)

    def action_safety(self) -> None:
        """Whoever is under the cursor."""
        if (key := self.query_one(Rows).key) is not None:
            self._show_safety(key)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Enter on someone."""
        self._show_safety(event.key)

    # --- the code

    async def _ask_code(self) -> None:
        code = self.tui.model.code or await self.tui.do(schema.GetRoomCode())
        if code is None:
            return
        self.tui.model.know_code(code)
        before, self._code = self._code, code
        if before is not None and before != code:
            self._unread = True
            self._marked.clear()
            self.say(_CHANGED, "warning")
            self.renew_hints()
            self._list()
        self._draw()

    def _draw(self) -> None:
        code, width, height = self._code, self.size.width - 2, self.size.height
        if code is None or not width:
            return
        narrow = width + 2 < _SIDE_BY_SIDE
        self.query_one(".words", Static).update(_words(code.words, width if narrow else _WORDS_CELLS))
        room = width if narrow else width - _WORDS_CELLS - 2
        self.query_one(".digits", Static).update(_digits(code.digits, room, height, unicode=self.unicode))
        epoch = f"epoch {code.epoch}"
        self.head(aside=f"{epoch}, {people(len(self.tui.model.people))}", short=epoch)

    # --- people

    def _others(self) -> list[Person]:
        me = self.tui.model.me
        return [who for who in self.tui.model.people if me is None or who.leaf != me.leaf]

    def _meant(self) -> list[Person]:
        key = self.query_one(Rows).key
        meant = self._marked or ({key} if key is not None else set())
        return [who for who in self._others() if who.fingerprint in meant]

    def _list(self) -> None:
        rows = [self._row(who) for who in self._others()]
        self.query_one(Rows).show(rows)

    def _row(self, who: Person) -> Row:
        peer = self._peers.get(who.fingerprint)
        since = verified_words(peer) if peer is not None and who.trust == "verified" else ""
        return Row(
            key=who.fingerprint,
            cells=(
                Cell(text="[x]" if who.fingerprint in self._marked else "[ ]"),
                Cell(text=who.name),
                Cell(text=TRUST_WORDS[who.trust], tone=TRUST_TONES[who.trust]),
                Cell(text=since, tone="quiet"),
            ),
        )

    def _ask_who_they_are(self) -> None:
        """Of the store, and only when it may say something else: hands that are raised change nothing there."""
        asked, self._asked = self._asked, frozenset((who.fingerprint, who.trust) for who in self._others())
        if asked != self._asked:
            self.work(self._ask_peers(), exclusive=True, group="peers")

    async def _ask_peers(self) -> None:
        if (peers := await self.tui.do(schema.ListPeers())) is not None:
            self._peers = {peer.fingerprint: peer for peer in peers.peers}
            self._list()

    async def _verify(self, who: Person, code: schema.RoomCode, *, matches: bool) -> bool:
        request = schema.VerifyPeer(peer=who.fingerprint, how="room_code", matches=matches, epoch=code.epoch)
        return await self.tui.do(request) is not None

    def _tell(self, decided: Sequence[Person], *, matches: bool) -> None:
        if not decided:
            return
        names = ", ".join(visible(who.name) for who in decided)
        if matches:
            self.say(f"Verified by room code: {names}.", "good")
        else:
            self.say(f"{names}: reported as NOT matching, and silenced here until you accept them.", "bad")

    def _show_safety(self, fingerprint: str) -> None:
        from tuiconf.tui.screens.safety import SafetyScreen

        who = next((who for who in self._others() if who.fingerprint == fingerprint), None)
        if who is not None:
            self.app.push_screen(SafetyScreen(who.fingerprint, name=who.name))


def _words(words: Sequence[str], width: int) -> Content:
    """Numbered, one below the other; beside each other where that would be too high or there is no room beside it."""
    numbered = [Content.assemble((f"{at} ", "$quiet"), (word, "bold")) for at, word in enumerate(words, 1)]
    if width <= _WORDS_CELLS:
        return lines(numbered)
    per_row = max(1, min(4, width // 12))
    rows = [numbered[at : at + per_row] for at in range(0, len(numbered), per_row)]
    return lines(Content("").join(word.pad_right(12 - word.cell_length) for word in row) for row in rows)


def _digits(digits: str, width: int, height: int, *, unicode: bool) -> Content:
    """As large as leaves at least half of the screen to the people."""
    groups = digits.split()
    big = big_lines(groups, width=width, unicode=unicode)
    shown = big if big is not None and len(big) <= height // 2 else plain_lines(groups, width=width)
    return Content.styled("\n".join(shown), "bold")
