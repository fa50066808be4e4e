"""A fitted linear potential, and γ, in the files of the codes that run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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
    """The files of coefficients `(P,)` and, with the `inverses` of the active sets `(D, D)` by atomic number, of γ.

    `emptiness` as in `assay.sources.capabilities.Exports.grade_files`.
    Returns their paths, `STEM` with the suffixes that the rows give them.
    """
    stem = Path(stem)
    contents = dict(rows.potential_files(coefficients, stem.name))
    if inverses is not None:
        contents |= rows.grade_files(inverses, stem.name, emptiness or {})
    return [_write(stem.with_name(stem.name + suffix), content) for suffix, content in contents.items()]


def _write(path: Path, content: bytes) -> Path:
    write_atomically(path, lambda file: file.write(content))
    return path
