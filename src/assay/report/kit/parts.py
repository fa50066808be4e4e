"""What a page is made of: sections of panels and tables, and how their numbers are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

NONE = "–"
"""Stands where a number is not defined."""


@dataclass(frozen=True)
class Cell:
    """One entry of a table; `key` is the number it sorts by, `None` for text and undefined numbers.

    `small` are lines under the text; `mark` is `best` or `tied` (with the best of the column), or "".
    """

    text: str
    key: float | None = None
    flagged: bool = False
    small: tuple[str, ...] = ()
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, its cells, and whether they are numbers."""

    head: str
    cells: tuple[Cell, ...]
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """Columns of equal length; `ranked` is the column that the rows are sorted by, biggest first."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    ranked: int | None = None
    sortable: bool = True

    @property
    def rows(self) -> list[tuple[tuple[Cell, bool], ...]]:
        """By row: each cell and whether it is a number."""
        columns = ([(cell, column.numeric) for cell in column.cells] for column in self.columns)
        return list(zip(*columns, strict=True))


@dataclass(frozen=True)
class Panel:
    """A figure with its heading and a caption that says how to read it."""

    id: str
    heading: str
    svg: Markup
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page; `notes` say what is missing and why."""

    id: str
    heading: str
    lead: str
    panels: list[Panel] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def texts(head: str, values: Iterable[str]) -> Column:
    """Names, aligned left."""
    return Column(head, tuple(Cell(value) for value in values), numeric=False)


def written(head: str, values: Iterable[str]) -> Column:
    """Numbers of different kinds that are already written out."""
    return Column(head, tuple(Cell(value) for value in values))


def counts(head: str, values: Iterable[float | None]) -> Column:
    """Whole numbers."""
    return _column(head, [None if value is None else int(value) for value in values], _count)


def shares(head: str, values: Iterable[float | None]) -> Column:
    """Shares, in per cent."""
    return _column(head, list(values), percent)


def numbers(head: str, values: Iterable[float | None], flagged: Sequence[bool] = ()) -> Column:
    """Numbers with the same decimals, so that they line up: three significant digits of their median."""
    given = list(values)
    sizes = [abs(value) for value in given if value is not None and math.isfinite(value) and value]
    if not sizes or max(sizes) >= 1e6 or np.median(sizes) < 1e-5:
        return _column(head, given, number, flagged)
    decimals = max(2 - math.floor(math.log10(np.median(sizes))), 0)
    return _column(head, given, lambda value: number(value, decimals=decimals), flagged)


def number(value: float | None, decimals: int | None = None) -> str:
    """A number with three significant digits or the given decimals; an exponent only where it is needed."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if decimals is None and value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}".replace("-", "−")
    if decimals is None:
        decimals = max(2 - math.floor(math.log10(abs(value))), 0) if value else 0
    return f"{value:,.{decimals}f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share in per cent with one decimal."""
    return NONE if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _count(value: float | None) -> str:
    return NONE if value is None else f"{value:,}"


def _column(
    head: str,
    values: Sequence[float | None],
    write: Callable[[float | None], str],
    flagged: Sequence[bool] = (),
) -> Column:
    marks = flagged if len(flagged) else [False] * len(values)
    return Column(
        head,
        tuple(
            Cell(write(value), None if value is None or math.isnan(value) else float(value), bool(mark))
            for value, mark in zip(values, marks, strict=True)
        ),
    )
