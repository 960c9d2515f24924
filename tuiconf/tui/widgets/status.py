"""The line that says whether one is heard, how to talk, and how the connection is."""

from __future__ import annotations

from typing import Final, Literal

from tuiconf.tui.model import CallModel
from tuiconf.tui.widgets.painted import Line, Painted, Piece, Tone, piece, spread

Mode = Literal["release", "repeat", "toggle"]

# Five cells at least, so that what follows stays where it is when this changes.
_BADGE_CELLS: Final = 7


# Where one is not in the call yet: nothing is sent, whatever the microphone would give.
_OUTSIDE: Final = ("ready", "connecting", "waiting")


class StatusBar(Painted):
    """Shows a model. `talk_words` says how one talks on this terminal, as in "hold space to talk"."""

    DEFAULT_CSS = """
    StatusBar { height: 1; background: $panel; padding: 0 1 0 0; }
    """

    def __init__(self, model: CallModel) -> None:
        super().__init__()
        self._model = model
        self.talk_words: tuple[str, ...] = ("",)
        """The longest first."""

    def draw(self, width: int, height: int) -> list[Line]:
        """One line; what matters least goes first where there is no room."""
        word, tone = microphone(self._model)
        badge = Piece((((f" {word} ".ljust(_BADGE_CELLS), tone),),), 0)
        return [spread([badge, *self._talking()], connection(self._model), width)]

    def _talking(self) -> list[Piece]:
        state = self._model.state
        if state is None or state.phase == "left":
            return []
        if state.phase in _OUTSIDE:
            return [piece("nobody hears you yet", "not heard yet", rank=1)]
        audio = state.audio
        if audio.deafened:
            return [piece("you hear nothing, and say nothing", "you hear nothing", tone="warning", rank=1)]
        if state.phase == "reconnecting" and (audio.push_to_talk or not audio.muted):
            return [piece("nobody hears you until it is back", "not heard now", tone="warning", rank=1)]
        if audio.push_to_talk:
            return [piece("talking while the key is down", "talking", tone="plain", rank=3)]
        voice = [piece("sent only while you speak", "by voice", rank=1)] if audio.voice_activation else []
        if not audio.muted:
            return voice or [piece("you are heard", "heard", rank=1)]
        return [piece(*self.talk_words, tone="plain", rank=1), *voice]


def microphone(model: CallModel) -> tuple[str, Tone]:
    """One word for whether one is heard now: LIVE if and only if something of the input is sent."""
    state = model.state
    if state is None or state.phase in (*_OUTSIDE, "left"):
        return "NOT IN CALL", "waiting"
    audio = state.audio
    if audio.live:
        return "LIVE", "live"
    if audio.deafened:
        return "DEAF", "muted"
    if audio.muted:
        return "MUTED", "muted"
    return ("SILENT", "waiting")


def connection(model: CallModel) -> list[Piece]:
    """To where it goes, and how well. Numbers are as wide as they will be in a second."""
    state, stats = model.state, model.stats
    phase = state.phase if state is not None else "connecting"
    word, tone = _PHASES[phase]
    pieces = [piece(*word, tone=tone, rank=6 if phase == "joined" else 0)]
    if stats is None or phase != "joined":
        return pieces
    if stats.rtt_ms is not None:
        pieces.append(piece(f"{stats.rtt_ms:4.0f} ms", rank=3))
    if stats.streams:
        loss = max(stream.loss_percent for stream in stats.streams)
        buffer = sum(stream.buffer_ms for stream in stats.streams) / len(stats.streams)
        tone_of_loss: Tone = "bad" if loss >= BAD_LOSS else "warning" if loss >= SOME_LOSS else "plain"
        pieces.append(piece(f"loss {loss:3.0f} %", f"{loss:3.0f} %", tone=tone_of_loss, rank=4))
        pieces.append(piece(f"buffer {buffer:3.0f} ms", f"buf {buffer:3.0f} ms", rank=5))
    return pieces


SOME_LOSS: Final = 2.0  # percent: repair still hides it
BAD_LOSS: Final = 10.0  # words get lost

_PHASES: Final[dict[str, tuple[tuple[str, ...], Tone]]] = {
    "ready": (("ready",), "quiet"),
    "connecting": (("connecting to the relay", "connecting"), "notice"),
    "waiting": (("waiting to be let in", "waiting"), "notice"),
    "joined": (("through the relay", "relay"), "plain"),
    "reconnecting": (("RECONNECTING",), "bad"),
    "left": (("left",), "quiet"),
}
