"""The demo's script: who does what in which order, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tuiconf.adapters.printing import OutputLost, print_to
from tuiconf.demo.processes import DemoFailed, Participant, Process
from tuiconf.demo.show import Story, story_for_terminal
from tuiconf.demo.verdict import StreamVerdict, Verdict, codes_equal, judge
from tuiconf.errors import UsageError
from tuiconf.speech import samples

HOST, GUEST, REMOVED = "Ada", "Ben", "Cleo"
NAMES: Final = (HOST, GUEST, REMOVED)

# «A few seconds»: a longer file is cut, so that the demo ends while someone watches.
MOST_SPEECH_S: Final = 6.0

# Statistics come once a second: this long after the last frame they tell of all frames.
SETTLE_S: Final = 1.2

# How often the living line is drawn.
DRAW_S: Final = 0.25

_EXPECTED: Final = frozenset({(HOST, GUEST), (HOST, REMOVED), (REMOVED, HOST), (REMOVED, GUEST), (GUEST, HOST)})


def run_demo(*, as_json: bool, speech: Sequence[Path] | None, keep: Path | None, quic: str) -> int:
    """Run the demo; 0 only if everything was as it should be.

    Raises:
        UsageError: a speech file is not there, or the folder to keep sound in cannot be made.
        DemoFailed: a step did not happen.
    """
    files = list(speech) if speech else samples()
    for file in files:
        _check_speech(file)
    if keep is not None:
        _make_folder(keep)
    story = Story(None) if as_json else story_for_terminal()
    try:
        verdict = asyncio.run(_Demo(story, [file.resolve() for file in files], keep, quic).run())
    except asyncio.CancelledError:
        raise DemoFailed("the demo was told to end") from None
    finally:
        with contextlib.suppress(OutputLost):
            story.end_live()
    if as_json:
        print_to(sys.stdout, msgspec.json.encode(verdict).decode() + "\n")
    else:
        story.verdict(verdict)
        if keep is not None:
            story.detail(f"What each of them heard is in {keep}/.")
    return 0 if verdict.ok else 1


def _check_speech(file: Path) -> None:
    """Its name is typed into a participant, as one line."""
    if not file.is_file():
        raise UsageError(f"{str(file)!r}: there is no such file to speak")
    name = str(file.resolve())
    if not name.isprintable() or name != name.strip():
        raise UsageError(f"{name!r}: a name with line breaks, or other than UTF-8, cannot be typed into a call")


def _make_folder(keep: Path) -> None:
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{keep}: {error.strerror}") from error


class _Demo:
    def __init__(self, story: Story, files: list[Path], keep: Path | None, quic: str) -> None:
        self._story = story
        self._files = files
        self._keep = keep
        self._quic = quic
        self._people: dict[str, Participant] = {}
        self._streams: list[StreamVerdict] = []
        self._members: dict[int, frozenset[str]] = {}

    async def run(self) -> Verdict:
        """Everything, with the processes ended whatever happens."""
        task = asyncio.current_task()
        if task is not None:
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with tempfile.TemporaryDirectory(prefix="tuiconf-demo-") as folder:
            async with contextlib.AsyncExitStack() as ending:
                return await self._play(Path(folder), ending)

    async def _play(self, folder: Path, ending: contextlib.AsyncExitStack) -> Verdict:
        story = self._story
        story.title("tuiconf demo: a call of three through a relay, all on this machine")
        address = await self._start_relay(folder, ending)
        link = await self._make_room(address, folder, ending)
        await self._let_in(link, folder, ending)
        story.step(f"{HOST} speaks.", f"Sound is sealed before it leaves {HOST}, every 20 ms of it (SFrame, RFC 9605).")
        await self._speak(HOST, (GUEST, REMOVED))
        story.step(f"{REMOVED} speaks.", "Each speaker seals with another key, and with a new one in every epoch.")
        await self._speak(REMOVED, (HOST, GUEST))
        await self._remove()
        story.step(
            f"{GUEST} speaks, and the relay goes on sending {REMOVED} every frame.",
            f"{REMOVED} tries every key that {REMOVED} ever had.",
        )
        await self._speak(GUEST, (HOST,))
        return await self._end()

    # --- the steps

    async def _start_relay(self, folder: Path, ending: contextlib.AsyncExitStack) -> str:
        self._story.step(
            "A relay starts.",
            "It passes sealed messages on, and has no code that could open one.",
        )
        arguments = ("serve", "--listen", "127.0.0.1:0", "--quic", self._quic, "--until-stdin-closes")
        relay = await Process.start("the relay", "relay_quic", arguments, home=folder / "relay")
        ending.push_async_callback(relay.end)
        _, address, pin = (await relay.line()).decode().split()
        self._story.detail(f"listening on {address}, known by its certificate's pin {pin.removeprefix('pin=')[:12]}…")
        return f"{address}?{pin}"

    async def _make_room(self, address: str, folder: Path, ending: contextlib.AsyncExitStack) -> str:
        self._story.step(
            f"{HOST} makes a room and gets its link.",
            "What stands after the '#' is a secret. The relay never sees it.",
        )
        host = await self._start(HOST, ("host", address, "--room", "demo"), folder, ending)
        await host.until(lambda: host.seen("joined"), "making the room")
        self._members[host.epoch] = frozenset({HOST})
        created = host.seen("room_created")
        link: str = created["link"] if created is not None else ""
        self._story.detail(link.partition("#")[0].partition("?")[0] + "?pin=…#…")
        return link

    async def _let_in(self, link: str, folder: Path, ending: contextlib.AsyncExitStack) -> None:
        self._story.step(
            f"{GUEST} and {REMOVED} knock with the link, and are let in.",
            "Only members can add someone, never the relay (MLS, RFC 9420).",
            "Whoever comes or goes, the keys change: a new epoch, with a code to compare.",
        )
        for name in (GUEST, REMOVED):
            await self._start(name, ("join", link), folder, ending)
        host = self._people[HOST]
        await host.until(lambda: _people_joined(host) == len(NAMES) - 1, "letting the others in")
        await self._agree(frozenset(NAMES))

    async def _remove(self) -> None:
        self._story.step(
            f"{HOST} removes {REMOVED}.",
            "New keys again, which the one who was removed cannot work out.",
        )
        host, removed = self._people[HOST], self._people[REMOVED]
        host.type(f"/remove {REMOVED}")
        await host.until(lambda: host.seen("participant_left"), "the removal")
        await removed.until(lambda: removed.seen("left"), "being removed")
        await self._agree(frozenset({HOST, GUEST}))

    async def _end(self) -> Verdict:
        await asyncio.gather(*(person.end() for person in self._people.values()))
        spied = self._people[REMOVED].seen("eavesdropped") or {"frames_tried": 0, "frames_opened": 0}
        tried, opened = spied["frames_tried"], spied["frames_opened"]
        self._story.detail(f"{REMOVED} tried {tried} frames, and opened {opened}", good=tried > 0 and not opened)
        codes = {name: person.codes for name, person in self._people.items()}
        return judge(
            participants=NAMES,
            epochs=tuple(sorted(self._people[HOST].codes)),
            equal=codes_equal(codes, self._members),
            tried=tried,
            opened=opened,
            streams=tuple(self._streams),
            expected=_EXPECTED,
        )

    # --- parts of steps

    async def _start(
        self, name: str, arguments: tuple[str, ...], folder: Path, ending: contextlib.AsyncExitStack
    ) -> Participant:
        sink = "null" if self._keep is None else str(self._keep.resolve() / f"{name.lower()}.wav")
        options: tuple[str, ...] = (
            "--json",
            "--name",
            name,
            "--audio-in",
            "null",
            "--audio-out",
            sink,
            "--quic",
            self._quic,
        )
        if name == REMOVED:
            options += ("--eavesdrop-after-removal",)
        process = await Process.start(name, "tuiconf", (*arguments, *options), home=folder / name.lower())
        person = self._people[name] = Participant(name, process)
        ending.push_async_callback(person.end)
        return person

    async def _agree(self, names: frozenset[str]) -> None:
        """Wait until all of them are in the host's epoch, and show the codes they have."""
        epoch = self._people[HOST].epoch
        for name in names:
            await self._people[name].reaches(epoch)
        self._members[epoch] = names
        self._story.codes(epoch, {name: self._people[name].codes.get(epoch) for name in NAMES if name in names})

    async def _speak(self, speaker: str, listeners: tuple[str, ...]) -> None:
        """One turn: a file is played, and everyone's statistics are taken when it is over."""
        person = self._people[speaker]
        before: int = person.stats.get("frames_sent", 0)
        ended = person.sources_ended
        reconnections = {name: self._people[name].reconnections for name in (speaker, *listeners)}
        person.type(f"/play {self._files[NAMES.index(speaker) % len(self._files)]}")
        await person.until(lambda: person.stats.get("frames_sent", 0) > before, f"{speaker}'s speech")
        await self._watch(person, listeners, ended)
        person.type("/play null")
        await asyncio.sleep(SETTLE_S)
        sent = person.stats["frames_sent"] - before
        streams = [self._stream(person, self._people[listener], sent) for listener in listeners]
        self._streams += streams
        self._story.streams(streams)
        for name, count in reconnections.items():
            if self._people[name].reconnections > count:
                self._story.detail(f"{name} lost the relay for a moment, and came back into the same group")

    async def _watch(self, person: Participant, listeners: tuple[str, ...], ended: int) -> None:
        """Draw until the file is over, or was long enough."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while person.sources_ended == ended and loop.time() - began < MOST_SPEECH_S:
            counts = {name: self._people[name].heard(person.name).get("frames_played", 0) for name in listeners}
            heard = "".join(f"   {name} heard {count:>3}" for name, count in counts.items())
            meter = self._story.meter(person.stats.get("level_dbfs"))
            self._story.live(f"{person.name} {meter} {person.stats['frames_sent']:>3} frames sent{heard}")
            await asyncio.sleep(DRAW_S)

    def _stream(self, speaker: Participant, listener: Participant, sent: int) -> StreamVerdict:
        heard = listener.heard(speaker.name)
        return StreamVerdict(
            from_=speaker.name,
            to=listener.name,
            frames_sent=sent,
            frames_played=heard.get("frames_played", 0),
            frames_concealed=heard.get("frames_concealed", 0),
            delay_ms_p50=heard.get("delay_ms_p50"),
            delay_ms_p95=heard.get("delay_ms_p95"),
        )


def _people_joined(host: Participant) -> int:
    return sum(event["event"] == "participant_joined" for event in host.events)
