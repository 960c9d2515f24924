"""The first line of the call: which room, how many people, and whether all of it is encrypted, with which code."""

from __future__ import annotations

from tuiconf.tui.model import CallModel
from tuiconf.tui.widgets.painted import Line, Painted, Piece, piece, spread
from tuiconf.untrusted import fit

_LOBBY = {"unknown": "lobby", "everyone": "lobby for all"}


class TitleBar(Painted):
    """Shows a model."""

    DEFAULT_CSS = """
    TitleBar { height: 1; padding: 0 1; background: $panel; }
    """

    def __init__(self, model: CallModel) -> None:
        super().__init__()
        self._model = model

    def draw(self, width: int, height: int) -> list[Line]:
        """One line; what matters least goes first where there is no room."""
        return [spread(self._room(width), self._encryption(), width)]

    def _room(self, width: int) -> list[Piece]:
        state = self._model.state
        if state is None:
            return [piece("tuiconf", tone="strong")]
        pieces = [piece(fit(state.room, max(8, width // 3)), tone="strong", rank=0)]
        if count := len(state.participants):
            pieces.append(piece("1 person" if count == 1 else f"{count} people", rank=5))
        if state.policy is not None and state.policy.locked:
            pieces.append(piece("locked", tone="notice", rank=4))
        if state.policy is not None and state.policy.lobby in _LOBBY:
            pieces.append(piece(_LOBBY[state.policy.lobby], tone="quiet", rank=7))
        return pieces

    def _encryption(self) -> list[Piece]:
        state = self._model.state
        if state is None or state.epoch is None or state.security_code is None:
            return [piece("not in the call yet", tone="quiet", rank=1)]
        encrypted = piece("end-to-end encrypted", "encrypted", tone="good", rank=1)
        if self._model.undecryptable:
            encrypted = piece("not all can be decrypted", "UNREADABLE", tone="bad", rank=1)
        others = [who for who in state.participants if who.trust != "self"]
        unverified = sum(who.trust != "verified" for who in others)
        trust = (
            [piece("all verified", tone="good", rank=8)] if others else []
        )  # of nobody that would be a claim too much
        if unverified:
            trust = [piece(f"{unverified} not verified", rank=8)]
        groups = state.security_code.split()
        beginnings = [" ".join(groups[:count]) + " …" for count in (2, 1)]
        code = piece(*(f"code {code}" for code in (state.security_code, *beginnings)), beginnings[-1], rank=3)
        return [encrypted, *trust, piece(f"epoch {state.epoch}", tone="plain", rank=2), code]
