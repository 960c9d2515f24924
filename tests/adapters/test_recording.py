"""Recording a call: everybody in line, private, and playable whatever happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyrage  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adapters.recording_support import NOW, UNIX, Speaker, joined, offset_ms, record, send, sidecar, words
from tests.intelligibility import read, score
from tuiconf.adapters.recording import (
    RecipientError,
    Recording,
    RecordingError,
    RecordingOptions,
    RecordingOptionsError,
)
from tuiconf.adapters.recording import recorder as recorder_module
from tuiconf.errors import LocalProtocolError, UsageError
from tuiconf.media import opus
from tuiconf.media.opus import Opus


@pytest.fixture(scope="module")
def libopus() -> Opus:
    return opus.load()


@pytest.fixture
def speakers() -> list[Speaker]:
    return [
        Speaker(name="ada", words=words(8), begin=0.513, pauses=((3, 0.7),)),
        Speaker(name="bob", words=words(7, skip=8), begin=2.237, delay=0.18, jitter=0.01, loss=0.05),
        Speaker(name="cyd", words=words(6, skip=4), begin=4.001, pauses=((2, 2.5), (4, 0.3)), delay=0.4),
    ]


async def test_tracks_line_up_with_what_was_said_and_can_be_understood(
    tmp_path: Path, libopus: Opus, speakers: list[Speaker]
) -> None:
    recording = await Recording.start(RecordingOptions(folder=tmp_path, mix=True), opus=libopus, unix=UNIX, now=NOW)
    recording.note("epoch", {"epoch": 4, "members": 3}, now=NOW + 1)
    await record(recording, send(speakers, libopus), seconds=14)
    await recording.close()
    await recording.close()
    about = sidecar(recording.path)
    assert about["ended"] and about["failure"] is None and about["seconds"] == 14 and about["started_unix"] == UNIX
    assert about["events"] == [{"at_s": 1.0, "kind": "epoch", "fields": {"epoch": 4, "members": 3}}]
    ideal = np.sum([speaker.as_said(14) for speaker in speakers], axis=0)
    for speaker, participant in zip(speakers, about["participants"], strict=True):
        assert participant["name"] == speaker.name and participant["aligned_by"] == "clock"
        assert participant["delay_ms"] == pytest.approx(speaker.delay * 1000 + 20, abs=5)
        sound = joined(recording.path, participant["parts"])
        assert abs(offset_ms(speaker, sound)) < 6
        assert score(speaker.words, sound) > (0.85 if not speaker.pauses else 0)
        assert score(speaker.as_said(14)[: len(sound)], sound) > 0.85
    assert score(ideal, joined(recording.path, about["mix"])) > 0.85
    reasons = [{gap["reason"] for gap in participant["gaps"]} for participant in about["participants"]]
    assert reasons == [{"silent"}, {"lost"}, {"silent"}]
    assert about["participants"][0]["gaps"][0] == {"from_s": 3.51, "to_s": 4.21, "reason": "silent"}


@pytest.mark.skipif(shutil.which("opusinfo") is None, reason="needs opusinfo")
async def test_opusinfo_has_nothing_to_say_against_it(tmp_path: Path, libopus: Opus, speakers: list[Speaker]) -> None:
    options = RecordingOptions(folder=tmp_path, mix=True, split_s=4)
    recording = await Recording.start(options, opus=libopus, unix=UNIX, now=NOW)
    await record(recording, send(speakers, libopus), seconds=14)
    await recording.close()
    for path in recording.path.glob("*.opus"):
        said = (await asyncio.to_thread(subprocess.run, ["opusinfo", str(path)], capture_output=True, text=True)).stdout
        assert "ended" in said and not re.search("warning|note|error|missing", said, re.IGNORECASE)


async def test_the_folder_is_private_and_its_names_are_ours(tmp_path: Path, libopus: Opus) -> None:
    options = RecordingOptions(folder=tmp_path / "calls")
    recordings = [await Recording.start(options, opus=libopus, unix=UNIX, now=NOW) for _ in range(2)]
    for recording in recordings:
        recording.participant(1, name="../../etc/passwd\n\x1b[2J", fingerprint="../..:-/x", verified=True)
        recording.packet(1, 5, b"\xf8\xff\xfe", now=NOW + 1)
        await recording.close()
    assert [recording.path.name for recording in recordings] == ["2023-11-14T22-13-20Z", "2023-11-14T22-13-20Z-2"]
    found = {path.name: path.stat().st_mode & 0o777 for path in recordings[0].path.iterdir()}
    assert found == {"01-x.opus": 0o600, "recording.json": 0o600}
    assert recordings[0].path.stat().st_mode & 0o777 == 0o700
    assert sidecar(recordings[0].path)["participants"][0]["verified"] is True


@pytest.mark.parametrize("split", [{"split_s": 2.5}, {"split_bytes": 64 * 1024}])
async def test_parts_join_into_the_whole_where_the_sidecar_says(
    tmp_path: Path, libopus: Opus, split: dict[str, float]
) -> None:
    speakers = [
        Speaker(name="ada", words=words(30), begin=0.3, pauses=((8, 0.5),)),
        Speaker(name="bob", words=words(4, skip=4), begin=23.1),
    ]
    options = RecordingOptions(folder=tmp_path, **split)  # type: ignore[arg-type]
    recording = await Recording.start(options, opus=libopus, unix=UNIX, now=NOW)
    await record(recording, send(speakers, libopus), seconds=32)
    await recording.close()
    for speaker, participant in zip(speakers, sidecar(recording.path)["participants"], strict=True):
        parts = participant["parts"]
        for part, after in itertools.pairwise(parts):
            assert part["start_sample"] + part["samples"] == after["start_sample"]
        for part in parts:
            path = recording.path / part["file"]
            assert len(read(path)) == part["samples"]
            assert path.stat().st_size <= split.get("split_bytes", 10**9)
            if "split_s" in split:
                assert part["start_s"] % 2.5 < 0.02 and part["samples"] <= 2.52 * 48_000
        sound = joined(recording.path, parts)
        assert abs(offset_ms(speaker, sound)) < 6
        assert score(speaker.as_said(len(sound) / 48_000), sound) > 0.85
        assert len(parts) > (speaker.name == "ada")


async def test_an_hour_of_silence_before_someone_speaks_is_quickly_written(tmp_path: Path, libopus: Opus) -> None:
    recording = await Recording.start(RecordingOptions(folder=tmp_path), opus=libopus, unix=UNIX, now=NOW)
    speaker = Speaker(name="ada", words=words(3), begin=3600.25)
    began = time.process_time()
    sent = send([speaker], libopus)
    recording.participant("ada", name="Ada", fingerprint="aaaa")
    for arrival, _, counter, packet, _ in sent:
        recording.packet("ada", counter, packet, now=NOW + arrival)
    await recording.close()
    assert time.process_time() - began < 3
    [part] = sidecar(recording.path)["participants"][0]["parts"]
    assert part["start_s"] == 0 and abs(part["samples"] / 48_000 - 3603.3) < 0.1
    assert (recording.path / part["file"]).stat().st_size < 1_200_000


KEY = pyrage.x25519.Identity.generate()


def decrypt(path: Path) -> bytes:
    data: bytes = pyrage.decrypt(path.read_bytes(), [KEY])
    return data


async def test_an_encrypted_recording_is_the_recipients_alone(
    tmp_path: Path, libopus: Opus, speakers: list[Speaker]
) -> None:
    options = RecordingOptions(folder=tmp_path, mix=True, split_s=5, encrypt_to=str(KEY.to_public()))
    recording = await Recording.start(options, opus=libopus, unix=UNIX, now=NOW)
    await record(recording, send(speakers, libopus), seconds=12)
    await recording.close()
    files = list(recording.path.iterdir())
    assert {path.suffix for path in files} == {".age"} and not any(".tail" in path.name for path in files)
    assert all(path.read_bytes().startswith(b"age-encryption.org/v1\n") for path in files)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    for path in files:
        path.with_suffix("").write_bytes(decrypt(path))
    about = sidecar(recording.path)
    assert about["encrypted"] and about["ended"]
    for speaker, participant in zip(speakers, about["participants"], strict=True):
        sound = joined(recording.path, participant["parts"])
        assert score(speaker.as_said(12)[: len(sound)], sound) > 0.85


@pytest.mark.skipif(shutil.which("age") is None, reason="needs the age program")
async def test_the_age_program_opens_it_too(tmp_path: Path, libopus: Opus, speakers: list[Speaker]) -> None:
    options = RecordingOptions(folder=tmp_path, encrypt_to=str(KEY.to_public()))
    recording = await Recording.start(options, opus=libopus, unix=UNIX, now=NOW)
    await record(recording, send(speakers[:1], libopus), seconds=12)
    await recording.close()
    key, out = tmp_path / "key.txt", tmp_path / "out.opus"
    key.write_text(str(KEY))
    [track] = recording.path.glob("*.opus.age")
    command = ["age", "-d", "-i", str(key), "-o", str(out), str(track)]
    assert (await asyncio.to_thread(subprocess.run, command, check=False)).returncode == 0
    assert score(speakers[0].words[:144_000], read(out)) > 0.85


@pytest.mark.parametrize(
    "recipient",
    ["", "age1nonsense", "ssh-ed25519 AAAA", str(KEY), "-----BEGIN"],
    ids=["nothing", "nonsense", "ssh", "secret", "pem"],
)
async def test_what_is_no_age_recipient_is_refused_at_once(tmp_path: Path, libopus: Opus, recipient: str) -> None:
    with pytest.raises(RecipientError) as caught:
        await Recording.start(RecordingOptions(folder=tmp_path, encrypt_to=recipient), opus=libopus, unix=UNIX, now=NOW)
    assert isinstance(caught.value, UsageError) and caught.value.code == "recording_recipient"
    assert "SECRET-KEY" not in str(caught.value) and not (tmp_path / "2023-11-14T22-13-20Z").exists()


@pytest.mark.parametrize("split", [{"split_s": 0.5}, {"split_s": float("nan")}, {"split_bytes": 1000}])
def test_parts_too_small_to_be_of_use_are_refused(tmp_path: Path, split: dict[str, float]) -> None:
    with pytest.raises(RecordingOptionsError):
        RecordingOptions(folder=tmp_path, **split)  # type: ignore[arg-type]


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, libopus: Opus) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="file"):
        await Recording.start(RecordingOptions(folder=tmp_path / "file"), opus=libopus, unix=UNIX, now=NOW)


async def test_a_frame_of_nobody_is_a_bug_of_the_caller_and_one_after_leaving_is_nothing(
    tmp_path: Path, libopus: Opus
) -> None:
    recording = await Recording.start(RecordingOptions(folder=tmp_path), opus=libopus, unix=UNIX, now=NOW)
    with pytest.raises(LocalProtocolError):
        recording.packet("ada", 1, b"\xf8\xff\xfe", now=NOW)
    recording.participant("ada", name="Ada", fingerprint="aaaa")
    recording.packet("ada", 1, b"\xf8\xff\xfe", now=NOW + 1)
    recording.left("ada")
    recording.packet("ada", 2, b"\xf8\xff\xfe", now=NOW + 1.02)
    await recording.close()
    assert sidecar(recording.path)["participants"][0]["frames"] == 1


CALL = """
import asyncio, sys
from pathlib import Path
from tests.adapters.recording_support import *
from tuiconf.adapters.recording import RecordingOptions
from tuiconf.media import opus

