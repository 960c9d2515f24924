"""How loud it is, as a bar of characters. Pure."""

from __future__ import annotations

# Quieter is silence in any room; 0 dBFS is as loud as a sample can be.
FLOOR_DBFS = -60.0


def filled_cells(dbfs: float | None, width: int) -> int:
    """How many of `width` cells are full. Whole cells only: a meter that moves less costs less over a slow line."""
    if dbfs is None or not dbfs > FLOOR_DBFS:
        return 0
    return min(width, max(1, round((dbfs - FLOOR_DBFS) / -FLOOR_DBFS * width)))


def level_bar(dbfs: float | None, width: int, *, unicode: bool) -> str:
    """The meter, exactly `width` cells."""
    full = filled_cells(dbfs, width)
    on, off = ("█", "░") if unicode else ("#", ".")
    return on * full + off * (width - full)


def share_bar(share: float, width: int, *, unicode: bool) -> str:
    """A scale with a mark: where on it `share`, 0 to 1, is."""
    at = min(width - 1, max(0, round(share * (width - 1))))
    line, mark = ("─", "●") if unicode else ("-", "O")
    return line * at + mark + line * (width - at - 1)
