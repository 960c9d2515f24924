"""Who waits at the door, who they are, and who has to wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.control.events import Caller
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.panel import Panel, lines, said
from tuiconf.tui.screens.wording import TRUST_TONES, TRUST_WORDS, day, lasting, verified_words
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows, Tone
from tuiconf.untrusted import visible

_COLUMNS: Final = (
    Column(cells=10, grows=True, most=40),
    Column(cells=9),
    Column(cells=34, from_width=72),
    Column(cells=16, from_width=48),
)

# How long they wait is said in minutes.
LOOK_S: Final = 20.0

Lobby = Literal["off", "unknown", "everyone"]

_LOBBIES: Final[tuple[Lobby, ...]] = ("off", "unknown", "everyone")
_WAITS: Final = {
    "off": "Nobody has to wait.",
    "unknown": "Whoever is not known has to wait.",
    "everyone": "Everyone has to wait.",
}
_SENTENCES: Final[dict[str, str]] = {
    "self": "That is your own key.",
    "new": "Never met: anyone can give themselves this name.",
    "known": "Met before with the same key; never verified.",
    "verified": "Verified: the same key as when you compared.",
    "changed": "CHANGED: you knew this name with another key. Ask them in another way before you let them in.",
}


class LobbyScreen(Panel[None]):
    """Admit or deny, one after the other, or all who are known at once."""

    HEADING = "Lobby"
    TELLS = ("KNOCK",)
    DEFAULT_CSS = """
    LobbyScreen .sentence { margin-bottom: 1; }
    LobbyScreen .details { height: auto; max-height: 6; padding: 0 0 0 1; border-top: solid $panel; }
    LobbyScreen.-low .sentence { margin-bottom: 0; }
    LobbyScreen.-low .details { border-top: none; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [
        Binding("a", "admit", "Let them in", show=False),
        Binding("d", "deny", "Do not let them in", show=False),
        Binding("w", "admit_known", "Let in all who are known or verified", show=False),
        Binding("o", "lobby", "Who has to wait: nobody, who is not known, everyone", show=False),
        Binding("x", "lock", "Lock the room: nobody comes in; or unlock it", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._peers: dict[str, schema.Peer] = {}

    def body(self) -> ComposeResult:
        """The rule, who waits, and who is under the cursor."""
        yield Static(classes="sentence")
        yield Rows(_COLUMNS, empty="Nobody is waiting")
        yield Static(classes="details")

    def hints(self) -> Sequence[Hint]:
        """The keys, as far as they would do anything."""
        model = self.tui.model
        callers: tuple[Hint, ...] = ()
        if model.callers and model.may_admit:
            all_known = (("w", "all known"),) if _known(model.callers) else ()
            callers = (("a", "admit"), ("d", "deny"), *all_known)
        rules = (("o", "who waits"), ("x", "lock")) if model.me is not None and model.me.host else ()
        return (*callers, *rules, ("Esc", "back"))

    def on_mount(self) -> None:
        """Show who waits."""
        self.query_one(Rows).focus()
        self.set_interval(LOOK_S, self._list)
        self.refresh_model(frozenset((Part.CALLERS, Part.POLICY)))

    def refresh_model(self, parts: Parts) -> None:
        """Someone came or went, or the rule is another."""
        if parts & {Part.POLICY, Part.ROSTER}:
            self.put(".sentence", lines(map(said, self._rules())))
            self.renew_hints()
        if Part.CALLERS in parts:
            self._list()
            self.work(self._ask_peers(), exclusive=True, group="peers")

    def on_rows_moved(self) -> None:
        """Someone else is under the cursor."""
        self._describe()

    async def action_admit(self) -> None:
        """Them alone."""
        if (caller := self._caller) is not None:
            await self.tui.do(schema.Admit(caller=caller.ref))

    async def action_deny(self) -> None:
        """Them alone."""
        if (caller := self._caller) is not None:
            await self.tui.do(schema.Deny(caller=caller.ref))

    async def action_admit_known(self) -> None:
        """Never someone new, and never someone who is not who they were."""
        known = _known(self.tui.model.callers)
        if not known:
            self.say("Nobody who waits is known.", "quiet")
        for caller in known:
            await self.tui.do(schema.Admit(caller=caller.ref))

    async def action_lobby(self) -> None:
        """The next of the three rules."""
        state = self.tui.model.state
        if state is not None and state.policy is not None:
            at = _LOBBIES.index(state.policy.lobby) if state.policy.lobby in _LOBBIES else 0
            await self.tui.do(schema.LobbySet(lobby=_LOBBIES[(at + 1) % len(_LOBBIES)]))

    async def action_lock(self) -> None:
        """Or unlock."""
        state = self.tui.model.state
        if state is not None and state.policy is not None:
            await self.tui.do(schema.Unlock() if state.policy.locked else schema.Lock())

    # ---

    @property
    def _caller(self) -> Caller | None:
        key = self.query_one(Rows).key
        return next((caller for caller in self.tui.model.callers if caller.ref == key), None)

    def _rules(self) -> list[str]:
        state = self.tui.model.state
        if state is None or state.policy is None:
            return []
        policy = state.policy
        door = "The room is locked: nobody comes in." if policy.locked else _WAITS.get(policy.lobby, "")
        return (
            [door] if self.tui.model.may_admit else [door, "Only hosts let people in here; you see nobody who waits."]
        )

    def _list(self) -> None:
        callers, now = self.tui.model.callers, time.time()
        self.query_one(Rows).show([_row(caller, self._peers.get(caller.fingerprint), now) for caller in callers])
        self.head(aside=f"{len(callers)} waiting" if callers else "")
        self._describe()

    def _describe(self) -> None:
        caller = self._caller
        details = self.query_one(".details", Static)
        details.display = caller is not None
        if caller is not None:
            told = describe(caller, self._peers.get(caller.fingerprint))
            self.put(".details", lines(said(text, tone) for text, tone in told))
        self.renew_hints()

    async def _ask_peers(self) -> None:
        """Since when they are known; of strangers there is nothing to know."""
        if not any(caller.trust in ("known", "verified") for caller in self.tui.model.callers):
            return
        if (peers := await self.tui.do(schema.ListPeers())) is not None:
            self._peers = {peer.fingerprint: peer for peer in peers.peers}
            self._list()


def describe(caller: Caller, peer: schema.Peer | None) -> list[tuple[str, Tone]]:
    """The lines about one who waits."""
    told: list[tuple[str, Tone]] = [
        (visible(caller.name), "strong"),
        (_SENTENCES[caller.trust], TRUST_TONES[caller.trust]),
        (caller.fingerprint, "quiet"),
    ]
    if peer is not None:
        verified = f"Verified {verified_words(peer)}, first" if verified_words(peer) else "First"
        told.append((f"{verified} met {day(peer.first_met)}, last {day(peer.last_met)}.", "quiet"))
    return told


def _known(callers: Sequence[Caller]) -> list[Caller]:
    return [caller for caller in callers if caller.trust in ("known", "verified")]


def _since(caller: Caller, peer: schema.Peer | None) -> str:
    if caller.trust == "new":
        return "never met"
    if peer is None:
        return ""
    return verified_words(peer) if caller.trust == "verified" else f"since {day(peer.first_met)}"


def _waits(caller: Caller, now: float) -> str:
    """Nothing where the engine does not say since when."""
    if not caller.since:
        return ""
    seconds = now - caller.since
    return "just came" if seconds < 60 else f"waits {lasting(seconds)}"


def _row(caller: Caller, peer: schema.Peer | None, now: float) -> Row:
    return Row(
        key=caller.ref,
        cells=(
            Cell(text=caller.name),
            Cell(text=TRUST_WORDS[caller.trust], tone=TRUST_TONES[caller.trust]),
            Cell(text=_since(caller, peer), tone="quiet"),
            Cell(text=_waits(caller, now), tone="quiet"),
        ),
    )
