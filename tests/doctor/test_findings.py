"""What is looked at on this machine, and how it is said."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doctor.commands import Home, SoundServer
from tuiconf import paths
from tuiconf.adapters.audio import AudioError
from tuiconf.adapters.audio.base import FRAME_SAMPLES, Frame
from tuiconf.adapters.audio.devices import Found, PortAudioMissing, describe
from tuiconf.config import Audio, Config
from tuiconf.doctor import clock, files, loopback, service, sound
from tuiconf.doctor.command import as_json, as_text, examine, summary
from tuiconf.doctor.findings import Context, Finding, Level, ok, problem
from tuiconf.doctor.system import Manager, Package, System, manager_of
from tuiconf.identity import key_file
from tuiconf.identity.keys import Identity
from tuiconf.untrusted import visible

DEBIAN = System(linux=True, manager=Manager.APT, root=False, user="pi")


def context(folder: Path, *, system: System = DEBIAN, config: Config | None = None, **environ: str) -> Context:
    """Somebody whose home, and whose machine, is this folder."""
    variables = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    homes = {variable: str(folder / variable.lower()) for variable in variables}
    return Context(
        config=config or Config(), environ=homes | environ, system=system, ask=None, root=folder, library="auto"
    )


def codes(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


# --- the command


def test_a_check_that_fails_itself_is_a_problem_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(_: Context) -> Iterator[Finding]:
        yield ok("first", "fine")
        raise LookupError("with a secret in it")

    def sound_one(_: Context) -> Iterator[Finding]:
        yield ok("second", "fine")

    found = list(examine({"broken": broken, "sound": sound_one}, context(tmp_path)))
    assert [(name, finding.code) for name, finding in found] == [
        ("broken", "first"),
        ("broken", "internal"),
        ("sound", "second"),
    ]
    assert "secret" not in found[1][1].sentence


@given(st.text(), st.text())
def test_whatever_a_finding_holds_is_printed_neutralised(sentence: str, command: str) -> None:
    finding = problem("code", sentence, command)
    for line in as_text("sound", finding).splitlines():
        assert visible(line) == re.sub(" {3,}", "  ", line)  # which cuts only what aligns it
    assert json.loads(as_json([("sound", finding)]))["findings"][0]["message"] == sentence


def test_the_last_line_counts() -> None:
    assert summary([("a", ok("x", "y"))]) == "Nothing is wrong."
    assert summary([("a", problem("x", "y"))]) == "1 problems, 0 warnings."


# --- the system


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ('ID=debian\nVERSION_ID="12"', "sudo apt install libportaudio2"),
        ("ID=raspbian\nID_LIKE=debian", "sudo apt install libportaudio2"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "sudo apt install libportaudio2"),
        ("ID=manjaro\nID_LIKE=arch", "sudo pacman -S portaudio"),
        ("ID=fedora", "sudo dnf install portaudio"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "sudo dnf install portaudio"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "sudo zypper install libportaudio2"),
        ("ID=nixos", None),
        ("", None),
        ('ID="not closed', None),
    ],
)
def test_what_is_to_be_typed_fits_the_system(os_release: str, command: str | None) -> None:
    system = System(linux=True, manager=manager_of(os_release), root=False, user="pi")
    assert system.install(Package.PORTAUDIO) == command


@given(st.text())
def test_no_os_release_is_too_strange(text: str) -> None:
    manager_of(text)


def test_root_needs_no_sudo_and_homebrew_refuses_it() -> None:
    assert System(linux=True, manager=Manager.APT, root=True, user="root").install(Package.OPUS) == (
        "apt install libopus0"
    )
    assert System(linux=False, manager=Manager.BREW, root=False, user="ann").install(Package.OPUS) == (
        "brew install opus"
    )


# --- files


def _identity(here: Context, *, passphrase: str | None = None) -> Path:
    path = paths.identity_file(here.environ)
    path.parent.mkdir(parents=True, mode=0o700)
    identity = Identity.create("Mara", os.urandom)
    cost = key_file.Cost(operations=1, memory_bytes=8192)
    sealed = passphrase and key_file.encode_sealed(identity, passphrase, rng=os.urandom, cost=cost)
    path.write_bytes(sealed or key_file.encode_plain(identity))
    path.chmod(0o600)
    return path


def test_an_identity_is_looked_at_and_never_printed(tmp_path: Path) -> None:
    here = context(tmp_path)
    path = _identity(here)
    seed = json.loads(path.read_text())["seed"]
    found = list(files.identity(here))
    assert {finding.level for finding in found} == {Level.OK}
    assert {finding.code for finding in found} == {"file_permissions", "identity_plain"}
    assert seed not in as_json([("identity", finding) for finding in found])


def test_a_key_that_others_can_read_is_a_problem_with_its_remedy(tmp_path: Path) -> None:
    here = context(tmp_path)
    path = _identity(here)
    path.chmod(0o644)
    finding = codes(files.identity(here))["file_permissions"]
    assert finding.level is Level.PROBLEM and finding.command == f"chmod 600 {path}"
    subprocess.run(["sh", "-c", finding.command], check=True)
    assert codes(files.identity(here))["file_permissions"].level is Level.OK


def test_a_folder_that_others_can_write_into_is_a_problem_with_its_remedy(tmp_path: Path) -> None:
    here = context(tmp_path)
    folder = _identity(here).parent
    folder.chmod(0o777)
    finding = codes(files.identity(here))["folder_permissions"]
    assert finding.command is not None
    subprocess.run(["sh", "-c", finding.command], check=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_sealed_identity_on_a_machine_nobody_sits_at_needs_its_passphrase(tmp_path: Path) -> None:
    here = context(tmp_path)
    _identity(here, passphrase="correct horse")
    assert "passphrase_needed" in codes(files.identity(here))
    (tmp_path / "tuiconf-passphrase").write_text("correct horse\n")
    given_one = context(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert set(codes(files.identity(given_one))) == {"file_permissions", "identity_sealed"}


def test_damaged_files_are_problems_and_stay_as_they_are(tmp_path: Path) -> None:
    here = context(tmp_path)
    path = _identity(here)
    path.write_bytes(b"\xff\xfe{")
    assert codes(files.identity(here))["key_file"].level is Level.PROBLEM
    assert path.read_bytes() == b"\xff\xfe{"
    known = paths.known_relays_file(here.environ)
    known.parent.mkdir(parents=True)
    for damaged in (b"nonsense\n", b"\xff\xff\n"):
        known.write_bytes(damaged)
        assert codes(files.known_relays(here))["known_relays"].level is Level.PROBLEM
    met = paths.peers_file(here.environ)
    assert codes(files.known_peers(here))["known_peers"].level is Level.OK
    met.touch(mode=0o600)
    for damaged in (b"nonsense\n", b"\xff\xff\n"):
        met.write_bytes(damaged)
        found = codes(files.known_peers(here))["known_peers"]
        assert found.level is Level.PROBLEM
        assert "line 1" in found.sentence
        assert met.read_bytes() == damaged
    settings = paths.config_file(here.environ)
    settings.parent.mkdir(parents=True)
    settings.write_text("[audio]\nvolume = 11\n")
    assert "volume" in codes(files.configuration(here))["config"].sentence


# --- clock and service


def test_a_clock_is_judged_by_what_the_kernel_knows(tmp_path: Path) -> None:
    here = context(tmp_path)
    assert clock.judge(2_000, 0, context=here).level is Level.OK
    assert clock.judge(2_000, 0x40, context=here).level is Level.OK  # as timedatectl sees it
    assert clock.judge(3_000_000, 0, context=here).code == "clock_imprecise"
    lost = clock.judge(16_000_000, 0x40, context=here)
    assert (lost.level, lost.command) == (Level.WARNING, "sudo timedatectl set-ntp true")


def test_a_clock_before_the_installation_is_wrong(tmp_path: Path) -> None:
    here = context(tmp_path)
    assert [finding.level for finding in clock.not_before(1e9, now=0.0, context=here)] == [Level.PROBLEM]
    assert list(clock.not_before(1e9, now=2e9, context=here)) == []


def test_the_kernel_of_this_machine_answers(tmp_path: Path) -> None:
    assert next(clock.clock(context(tmp_path))).code in ("clock", "clock_not_synchronised", "clock_imprecise")


def test_linger_is_asked_for_when_a_service_needs_it(tmp_path: Path) -> None:
    nobody = System(linux=True, manager=None, root=False, user="no such user")
    here = context(tmp_path, system=nobody)
    assert set(codes(service.service(here))) == {"no_systemd"}
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "var/lib/systemd").mkdir(parents=True)
    assert codes(service.service(here))["no_linger_needed"].command == "sudo loginctl enable-linger 'no such user'"
    units = tmp_path / "xdg_config_home/systemd/user"
    units.mkdir(parents=True)
    (units / "tuiconf-bot@.service").touch()
    assert codes(service.service(here))["no_linger"].level is Level.WARNING
    (tmp_path / "var/lib/systemd/linger").mkdir()
    (tmp_path / "var/lib/systemd/linger/no such user").touch()
    assert codes(service.service(here))["linger"].level is Level.OK


# --- sound


def _devices(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    found = [Found(name=name, host_api="ALSA", inputs=1, outputs=1) for name in names]
    default = 0 if found else None
    monkeypatch.setattr(sound, "devices", lambda: describe(found, default_input=default, default_output=default))


def test_a_machine_without_portaudio_is_told_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise PortAudioMissing("no")

    monkeypatch.setattr(sound, "devices", missing)
    finding = codes(sound.sound(context(tmp_path)))["no_portaudio"]
    assert (finding.level, finding.command) == (Level.WARNING, "sudo apt install libportaudio2")
    wanted = context(tmp_path, config=Config(audio=Audio(input="device:USB")))
    assert codes(sound.sound(wanted))["no_portaudio"].level is Level.PROBLEM


def test_a_sound_system_that_hangs_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs() -> None:
        raise AudioError("the sound system does not answer")

    monkeypatch.setattr(sound, "devices", hangs)
    assert "sound_hangs" in codes(sound.sound(context(tmp_path)))


def test_a_device_of_the_settings_that_is_not_there_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _devices(monkeypatch, "pulse", "USB Audio: - (hw:1,0)")
    for name, code in (("USB Audio", "input_there"), ("usb", "input_there"), ("Jabra", "input_not_there")):
        here = context(tmp_path, config=Config(audio=Audio(input=f"device:{name}")))
        assert code in codes(sound.sound(here)), name


def test_a_sound_server_that_portaudio_cannot_reach_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "pipewire-0"))
        here = context(tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
        _devices(monkeypatch, "hw")
        assert codes(sound.sound(here))["no_way_to_server"].command == "sudo apt install pipewire-alsa"
        _devices(monkeypatch, "pipewire")
        assert codes(sound.sound(here))["sound_server"].sentence == "PipeWire runs"


def test_cards_that_may_not_be_used_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _devices(monkeypatch)
    assert "no_card" in codes(sound.sound(context(tmp_path)))
    (tmp_path / "proc/asound").mkdir(parents=True)
    (tmp_path / "proc/asound/cards").write_text(" 0 [Headphones]: bcm2835\n")
    assert codes(sound.sound(context(tmp_path)))["no_access"].command == 'sudo usermod -aG audio "pi"'
    (tmp_path / "dev/snd").mkdir(parents=True)
    (tmp_path / "dev/snd/pcmC0D0p").touch()
    assert "alsa" in codes(sound.sound(context(tmp_path)))


# --- the level test


def _frames(*, room: float, tone: float) -> list[Frame]:
    """What a microphone in a room with that noise gives, when the tone arrives with that amplitude."""
    noise = np.random.default_rng(0)
    total = loopback.SETTLING_TICKS + loopback.ROOM_TICKS + loopback.TONE_TICKS
    heard = []
    for tick in range(total):
        frame = noise.normal(0, room, FRAME_SAMPLES) if room else np.zeros(FRAME_SAMPLES)
        if tick >= loopback.SETTLING_TICKS + loopback.ROOM_TICKS:
            at = np.arange(tick * FRAME_SAMPLES, (tick + 1) * FRAME_SAMPLES)
            frame = frame + tone * np.sin(2 * np.pi * loopback.TONE_HZ / 48_000 * at)
        heard.append(frame.astype(np.float32))
    return heard


@pytest.mark.parametrize(
    ("room", "tone", "code"),
    [
        (0.01, 0.02, "loopback"),
        (0.05, 0.01, "loopback"),  # a tone that is quieter than the noise, and is heard all the same
        (0.01, 0.0, "loopback_not_heard"),
        (0.0, 0.0, "microphone_silent"),
        (0.9, 0.0, "microphone_clips"),
    ],
)
def test_levels_are_judged(room: float, tone: float, code: str, tmp_path: Path) -> None:
    finding = loopback.judge(loopback.levels_of(_frames(room=room, tone=tone)), context=context(tmp_path))
    assert finding.code == code


def test_a_tones_level_is_measured() -> None:
    sine = 0.1 * np.sin(2 * np.pi * loopback.TONE_HZ / 48_000 * np.arange(48_000))
    assert loopback.tone_dbfs(sine.astype(np.float32)) == pytest.approx(-23, abs=0.1)


def test_a_real_sound_system_carries_the_tone(sound_server: SoundServer) -> None:
    done = sound_server.home.run("doctor", "--yes", "--json")
    assert done.stderr == ""
    findings = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    if "no_input" in findings:
        pytest.skip("ALSA's pulse plug-in is not installed")
    assert findings["loopback"]["facts"]["tone_dbfs"] == pytest.approx(loopback.TONE_DBFS, abs=3)
    assert "PulseAudio runs" in findings["sound_server"]["message"]


def test_nobody_is_played_a_tone_without_having_agreed(sound_server: SoundServer) -> None:
    assert "nobody is here to agree" in sound_server.home.run("doctor").stdout


def test_a_machine_without_sound_or_anything_is_no_failure(tmp_path: Path) -> None:
    done = Home(tmp_path).run("doctor", "--yes")
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    assert not (tmp_path / "xdg_data_home").exists()  # looking makes nothing
