"""From what files call an atom to its element, where the meaning is sure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

ISOTOPES = {"D": "H", "T": "H"}
LABEL = re.compile(r"([A-Z][a-z]?)(?:\d+[+-]?|\d*[+-]\d*|_\w+)")
"""A symbol with what tells atoms of one element apart: `Si1`, `Fe2+`, `O_w`."""


def numbers_of_labels(labels: Sequence[str] | NDArray[Any], advice: str = "") -> NDArray[np.int64]:
    """Atomic numbers `(A,)` of symbols in any case, of hydrogen's isotopes, and of symbols with a number or charge.

    Raises `ValueError` for the first label whose element is not sure: numbers may be atomic numbers or LAMMPS's types.
    """
    present, where = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    found = np.array([number_of_label(label) for label in present.tolist()], dtype=np.int64)
    if (unknown := found[where] == 0).any():
        atom = int(np.argmax(unknown))
        label = str(np.asarray(labels)[atom])
        if label.isdecimal():
            label, why = repr(label), "a number, which may be that of an element or a type of LAMMPS"
        else:
            label, why = repr(label) if label != "X" else label, "not a chemical symbol"
        raise ValueError(f"atom {atom} is {label}: {why}{f'. {advice}' if advice else ''}")
    return found[where]


def number_of_label(label: str) -> int:
    """The atomic number, 0 where it is not sure."""
    if sure := LABEL.fullmatch(label):
        label = sure[1]
    symbol = label.capitalize()
    return int(atomic_numbers.get(ISOTOPES.get(symbol, symbol), 0))
