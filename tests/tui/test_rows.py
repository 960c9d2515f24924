"""The list that pages are made of: columns that fit, a cursor that stays where it is, few cells painted."""

from __future__ import annotations

from textual.app import App, ComposeResult

from tuiconf.tui.widgets.keyline import fitting
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows, widths

_COLUMNS = (Column(cells=6, grows=True, most=20), Column(cells=5), Column(cells=8, from_width=40))


def _row(key: str, *texts: str) -> Row:
    return Row(key=key, cells=tuple(Cell(text=text) for text in texts or (key, "x", "y")))


def _rows(*keys: str) -> list[Row]:
    return [_row(key) for key in keys]


class _App(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[str] = []
        self.moved: list[str | None] = []
        self.painted: list[int] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"quiet": "#888888"}

    def compose(self) -> ComposeResult:
        yield Rows(_COLUMNS, empty="nothing here")

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.chosen.append(event.key)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        self.moved.append(event.key)


def _texts(rows: Rows) -> list[str]:
    return [rows.render_line(y).text.rstrip() for y in range(rows.size.height)]


def _key(rows: Rows) -> str | None:
    return rows.key


def test_columns_fill_the_width_and_leave_where_it_is_small() -> None:
    assert widths(_COLUMNS, 30) == [20, 5, 0]
    assert widths(_COLUMNS, 24) == [18, 5, 0]
    assert widths(_COLUMNS, 40) == [20, 5, 8]
    assert widths(_COLUMNS, 3) == [1, 5, 0]


def test_of_the_hints_the_way_back_is_always_there() -> None:
    hints = (("y", "matches"), ("n", "does not"), ("Esc", "back"))
    assert fitting(hints, 80) == list(hints)
    assert fitting(hints, 20) == [hints[0], hints[2]]
    assert fitting(hints, 10) == [hints[2]]
    assert fitting((), 10) == []


async def test_the_cursor_moves_over_headings_and_enter_chooses() -> None:
    async with _App().run_test(size=(30, 6)) as pilot:
        app, rows = pilot.app, pilot.app.query_one(Rows)
        assert isinstance(app, _App)
        rows.show([_row("", "One"), _row("a"), _row("", "Two"), _row("b")])
        assert rows.key == "a"
        await pilot.press("down", "enter", "down", "enter", "up", "up", "enter")
        assert app.chosen == ["b", "b", "a"]
        assert app.moved[0] == "a"


async def test_the_cursor_stays_with_what_it_is_on_when_rows_come_and_go() -> None:
    async with _App().run_test(size=(30, 6)) as pilot:
        rows = pilot.app.query_one(Rows)
        rows.show(_rows("a", "b", "c"))
        await pilot.press("down")
        rows.show(_rows("x", "y", "b", "c"))
        assert rows.key == "b"
        rows.show(_rows("x", "y"))
        assert rows.key == "y"
        rows.show([])
        assert _key(rows) is None
        await pilot.press("down", "enter", "end")
        assert _texts(rows)[0].strip() == "nothing here"


async def test_a_long_list_scrolls_with_the_cursor_to_both_ends() -> None:
    async with _App().run_test(size=(30, 6)) as pilot:
        rows = pilot.app.query_one(Rows)
        rows.show(_rows(*(f"r{number:03}" for number in range(1000))))
        await pilot.pause()
        await pilot.press("end")
        await pilot.pause()
        assert "r999" in _texts(rows)[-1]
        await pilot.press("home", "pagedown")
        await pilot.pause()
        assert rows.key == "r005"
        assert any(line.startswith("›") and "r005" in line for line in _texts(rows))


async def test_in_a_window_that_shrinks_the_cursor_stays_in_sight() -> None:
    async with _App().run_test(size=(30, 20)) as pilot:
        rows = pilot.app.query_one(Rows)
        rows.show(_rows(*(f"r{nth}" for nth in range(18))))
        await pilot.press("end")
        await pilot.resize_terminal(30, 6)
        await pilot.pause()
        assert any(text.startswith("› r17") for text in _texts(rows))


async def test_only_rows_that_differ_are_painted() -> None:
    async with _App().run_test(size=(30, 6)) as pilot:
        rows = pilot.app.query_one(Rows)
        rows.show(_rows("a", "b", "c"))
        await pilot.pause()
        painted: list[int] = []
        rows.refresh_line = painted.append  # type: ignore[method-assign, assignment]
        rows.show(_rows("a", "b", "c"))
        assert painted == []
        rows.show([_row("a"), _row("b", "b", "z", "y"), _row("c")])
        assert painted == [1]


async def test_what_others_wrote_stays_in_its_column() -> None:
    async with _App().run_test(size=(30, 3)) as pilot:
        rows = pilot.app.query_one(Rows)
        rows.show([_row("a", "\x1b[2J\u202e" + "名" * 40, "end")])
        line = rows.render_line(0)
        assert line.cell_length == 30
        assert "\x1b" not in line.text
        assert "… end" in line.text


async def test_a_click_moves_the_cursor_and_a_second_chooses() -> None:
    async with _App().run_test(size=(30, 6)) as pilot:
        app, rows = pilot.app, pilot.app.query_one(Rows)
        assert isinstance(app, _App)
        rows.show(_rows("a", "b", "c"))
        await pilot.pause()
        await pilot.click(Rows, offset=(4, 2))
        assert rows.key == "c"
        assert app.chosen == []
        await pilot.click(Rows, offset=(4, 1), times=2)
        assert app.chosen == ["b"]
