"""Text files line by line, whatever their compression, encoding and line ends; lines can be handed back."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from assay.storage.bounds import OPENERS

LONGEST = 1 << 26
"""Characters of a line; a longer one is no text that anybody wrote."""
NOTHING = " \t\r\n\f\v\ufeff\0\x1a"
"""What may stand around text and means nothing: blanks, marks of byte order in joined files, what a crash leaves."""


class Lines:
    """The lines of a file, one after the other; the last may lack its newline."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._held: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if line := self.read():
            return line
        raise StopIteration

    def read(self) -> str:
        """The next line, `""` at the end; raises `ValueError` for a line longer than `LONGEST`."""
        if self._held:
            return self._held.pop()
        line = self._file.readline(LONGEST)
        if len(line) == LONGEST and not line.endswith("\n"):
            raise ValueError(f"a line of more than {LONGEST} characters")
        return line

    def until(self, mark: str, count: int) -> Iterator[str]:
        """At most so many lines, up to one with a mark: that is handed back from its last mark on."""
        readline, held = self._file.readline, self._held
        for _ in range(count):
            line = held.pop() if held else readline(LONGEST)
            if mark in line:
                self.back(line[line.rfind(mark) :])
                return
            if not line or len(line) == LONGEST:
                return
            yield line

    def back(self, *lines: str) -> None:
        """Hand lines back, which are read again in this order."""
        self._held += [line for line in reversed(lines) if line]


@contextmanager
def text_lines(path: Path) -> Iterator[Lines]:
    """The lines of a file, compressed or not: UTF-8, or UTF-16 with its mark; bytes that are neither are kept as such.

    Raises what decompression raises.
    """
    with OPENERS.get(path.suffix.lower(), open)(path, "rb") as packed:
        utf16 = packed.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding, errors = ("utf-16", "strict") if utf16 else ("utf-8-sig", "surrogateescape")
        yield Lines(io.TextIOWrapper(packed, encoding=encoding, errors=errors))


def require_text(text: str) -> None:
    """Raise `ValueError` for a byte that is no UTF-8."""
    if text.isascii():
        return
    for number, line in enumerate(text.split("\n")):
        if strange := next((each for each in line if "\udc80" <= each <= "\udcff"), None):
            shown = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
            raise ValueError(
                f"byte 0x{ord(strange) - 0xDC00:02x} in line {number} of the frame is no UTF-8: {shown[:60]!r}"
            )


def may_be_cut(rows: Sequence[str]) -> bool:
    """Whether the last word of the last row may lack its end, where that is all that is known of what follows.

    It does not if a blank follows, or if the last words of all rows have as many characters (after the point, if they
    are numbers with one): of one row, its own numbers tell.
    """
    if not rows or rows[-1][-1:].isspace():
        return False
    *others, last = (row.split() for row in rows)
    ends = {_end(words[-1]) for words in others if words} or {_end(word) for word in last[:-1] if "." in word}
    return ends != {_end(last[-1])}


def _end(word: str) -> tuple[bool, int]:
    whole, point, decimals = word.partition(".")
    return bool(point), len(decimals if point else whole)