async def main():
    libopus = opus.load()
    speakers = [Speaker(name="ada", words=words(38), begin=0.2), Speaker(name="bob", words=words(30), begin=5)]
    sent = send(speakers, libopus)
    options = RecordingOptions(folder=Path(sys.argv[1]), mix=True, encrypt_to=sys.argv[2] or None)
    recording = await Recording.start(options, opus=libopus, unix=UNIX, now=NOW)
    print(recording.path, flush=True)
    await record(recording, sent, seconds=40, speed=4, progress=lambda at: print(at, flush=True))
    await asyncio.sleep(60)

asyncio.run(main())
"""


CLEAR_KILLS = ("soon", "later", "in the end")
SEALED_KILLS = ("soon, sealed", "later, sealed", "in the end, sealed")
# In seconds of the tests; the call goes four times as fast.
_KILL_AFTER_S = {
    "soon": (0.3, 2.0),
    "later": (2.0, 5.0),
    "in the end": (6.0, 6.0),
    "soon, sealed": (2.5, 4.0),
    "later, sealed": (5.0, 7.0),
    "in the end, sealed": (9.0, 9.0),
}

Killed = dict[str, tuple[Path, float]]
"""Of each kill the recording, and which second of the call it came in."""


@pytest.fixture(scope="module")
def kills(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """All of them beside each other: what they take is time."""

    def kill(when: str) -> tuple[Path, float]:
        recipient = str(KEY.to_public()) if when in SEALED_KILLS else ""
        return killed(tmp_path_factory.mktemp("killed"), recipient, random.uniform(*_KILL_AFTER_S[when]))

    with ThreadPoolExecutor(len(_KILL_AFTER_S)) as threads:
        return dict(zip(_KILL_AFTER_S, threads.map(kill, _KILL_AFTER_S), strict=True))


def killed(folder: Path, recipient: str, after: float) -> tuple[Path, float]:
    """The recording, and which second of the call it was killed in."""
    with subprocess.Popen(
        [sys.executable, "-c", CALL, str(folder), recipient], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        return path, float(process.stdout.read().split()[-1])


@pytest.mark.parametrize("when", CLEAR_KILLS)
def test_after_kill_9_everything_plays_up_to_the_last_moments(kills: Killed, when: str) -> None:
    folder, at = kills[when]
    about = sidecar(folder)
    assert not about["ended"] and about["seconds"] >= at - 8
    tracks = sorted(folder.glob("0*.opus"))
    latest = max((part_start(about, path) + seconds(path.read_bytes()) for path in tracks), default=0.0)
    assert latest > at - 5
    for path in folder.glob("*.opus"):
        if seconds(path.read_bytes()):  # one just begun has headers, and nothing to play yet
            assert len(read(path))


@pytest.mark.parametrize("when", SEALED_KILLS)
def test_after_kill_9_an_encrypted_recording_opens_but_for_five_seconds(kills: Killed, when: str) -> None:
    folder, at = kills[when]
    assert not json.loads(decrypt(folder / "recording.json.age"))["ended"]
    main, tail = folder / "01-adaabbbb.opus.age", folder / "01-adaabbbb.tail.opus.age"
    plain = decrypt(tail)
    tail.with_suffix("").write_bytes(plain)
    assert np.abs(read(tail.with_suffix(""))).max() > 0.05
    assert seconds(plain) > min(at, 38) - 10
    whole = decrypt_what_there_is(main)
    assert len(whole) % 65_536 == 0 and b"OggS" in (whole or b"OggS")
    if whole:
        main.with_suffix("").write_bytes(whole)
        sound = read(main.with_suffix(""))
        assert score(words(8), sound[: 10 * 48_000]) > 0.85
        assert seconds(whole) >= first_second(plain) - 0.5  # nothing is missing between the two


def decrypt_what_there_is(path: Path) -> bytes:
    """As `age -d` does: all that can be authenticated, before it complains."""
    out = io.BytesIO()
    with path.open("rb") as file, contextlib.suppress(pyrage.DecryptError, OSError):
        pyrage.decrypt_io(file, out, [KEY])
    return out.getvalue()


def positions(ogg: bytes) -> list[int]:
    """Where in the stream each whole page but the headers ends, in samples."""
    starts = [found.start() for found in re.finditer(b"OggS", ogg)][2:-1]
    return [int.from_bytes(ogg[start + 6 : start + 14], "little") for start in starts]


def seconds(ogg: bytes) -> float:
    return max(positions(ogg), default=0) / 48_000


def first_second(ogg: bytes) -> float:
    return min(positions(ogg), default=0) / 48_000 - 0.5


def part_start(about: dict[str, Any], path: Path) -> float:
    """Of a part that the sidecar is too old to know: 0."""
    parts = [part for participant in about["participants"] for part in participant["parts"]]
    return float(next((part["start_s"] for part in parts if part["file"] == path.name), 0.0))


@contextlib.contextmanager
def full_disk(path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, or no files larger than that."""
    mount = path / "small"
    mount.mkdir()
    made = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount], capture_output=True, check=False
        ).returncode
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if not made:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        yield mount
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
        if made:
            subprocess.run(["umount", mount], check=True)


