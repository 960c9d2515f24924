"""What the terminal interface costs in a call of ten: bytes on the wire, processor, memory, and time until it is there.

The interface is the real process on a pty that answers as a terminal does. The engine is played: levels four times a
second and statistics every second, of three people who talk in turns, as fast as a real one sends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from tests.tui import support
from tests.tui.terminal.rig import Rig
from tuiconf.conference.events import AudioStats, StreamStats, Trust
from tuiconf.control import rpc, schema
from tuiconf.control.events import CallEvent, Envelope, Level, Levels, Person

CALL = "bbbb"
SETTLE_S = 3.0
MEASURE_S = 20.0
STARTS = 5

NAMES = ("Ada", "Ben", "Mara", "Zoe", "Jules", "Robin", "Priya", "Tomasz", "Linnea", "Kofi")
PEOPLE_SHOWN = b"Kofi"
TERMS = ("xterm-256color", "xterm-16color", "xterm-kitty")

BARE = """
import sys
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("Kofi")
Bare().run()
"""

# What our pty answers besides what each does: synchronized output is there, kitty's keys are not.
ANSWERS = {b"\x1b[?2026$p": b"\x1b[?2026;2$y"}

Figures = dict[str, object]


def run() -> Figures:
    """Percent of one core, kbit/s, MB and ms. The limits: 4 % (idle 1), 30 kbit/s, 70 MB, 300 ms after a bare app."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        with _playing(Path(folder), talking=True):
            for term in TERMS:
                figures |= {f"talking_{key}_{term}": value for key, value in _measured(Path(folder), term).items()}
            figures |= _first_paint(Path(folder))
        with _playing(Path(folder), talking=False):
            figures |= {f"idle_{key}": value for key, value in _measured(Path(folder), TERMS[0]).items()}
    return figures


def _measured(folder: Path, term: str) -> Figures:
    with _interface(folder, term) as rig:
        _answer(rig, lambda: PEOPLE_SHOWN in rig.written)
        _answer(rig, _after(SETTLE_S))
        begin = len(rig.written)
        cpu, size, began = _cpu_s(rig.process.pid), len(rig.written), time.monotonic()
        _answer(rig, _after(MEASURE_S))
        lasted = time.monotonic() - began
        return {
            "cpu_percent": round(100 * (_cpu_s(rig.process.pid) - cpu) / lasted, 2),
            "kbit_s": round(8 * (len(rig.written) - size) / 1_000 / lasted, 1),
            "first_3_s_kb": round(begin / 1_000, 1),
            "peak_mb": _peak_mb(rig.process.pid),
        }


def _first_paint(folder: Path) -> Figures:
    bare, ours = [], []
    for _ in range(STARTS):  # in turns: whatever slows the machine down slows both
        bare.append(_painted_after_ms(_terminal(folder, TERMS[0], "-c", BARE)))
        ours.append(_painted_after_ms(_interface(folder, TERMS[0])))
    return {
        "first_paint_bare_ms": round(statistics.median(bare)),
        "first_paint_ms": round(statistics.median(ours)),
        "first_paint_later_ms": round(statistics.median(ours) - statistics.median(bare)),
    }


def _painted_after_ms(terminal: AbstractContextManager[Rig]) -> float:
    began = time.monotonic()
    with terminal as rig:
        _answer(rig, lambda: PEOPLE_SHOWN in rig.written)
        return 1_000 * (time.monotonic() - began)


def _interface(folder: Path, term: str) -> AbstractContextManager[Rig]:
    return _terminal(folder, term, "-m", "tuiconf", "attach", CALL)


@contextmanager
def _terminal(folder: Path, term: str, *command: str) -> Iterator[Rig]:
    home = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "TERM": term}
    rig = Rig(*command, env=home, tells=False)
    try:
        yield rig
    finally:
        rig.close()


def _answer(rig: Rig, done: Callable[[], bool]) -> None:
    """Be its terminal until that."""
    while not done():
        seen = len(rig.written)
        rig.listen()
        for question, answer in ANSWERS.items():
            rig.type(answer * rig.written.count(question, max(0, seen - len(question) + 1)))
        assert rig.process.poll() is None, rig.written[-2_000:].decode(errors="replace")


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM:"))


