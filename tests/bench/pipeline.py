"""What a frame costs from microphone to loudspeaker, stage by stage, as a multiple of libopus alone.

Two participants talk to each other over UDP on loopback, with no relay between them and a virtual clock running in
20 ms ticks. In each tick each encodes, seals and sends a frame of speech, receives, opens and plays the other's, and
mixes it with that of a third, as in a call of three. Acknowledgements ride along with the next frame, as they do in
a call. In the same tick the same frame goes through bare libopus calls, so that both see the machine in the same
mood. The slowest 5 % of the ticks are left out: they are other programs.
"""

from __future__ import annotations

import datetime as dt
import select
import socket
from collections import defaultdict
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, TypeVar

import numpy as np

from relay_quic import certs, wire
from relay_quic.quic.connection import Address, Connection
from relay_quic.quic.events import DatagramReceived
from relay_quic.quic.libraries import Connector, Library, Listener, choose
from relay_quic.quic.packets import destination_of
from tests.speech import speech_frames
from tuiconf.crypto.media_keys import Opened, OpeningKeys, SealingKeys, Stream, Undecryptable
from tuiconf.media import opus
from tuiconf.media.jitter import JitterBuffer
from tuiconf.media.mixer import mix
from tuiconf.media.opus import Encoder, Opus, Pcm
from tuiconf.media.playout import Receiver
from tuiconf.media.redundancy import Bundler, unbundle_with_offsets

TICKS: Final = 1500
WARM_UP: Final = 100
TICK_S: Final = 0.020
KEPT: Final = 0.95
STAGES: Final = ("encode", "seal", "send", "receive", "open", "play", "mix")

T = TypeVar("T")


class Stopwatch:
    """Times by stage and tick."""

    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = defaultdict(list)

    def time(self, stage: str, call: Callable[[], T]) -> T:
        start = perf_counter()
        result = call()
        self._spent[stage].append(perf_counter() - start)
        return result

    def mean_us(self, stage: str) -> float:
        """Of the quickest `KEPT` of the calls."""
        spent = sorted(self._spent[stage][WARM_UP:])
        kept = spent[: int(len(spent) * KEPT)]
        return sum(kept) / len(kept) * 1e6


class End:
    """One participant: everything its engine does with a frame, without the engine."""

    def __init__(self, libopus: Opus, leaf: int, offsets: tuple[int, ...]) -> None:
        self.encoder = Encoder(libopus)
        self.receiver = Receiver(libopus)
        self.shadow = JitterBuffer()
        self.bundler = Bundler(offsets)
        self.sealing, self.opening = SealingKeys(), OpeningKeys()
        self.sealing.install(1, bytes(16), leaf)
        self.opening.install(1, bytes(16), own_leaf=leaf, leaves=(0, 1), removal=False, now=0.0)
        self.prefix = wire.datagram_prefix(wire.DatagramKind.AUDIO)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        self.connection: Connection | None = None
        self.peer: Address = ("", 0)

    @property
    def address(self) -> Address:
        host, port = self.socket.getsockname()
        return host, port

    def seal(self, packet: bytes) -> bytes:
        _, sealed = self.sealing.seal(Stream.AUDIO, packet)
        return self.prefix + self.bundler.bundle(sealed)

    def send(self, datagram: bytes, now: float) -> None:
        if not quic(self).send_datagram(datagram):
            raise RuntimeError("the datagram was refused")
        self.flush(now)

    def flush(self, now: float) -> None:
        for packet, _ in quic(self).send(now):
            self.socket.send(packet)

    def receive(self, now: float) -> list[bytes]:
        connection = quic(self)
        while self.poll.poll(0):
            connection.receive(self.socket.recv(2048), self.peer, now)
        return [event.data for event in connection.take_events() if isinstance(event, DatagramReceived)]

    def open(self, datagrams: list[bytes], now: float) -> list[tuple[Opened, bool, int]]:
        opened = []
        for datagram in datagrams:
            wire.parse_datagram_prefix(datagram)
            bundle = unbundle_with_offsets(datagram[1:])
            for back, sealed in bundle:
                try:
                    frame = self.opening.open(Stream.AUDIO, sealed, now=now)
                except Undecryptable:
                    continue  # a copy that was not needed
                if isinstance(frame, Opened):
                    opened.append((frame, back > 0, bundle[-1][0]))
        return opened

    def play(self, frames: list[tuple[Opened, bool, int]], now: float) -> Pcm | None:
        for frame, repeated, farthest in frames:
            self.receiver.push(frame.counter, frame.payload, now=now, repeated=repeated, farthest=farthest)
        return self.receiver.pull(now=now)[0]

    def order(self, frames: list[tuple[Opened, bool, int]], now: float) -> None:
        """The jitter buffer's part of `play`, once more."""
        for frame, _, _ in frames:
            self.shadow.push(frame.counter, frame.payload, now=now)
        self.shadow.pop(now=now)


def quic(end: End) -> Connection:
    if end.connection is None:
        raise RuntimeError("not connected")
    return end.connection