@pytest.mark.parametrize("recipient", [None, str(KEY.to_public())], ids=["plain", "sealed"])
async def test_a_full_disk_ends_the_recording_with_one_error_and_nothing_else(
    tmp_path: Path, libopus: Opus, recipient: str | None
) -> None:
    sent = send([Speaker(name=name, words=words(40), begin=0.2) for name in ("ada", "bob")], libopus)
    with full_disk(tmp_path) as folder:
        options = RecordingOptions(folder=folder, encrypt_to=recipient)
        recording = await Recording.start(options, opus=libopus, unix=UNIX, now=NOW)
        with pytest.raises(RecordingError, match=r"no space left|too large|disk is full") as caught:
            await record(recording, sent, seconds=40)
            await recording.close()
        assert caught.value.code == "recording" and recording.failed is caught.value
        recording.packet("ada", 10_000, b"\xf8\xff\xfe", now=NOW + 41)
        recording.housekeep(NOW + 42)
        await recording.close()
        if recipient is None:
            assert score(words(10), read(recording.path / "01-adaabbbb.opus")) > 0.85


async def test_a_disk_that_stalls_costs_frames_and_not_memory(
    tmp_path: Path, libopus: Opus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_QUEUED", 100)
    monkeypatch.setattr(recorder_module, "TICK_S", 60.0)
    recording = await Recording.start(RecordingOptions(folder=tmp_path), opus=libopus, unix=UNIX, now=NOW)
    recording.participant("ada", name="Ada", fingerprint="aaaa")
    for counter in range(1000):
        recording.packet("ada", counter, b"\xf8\xff\xfe", now=NOW + 1 + counter * 0.02)
    await recording.close()
    about = sidecar(recording.path)
    # One place in the queue was the announcement\'s.
    assert about["frames_dropped"] == 901 and about["participants"][0]["frames"] == 99


async def test_more_voices_than_files_take_turns(
    tmp_path: Path, libopus: Opus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuiconf.adapters.recording.writer.MAX_OPEN", 2)
    monkeypatch.setattr(recorder_module, "TICK_S", 0.02)  # as often in the time of this call, which goes faster
    speakers = [
        Speaker(name="ada", words=words(2), begin=0, pauses=((1, 40),)),
        Speaker(name="bob", words=words(2), begin=1),
        Speaker(name="cyd", words=words(2), begin=20),
    ]
    recording = await Recording.start(RecordingOptions(folder=tmp_path), opus=libopus, unix=UNIX, now=NOW)
    await record(recording, send(speakers, libopus), seconds=44, speed=20)
    await recording.close()
    participants = sidecar(recording.path)["participants"]
    assert [len(participant["parts"]) for participant in participants] == [2, 1, 1]
    for speaker, participant in zip(speakers, participants, strict=True):
        assert abs(offset_ms(speaker, joined(recording.path, participant["parts"]))) < 6


hostile = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 2**32 - 1) | st.integers(0, 300),
        st.binary(max_size=40) | st.binary(max_size=1400) | st.just(b"\x08abc"),
        st.floats(0, 0.5),
        st.none() | st.floats(UNIX - 5, UNIX + 100),
    ),
    max_size=60,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile)
def test_whatever_members_send_the_files_stay_valid(
    tmp_path: Path, libopus: Opus, sent: list[tuple[int, int, bytes, float, float | None]]
) -> None:
    async def call() -> Recording:
        options = RecordingOptions(folder=Path(tempfile.mkdtemp(dir=tmp_path)), mix=True, split_s=3)
        recording, now = await Recording.start(options, opus=libopus, unix=UNIX, now=NOW), NOW
        for who, counter, packet, later, captured in sent:
            now += later
            recording.participant(who, name=f"n{who}", fingerprint="ffff-gggg")
            if captured is not None:
                recording.clock(who, counter, captured, now=now)
            recording.packet(who, counter, packet, now=now)
        await recording.close()
        return recording

    recording = asyncio.run(call())
    about = sidecar(recording.path)
    assert about["ended"]
    parts = [part for track in about["participants"] for part in track["parts"]] + about["mix"]
    assert {part["file"] for part in parts} == {path.name for path in recording.path.glob("*.opus")}
    for part in parts:
        assert len(read(recording.path / part["file"])) == part["samples"]
