"""The safety number of two people: 60 digits and a QR code, the same on both sides, and for life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.panel import STYLES, Panel, lines, said
from tuiconf.tui.screens.question import Question
from tuiconf.tui.screens.wording import TRUST_SENTENCES, TRUST_TONES, day, verified_words
from tuiconf.tui.widgets.digits import even_rows
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.qr import QrLines, draw_qr, qr_modules, solid
from tuiconf.tui.widgets.rows import Tone
from tuiconf.untrusted import visible

_GROUP_CELLS: Final = 9  # five digits, spaced
_TIGHT_CELLS: Final = 5
_GAP: Final = 3


class SafetyScreen(Panel[None]):
    """To be compared with one other, who sees the same: read aloud, or by scanning."""

    HEADING = "Safety number"
    DEFAULT_CSS = """
    SafetyScreen .number { height: 1fr; layout: horizontal; padding: 0 1; }
    SafetyScreen .told { width: 1fr; height: 1fr; scrollbar-size-vertical: 1; }
    SafetyScreen .told > Static { height: auto; }
    SafetyScreen .digits { margin-top: 1; text-style: bold; }
    SafetyScreen .history, SafetyScreen .too-small { margin-top: 1; color: $quiet; }
    SafetyScreen .qr { width: auto; height: auto; margin-left: 2; }
    SafetyScreen .qr.-coloured { color: black; background: white; }
    SafetyScreen.-low .digits, SafetyScreen.-low .history { margin-top: 0; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [
        Binding("y", "decide(True)", "It matches: they are verified", show=False),
        Binding("n", "decide(False)", "It does not match: report it", show=False),
        Binding("a", "accept", "Hear someone again who is CHANGED", show=False),
        Binding("f", "forget", "As if you had never met", show=False),
        Binding("i", "invert", "Draw the QR code the other way round, for a camera that does not take it", show=False),
    ]

    def __init__(self, peer: int | str, *, name: str) -> None:
        super().__init__()
        self._peer = peer
        self._whom = visible(name)
        self._shown: schema.PeerShown | None = None
        self._inverted = False

    def body(self) -> ComposeResult:
        """What is known of them, the number, and the code."""
        with Container(classes="number"):
            with VerticalScroll(classes="told"):
                yield Static(classes="trust")
                yield Static(classes="digits")
                yield Static(classes="too-small")
                yield Static(classes="history")
            yield Static(classes="qr")

    def hints(self) -> Sequence[Hint]:
        """The keys."""
        changed = self._shown is not None and self._shown.trust == "changed"
        stored = self._shown is not None and self._shown.stored is not None
        return (
            ("y", "matches"),
            ("n", "does NOT match"),
            *((("a", "accept"),) if changed else ()),
            *((("f", "forget"),) if stored else ()),
            *((("i", "invert QR"),) if not self._coloured else ()),
            ("Esc", "back"),
        )

    def on_mount(self) -> None:
        """Ask for the number."""
        self.query_one(".told").focus()
        self.set_class(self._coloured, "-coloured")
        self.query_one(".qr").set_class(self._coloured, "-coloured")
        self._ask()

    def on_resize(self) -> None:
        """The code only where all of it fits."""
        self._draw()

    def refresh_model(self, parts: Parts) -> None:
        """Who they are to us may have changed, here or in another window."""
        if Part.ROSTER in parts:
            self._ask()

    async def action_decide(self, matches: bool) -> None:
        """It was compared."""
        if self._shown is None:
            return
        request = schema.VerifyPeer(peer=self._shown.fingerprint, how="safety_number", matches=matches)
        if await self.tui.do(request) is not None:
            if matches:
                self.say(f"{self._whom} is verified by safety number.", "good")
            else:
                self.say(f"Reported: {self._whom} is silenced here until you accept them.", "bad")
            self._ask()

    def action_accept(self) -> None:
        """Asked first: it makes someone heard who may be somebody else."""
        if self._shown is not None and self._shown.trust == "changed":
            question = f"Accept {self._whom} as they are now?"
            detail = "You hear them again, as known and not verified. Compare the number first if you can."
            self._ask_first(question, detail, "accept", schema.AcceptPeer(peer=self._shown.fingerprint))

    def action_forget(self) -> None:
        """Asked first: what was verified once is to be compared again then."""
        if self._shown is not None and self._shown.stored is not None:
            question = f"Forget {self._whom}?"
            detail = "As if you had never met: verified or not, they are new the next time."
            self._ask_first(question, detail, "forget", schema.ForgetPeer(peer=self._shown.fingerprint))

    def action_invert(self) -> None:
        """Without colours nobody knows which is darker, ink or paper."""
        self._inverted = not self._inverted and not self._coloured
        self._draw()

    # ---

    @property
    def _coloured(self) -> bool:
        """Whether black and white can be asked for; the terminal's own colours may be either way round."""
        return not self.tui.no_color

    def _ask(self) -> None:
        self.work(self._show_peer(), exclusive=True, group="peer")

    async def _show_peer(self) -> None:
        shown = await self.tui.do(schema.ShowPeer(peer=self._peer))
        if shown is not None and shown != self._shown:
            self._shown = shown
            self._peer = shown.fingerprint  # a leaf or a name may be another's soon, under the same heading
            self._draw()
            self.renew_hints()

    def _ask_first(self, question: str, detail: str, yes: str, request: schema.AnyRequest) -> None:
        async def do() -> None:
            if await self.tui.do(request) is not None:
                self._ask()

        def answered(sure: bool | None) -> None:
            if sure:
                self.work(do())

        self.app.push_screen(Question(question, details=(detail,), yes=yes, no="no"), answered)

    def _draw(self) -> None:
        peer = self._shown
        if peer is None or not self.size.width:
            return
        self.head(aside=f"you and {self._whom}", short=self._whom)
        code = self._qr(peer.qr)
        beside = code if code.fits(self.size.width - 24, self.size.height - 2) else None
        self.query_one(".qr", Static).update("" if beside is None else self._inked(beside))
        self.query_one(".qr").display = beside is not None
        room = self.size.width - 2 - (beside.width + 2 if beside else 0)
        self.query_one(".trust", Static).update(_trust(peer))
        self.query_one(".digits", Static).update(Content(number_lines(peer.safety_number, room - 1)))
        self.query_one(".history", Static).update(lines(said(text, tone) for text, tone in history(peer)))
        small = self.query_one(".too-small", Static)
        small.display = beside is None
        small.update(
            f"The QR code needs a window of {code.width + 24} by {code.height + 2}; this one has "
            f"{self.size.width} by {self.size.height}. The digits say the same."
        )

    def _qr(self, text: str) -> QrLines:
        """With colours black on white; without, as the background is as far as is known."""
        ink_is_light = not self._coloured and self.tui.dark is not self._inverted
        return draw_qr(qr_modules(text), unicode=self.unicode, ink_is_light=ink_is_light)

    def _inked(self, code: QrLines) -> Content:
        return (
            Content("\n".join(code.lines)) if self.unicode else solid(code, "on black" if self._coloured else "reverse")
        )


def number_lines(number: str, width: int) -> str:
    """Twelve groups in full rows, the digits spaced where there is room."""
    groups = number.split()
    spaced = (width + _GAP) // (_GROUP_CELLS + _GAP) >= 2
    shown = [" ".join(group) for group in groups] if spaced else groups
    cells = _GROUP_CELLS if spaced else _TIGHT_CELLS
    per_row = max(1, even_rows(len(groups), min(4, (width + _GAP) // (cells + _GAP))))
    return "\n".join((" " * _GAP).join(shown[at : at + per_row]) for at in range(0, len(shown), per_row))


_WAS: Final = {"known": "known", "verified": "verified", "changed": "compared, and NOT matching"}


def history(peer: schema.PeerShown) -> list[tuple[str, Tone]]:
    """What is stored of them, and of those who had the name before."""
    told: list[tuple[str, Tone]] = [(peer.fingerprint, "quiet")]
    if (stored := peer.stored) is not None:
        if verified := verified_words(stored):
            told.append((f"Verified {verified}.", "good" if peer.trust == "verified" else "quiet"))
        told.append((f"First met {day(stored.first_met)}, last {day(stored.last_met)}.", "quiet"))
    for other in peer.others:
        was = f"{_WAS[other.trust]}, last met {day(other.last_met)}"
        told.append((f"This name was {other.fingerprint} before ({was}).", "bad"))
    return told


def _trust(peer: schema.PeerShown) -> Content:
    return Content.styled(TRUST_SENTENCES[peer.trust], STYLES[TRUST_TONES[peer.trust]])
