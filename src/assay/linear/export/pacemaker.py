"""A fitted ACE potential as files for pacemaker and LAMMPS, with its active set."""

from __future__ import annotations

from pathlib import Path

from assay.linear.export.active_set_file import by_symbol, write_asi
from assay.linear.potential import LinearPotential
from assay.scores.protocol import OfActiveSets
from assay.sources.ace.rows import Ace
from assay.sources.ace.wheel import potential_texts
from assay.storage.files import write_atomically


def write_pace(potential: LinearPotential, stem: str | Path, grade: OfActiveSets | None = None) -> list[Path]:
    """`STEM.yaml` and `STEM.yace`, `STEM.pace` (LAMMPS input that uses the latter), and `STEM.asi` of a grade.

    `STEM.yaml` is pacemaker's form, for `PyACECalculator` and, with `STEM.asi`, for `pair_style pace/extrapolation`.
    It has no place for the constants of the species: its energies are those of `STEM.yace` less the constants. No
    `STEM.asi` is written where a species of the potential has no active set. Raises `ValueError` for a potential that
    is not ACE.
    """
    rows, stem = potential.rows, Path(stem)
    if not isinstance(rows, Ace):
        raise ValueError(f"only an ACE potential has these files, and this is {rows.label}")
    s = len(rows.species)
    yaml, yace = potential_texts(rows.configuration, potential.theta[s:], potential.theta[:s])
    use = [
        f"# {rows.label}, written by Assay: atom types are {' '.join(rows.species)}",
        "pair_style pace",
        f"pair_coeff * * {stem.name}.yace {' '.join(rows.species)}",
    ]
    written = [
        _write(stem, ".yaml", yaml),
        _write(stem, ".yace", yace),
        _write(stem, ".pace", "\n".join(use) + "\n"),
    ]
    if grade is not None:
        inverses = by_symbol(grade.active_sets, dict(zip(rows.species, rows.functions, strict=True)))
        if set(inverses) == set(rows.species):
            written.append(stem.with_name(stem.name + ".asi"))
            write_asi(written[-1], inverses)
    return written


def _write(stem: Path, suffix: str, text: str) -> Path:
    path = stem.with_name(stem.name + suffix)
    write_atomically(path, lambda file: file.write(text.encode()))
    return path
