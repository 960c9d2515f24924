"""The script of a meeting: what is understood, and that whatever is wrong is told with its file, line and key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.meeting.script import Script, ScriptError, load, parse

ROOM = '[room]\nlink = "tuiconf://r/a#s"\n'
EXAMPLE = Path("config/meeting.toml")


def script(text: str) -> Script:
    return parse(text, path=Path("m.toml")).script


def refusal(text: str) -> str:
    with pytest.raises(ScriptError) as refused:
        script(text)
    return str(refused.value)


def test_a_room_is_enough() -> None:
    least = script(ROOM)
    assert least.when is None
    assert least.record is None
    assert least.wait.participants == 1


@pytest.mark.parametrize("at", ["2026-12-01T10:00+01:00", '"2026-12-01T10:00+01:00"', "2026-12-01T10:00:00+01:00"])
def test_a_time_can_be_written_as_people_do(at: str) -> None:
    when = script(f"{ROOM}[when]\nat = {at}\n").when
    assert when is not None
    assert when.start == datetime(2026, 12, 1, 9, tzinfo=UTC)


def test_a_time_without_an_offset_is_of_its_zone() -> None:
    when = script(f'{ROOM}[when]\nat = 2026-07-01T10:00\nzone = "Europe/Berlin"\n').when
    assert when is not None
    assert when.start == datetime(2026, 7, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "m.toml, line 1: the key room is missing"),
        ("title = 1\n" + ROOM, "m.toml, line 1: title: Expected `str`, got `int`"),
        (ROOM + "nmae = 'x'\n", "m.toml, line 3: room.nmae: there is no such key: is name meant?"),
        (ROOM + "\nzzzzzz.b = 1\n", "m.toml, line 4: room.zzzzzz: there is no such key: there are "),
        ("room = 1", "m.toml, line 1: room: a table is expected"),
        ("[room]\n", "m.toml, line 1: room: say which room: one of link, link_file and host"),
        (ROOM + "lobby = 'off'", "m.toml, line 3: room.lobby: only a room that is made here (host) gets rules"),
        (ROOM + "config = ''", "m.toml, line 3: room.config: expected the path of a file"),
        (ROOM + "config = 3", "m.toml, line 3: room.config: expected the path of a file"),
        (ROOM + "[when]\n", "m.toml, line 3: when: say when: one of at, cron and calendar"),
        (ROOM + "[when]\ncron = '* * * * *'", 'm.toml, line 4: when.cron: a rule needs its time zone: zone = "'),
        (ROOM + "[when]\nzone='UTC'\ncron = '* *'", "m.toml, line 5: when.cron: a rule has five fields: minute, "),
        (ROOM + "[when]\nzone='UTC'\ncron = '61 * * * *'", "m.toml, line 5: when.cron: not a rule: bad minute"),
        (ROOM + "[when]\nat=2026-12-01T10:00", "m.toml, line 4: when.at: a time needs an offset (+01:00) or a zone"),
        (ROOM + "[when]\nat=2026-12-01", "m.toml, line 4: when.at: "),
        (ROOM + "[when]\nat='soon'", "m.toml, line 4: when.at: "),
        (ROOM + "[when]\nat=0001-01-01T00:00+14:00", "m.toml, line 4: when.at: that year is out of reach"),
        (ROOM + "[when]\nzone='../etc'\ncron='* * * * *'", "m.toml, line 4: when.zone: there is no such time zone"),
        (ROOM + "[when]\nzone='Europe'\ncron='* * * * *'", "m.toml, line 4: when.zone: there is no such time zone"),
        (ROOM + "[end]\nsilence_minutes = 0", "m.toml, line 4: end.silence_minutes: "),
        (ROOM + "[end]\nsilence_minutes = nan", "m.toml, line 4: end.silence_minutes: "),
        (ROOM + "[[announce]]\nwhen='start'", "m.toml, line 3: announce[0]: say what: play a file, or say a text"),
        (
            ROOM + "[[announce]]\nwhen='start'\nsay='a'\n[[announce]]\nwhen='every'\nsay='b'",
            "m.toml, line 6: announce[1].minutes: every and before_end need minutes, and nothing else has them",
        ),
        (
            ROOM + "[end]\nmaximum_minutes = 5\n[[announce]]\nwhen='before_end'\nsay='b'\nminutes = 5",
            "m.toml, line 8: announce[0].minutes: that is before the meeting, by end.maximum_minutes",
        ),
        (ROOM + "[[hook]]\n", "m.toml, line 3: hook[0]: say what to call: a command, or a url"),
        (ROOM + "[[hook]]\ncommand='rm -r /'", "m.toml, line 4: hook[0].command: Expected `array | null`, got `str`"),
        (ROOM + "[[hook]]\nurl='https://h'", "m.toml, line 3: hook[0]: a url needs what to sign with: secret_file, or"),
        (ROOM + "hook = [1]", "m.toml, line 3: room.hook: there is no such key"),
        ("hook = [1]\n" + ROOM, "m.toml, line 1: hook[0]: a table is expected"),
        (ROOM + "[[hook]]\non = ['x']\ncommand = ['a']", "m.toml, line 4: hook[0].on: "),
        (ROOM + "a = \n", "m.toml: not TOML: Invalid value (at line 3, "),
        ("a = 1\na = 2\n", "m.toml: not TOML: Cannot overwrite a value (at line 2, "),
        ("a = " + "[" * 5000, "m.toml: not TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_key(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(("at", "what"), [("2026-03-29T02:30", "never comes"), ("2026-10-25T02:30", "comes twice")])
def test_a_time_that_a_change_of_clocks_skips_or_repeats_needs_its_offset(at: str, what: str) -> None:
    message = refusal(f'{ROOM}[when]\nat = {at}\nzone = "Europe/Berlin"\n')
    assert message.startswith(f"m.toml, line 4: when.at: that time {what} there")
    script(f"{ROOM}[when]\nat = {at}+01:00\n")


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/", "ftp://example.org", "https://", "https:///path", "https://h:99999/", "https://h:0/"),
        *("https://u:p@h/", "https://h/#x", "https://h/a b", "https://h/\\u0007", "https://ä.example/", "//h/", "[::1"),
        *("https://h/\\r\\nX: y", "http://127.0.0.1.example.org/", "http://localhost.example.org"),
    ],
)
def test_a_url_that_would_send_names_anywhere_in_the_clear_or_is_none_is_refused(url: str) -> None:
    message = refusal(f'{ROOM}[[hook]]\nsecret_file = "s"\nurl = "{url}"\n')
    assert message.startswith("m.toml, line 5: hook[0].url: ")


@pytest.mark.parametrize(
    "url", ["https://example.org/a?b=c", "http://127.0.0.1:80", "http://[::1]/", "http://localhost"]
)
def test_https_and_this_machine_itself_can_be_told(url: str) -> None:
    assert script(f'{ROOM}[[hook]]\nsecret_file = "s"\nurl = "{url}"\n').hook[0].url == url


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    (tmp_path / "a.wav").touch()
    (tmp_path / "r.link").touch()
    path.write_text(
        '[room]\nlink_file = "r.link"\n[[announce]]\nwhen = "start"\nplay = "a.wav"\n[record]\nfolder = "/abs"\n'
    )
    found = load(path).script
    assert found.attendance == tmp_path / "attendance.jsonl"
    assert found.room.link_file == tmp_path / "r.link"
    assert found.announce[0].play == tmp_path / "a.wav"
    assert found.record is not None
    assert found.record.folder == Path("/abs")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[room]\nlink = "x"\n[[announce]]\nwhen = "start"\nplay = "a.wav"\n', "line 5: announce[0].play: "),
        ('[room]\n\nlink_file = "r.link"\n', "line 3: room.link_file: "),
    ],
)
def test_files_that_are_missing_are_told_before_the_meeting(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(ScriptError) as refused:
        load(path)
    assert str(refused.value) == f"{path}, {message}there is no such file"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="there is no such file"):
        load(tmp_path / "m.toml")
    (tmp_path / "m.toml").write_bytes(b"\xff")
    with pytest.raises(ScriptError, match="not text in UTF-8"):
        load(tmp_path / "m.toml")


def test_the_example_shows_every_key_and_all_of_it_can_be_used() -> None:
    text = EXAMPLE.read_text()
    script(text)
    for table in (*Script.__struct_fields__, *(name for kind in _tables() for name in kind.__struct_fields__)):
        assert f"{table} = " in text or f"[{table}]" in text, table
    # What is commented out can be used as well: a default, or an example.
    script(_uncommented(text))


def _tables() -> list[type[Script]]:
    from tuiconf.meeting import script as module

    names = ("Room", "When", "Wait", "Announcement", "Record", "End", "Hook")
    return [getattr(module, name) for name in names]


def _uncommented(text: str) -> str:
    """With the keys that are commented out, but for those that exclude others."""
    without = ("link = ", "host = ", "write_link", "lobby", "at = ", "calendar", "secret_credential")
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        is_key = (bare.split(" = ")[0].isidentifier() and " = " in bare) or bare.startswith("[[")
        lines.append(bare if is_key and not bare.startswith(without) else line)
    return "\n".join(lines)


def test_nothing_of_a_script_is_shown_by_accident() -> None:
    assert "secret" not in repr(parse('[room]\nlink = "secret"\n', path=Path("m.toml")))
    assert "secret" not in repr(script('[room]\nlink = "secret"\n'))


keys = st.sampled_from(["room", "when", "at", "cron", "zone", "hook", "url", "announce", "link", "minutes", "end", "x"])
values = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.datetimes(), st.dates()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.lists(st.sampled_from([ROOM, "[when]\n", "[[hook]]\n", "at = 2026-12-01T10:00\n", "zone = 'UTC'\n", "[", "="]))
)
def test_whatever_a_file_says_it_is_used_or_refused_with_a_sentence(parts: list[str]) -> None:
    try:
        script("".join(parts))
    except ScriptError as refused:
        assert str(refused).startswith("m.toml")


@given(st.dictionaries(keys, values, max_size=6))
def test_values_of_any_type_are_used_or_refused(table: dict[str, object]) -> None:
    from tuiconf.meeting.tables import Unusable, read_table

    try:
        read_table(Script, table)
    except Unusable as refused:
        assert str(refused)
