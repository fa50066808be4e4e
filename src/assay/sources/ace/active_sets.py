"""pacemaker's active sets: `.asi` files, an npz with `A⁻¹` of each element under its symbol.

`γ_i = max_j |f_iᵀ A⁻¹|_j`: rows of `A⁻¹` are the element's own functions, columns the members of its active set.
Lysogorskiy et al. 2023 (doi:10.1103/PhysRevMaterials.7.043801).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from assay.results.arrays import Array
from assay.storage.files import write_atomically
from assay.storage.npz import Npz, opened_npz


def read_asi(path: str | Path) -> dict[str, Array]:
    """Chemical symbol → `A⁻¹`, `(D_s, D_s)`, of an active set of pacemaker, or of GPUMD; elements may differ in D_s.

    GPUMD's is a text: for each element its symbol, D_s twice, and the columns of `A⁻¹` one after the other.

    Raises `FileNotFoundError`, or `ValueError` for what is not such a file, and for numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    inverses = _of_archive(path) if zipfile.is_zipfile(path) else _of_text(path)
    if not inverses:
        raise ValueError(f"{path}: {NEEDED}; there is none")
    for symbol, inverse in inverses.items():
        if not atomic_numbers.get(symbol):
            raise ValueError(f"{path}: {symbol!r} is not an element; an .asi file has an array for each element")
        if inverse.ndim != 2 or inverse.shape[0] != inverse.shape[1]:
            raise ValueError(f"{path}: the inverse of {symbol} is not square but {inverse.shape}")
        if (bad := np.argwhere(~np.isfinite(inverse))).size:
            (i, j), count = bad[0], len(bad)
            raise ValueError(
                f"{path}: the inverse of {symbol} has {count} numbers that are not finite, the first in row {i}, "
                f"column {j}: {inverse[i, j]}. Its active set was singular: choose one that spans all features"
            )
    return inverses


NEEDED = "an .asi file is an npz with an array for each element (pacemaker), or a text of them (GPUMD)"


def _of_archive(path: Path) -> dict[str, Array]:
    try:
        with opened_npz(path) as archive:
            return {symbol: _numbers(archive, symbol) for symbol in archive.files}
    except ValueError as error:
        raise ValueError(f"{path}: not an .asi file that can be read ({error}); {NEEDED}") from error


def _of_text(path: Path) -> dict[str, Array]:
    try:
        words = path.read_text(encoding="utf-8-sig").split()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not an .asi file; {NEEDED}") from error
    inverses: dict[str, Array] = {}
    at = 0
    while at < len(words):
        symbol, *shape = words[at : at + 3]
        if not atomic_numbers.get(symbol) or len(shape) < 2 or not all(each.isdecimal() for each in shape):
            raise ValueError(f"{path}: not an .asi file, got {' '.join(words[at : at + 3])[:60]!r}; {NEEDED}")
        rows, columns = map(int, shape)
        found = words[at + 3 : at + 3 + rows * columns]
        if len(found) < rows * columns:
            raise ValueError(f"{path}: truncated: {len(found)} of {rows * columns} numbers of {symbol}")
        if symbol in inverses:
            raise ValueError(f"{path}: {symbol} stands twice")
        try:
            inverses[symbol] = np.array(found, dtype=np.float64).reshape(columns, rows).T
        except ValueError as error:
            raise ValueError(f"{path}: {symbol}: {error}") from error
        at += 3 + rows * columns
    return inverses


def _numbers(archive: Npz, symbol: str) -> Array:
    """The array of an element; raises `ValueError` for one that is not of real numbers."""
    if archive.header(symbol).dtype.kind not in "fiu":
        raise ValueError(f"{symbol} is not an array of numbers")
    return np.asarray(archive[symbol], dtype=np.float64)


def write_asi(path: str | Path, inverses: Mapping[str, Array]) -> None:
    """Write symbol → `A⁻¹`, `(D_s, D_s)`, as pacemaker and LAMMPS's `pair_style pace/extrapolation` read it."""
    write_atomically(path, lambda file: file.write(asi_bytes(inverses)))


def asi_bytes(inverses: Mapping[str, Array]) -> bytes:
    """What `write_asi` writes."""
    contiguous = {symbol: np.ascontiguousarray(inverses[symbol], dtype=np.float64) for symbol in sorted(inverses)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **contiguous)
    return buffer.getvalue()


def by_atomic_number(inverses: Mapping[str, Array], features: int | None = None) -> dict[int, Array]:
    """Atomic number → `A⁻¹`, `(D, D)`, from symbol → `A⁻¹`: what the score `gamma` takes.

    `features` is the D of the source's features, `(A, D)`, which are padded with zeros for an element with fewer
    functions; by default the largest of the file. Raises `ValueError` where an element has more than D.
    """
    d = features or max(len(inverse) for inverse in inverses.values())
    padded = {}
    for symbol, inverse in inverses.items():
        own = len(inverse)
        if own > d:
            raise ValueError(f"the active set of {symbol} has {own} functions, and the source has only {d} features")
        padded[atomic_numbers[symbol]] = np.pad(inverse, (0, d - own))
    return padded


def by_symbol(inverses: Mapping[int, Array], functions: Mapping[str, int] | None = None) -> dict[str, Array]:
    """Symbol → `A⁻¹`, `(D_s, D_s)`, from atomic number → `A⁻¹`, `(D, D)`: the inverse of `by_atomic_number`.

    `functions` says how many functions each element has (`AceBasis.functions`); all D by default. Members of an active
    set that stand in for the padding are left out. Raises `ValueError` for a set without a member for each function.
    """
    own = {}
    for z, inverse in inverses.items():
        symbol = chemical_symbols[z]
        d = len(inverse) if functions is None else functions[symbol]
        rows = inverse[:d]
        members = rows if rows.shape[1] == d else rows[:, np.any(rows != 0, axis=0)]
        if members.shape != (d, d):
            raise ValueError(
                f"the active set of {symbol} has {members.shape[1]} members for {d} functions; an .asi file needs as "
                f"many of one as of the other"
            )
        own[symbol] = members
    return own
