"""Chat: lines are numbered by their sender, so that one sent again after a reconnection is shown once. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from tuiconf.conference.content import MAX_CHAT_CHARACTERS, Chat
from tuiconf.errors import LocalProtocolError

# Those whose last number is remembered, present or not. About 200 bytes each; the one silent longest goes first.
MAX_SPEAKERS: Final = 4096


class ChatLog:
    """The number of our own last line, and of everyone else's."""

    def __init__(self) -> None:
        self._number = 0
        self._heard: OrderedDict[bytes, int] = OrderedDict()

    def line(self, text: str, *, unix: float) -> Chat:
        """Our next line. Numbers follow the clock, so that a restarted program does not begin below its last ones.

        Raises:
            LocalProtocolError: it is empty, too long, or not text.
        """
        if not 0 < len(text) <= MAX_CHAT_CHARACTERS:
            raise LocalProtocolError(f"a chat line has 1 to {MAX_CHAT_CHARACTERS} characters")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError("a chat line holds something that is not a character") from error
        self._number = max(self._number + 1, int(unix * 1000))
        return Chat(number=self._number, text=text)

    def is_new(self, speaker: bytes, number: int) -> bool:
        """Whether a line of the speaker with this key has not been shown; it is taken for shown from now on."""
        if number <= self._heard.get(speaker, -1):
            return False
        self._heard[speaker] = number
        self._heard.move_to_end(speaker)
        if len(self._heard) > MAX_SPEAKERS:
            self._heard.popitem(last=False)
        return True
