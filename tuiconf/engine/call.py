"""What an engine is given: which call to be in, as whom, with which devices."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from tuiconf.adapters.audio import Sink, Source
from tuiconf.adapters.relay import Trust
from tuiconf.conference.eavesdrop import Eavesdropper
from tuiconf.conference.session import Session
from tuiconf.conference.sound import Sound
from tuiconf.identity.link import RelayAddress


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call:
    """What call to be in, as whom, and with which devices."""

    relay: RelayAddress
    session: Session
    sound: Sound
    source: Source
    sink: Sink
    trust: Trust
    library: str
    # How they were asked for, to be shown.
    source_name: str = ""
    sink_name: str = ""
    # Whether the call is pointless without the sink: a file or pipe that fails ends it, a loudspeaker does not.
    sink_needed: bool = False
    # What may listen to the room it stands in is opened once we are in the call, and not before; a file or pipe is
    # checked at once.
    source_when_joined: bool = False
    # Nobody sits here who could try again: a relay that is not there yet is waited for.
    keep_trying: bool = False
    # Only prepared: nothing is opened, sent or asked before `Engine.begin`, which says with which devices. A person
    # sits there who can choose another microphone: a call without is no failure.
    prepared: bool = False
    # For the demo and the tests of removal: who was removed goes on listening, and tries to open what it hears.
    eavesdropper: Eavesdropper | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Devices:
    """What a prepared call begins with; the fields are of those of `Call`."""

    source: Source
    sink: Sink
    source_name: str
    sink_name: str
    sink_needed: bool
    source_when_joined: bool

    def given_to(self, call: Call) -> Call:
        """The call with these."""
        return replace(call, **{field.name: getattr(self, field.name) for field in fields(self)})
