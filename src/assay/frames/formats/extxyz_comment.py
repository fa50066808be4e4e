"""The second line of a frame of extended XYZ: its keys in any case, its quotes, and which columns the rows have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

LABELS = "assay_labels"
"""The column of what the file calls its atoms, which Assay reads itself."""
STANDARD = "species:S:1:pos:R:3"
KEYS = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
"""By their names in lower case."""
COLUMNS = {"species": "species", "symbols": "species", "pos": "pos", "positions": "pos", "z": "Z", "numbers": "Z"}
TRUTH = {
    **dict.fromkeys(("t", "true", "1", "yes"), True),
    **dict.fromkeys(("f", "false", "0", "no"), False),
}
FORTRAN = re.compile(r"(?<![\w.])([+-]?(?:\d+\.\d*|\.\d+))[dD]([+-]?\d+)(?![\w.])")
CLOSING = {"'": "'", '"': '"', "{": "}", "[": "]"}


@dataclass(frozen=True)
class Comment:
    """Keys and values as ASE's reader takes them, and how many columns rows have (`None`: at least four)."""

    info: dict[str, Any]
    columns: int | None


def of_comment(line: str) -> Comment:
    """Keys and values; raises `ValueError` where quotes swallow keys, or for columns and flags that mean nothing."""
    from ase.io.extxyz import key_val_str_to_dict  # slow to import

    line = FORTRAN.sub(r"\1e\2", line.strip())
    if "=" in (rest := _never_closed(line)):
        raise ValueError(f"a quote or bracket of the comment is never closed: {rest[:60]!r}")
    parsed = key_val_str_to_dict(line) if line else {}
    info = {key: value for key, value in parsed.items() if key.lower() not in KEYS}
    for key, value in parsed.items():
        if key.lower() in KEYS and (KEYS[key.lower()] not in info or key in KEYS.values()):
            info[KEYS[key.lower()]] = value
    for key, name in KEYS.items():
        if name not in info and re.search(rf"(?<!\w){key}\s*=", line, re.IGNORECASE):
            raise ValueError(f"{name}= stands inside the value of another key: are the quotes of the comment paired?")
    if "Lattice" in info:
        info["Lattice"] = _lattice(info["Lattice"])
    if "pbc" in info:
        info["pbc"] = _flags(info["pbc"])
    info["Properties"], columns = _properties(str(info.get("Properties", STANDARD)))
    return Comment(info, columns if "Properties" in {KEYS.get(key.lower()) for key in parsed} else None)


def _never_closed(line: str) -> str:
    """From the quote or bracket that is not closed to the end; `""` where all are. Escaped characters don't count."""
    closing, start, escaped = "", 0, False
    for i, each in enumerate(line):
        if escaped:
            escaped = False
        elif each == "\\":
            escaped = True
        elif closing:
            closing = "" if each == closing else closing
        elif each in CLOSING:
            closing, start = CLOSING[each], i
    return line[start:] if closing else ""


def _lattice(value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """As ASE's reader has it: a column for each vector."""
    if isinstance(value, np.ndarray) and value.shape == (3, 3):
        return value.astype(np.float64)
    if not isinstance(value, np.ndarray) or value.shape != (9,) or value.dtype.kind not in "if":
        raise ValueError(f"Lattice is {str(value)[:60]!r}, needed nine numbers")
    return value.reshape(3, 3).T.astype(np.float64)


def _flags(value: Any) -> list[bool]:
    words = value.split() if isinstance(value, str) else [str(each) for each in np.ravel(value)]
    flags = [TRUTH.get(word.lower()) for word in words]
    if len(flags) not in (1, 3) or None in flags:
        raise ValueError(f"pbc is {' '.join(words)[:60]!r}, needed T or F for each of three vectors")
    return [bool(flag) for flag in flags] * (3 // len(flags))


def _properties(text: str) -> tuple[str, int]:
    """The columns with names that ASE's reader knows, but labels of atoms under `LABELS`; and how many they are."""
    fields = text.strip(":").split(":")
    triplets = list(zip(fields[::3], fields[1::3], fields[2::3], strict=False))
    if len(fields) % 3 or not all(count.isdecimal() and int(count) > 0 for _, _, count in triplets):
        raise ValueError(f"Properties is {text[:100]!r}, needed NAME:TYPE:COLUMNS, one after the other")
    named = [(COLUMNS.get(name.lower(), name), kind, count) for name, kind, count in triplets]
    widths = {name: int(count) for name, _, count in named}
    if (
        widths.get("pos") != 3
        or not {"species", "Z"} & {*widths}
        or not 1 == widths.get("species", 1) == widths.get("Z", 1)
    ):
        raise ValueError(f"Properties is {text[:100]!r}, needed one column species (or Z) and three of pos")
    columns = [f"{LABELS}:S:1" if name == "species" else f"{name}:{kind}:{count}" for name, kind, count in named]
    return ":".join(columns), sum(int(count) for _, _, count in named)
