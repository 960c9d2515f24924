"""One engine as a process: the call, its control socket, its signals, and the service manager it may run under."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tuiconf.adapters.audio import Kind, Sink, Source, open_sink, open_source, parse_input, parse_output
from tuiconf.adapters.audio.optional import OptionalSink, OptionalSource
from tuiconf.adapters.peers import open_peers
from tuiconf.adapters.relay import Offered
from tuiconf.adapters.systemd import ServiceManager
from tuiconf.adapters.trust import RelayTrust
from tuiconf.conference.acquaintances import Acquaintances
from tuiconf.conference.eavesdrop import Eavesdropper
from tuiconf.conference.events import Event, Failed, Joined, Left, LeftReason, Reconnected, Reconnecting, RoomCreated
from tuiconf.conference.membership import Self
from tuiconf.conference.session import Session
from tuiconf.conference.sound import Sound
from tuiconf.config import Config, ConfigError
from tuiconf.control.calls import socket_path
from tuiconf.control.device_check import DeviceCheck, Openers
from tuiconf.control.devices_desk import DevicesDesk
from tuiconf.control.events import Ready
from tuiconf.control.peers_desk import PeersDesk
from tuiconf.control.recorder import CallRecorder
from tuiconf.control.schema import AudioSet
from tuiconf.control.server import ControlServer
from tuiconf.control.service import About, CallService
from tuiconf.engine import Call, Engine
from tuiconf.errors import LocalProtocolError, TuiconfError, UsageError
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import RelayAddress, derive_keys, format_link
from tuiconf.media import opus
from tuiconf.participant.exit_codes import EXIT_CODES
from tuiconf.participant.plan import Plan, load_config, sound_of

# They need milliseconds; if they were killed in between, the call begins all the same.
FIRST_WATCHER_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Setting:
    """What an engine needs besides the plan, made before it starts."""

    call: str
    version: str
    identity: Identity
    trust: RelayTrust
    library: opus.Opus
    # The terminal this process began in is gone when it is told to hang up; without one that means: read the settings.
    has_terminal: bool
    # Nobody reads what this process prints: all there is to say are events.
    launched: bool = False
    # A person's front end is about to attach: without one, the call ends soon.
    front_end_expected: bool = False


class EngineProcess:
    """`on_event` is told all that happens."""

    def __init__(self, plan: Plan, setting: Setting, on_event: Callable[[Event], None]) -> None:
        self._plan, self._setting = plan, setting
        self._on_event = on_event
        self._link = plan.link
        self._device_failed = False
        self._told_to_leave = False
        self._allowed = frozenset(plan.config.room.allow)
        self._manager = ServiceManager(os.environ)
        self._reloading: asyncio.Task[None] | None = None
        self.joined = asyncio.Event()
        about = About(
            call=setting.call,
            room=plan.link.room,
            socket=str(socket_path(setting.call)),
            version=setting.version,
            pid=os.getpid(),
            link=lambda: format_link(self._link),
            stay_s=plan.stay_s,
        )
        peers = open_peers(rng=os.urandom)
        self._people = Acquaintances(setting.identity.public_key, peers.read())
        self.service = CallService(about, self._happened)
        self._left: Left | None = None
        self.engine = Engine(self._call(), self._from_engine, self.service.played)
        self._peers = PeersDesk(
            self.engine,
            self._people,
            peers,
            own_key=setting.identity.public_key,
            on_event=self.service.on_event,
            contain=self.service.contain,
        )
        self._recorder = CallRecorder(self.engine, setting.library, plan.config.recording, self.service.on_event)
        self._check = self._make_check() if plan.prepare else None
        self.service.serve(self.engine, self._recorder, self._peers, DevicesDesk(), check=self._check)
        self.engine.outgoing.voice_activation = plan.config.audio.voice_activation
        if plan.muted:
            self.service.mute(True)
        self._server = ControlServer(self.service, socket_path(setting.call))

    async def run(self, on_listening: Callable[[], None] = lambda: None) -> int:
        """The call, from the first packet to the exit code. `on_listening` is called once clients can connect.

        Raises:
            TuiconfError: it could not begin.
        """
        self._take_signals()
        if self._check is not None:
            self.service.on_event(Ready())
        await self._listen()
        on_listening()
        await self._wait_for_watcher()
        background = [asyncio.create_task(self._watch()), asyncio.create_task(self._peers.run())]
        try:
            reason = await self.engine.run()
        except TuiconfError as error:
            if self._setting.launched:
                self.service.on_event(Failed(code=error.code, message=str(error), fatal=True))
                self._left = Left(reason=LeftReason.FAILED)
            raise
        finally:
            self._manager.stopping()
            if self._check is not None:
                self._check.close()
            await self._recorder.close()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._peers.close()
            if self._left is not None:
                self.service.on_event(self._left)
            await self._server.close()
        return EXIT_CODES[reason] or int(self._device_failed)

    def leave(self) -> None:
        """Told to leave; told twice, leave without a goodbye."""
        if self._told_to_leave:
            self.engine.hang_up()
        self._told_to_leave = True
        self.engine.leave()

    # --- around the call

    async def _listen(self) -> None:
        """Without a socket, a call is a call all the same; only nobody else can drive it, so it must not be alone."""
        try:
            await self._server.start()
        except TuiconfError as error:
            if self._setting.launched:
                raise
            self.service.notice(str(error))
        if self._setting.front_end_expected:
            self.service.front_ends.expect()

    async def _wait_for_watcher(self) -> None:
        """Whoever launched us is told all: also why a call ends that could not begin."""
        if self._setting.launched and self._check is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.service.watched.wait(), FIRST_WATCHER_S)

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        on_hang_up = self.service.front_ends.lose if self._setting.has_terminal else self._reload
        for number, handler in (
            (signal.SIGINT, self.leave),
            (signal.SIGTERM, self.leave),
            (signal.SIGHUP, on_hang_up),
        ):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                loop.add_signal_handler(number, handler)

    async def _watch(self) -> None:
        """Tell the service manager that the call's clock ticks. If it stops, so does this, and we are started anew."""
        interval = self._manager.watchdog_interval_s
        if interval is None:
            return
        ticks = -1
        while True:
            await asyncio.sleep(interval)
            if self.engine.ticks != ticks:
                ticks = self.engine.ticks
                self._manager.alive()

    def _reload(self) -> None:
        """Read the settings again, as far as a call can follow them: whom one knows, sound, recording, consent."""
        loop = asyncio.get_running_loop()
        # The time of uvloop may be that of a moment before systemd asked; then it would not believe us.
        self._manager.reloading(time.monotonic())
        try:
            before, after = self._plan.config, load_config(self._plan.config_path)
        except UsageError as error:
            self._on_failure(error)
            self._manager.ready()
            return
        self._allowed = frozenset(after.room.allow)
        self._recorder.configure(after.recording)
        if after.me.allow_recording is not before.me.allow_recording:
            self.engine.ask(lambda session, at: session.set_status(at, recordable=after.me.allow_recording))
        self._reloading = loop.create_task(self._follow_settings(before, after))

    async def _follow_settings(self, before: Config, after: Config) -> None:
        """Sound comes from and goes to where the settings say now, unless the command line said something else."""
        (source, sink), (old_source, old_sink) = sound_of(self._plan, after), sound_of(self._plan, before)
        try:
            await self.service.do(
                AudioSet(
                    input=source if source != old_source else None,
                    output=sink if sink != old_sink else None,
                    voice_activation=_changed(before.audio.voice_activation, after.audio.voice_activation),
                )
            )
        except TuiconfError as error:
            # Of the settings: a device that fails in a call, and no other, makes the exit code 1.
            self._on_failure(ConfigError(f"the settings cannot be followed: {error}"))
            after = msgspec.structs.replace(after, audio=before.audio)  # so that it is tried again
        self._plan = replace(self._plan, config=after)
        self.service.notice("the settings were read again; name, network, bitrate and rules hold from the next call on")
        self._manager.ready()

    def _on_failure(self, error: TuiconfError) -> None:
        self.service.on_event(Failed(code=error.code, message=str(error), fatal=False))

    # --- the call

    def _call(self) -> Call:
        plan, config = self._plan, self._plan.config
        keys = derive_keys(plan.link)
        me = Self(identity=self._setting.identity, psk=keys.psk, rng=os.urandom, judge=self._people)
        session = Session(
            me,
            keys,
            creator=plan.creator,
            founder=plan.founder,
            rules=plan.rules,
            known=self._is_allowed,
            recordable=config.me.allow_recording,
        )
        audio = config.audio
        sound = Sound(self._setting.library, bitrate=audio.bitrate, complexity=audio.complexity, repeats=audio.repeats)
        return Call(
            relay=plan.link.relay,
            session=session,
            sound=sound,
            source=self._source(plan.source_name),
            source_name=plan.source_name,
            sink=self._sink(plan.sink_name),
            sink_name=plan.sink_name,
            trust=self._check_relay,
            library=config.network.quic,
            sink_needed=plan.sink.kind is not Kind.DEVICE,
            source_when_joined=plan.source.kind in (Kind.DEVICE, Kind.COMMAND),
            keep_trying=plan.keep_trying,
            prepared=plan.prepare,
            eavesdropper=Eavesdropper() if plan.eavesdrop else None,
        )

    def _make_check(self) -> DeviceCheck:
        self.engine.outgoing.input_name, self.engine.incoming.output_name = self._plan.source_name, self._plan.sink_name
        openers = Openers(source=self._source, sink=self._sink)
        return DeviceCheck(self.engine.outgoing, self.engine.incoming, openers, self.service.on_event)

    def _is_allowed(self, fingerprint: str) -> bool:
        """Whether they need not wait, whatever they are called. A comparison that failed is newer than any list."""
        listed = fingerprint in self._allowed or fingerprint in self.service.allowed
        return listed and not self._people.is_mismatch(fingerprint)

    def _source(self, name: str) -> Source:
        source = open_source(parse_input(name))
        optional = self._plan.source_optional and name == self._plan.source_name
        return OptionalSource(source, self._notice) if optional else source

    def _sink(self, name: str) -> Sink:
        sink = open_sink(parse_output(name))
        optional = self._plan.sink_optional and name == self._plan.sink_name
        return OptionalSink(sink, self._notice) if optional else sink

    def _notice(self, message: str) -> None:
        self.service.notice(message)

    def _check_relay(self, address: RelayAddress, offered: Offered) -> None:
        """As `RelayTrust`; and a link made here carries the pin that was seen, so that guests need not be asked."""
        self._setting.trust(address, offered)
        if address.pin is None and not offered.publicly_trusted():
            self._link = replace(self._link, relay=replace(address, pin=offered.pin))

    def _from_engine(self, event: Event) -> None:
        """The last event of a call is told when what comes of its end is: a recording that is closed, a full disk.

        Whoever was told to try what can be opened after being removed is told of that at once, and stays.
        """
        if isinstance(event, Left) and not self._plan.eavesdrop:
            self._left = event
        else:
            self.service.on_event(event)

    def _happened(self, event: Event) -> None:
        self._peers.happened(event)
        match event:
            case Joined() if not self.joined.is_set():
                self._begin()
            case Failed(code="audio") if not self.service.prepared:
                self._device_failed = True
            case Reconnecting():
                self._manager.status("reconnecting")
            case Reconnected():
                self._manager.status("in the call")
        self._on_event(event)

    def _begin(self) -> None:
        """In the call for the first time."""
        self.joined.set()
        self._manager.ready()
        self._manager.status("in the call")
        loop = asyncio.get_running_loop()
        if self._plan.creator:
            self.service.on_event(RoomCreated(link=format_link(self._link)))
        loop.call_soon(self._say_hello)
        if self._plan.seconds is not None:
            loop.call_later(self._plan.seconds, self.leave)

    def _say_hello(self) -> None:
        for text in self._plan.say:
            try:
                self.service.say(text)
            except LocalProtocolError as error:
                self._on_failure(error)


def _changed(before: bool, after: bool) -> bool | None:
    """What it is now, if it was something else."""
    return after if after is not before else None
