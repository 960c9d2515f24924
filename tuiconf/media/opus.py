"""libopus, called directly: constant-bit-rate frames out, and frames, concealment and in-band FEC back in.

PyAV wraps libopus too, but reads no FEC and writes no DTX (FACTS.md), so its wheel is only where a current
library is usually found. Calls go through cffi's ABI mode, so nothing is compiled on installation, and cffi
lets other threads run while libopus works.

Everything a peer sends ends here as a frame of the agreed length or as an `OpusError`.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import cffi
import numpy as np
import numpy.typing as npt

from tuiconf.errors import TuiconfError

Pcm = npt.NDArray[np.float32]
"""Samples at 48 kHz, mono, one float32 each, full scale ±1."""

SAMPLE_RATE: Final = 48_000
CHANNELS: Final = 1
FRAME_LENGTHS_MS: Final = (10, 20, 40, 60)

# What is louder is no sound but a broken driver's; one NaN would stay in the encoder's state for ever.
LOUDEST_INPUT: Final = 8.0
# No sample is louder than the square root of all their power. Only what has more is looked at sample by sample.
_HARMLESS_POWER: Final = LOUDEST_INPUT**2

_FLOAT32: Final = np.dtype(np.float32)

DEFAULT_BITRATE: Final = 32_000
MIN_BITRATE: Final = 6_000
MAX_BITRATE: Final = 128_000

# The longest packet RFC 6716 §3.4 allows one frame to have. What is longer cannot come from our encoder.
MAX_PACKET_BYTES: Final = 1275

# Older libraries decode too, but 1.3 is the first with the security fixes and the mono speech tuning we count on.
OLDEST_VERSION: Final = (1, 3)

# Speech at 32 kb/s, encoding 0 / 5 / 6 / 8 / 10 took 151 / 275 / 283 / 335 / 327 µs on a busy x86 core for a STOI of
# .966 / .986 / .990 / .990 / .990: 6 has the quality of the rest for the price of 5. A Raspberry Pi is three to five
# times slower, so this is about 5 % of one of its cores; 0 would halve that and be heard.
DEFAULT_COMPLEXITY: Final = 6

_FIRST_HYBRID_CONFIG: Final = 12

_APPLICATION_VOIP: Final = 2048
_SIGNAL_VOICE: Final = 3001
_SET_BITRATE: Final = 4002
_SET_VBR: Final = 4006
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERCENT: Final = 4014
_SET_DTX: Final = 4016
_SET_SIGNAL: Final = 4024
_GET_LOOKAHEAD: Final = 4027

# The samples to encode are `const float *` to libopus. As `const void *`, cffi takes a bytes object where it is, which
# costs a third of making a pointer into an array.
_DECLARATIONS: Final = """
    typedef struct OpusEncoder OpusEncoder;
    typedef struct OpusDecoder OpusDecoder;
    const char *opus_get_version_string(void);
    const char *opus_strerror(int error);
    OpusEncoder *opus_encoder_create(int32_t rate, int channels, int application, int *error);
    int32_t opus_encode_float(OpusEncoder *, const void *pcm, int samples, unsigned char *packet, int32_t room);
    int opus_encoder_ctl(OpusEncoder *, int request, ...);
    void opus_encoder_destroy(OpusEncoder *);
    OpusDecoder *opus_decoder_create(int32_t rate, int channels, int *error);
    int opus_decode_float(OpusDecoder *, const unsigned char *packet, int32_t size, float *pcm, int room, int fec);
    int opus_packet_get_nb_samples(const unsigned char *packet, int32_t size, int32_t rate);
    void opus_decoder_destroy(OpusDecoder *);
