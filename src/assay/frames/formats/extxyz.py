"""Extended XYZ files one frame at a time, so that a bad frame neither costs the others nor ends a file silently.

ASE's reader goes through a whole file first, stops at an empty line, and gives up at the first frame it can't read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from ase import Atoms

from assay.frames.formats.elements import numbers_of_labels
from assay.frames.formats.extxyz_comment import LABELS, of_comment
from assay.frames.formats.lines import NOTHING, Lines, may_be_cut, require_text, text_lines
from assay.storage.bounds import OPENERS

COMMENT = re.compile(r"(?:^|[\s\"'\d])(?:Lattice|Properties)\s*=", re.IGNORECASE)
"""What stands in no line but the second of a frame."""
FORTRAN = re.compile(r"(?<!\S)([+-]?(?:\d+\.\d*|\.\d+))[dD]([+-]?\d+)(?!\S)")
DIGITS = 12
"""Of a number of atoms, at most."""
ADVICE = "Give chemical symbols, or atomic numbers in a column Z:I:1"


def is_extxyz(path: Path) -> bool:
    """Whether the name is that of an extended XYZ file, compressed or not."""
    name = path.with_suffix("") if path.suffix.lower() in OPENERS else path
    return name.suffix.lower() in (".extxyz", ".xyz")


def frame_texts(path: Path) -> Iterator[str]:
    """The text of each frame; lines that belong to no frame, and frames cut short, are texts of their own.

    A frame ends where another begins, whatever its number of atoms: a run that was killed leaves half a frame, and
    maybe half a line that the restarted run writes on. A text without a newline at its end may be cut there.

    Raises what decompression raises.
    """
    with text_lines(path) as lines:
        cut = ""
        while line := lines.read():
            if not line.strip(NOTHING):
                continue
            if (count := _count(line)) is not None:
                text = _frame(lines, line, count)
            elif COMMENT.search(line):
                text = _continued(lines, line, cut)
            else:
                text = _stray(lines, line)
            cut = "" if text.endswith("\n") and not _short(text) else text.rstrip()
            yield text


def _frame(lines: Lines, first: str, count: int) -> str:
    """The number of atoms, the comment, and as many rows, fewer where something else begins, or one too many."""
    comment = lines.read()
    following = lines.read()
    lines.back(following)
    if _bare(comment) and COMMENT.search(following):
        lines.back(comment)
        return first
    rows = _rows(lines, count)
    following = lines.read()
    while following.lstrip().startswith("VEC"):
        rows.append(following)
        following = lines.read()
    if len(rows) == count and count and _is_row(following, rows[-1]):
        return "".join([first, comment, *rows, following, *_rows(lines)])
    lines.back(following)
    text = "".join([first, comment, *rows])
    return text.removesuffix("\n") if COMMENT.search(following) else text


def _continued(lines: Lines, comment: str, cut: str) -> str:
    """A frame whose number of atoms was written on a line that had been cut, if that is what the line ends with."""
    rows = _rows(lines)
    while rows and not rows[-1].strip(NOTHING):
        rows.pop()
    count = str(len(rows))
    return "".join([f"{count}\n" if rows and cut.endswith(count) else "", comment, *rows])


def _stray(lines: Lines, first: str) -> str:
    """Lines that belong to no frame; or a frame whose number of atoms is none."""
    rows = _rows(lines)
    following = lines.read()
    if not rows and COMMENT.search(following):
        return "".join([first, following, *_rows(lines)])
    lines.back(following)
    return "".join([first, *rows])


def _rows(lines: Lines, most: float = float("inf")) -> list[str]:
    """Lines up to the next that can only begin a frame."""
    found: list[str] = []
    while len(found) < most and (line := lines.read()):
        if _bare(line):
            lines.back(line)
            break
        if "=" in line and COMMENT.search(line):
            lines.back(line)
            if found and _count(found[-1]) is not None:
                lines.back(found.pop())
            break
        found.append(line)
    return found


def _short(text: str) -> bool:
    count = _count(text.partition("\n")[0])
    return count is not None and text.count("\n") < 2 + count


def _is_row(line: str, row: str) -> bool:
    words = line.split()
    return len(words) >= 4 and len(words) == len(row.split()) and not COMMENT.search(line)


def _bare(line: str) -> bool:
    return _is_count(line.strip(NOTHING))


def _count(line: str) -> int | None:
    """The number of atoms that a line gives; words may follow it, numbers not."""
    words = line.strip(NOTHING).split()
    return int(words[0]) if words and _is_count(words[0]) and not any(map(_is_number, words[1:])) else None


def _is_count(word: str) -> bool:
    return word.isdecimal() and word.isascii() and len(word) <= DIGITS


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def parse(text: str) -> Atoms:
    """The frame of a text; raises `ValueError` where it is cut short, and anything that ASE's reader does."""
    require_text(text)
    whole = text.endswith("\n")
    first, *rows = text.removesuffix("\n").split("\n")
    count = _count(first)
    if count is None:
        raise ValueError(f"needed a number of atoms, got the line {first[:100]!r}")
    if len(rows) < 1 + count:
        raise ValueError(f"truncated: {max(0, len(rows) - 1)} of {count} atoms")
    comment, atoms, more = rows[0], rows[1 : 1 + count], [row for row in rows[1 + count :] if row.strip(NOTHING)]
    vectors = [row for row in more if row.lstrip().startswith("VEC")]
    if len(more) > len(vectors):
        raise ValueError(f"{count + len(more) - len(vectors)} rows for {count} atoms")
    if not whole and not vectors and may_be_cut(atoms):
        raise ValueError(
            f"truncated: the line of atom {count - 1} may lack its end ({atoms[-1].split()[-1]!r}; no newline follows)"
        )
    if not count:
        return Atoms()
    of_frame = of_comment(comment)
    _same_columns(atoms, of_frame.columns)
    from ase.io.extxyz import read_xyz  # slow to import: half of `import assay`

    body = FORTRAN.sub(r"\1e\2", "\n".join(atoms))
    standard = "\n".join([str(count), comment if vectors else "comment", body, *vectors, ""])
    found: Atoms = next(read_xyz(StringIO(standard), 0, properties_parser=lambda _: of_frame.info))
    if LABELS in found.arrays:
        numbers = numbers_of_labels(found.arrays.pop(LABELS), ADVICE)
        if found.numbers.any() and (found.numbers != numbers).any():
            raise ValueError("the columns species and Z name other elements")
        found.numbers = numbers
    return found


def _same_columns(rows: list[str], columns: int | None) -> None:
    """Raise `ValueError` for a row with fewer columns than the comment names, or more numbers than the first row."""
    if columns is None:
        return
    more = None
    for atom, row in enumerate(rows):
        words = row.split()
        if len(words) < columns:
            raise ValueError(f"atom {atom}: {len(words)} columns, but Properties names {columns}")
        numbers = sum(map(_is_number, words[columns:]))
        more = numbers if more is None else more
        if numbers != more:
            raise ValueError(f"atom {atom}: {numbers} numbers more than Properties names, but {more} of atom 0")