TRUSTS: tuple[Trust, ...] = ("verified", "known", "new")


class Played:
    """An engine that is none, listening where one of this call would."""

    def __init__(self, *, talking: bool) -> None:
        people = [
            Person(
                leaf=leaf,
                name=name,
                fingerprint="-".join([name.lower()[:4].ljust(4, "x")] * 8),
                host=leaf == 0,
                trust=trust,
            )
            for leaf, (name, trust) in enumerate(zip(NAMES, itertools.cycle(TRUSTS)))
        ]
        me = msgspec.structs.replace(people[0], trust="self")
        self._talking = talking
        self._people = people[1:]
        self._fake = support.FakeControl(support.state(participants=(me, *self._people), me=me))
        self._seq = self._fake.state.seq
        self._clients: list[asyncio.StreamWriter] = []

    async def serve(self, path: Path, over: threading.Event) -> None:
        """Until it is over."""
        async with await asyncio.start_unix_server(self._client, path):
            await asyncio.to_thread(over.wait)
        for client in self._clients:
            client.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(writer)
        happening: list[asyncio.Task[None]] = []
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                request = rpc.parse_request(line)
                kind = schema.METHODS[request.method]
                params = b"{}" if isinstance(request.params, msgspec.UnsetType) else request.params
                answer = await self._fake.call(msgspec.json.decode(params, type=kind))
                writer.write(rpc.result(None if isinstance(request.id, msgspec.UnsetType) else request.id, answer))
                if kind is schema.Subscribe:
                    happening.append(asyncio.create_task(self._happen(writer)))
        for task in happening:
            task.cancel()

    async def _happen(self, writer: asyncio.StreamWriter) -> None:
        for quarter in itertools.count():
            if quarter % 4 == 0:
                self._tell(writer, self._stats(quarter))
            self._tell(writer, self._levels(quarter))
            await asyncio.sleep(0.25)

    def _tell(self, writer: asyncio.StreamWriter, event: CallEvent) -> None:
        self._seq += 1
        envelope = Envelope(seq=self._seq, ts=time.time(), epoch=7, data=event)
        writer.write(rpc.notification("event", envelope))

    def _levels(self, quarter: int) -> Levels:
        """Three talk at a time, for five seconds each, louder and softer by the syllable."""
        first = quarter // 20
        speaking = {(first + number) % len(self._people) for number in range(3)} if self._talking else set()
        others = [
            Level(leaf=who.leaf, dbfs=-24 + 12 * math.sin(quarter * 1.7 + number), speaking=True)
            if number in speaking
            else Level(leaf=who.leaf, dbfs=-90.0, speaking=False)
            for number, who in enumerate(self._people)
        ]
        return Levels(own=Level(leaf=0, dbfs=-50 + 10 * math.sin(quarter), speaking=False), others=tuple(others))

    def _stats(self, quarter: int) -> AudioStats:
        streams = tuple(
            StreamStats(
                leaf=who.leaf,
                name=who.name,
                fingerprint=who.fingerprint,
                frames_received=quarter * 12,
                frames_played=quarter * 12,
                frames_concealed=quarter // 9,
                frames_late=0,
                loss_percent=(quarter // 4 + who.leaf) % 3 / 2,
                buffer_ms=40.0 + quarter // 4 % 3 * 10,
                delay_ms_p50=80.0,
                delay_ms_p95=110.0,
            )
            for who in self._people
        )
        return support.stats(frames_sent=quarter * 12, rtt_ms=24.0 + quarter // 4 % 7, streams=streams)


@contextmanager
def _playing(folder: Path, *, talking: bool) -> Iterator[None]:
    runtime = folder / "tuiconf"
    runtime.mkdir(mode=0o700, exist_ok=True)
    path = runtime / f"{CALL}.sock"
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(Played(talking=talking).serve(path, over)))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        path.unlink(missing_ok=True)
