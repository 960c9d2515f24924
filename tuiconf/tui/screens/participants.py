"""Everyone in the call: to find, and to hear louder or not at all; for hosts, to quiet, to remove, to hand over to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Input, Static

from tuiconf.control import schema
from tuiconf.control.events import AudioStats, Person
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.panel import Panel, lines, said
from tuiconf.tui.screens.question import Question
from tuiconf.tui.screens.wording import TRUST_SENTENCES, TRUST_TONES, TRUST_WORDS, people
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows
from tuiconf.untrusted import visible

STEP_DB: Final = 3.0
LEAST_DB: Final = -60.0
MOST_DB: Final = 24.0

_COLUMNS: Final = (
    Column(cells=10, grows=True, most=40),
    Column(cells=9),
    Column(cells=22, from_width=50),
    Column(cells=9, from_width=66),
)


class ParticipantsScreen(Panel[None]):
    """The list is as long as the call is large; what is typed after `/` makes it short."""

    HEADING = "Participants"
    DEFAULT_CSS = """
    ParticipantsScreen Input { display: none; height: 1; border: none; padding: 0 1; }
    ParticipantsScreen.-searching Input { display: block; }
    ParticipantsScreen .details { height: auto; max-height: 7; padding: 0 0 0 1; border-top: solid $panel; }
    ParticipantsScreen.-low .details { max-height: 4; border-top: none; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [
        Binding("slash", "search", "Find someone by name or fingerprint", show=False),
        Binding("plus,equals_sign,right", "volume(1)", "Hear them louder", show=False),
        Binding("minus,left", "volume(-1)", "Hear them less loud", show=False),
        Binding("x", "silence", "Do not hear them, or hear them again", show=False),
        Binding("a", "ask_quiet", "Have them muted; they can unmute themselves", show=False),
        Binding("r", "remove", "Remove them from the call", show=False),
        Binding("o", "hand_over", "Make them host in your place", show=False),
        Binding("v", "verify", "Compare their safety number", show=False),
    ]

    def body(self) -> ComposeResult:
        """What is searched for, the list, and who is under the cursor."""
        yield Input(placeholder="name or fingerprint", select_on_focus=False)
        yield Rows(_COLUMNS, empty="Nobody is called that")
        yield Static(classes="details")

    def hints(self) -> Sequence[Hint]:
        """What one may do with whoever is under the cursor."""
        who, me = self._who, self.tui.model.me
        if who is None or (me is not None and who.leaf == me.leaf):
            return (("/", "find"), ("Esc", "back"))
        for_host = (("a", "ask for quiet"), ("r", "remove"), ("o", "hand over")) if me is not None and me.host else ()
        mine: tuple[Hint, ...] = (("v", "verify"), ("+-", "volume"), ("x", "silence"))
        return (*mine, *for_host, *self._members_may_remove(), ("/", "find"), ("Esc", "back"))

    def on_mount(self) -> None:
        """Show who is there."""
        self.query_one(Rows).focus()
        self.refresh_model(frozenset((Part.ROSTER,)))

    def refresh_model(self, parts: Parts) -> None:
        """Who is there, and how they are."""
        if parts & {Part.ROSTER, Part.POLICY}:
            self._list()
        if parts & {Part.ROSTER, Part.POLICY, Part.STATS}:
            self._describe()

    def action_close(self) -> None:
        """Escape ends the search first."""
        if self.has_class("-searching"):
            self._end_search()
        else:
            self.dismiss(None)

    def action_search(self) -> None:
        """Type what is looked for."""
        self.add_class("-searching")
        self.query_one(Input).focus()

    def on_input_changed(self) -> None:
        """Each letter makes the list shorter."""
        self._list()

    def on_input_submitted(self) -> None:
        """To the list, which stays as short as it is."""
        self.query_one(Rows).focus()

    def on_rows_moved(self) -> None:
        """Someone else is under the cursor."""
        self._describe()

    def on_rows_chosen(self) -> None:
        """Enter: who are they?"""
        self.action_verify()

    async def action_volume(self, steps: int) -> None:
        """Louder or less loud, here alone."""
        if (who := self._other) is not None:
            volume = min(MOST_DB, max(LEAST_DB, self._volume(who).volume_db + steps * STEP_DB))
            await self.tui.do(schema.AudioSet(participant=who.fingerprint, volume_db=volume))

    async def action_silence(self) -> None:
        """Not to hear someone is nobody else's business."""
        if (who := self._other) is not None:
            await self.tui.do(schema.AudioSet(participant=who.fingerprint, muted=not self._volume(who).muted))

    async def action_ask_quiet(self) -> None:
        """They are muted, and told who asked."""
        if (who := self._other) is None:
            return
        if await self.tui.do(schema.MuteRequest(participant=who.fingerprint)) is not None:
            self.say(f"{visible(who.name)} was asked to be quiet.")

    def action_remove(self) -> None:
        """Asked twice: it cannot be taken back."""
        if (who := self._other) is not None:
            question = f"Remove {visible(who.name)} from the call?"
            detail = "They can open nothing that is said afterwards. With the link they can knock again."
            self._ask(who, question, detail, "remove", schema.Remove(participant=who.fingerprint))

    def action_hand_over(self) -> None:
        """Asked twice: one is host no more."""
        if (who := self._other) is not None:
            question = f"Make {visible(who.name)} the host in your place?"
            detail = f"{TRUST_SENTENCES[who.trust]} They decide then who comes in, and you do not any more."
            self._ask(who, question, detail, "hand over", schema.HandOver(participant=who.fingerprint))

    def action_verify(self) -> None:
        """Their safety number."""
        from tuiconf.tui.screens.safety import SafetyScreen

        if (who := self._other) is not None:
            self.app.push_screen(SafetyScreen(who.fingerprint, name=who.name))

    # --- who

    @property
    def _who(self) -> Person | None:
        key = self.query_one(Rows).key if self.is_mounted else None
        return next((who for who in self.tui.model.people if _key(who) == key), None)

    @property
    def _other(self) -> Person | None:
        who, me = self._who, self.tui.model.me
        if who is None or me is None or who.leaf != me.leaf:
            return who
        self.say("This is you.", "quiet")
        return None

    def _members_may_remove(self) -> tuple[Hint, ...]:
        state, me = self.tui.model.state, self.tui.model.me
        if state is None or state.policy is None or me is None or me.host or state.policy.remove != "members":
            return ()
        return (("r", "remove"),)

    def _volume(self, who: Person) -> schema.Volume:
        volumes = self.tui.model.state.volumes if self.tui.model.state is not None else ()
        return _volumes(volumes).get(who.leaf, schema.Volume(leaf=who.leaf, volume_db=0.0, muted=False))

    def _ask(self, who: Person, question: str, detail: str, yes: str, request: schema.AnyRequest) -> None:
        def answered(sure: bool | None) -> None:
            if sure and not any(_key(there) == _key(who) for there in self.tui.model.people):
                self.say(f"{visible(who.name)} has gone meanwhile.")
            elif sure:
                self.work(self.tui.do(request))

        self.app.push_screen(Question(question, details=(detail,), yes=yes, no="no"), answered)

    # --- what is shown

    def _list(self) -> None:
        model = self.tui.model
        wanted = self.query_one(Input).value if self.has_class("-searching") else ""
        found = [who for who in model.people if matches(who, wanted)]
        volumes = _volumes(model.state.volumes) if model.state is not None else {}
        self.query_one(Rows).show([person_row(who, volumes.get(who.leaf)) for who in found])
        total = people(len(model.people))
        self.head(aside=f"{len(found)} of {total}" if wanted else total)

    def _describe(self) -> None:
        who = self._who
        if who is None:
            self.put(".details", Content(""))
        else:
            told = describe(who, self._volume(who), self.tui.model.stats)
            self.put(".details", lines([said(TRUST_SENTENCES[who.trust], TRUST_TONES[who.trust]), *map(said, told)]))
        self.renew_hints()

    def _end_search(self) -> None:
        self.remove_class("-searching")
        self.query_one(Input).value = ""
        self.query_one(Rows).focus()
        self._list()


def _key(who: Person) -> str:
    """A leaf that somebody has left may be given to somebody else: whoever was meant is not them."""
    return f"{who.leaf} {who.fingerprint}"


def matches(who: Person, wanted: str) -> bool:
    """Whether they may be meant: any part of the name, or the beginning of the fingerprint."""
    looked_for = wanted.strip().casefold()
    return looked_for in who.name.casefold() or who.fingerprint.startswith(looked_for)


def person_row(who: Person, volume: schema.Volume | None) -> Row:
    """Name, trust, how they are, how they are heard here."""
    return Row(
        key=_key(who),
        cells=(
            Cell(text=who.name),
            Cell(text=TRUST_WORDS[who.trust], tone=TRUST_TONES[who.trust]),
            Cell(text=", ".join(_signs(who)), tone="quiet"),
            Cell(text=_heard(volume), tone="quiet"),
        ),
    )


def describe(who: Person, volume: schema.Volume, stats: AudioStats | None) -> list[str]:
    """The lines about one person, besides who they are."""
    told = [who.fingerprint]
    if how := [
        *_signs(who),
        *([] if who.recordable else ["does not want to be recorded"]),
        *filter(None, [_heard(volume)]),
    ]:
        told.append(", ".join(how))
    stream = next((stream for stream in stats.streams if stream.leaf == who.leaf), None) if stats is not None else None
    if stream is not None:
        delay = f", delay {stream.delay_ms_p50:.0f} ms" if stream.delay_ms_p50 is not None else ""
        told.append(f"loss {stream.loss_percent:.1f} %, buffer {stream.buffer_ms:.0f} ms{delay}")
    return told


def _signs(who: Person) -> list[str]:
    said_of = (("host", who.host), ("muted", who.muted), ("hand up", who.hand), ("RECORDS", who.recording))
    return [word for word, so in said_of if so]


def _heard(volume: schema.Volume | None) -> str:
    if volume is None:
        return ""
    if volume.muted:
        return "silenced"
    return f"{volume.volume_db:+.0f} dB" if volume.volume_db else ""


def _volumes(volumes: Sequence[schema.Volume]) -> Mapping[int, schema.Volume]:
    return {volume.leaf: volume for volume in volumes}
