"""What is drawn in characters: QR codes, sparklines, meters, big digits. Pure, so without a terminal."""

from __future__ import annotations

import pytest

from tuiconf.tui.widgets.digits import big_lines, plain_lines
from tuiconf.tui.widgets.meter import level_bar, share_bar
from tuiconf.tui.widgets.qr import QUIET, draw_qr, qr_modules, solid
from tuiconf.tui.widgets.sparkline import bars, ceiling, columns

_GROUPS = ["01234", "56789", "98765", "43210", "11111", "75757"]
_LIGHT_ABOVE, _LIGHT_BELOW = "▀█", "▄█"


def _undrawn(lines: tuple[str, ...], modules: int) -> list[list[bool]]:
    """The dark modules in half blocks whose ink is light, without the margin."""
    rows: list[list[bool]] = []
    for line in lines:
        rows += [[char not in _LIGHT_ABOVE for char in line], [char not in _LIGHT_BELOW for char in line]]
    return [row[QUIET : QUIET + modules] for row in rows[QUIET : QUIET + modules]]


def test_half_blocks_hold_exactly_the_modules_of_the_code() -> None:
    modules = qr_modules("123456789012345678901234567890123456789012345678901234567890")
    assert len(modules) == 25
    drawn = draw_qr(modules, unicode=True, ink_is_light=True)
    assert (drawn.width, drawn.height) == (29, 15)
    assert _undrawn(drawn.lines, 25) == [list(row) for row in modules]


def test_the_margin_of_a_code_is_light_on_every_side() -> None:
    modules = qr_modules("tuiconf")
    lines = draw_qr(modules, unicode=True, ink_is_light=True).lines
    assert set(lines[0]) == {"█"}
    assert all(line.startswith("██") and line.endswith("██") for line in lines)
    assert set(lines[-1]) <= {"█", "▄"}
    dark = draw_qr(modules, unicode=True, ink_is_light=False).lines
    assert set(dark[0]) == {" "}


def test_a_code_without_unicode_takes_two_cells_for_a_module() -> None:
    modules = qr_modules("tuiconf")
    drawn = draw_qr(modules, unicode=False, ink_is_light=False)
    assert drawn.width == 2 * drawn.height == 2 * (len(modules) + 2 * QUIET)
    assert [line[2 * QUIET : -2 * QUIET : 2] for line in drawn.lines[QUIET:-QUIET]] == [
        "".join("#" if module else " " for module in row) for row in modules
    ]
    assert not drawn.fits(80, 24)


@pytest.mark.parametrize("ink", ["reverse", "on black"])
def test_a_code_without_unicode_is_drawn_in_solid_cells_and_not_in_letters(ink: str) -> None:
    code = draw_qr(qr_modules("tuiconf"), unicode=False, ink_is_light=False)
    drawn = solid(code, ink)
    assert set(drawn.plain) == {" ", "\n"}
    shown = list(drawn.plain)
    for span in drawn.spans:
        assert span.style == ink
        shown[span.start : span.end] = "#" * (span.end - span.start)
    assert "".join(shown) == "\n".join(code.lines)


def test_big_digits_go_side_by_side_as_far_as_there_is_room_in_full_rows() -> None:
    wide = big_lines(_GROUPS, width=76, unicode=True)
    assert wide is not None
    assert len(wide) == 3 + 1 + 3
    assert max(map(len, wide)) == 63
    narrow = big_lines(_GROUPS, width=30, unicode=False)
    assert narrow is not None
    assert len(narrow) == 6 * 5 + 5
    assert all(line.isascii() for line in narrow)
    assert big_lines(_GROUPS, width=18, unicode=True) is None


def test_big_digits_are_told_apart() -> None:
    shapes = {big_lines([digit], width=10, unicode=unicode) for digit in "0123456789" for unicode in (True, False)}
    assert len(shapes) == 20


def test_digits_of_one_cell_are_spaced_where_there_is_room() -> None:
    assert plain_lines(_GROUPS, width=38)[0] == "0 1 2 3 4   5 6 7 8 9   9 8 7 6 5"
    assert plain_lines(_GROUPS, width=21)[0] == "0 1 2 3 4   5 6 7 8 9"
    assert plain_lines(_GROUPS, width=12) == ("01234  56789", "98765  43210", "11111  75757")
    assert all(len(line) <= 5 for line in plain_lines(_GROUPS, width=5))


def test_a_column_holds_the_highest_of_its_seconds_and_moves_only_when_its_time_is_over() -> None:
    points = [(float(second), float(second % 10)) for second in range(100, 220)]
    first = columns(points, width=60, seconds=120)
    assert len(first) == 60
    assert first[-1] == 9.0
    later = columns([*points, (220.0, 5.0)], width=60, seconds=120)
    assert later[:-1] == first[1:]
    same = columns([*points, (220.0, 5.0), (221.0, 1.0)], width=60, seconds=120)
    assert same == later


def test_a_second_without_a_number_is_an_empty_column() -> None:
    assert columns([(10.0, 1.0), (11.0, None), (12.0, 3.0)], width=3, seconds=3) == [1.0, None, 3.0]
    assert columns([], width=10, seconds=120) == []
    assert bars([1.0, None, 3.0], low=0, high=3, unicode=True) == "▃ █"
    assert bars([0.0, None, 3.0], low=0, high=3, unicode=False) == ". @"


def test_a_scale_ends_at_a_round_number() -> None:
    assert ceiling([None, 3.0], least=50.0) == 50.0
    assert ceiling([51.0], least=50.0) == 100.0
    assert ceiling([200.0], least=50.0) == 200.0
    assert ceiling([201.0], least=50.0) == 500.0
    assert bars([900.0, -5.0], low=0, high=100, unicode=True) == "█▁"


def test_a_meter_is_as_wide_as_it_is_told_and_shows_any_sound_at_all() -> None:
    assert level_bar(None, 10, unicode=True) == "░" * 10
    assert level_bar(-59.0, 10, unicode=False) == "#........."
    assert level_bar(-30.0, 10, unicode=True) == "█████░░░░░"
    assert level_bar(6.0, 10, unicode=False) == "#" * 10
    assert level_bar(float("nan"), 4, unicode=False) == "...."


def test_a_scale_marks_where_one_is() -> None:
    assert share_bar(0.0, 5, unicode=False) == "O----"
    assert share_bar(0.5, 5, unicode=True) == "──●──"
    assert share_bar(2.0, 5, unicode=False) == "----O"
