"""Before a call begins: is this the room, does the microphone work, and shall one be heard at once?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.tui.keymap import bindings, shown
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.base import ModelScreen
from tuiconf.tui.screens.devices import DevicesScreen, talking
from tuiconf.tui.screens.giving_up import give_up
from tuiconf.tui.screens.panel import LOW, TitleLine, said
from tuiconf.tui.widgets.keyline import KeyLine
from tuiconf.tui.widgets.level_line import LevelLine
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows
from tuiconf.untrusted import fit

_LABEL_CELLS: Final = 13


class CheckScreen(ModelScreen[None]):
    """Shown while the call is `ready`: until one of the first two is chosen, nothing is sent and nobody is asked."""

    DEFAULT_CSS = """
    CheckScreen KeyLine { margin-top: 1; }
    CheckScreen.-low KeyLine { margin-top: 0; }
    CheckScreen > .page { width: 100%; max-width: 120; height: 100%; }
    CheckScreen .promise { height: auto; padding: 1 1 1 1; text-style: bold; }
    CheckScreen .microphone { height: 1; padding: 0 1; }
    CheckScreen .sound { height: 2; padding: 0 1; }
    CheckScreen Rows { height: 1fr; min-height: 4; margin-top: 1; }
    CheckScreen .problem { display: none; height: auto; max-height: 2; padding: 0 1; color: $warning; }
    CheckScreen.-low .promise { padding: 0 1; }
    CheckScreen.-low Rows { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back: the call does not begin", show=False),
        *bindings("devices", "settings", "help", "quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._devices: schema.Devices | None = None
        self._joining = False

    def compose(self) -> ComposeResult:
        """The page."""
        with Vertical(classes="page"):
            yield TitleLine("Before you join")
            yield Static(said("Nobody hears you until you say so. Nothing has been sent yet."), classes="promise")
            yield Static(classes="microphone")
            yield LevelLine("Level".ljust(_LABEL_CELLS))
            yield Static(classes="sound")
            yield Static(classes="problem")
            yield Rows([Column(cells=10, grows=True)])
            yield KeyLine()

    def on_mount(self) -> None:
        """Show what is chosen, and look for what there is."""
        self.query_one(Rows).focus()
        self._show()
        self.work(self._look(), exclusive=True, group="devices")

    def on_resize(self) -> None:
        """Lines between things only where there is room for them."""
        self.set_class(self.size.height < LOW, "-low")
        self._name_devices()

    def on_screen_resume(self) -> None:
        """From the devices, or from the settings: what is chosen, and how one talks, may be different."""
        self._show()

    def refresh_model(self, parts: Parts) -> None:
        """A level, or a device."""
        if parts & {Part.AUDIO, Part.PHASE}:
            self._show()
        elif Part.LEVELS in parts:
            self._draw()

    async def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Join, choose, or go back."""
        match event.key:
            case "join" | "muted":
                await self._join(muted=event.key == "muted")
            case "devices":
                self.action_devices()
            case _:
                self.action_back()

    def action_devices(self) -> None:
        """Others than these."""
        self.app.push_screen(DevicesScreen())

    def action_settings(self) -> None:
        """How one talks, among others."""
        from tuiconf.tui.screens.settings import SettingsScreen

        self.app.push_screen(SettingsScreen())

    def action_help(self) -> None:
        """The keys."""
        from tuiconf.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())

    def action_back(self) -> None:
        """Nothing has begun, so there is nothing to leave: no question is asked."""
        self.app.run_worker(give_up(self.tui), group="giving up")

    def action_quit(self) -> None:
        """As in the call."""
        self.tui.action_quit()

    # ---

    async def _join(self, *, muted: bool) -> None:
        if self._joining:
            return  # Enter was pressed twice
        self._joining = True
        self._joining = await self.tui.begin_call(muted=muted)

    async def _look(self) -> None:
        if (devices := await self.tui.do(schema.GetDevices())) is not None:
            self._devices = devices
            problem = self.query_one(".problem", Static)
            problem.update(said(devices.problem))
            problem.display = bool(devices.problem)
            self._name_devices()

    def _show(self) -> None:
        state = self.tui.model.state
        if state is None:
            return
        keys = self.tui.settings.keys
        self.query_one(TitleLine).show(aside=f"room {state.room}")
        self.query_one(Rows).show([Row(key=key, cells=(Cell(text=text),)) for key, text in self._choices()])
        self.query_one(KeyLine).show(
            (("Enter", "choose"), (shown(keys.devices), "devices"), (shown(keys.settings), "settings"), ("Esc", "back"))
        )
        self._name_devices()
        self._draw()

    def _choices(self) -> Sequence[tuple[str, str]]:
        settings = self.tui.settings
        join = {
            "toggle": "Join, and be heard",
            "hold": f"Join: heard while {shown(settings.keys.talk)} is held",
            "voice": "Join, and be heard whenever you speak",
        }[settings.talk]
        return (("join", join), ("muted", "Join muted"), ("devices", "Other devices"), ("back", "Back"))

    def _draw(self) -> None:
        state, levels = self.tui.model.state, self.tui.model.levels
        if state is None or not self.size.width:
            return
        self.query_one(LevelLine).show(levels.own.dbfs if levels is not None and levels.own is not None else None)

    def _name_devices(self) -> None:
        state, width = self.tui.model.state, self.size.width
        if state is None or not width:
            return
        room = max(8, min(width, 120) - 2 - _LABEL_CELLS)
        found = self._devices or schema.Devices(inputs=(), outputs=())
        microphone = _line("Microphone", fit(device_name(state.audio.input, found.inputs), room))
        self.query_one(".microphone", Static).update(microphone)
        loudspeaker = _line("Loudspeaker", fit(device_name(state.audio.output, found.outputs), room))
        how = _line("Talking", fit(talking(self.tui.settings.talk, state.audio), room))
        self.query_one(".sound", Static).update(Content("\n").join((loudspeaker, how)))


def device_name(spec: str, devices: Sequence[schema.Device]) -> str:
    """What is chosen, by the name a person knows."""
    if spec == "default":
        default = next((device.name for device in devices if device.default), "")
        return f"default ({default})" if default else "default"
    if spec == "null":
        return "none"
    return next((device.name for device in devices if device.spec == spec), spec.removeprefix("device:"))


def _line(label: str, value: str | Content) -> Content:
    return Content.assemble((label.ljust(_LABEL_CELLS), "$quiet"), value)