"""


class OpusError(TuiconfError):
    """libopus refused: a packet that is none, or a setting it does not know."""

    code = "opus"


class OpusMissing(OpusError):
    """There is no usable libopus on this machine."""

    code = "opus_missing"


class Opus:
    """One loaded libopus. Cheap to share: encoders and decoders hold all state."""

    __slots__ = ("ffi", "lib", "path", "version")

    def __init__(self, path: str, ffi: Any = None) -> None:
        """Load the library at `path`, or of that name where the system's loader finds it.

        `ffi` has the declarations, if somebody has read them already: that takes most of the time.

        Raises:
            OpusMissing: there is none, or it is too old or something else.
        """
        self.path = path
        self.ffi = ffi = ffi or _declared()
        try:
            self.lib = ffi.dlopen(path)
            text = ffi.string(self.lib.opus_get_version_string()).decode("ascii", "replace")
        except (OSError, AttributeError) as error:
            raise OpusMissing(f"{path} is not a libopus that can be loaded") from error
        found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
        self.version = tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)
        if self.version < OLDEST_VERSION:
            raise OpusMissing(f"{path} is too old: version 1.3 or newer of libopus is needed")

    def __repr__(self) -> str:
        return f"<Opus {'.'.join(map(str, self.version))}>"

    def check(self, result: int) -> int:
        """`result`, unless libopus means an error by it.

        Raises:
            OpusError: it does.
        """
        if result < 0:
            raise OpusError(f"libopus: {self.ffi.string(self.lib.opus_strerror(result)).decode('ascii', 'replace')}")
        return result


def _declared() -> Any:
    # cffi makes functions from the declarations at run time: nothing of it has a static type.
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    return ffi


def load(path: str | None = None, *, places: Iterable[str] | None = None) -> Opus:
    """The newest libopus among `path` and `places`, which are PyAV's wheel and the system if not given.

    Touches the disk; loads libraries into the process: call once and pass the result on.

    Raises:
        OpusMissing: there is none, or the one at `path` cannot be used.
    """
    ffi = _declared()
    libraries = [] if path is None else [Opus(path, ffi)]
    for candidate in (*_bundled(), *_of_the_system()) if places is None else places:
        try:
            libraries.append(Opus(candidate, ffi))
        except OpusMissing:
            continue
    if not libraries:
        raise OpusMissing(
            "no libopus was found: install one (Debian, Raspberry Pi OS: apt install libopus0; macOS: brew install"
            " opus), or pip install av, which brings its own"
        )
    return max(libraries, key=lambda library: library.version)  # the first of equals: the configured one


def _bundled() -> Iterator[str]:
    """Where PyAV's wheel puts its libopus: beside the package on Linux, inside it on macOS.

    PyAV itself is not imported: that would cost 23 MB a participant may never need.
    """
    spec = importlib.util.find_spec("av")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        package = Path(location)
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            if folder.is_dir():
                yield from (str(file) for file in sorted(folder.glob("libopus[.-]*")))


def _of_the_system() -> Iterator[str]:
    """Names for the dynamic loader. `ctypes.util.find_library` would run ldconfig and a compiler to find them."""
    yield "libopus.so.0"
    yield "libopus.0.dylib"
    if os.uname().sysname == "Darwin":
        yield "/opt/homebrew/lib/libopus.0.dylib"  # not on the loader's path on Apple silicon


def frame_samples(frame_ms: int) -> int:
    """Samples in a frame of that length.

    Raises:
        OpusError: a call has no frames of that length.
    """
    if frame_ms not in FRAME_LENGTHS_MS:
        raise OpusError(f"a frame of {frame_ms} ms is not possible: choose 10, 20, 40 or 60")
    return SAMPLE_RATE // 1000 * frame_ms


def has_fec(packet: bytes) -> bool:
    """Whether a mono packet with one frame says something of the frame before it (RFC 6716 §3.1 and §4.2.3).

    Of packets with more, false: no encoder of ours makes them. Such a frame begins with a bit for the voice
    activity of each 20 ms in it, and behind those the one that counts here.
    """
    if len(packet) < 2 or packet[0] & 0x87:  # CELT alone has none; stereo; several frames
        return False
    config = packet[0] >> 3
    silk_frames = (1, 1, 2, 3)[config & 3] if config < _FIRST_HYBRID_CONFIG else 1
    return bool(packet[1] >> (7 - silk_frames) & 1)


class Encoder:
    """Speech to Opus packets, one frame each.

    The bit rate is constant by default because packet sizes survive encryption, and with a variable rate they
    have been enough to tell what was said. `vbr` and `dtx` (sending next to nothing in silence) are for those
    who choose saving over that.
    """

    __slots__ = ("_encode", "_encoder", "_ffi", "_opus", "_packet", "_view", "samples")

    def __init__(
        self,
        opus: Opus,
        *,
        bitrate: int = DEFAULT_BITRATE,
        frame_ms: int = 20,
        complexity: int = DEFAULT_COMPLEXITY,
        dtx: bool = False,
        vbr: bool = False,
        expected_loss_percent: int = 0,
    ) -> None:
        """An encoder of `bitrate` bits a second (6,000 to 128,000).

        Raises:
            OpusError: a setting is out of range.
        """
        if not MIN_BITRATE <= bitrate <= MAX_BITRATE:
            raise OpusError(f"a bit rate of {bitrate} is not possible: choose {MIN_BITRATE} to {MAX_BITRATE}")
        self.samples = frame_samples(frame_ms)
        self._opus, self._ffi = opus, opus.ffi
        error = self._ffi.new("int *")
        encoder = opus.lib.opus_encoder_create(SAMPLE_RATE, CHANNELS, _APPLICATION_VOIP, error)
        opus.check(error[0])
        self._encoder = self._ffi.gc(encoder, opus.lib.opus_encoder_destroy)
        self._encode = opus.lib.opus_encode_float
        self._packet = self._ffi.new("unsigned char[]", MAX_PACKET_BYTES)
        self._view = self._ffi.buffer(self._packet)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        self._set(_SET_BITRATE, bitrate)
        self._set(_SET_VBR, int(vbr))
        self._set(_SET_DTX, int(dtx))
        self._set(_SET_COMPLEXITY, complexity)
        self.set_expected_loss(expected_loss_percent)

    def set_expected_loss(self, percent: int) -> None:
        """Write in-band FEC for that loss; 0 is none. At 24 kb/s libopus spends nothing on less than 8 %.

        Raises:
            OpusError: not a percentage.
        """
        self._set(_SET_INBAND_FEC, int(percent > 0))
        self._set(_SET_PACKET_LOSS_PERCENT, percent)

    @property
    def lookahead_samples(self) -> int:
        """How far what a decoder gives is behind what was put in, apart from the frame itself."""
        out = self._ffi.new("int32_t *")
        self._opus.check(self._opus.lib.opus_encoder_ctl(self._encoder, _GET_LOOKAHEAD, out))
        return int(out[0])

    def encode(self, pcm: Pcm) -> bytes:
        """The packet for one frame: `samples` of float32, contiguous. NaN and infinity count as silence.

        Raises:
            OpusError: not a frame.
        """
        if pcm.shape != (self.samples,) or pcm.dtype != _FLOAT32 or not pcm.flags.c_contiguous:
            raise OpusError(f"a frame to encode is {self.samples} contiguous samples of float32")
        if not np.vdot(pcm, pcm) <= _HARMLESS_POWER:  # also when it is NaN
            pcm = _harmless(pcm)
        size = self._encode(self._encoder, pcm.tobytes(), self.samples, self._packet, MAX_PACKET_BYTES)
        packet: bytes = self._view[: self._opus.check(size)]
        return packet

    def _set(self, request: int, value: int) -> None:
        argument = self._ffi.cast("int32_t", value)
        self._opus.check(self._opus.lib.opus_encoder_ctl(self._encoder, request, argument))


def _harmless(pcm: Pcm) -> Pcm:
    if max(float(pcm.max()), -float(pcm.min())) <= LOUDEST_INPUT:
        return pcm
    return np.clip(np.nan_to_num(pcm, posinf=0.0, neginf=0.0), -1.0, 1.0)


class Decoder:
    """Opus packets of one sender to speech, one frame each; stereo packets are folded to mono.

    After an `OpusError` the decoder is as it was, and ready for the next packet.
    """

    __slots__ = ("_decode", "_decoder", "_ffi", "_length_of", "_opus", "_pcm", "_plain", "_target", "samples")

    def __init__(self, opus: Opus, *, frame_ms: int = 20) -> None:
        """A decoder of frames that are `frame_ms` long, and no others.

        Raises:
            OpusError: no such frames, or out of memory.
        """
        self.samples = frame_samples(frame_ms)
        self._opus, self._ffi = opus, opus.ffi
        error = self._ffi.new("int *")
        decoder = opus.lib.opus_decoder_create(SAMPLE_RATE, CHANNELS, error)
        opus.check(error[0])
        self._decoder = self._ffi.gc(decoder, opus.lib.opus_decoder_destroy)
        self._decode = opus.lib.opus_decode_float
        self._length_of = opus.lib.opus_packet_get_nb_samples
        self._pcm = np.empty(self.samples, np.float32)
        self._target = self._ffi.from_buffer("float[]", self._pcm, require_writable=True)
        # The first bytes of packets that are one frame of the right length, which nearly all are.
        self._plain = frozenset(
            toc for toc in range(0, 256, 4) if self._length_of(bytes((toc,)), 1, SAMPLE_RATE) == self.samples
        )

    def decode(self, packet: bytes) -> Pcm:
        """The frame in `packet`: a fresh array of `samples`. Loud packets may exceed ±1.

        Raises:
            OpusError: malformed, or not a frame of this call's length.
        """
        size = len(packet)
        if not 0 < size <= MAX_PACKET_BYTES or packet[0] not in self._plain:
            self._check_length(packet)
        return self._run(packet, size, fec=0)

    def conceal(self) -> Pcm:
        """What libopus makes up for a frame that is missing: a continuation of what came before."""
        return self._run(self._ffi.NULL, 0, fec=0)

    def decode_fec(self, next_packet: bytes) -> Pcm:
        """The frame *before* `next_packet`, from what that says of it; concealment where it says nothing.

        Raises:
            OpusError: malformed, or not a frame of this call's length.
        """
        self._check_length(next_packet)
        return self._run(next_packet, len(next_packet), fec=1)

    def _check_length(self, packet: bytes) -> None:
        # An empty packet would be taken for a lost one; a longer frame would not fit the output.
        if not 0 < len(packet) <= MAX_PACKET_BYTES:
            raise OpusError("a packet's size is not possible")
        if self._length_of(packet, len(packet), SAMPLE_RATE) != self.samples:
            raise OpusError("a packet is not a frame of this call's length")

    def _run(self, packet: object, size: int, *, fec: int) -> Pcm:
        decoded = self._decode(self._decoder, packet, size, self._target, self.samples, fec)
        if decoded != self.samples:
            self._opus.check(decoded)
            raise OpusError("a packet did not decode to a whole frame")
        return self._pcm.copy()
