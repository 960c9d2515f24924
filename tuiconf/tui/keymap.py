"""What keys do: each action with its words, and the key it has by the settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from textual.binding import Binding, BindingType

from tuiconf.config import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`id` is the key of the settings, `word` the hint at the foot of the screen, `about` the line in the help."""

    id: str
    word: str
    about: str
    also: tuple[str, ...] = ()  # keys that do the same and cannot be bound to something else


ACTIONS: Final = (
    Action(id="mute", word="mute", about="Mute yourself, or be heard again"),
    Action(id="talk", word="talk", about="Talk while it is held, although muted"),
    Action(id="deafen", word="deafen", about="Hear nothing and say nothing, or hear again"),
    Action(id="chat", word="chat", about="Write to everyone; / begins a command", also=("enter", "tab")),
    Action(id="hand", word="hand", about="Raise your hand, or lower it"),
    Action(id="verify", word="verify", about="Compare the security code, or someone's safety number"),
    Action(id="participants", word="people", about="Who is here: how loud, how well connected, who they are"),
    Action(id="lobby", word="lobby", about="Who waits at the door, and who has to"),
    Action(id="record", word="record", about="Record the call, or stop; everyone is told"),
    Action(id="devices", word="devices", about="Microphone and loudspeaker"),
    Action(id="statistics", word="statistics", about="How the connection is"),
    Action(id="settings", word="settings", about="Theme, talking, times"),
    Action(id="help", word="help", about="This list"),
    Action(id="quit", word="quit", about="Leave, or detach and stay in the call"),
)

_BY_ID: Final[Mapping[str, Action]] = {action.id: action for action in ACTIONS}

_SHOWN: Final[Mapping[str, str]] = {"slash": "/", "question_mark": "?", "enter": "Enter", "tab": "Tab"}


def key_of(keys: Keys, action: str) -> str:
    """The key an action has."""
    key: str = getattr(keys, action)
    return key


def shown(key: str) -> str:
    """The key as a person reads it."""
    return _SHOWN.get(key, key)


def hint(keys: Keys, action: str) -> tuple[str, str]:
    """The key and the word, for a line of hints."""
    return shown(key_of(keys, action)), _BY_ID[action].word


def bindings(*actions: str) -> list[BindingType]:
    """Textual's bindings of these actions, with the keys they have by default: `mute` calls `action_mute`."""
    return [Binding(_keys(Keys(), action), action, _BY_ID[action].word, id=action, show=False) for action in actions]


def keymap(keys: Keys) -> dict[str, str]:
    """What `App.set_keymap` takes."""
    return {action: _keys(keys, action) for action in _BY_ID}


def _keys(keys: Keys, action: str) -> str:
    key = key_of(keys, action)
    return ",".join(("comma" if key == "," else key, *_BY_ID[action].also))
