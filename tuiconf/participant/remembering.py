"""Keeps a room among the recent ones once it was joined; a link that leads nowhere is not worth keeping."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tuiconf import paths
from tuiconf.adapters.recent_rooms import Lobby, RecentRoom, RecentRooms
from tuiconf.conference.events import Event, Joined, PolicyChanged
from tuiconf.errors import TuiconfError
from tuiconf.identity.link import format_host_port, format_link
from tuiconf.participant.plan import Plan

_LOBBIES: Final[dict[str, Lobby]] = {"off": "off", "unknown": "unknown", "everyone": "everyone"}


class Rememberer:
    """To be told what happens. Writes on a thread of its own: the call does not wait for a disk or another process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._hosted = plan.creator or plan.founder
        self._lobby: Lobby | None = _LOBBIES.get(plan.rules.lobby) if plan.creator else None
        self._recent = RecentRooms(paths.recent_rooms_file(), rng=os.urandom)
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recent rooms")

    def happened(self, event: Event) -> None:
        """Who made a room makes it again, should it be empty then: so who had to wait in it is remembered as well."""
        match event:
            case PolicyChanged(lobby=lobby) if self._hosted:
                self._lobby = _LOBBIES.get(lobby)
            case Joined():
                pass
            case _:
                return
        if self._plan.config.call.remember_rooms:
            self._writing.submit(self._remember, self._room())

    def _room(self) -> RecentRoom:
        link = self._plan.link
        return RecentRoom(
            room=link.room,
            relay=format_host_port(link.relay.host, link.relay.port),
            link=format_link(link),
            hosted=self._hosted,
            joined=time.time(),
            lobby=self._lobby,
        )

    def _remember(self, room: RecentRoom) -> None:
        with contextlib.suppress(TuiconfError):  # a convenience: the call is what matters
            self._recent.remember(room)
