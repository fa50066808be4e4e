"""A fitted linear potential, and γ, in the files of the codes that run it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO

from assay.results.arrays import Array
from assay.sources.capabilities import Exports
from assay.storage.files import write_atomically


def write_potential(
    rows: Exports,
    coefficients: Array,
    stem: str | Path,
    inverses: Mapping[int, Array] | None = None,
    emptiness: Mapping[int, Array] | None = None,
) -> list[Path]:
    """Write `potential_files`, and return their paths."""
    return write_files(potential_files(rows, coefficients, stem, inverses, emptiness))


def potential_files(
    rows: Exports,
    coefficients: Array,
    stem: str | Path,
    inverses: Mapping[int, Array] | None = None,
    emptiness: Mapping[int, Array] | None = None,
) -> dict[Path, bytes]:
    """The files of coefficients `(P,)` and, with the `inverses` of the active sets `(D, D)` by atomic number, of γ.

    By path: `STEM` with the suffixes that the rows give them. `emptiness` as in
    `assay.sources.capabilities.Exports.grade_files`.
    """
    stem = Path(stem)
    contents = dict(rows.potential_files(coefficients, stem.name))
    if inverses is not None:
        contents |= rows.grade_files(inverses, stem.name, emptiness or {})
    return {stem.with_name(stem.name + suffix): content for suffix, content in contents.items()}


def write_files(files: Mapping[Path, bytes]) -> list[Path]:
    """Write files, each whole or not at all, and return their paths."""
    for path, content in files.items():
        write_atomically(path, partial(_put, content))
    return [*files]


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)