def connect(a: End, b: End, library: Library) -> None:
    """The handshake; `b` is the listening side."""
    for end, peer in ((a, b), (b, a)):
        end.peer = peer.address
        end.socket.connect(peer.address)
    now = dt.datetime.now(dt.UTC)
    listener = Listener(library, certs.make_self_signed(now=now, names=["localhost"]))
    a.connection = Connector(library).connect(host="localhost", address=b.address, now=0.0)
    a.flush(0.0)
    b.socket.setblocking(True)
    first = b.socket.recv(2048)
    b.socket.setblocking(False)
    b.connection = listener.accept(original_id=destination_of(first) or b"", retry_id=None, now=0.0)
    b.connection.receive(first, a.address, 0.0)
    for step in range(50):
        for end in (b, a):
            end.receive(step * 0.001)
            end.flush(step * 0.001)
    if not (a.connection.established and b.connection.established):
        raise RuntimeError("the handshake did not finish")


class BareLibopus:
    """libopus with nothing around it: buffers made once, no checks, the settings of the call."""

    def __init__(self, library: Opus) -> None:
        ffi: Any = library.ffi
        lib: Any = library.lib
        error = ffi.new("int *")
        encoder = ffi.gc(lib.opus_encoder_create(48_000, 1, 2048, error), lib.opus_encoder_destroy)
        decoder = ffi.gc(lib.opus_decoder_create(48_000, 1, error), lib.opus_decoder_destroy)
        for request, value in ((4024, 3001), (4002, 32_000), (4006, 0), (4010, opus.DEFAULT_COMPLEXITY)):
            lib.opus_encoder_ctl(encoder, request, ffi.cast("int32_t", value))
        self._source, self._target = np.zeros(960, np.float32), np.zeros(960, np.float32)
        source = ffi.from_buffer("float[]", self._source)
        target = ffi.from_buffer("float[]", self._target)
        packet = ffi.new("unsigned char[]", 1275)
        self.encode: Callable[[], int] = lambda: lib.opus_encode_float(encoder, source, 960, packet, 1275)
        self.decode: Callable[[], int] = lambda: lib.opus_decode_float(decoder, packet, 80, target, 960, 0)

    def load(self, frame: Pcm) -> None:
        self._source[:] = frame


def run() -> dict[str, object]:
    """`ratio` is the pipeline over libopus alone; microseconds per frame for each stage."""
    libopus = opus.load()
    library = choose()
    plain = measure(libopus, library, ())
    repeating = measure(libopus, library, (1, 3))
    return {
        **plain,
        "ratio_with_copies_1_3": repeating["ratio"],
        "opus": ".".join(map(str, libopus.version)),
        "quic": str(library),
    }


def measure(libopus: Opus, library: Library, offsets: tuple[int, ...]) -> dict[str, object]:
    ends = End(libopus, 0, offsets), End(libopus, 1, offsets)
    connect(*ends, library)
    watch, bare = Stopwatch(), BareLibopus(libopus)
    speech = speech_frames(12.0)
    third = speech[100].copy()
    for tick in range(TICKS):
        frame, now = speech[tick % len(speech)], 1.0 + tick * TICK_S
        bare.load(frame)
        watch.time("bare_encode", bare.encode)
        watch.time("bare_decode", bare.decode)
        for sender, receiver in (ends, ends[::-1]):
            _pass_on(watch, sender, receiver, frame, third, now)
    for end in ends:
        end.socket.close()
        if end.receiver.statistics.frames_played < TICKS * 0.9:
            raise RuntimeError("frames did not arrive: the figures would mean nothing")
    return _figures(watch)


def _pass_on(watch: Stopwatch, sender: End, receiver: End, frame: Pcm, third: Pcm, now: float) -> None:
    packet = watch.time("encode", lambda: sender.encoder.encode(frame))
    datagram = watch.time("seal", lambda: sender.seal(packet))
    watch.time("send", lambda: sender.send(datagram, now))
    datagrams = watch.time("receive", lambda: receiver.receive(now))
    frames = watch.time("open", lambda: receiver.open(datagrams, now))
    heard = watch.time("play", lambda: receiver.play(frames, now + TICK_S / 2))
    watch.time("mix", lambda: mix([third, heard] if heard is not None else [third]))
    watch.time("jitter", lambda: receiver.order(frames, now + TICK_S / 2))


def _figures(watch: Stopwatch) -> dict[str, object]:
    stages = {stage: watch.mean_us(stage) for stage in STAGES}
    bare = {name: watch.mean_us(name) for name in ("bare_encode", "bare_decode")}
    total, alone = sum(stages.values()), sum(bare.values())
    return {
        "ratio": round(total / alone, 3),
        "pipeline_us": round(total, 1),
        "libopus_alone_us": round(alone, 1),
        **{f"{stage}_us": round(spent, 1) for stage, spent in stages.items()},
        "of_play_jitter_us": round(watch.mean_us("jitter"), 1),
        **{f"{name}_us": round(spent, 1) for name, spent in bare.items()},
    }
