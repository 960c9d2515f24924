"""Microphone and loudspeaker, how loud one is sent, and what makes one heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.control.events import AudioChanged
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.panel import STYLES, Panel, lines
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.level_line import METER_CELLS, LevelLine
from tuiconf.tui.widgets.meter import share_bar
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows

Talk = Literal["toggle", "hold", "voice"]

STEP_DB: Final = 1.0
LEAST_DB: Final = -60.0
MOST_DB: Final = 24.0
# Fine steps where a microphone is set: what is quieter than this is reached, and not shown.
_SCALE_DB: Final = 24.0

TALKS: Final[tuple[Talk, ...]] = ("toggle", "hold", "voice")
TALK_WORDS: Final[Mapping[str, str]] = {
    "toggle": "on and off with a key",
    "hold": "while a key is held",
    "voice": "whenever you speak",
}

_COLUMNS: Final = (
    Column(cells=1),
    Column(cells=10, grows=True),
    Column(cells=16, from_width=50),
)


class DevicesScreen(Panel[None]):
    """What is chosen is used at once, and everyone who is attached to the call sees it."""

    HEADING = "Devices"
    DEFAULT_CSS = """
    DevicesScreen .sound { height: 2; padding: 0 1; }
    DevicesScreen LevelLine { height: 2; border-top: solid $panel; }
    DevicesScreen.-low LevelLine { height: 1; border-top: none; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [
        Binding("plus,equals_sign,right", "gain(1)", "Be sent louder", show=False),
        Binding("minus,left", "gain(-1)", "Be sent less loud", show=False),
        Binding("t", "talk", "What makes you heard: a key, a key that is held, your voice", show=False),
        Binding("r", "look", "Look for devices again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._devices: schema.Devices | None = None

    def body(self) -> ComposeResult:
        """Devices, then how one sounds."""
        yield Rows(_COLUMNS, empty="Looking for devices")
        yield LevelLine("Level    ")
        yield Static(classes="sound")

    def hints(self) -> Sequence[Hint]:
        """The keys."""
        return (
            ("Enter", "use"),
            ("+-", "gain"),
            ("t", "talking"),
            ("r", "look again"),
            ("Esc", "back"),
        )

    def on_mount(self) -> None:
        """Look for devices: that may take a driver seconds."""
        self.query_one(Rows).focus()
        self.action_look()
        self._draw()

    def on_resize(self) -> None:
        """Lines between things only where there is room for them."""
        self._draw()

    def refresh_model(self, parts: Parts) -> None:
        """A level, or something was chosen: here or in another window."""
        if Part.AUDIO in parts:
            self._list()
        if parts & {Part.AUDIO, Part.LEVELS}:
            self._draw()

    def action_look(self) -> None:
        """What is plugged in now."""
        self.work(self._look(), exclusive=True, group="devices")

    async def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Use it."""
        direction, _, spec = event.key.partition(" ")
        if not spec:
            self.say("Its name does not tell it from another one here, so it cannot be chosen by it.", "warning")
            return
        request = schema.AudioSet(input=spec) if direction == "input" else schema.AudioSet(output=spec)
        await self.tui.do(request)

    async def action_gain(self, steps: int) -> None:
        """A dB up or down."""
        state = self.tui.model.state
        if state is not None:
            gain = min(MOST_DB, max(LEAST_DB, state.audio.gain_db + steps * STEP_DB))
            await self.tui.do(schema.AudioSet(gain_db=gain))

    async def action_talk(self) -> None:
        """The next of the three ways."""
        now = self.tui.settings.talk
        await change_talk(self, TALKS[(TALKS.index(now) + 1) % len(TALKS)])
        self._draw()

    # ---

    async def _look(self) -> None:
        if (devices := await self.tui.do(schema.GetDevices())) is not None:
            self._devices = devices
            self.say(devices.problem, "warning")
            self._list()

    def _list(self) -> None:
        state = self.tui.model.state
        if self._devices is None or state is None:
            return
        inputs = device_rows("input", self._devices.inputs, state.audio.input)
        outputs = device_rows("output", self._devices.outputs, state.audio.output)
        self.query_one(Rows).show([*_headed("Microphone", inputs), *_headed("Loudspeaker", outputs)])

    def _draw(self) -> None:
        state, levels = self.tui.model.state, self.tui.model.levels
        if state is None or not self.size.width:
            return
        self.query_one(LevelLine).show(levels.own.dbfs if levels is not None and levels.own is not None else None)
        width = min(METER_CELLS, self.size.width - 20)
        gain = share_bar((state.audio.gain_db + _SCALE_DB) / (2 * _SCALE_DB), width, unicode=self.unicode)
        gain_line = Content.assemble(("Gain     ", STYLES["quiet"]), gain, f" {state.audio.gain_db:+.0f} dB")
        how = talking(self.tui.settings.talk, state.audio)
        self.put(".sound", lines((gain_line, Content.assemble(("Talking  ", STYLES["quiet"]), (how, "bold")))))


async def change_talk(page: Panel[None], talk: Talk) -> None:
    """From now on, and kept for the next time. Holding begins with silence."""
    app = page.tui
    if app.control is not None:
        if await app.do(schema.AudioSet(voice_activation=talk == "voice")) is None:
            return
        state = app.model.state
        if talk == "hold" and state is not None and not state.audio.muted:
            await app.do(schema.Mute())
    app.restyle(msgspec.structs.replace(app.settings, talk=talk))
    keep(page, "talk", talk)


def keep(page: Panel[None], key: str, value: str | bool) -> None:
    """Into the file of settings, if there is one to write to."""
    from tuiconf.errors import TuiconfError

    if page.tui.keeper is None:
        return
    try:
        page.tui.keeper.save("tui", key, value)
    except TuiconfError as error:
        page.say(f"Changed for now, but not kept: {error}", "warning")


def talking(talk: str, audio: AudioChanged) -> str:
    """What makes one heard, as it is in effect."""
    also = ", and whenever you speak" if audio.voice_activation and talk != "voice" else ""
    off = " (off in this call)" if talk == "voice" and not audio.voice_activation else ""
    return f"{TALK_WORDS[talk]}{also}{off}"


def device_rows(direction: str, devices: Sequence[schema.Device], chosen: str) -> list[Row]:
    """Each device, what the system says, none at all, and whatever else is in use."""
    default = next((device.name for device in devices if device.default), "")
    choices = [("default", f"default ({default})" if default else "default", "")]
    choices += [(device.spec or "", device.name, _note(device)) for device in devices]
    choices += [("null", "none: you are not heard" if direction == "input" else "none: you hear nothing", "")]
    if chosen not in {spec for spec, _, _ in choices}:
        choices.append((chosen, chosen, "in use"))
    return [
        Row(
            key=f"{direction} {spec}",
            cells=(
                Cell(text="●" if spec == chosen else " ", tone="good"),
                Cell(text=name),
                Cell(text=note, tone="quiet"),
            ),
        )
        for spec, name, note in choices
    ]


def _note(device: schema.Device) -> str:
    if device.spec is None:
        return "not unique"
    return "" if device.stable else "may be renumbered"


def _headed(heading: str, rows: Sequence[Row]) -> list[Row]:
    return [Row(key="", cells=(Cell(text=heading, tone="strong"),)), *rows]
