"""A fitted SNAP potential as files for LAMMPS, and γ as LAMMPS input that stops a run."""

from __future__ import annotations

from pathlib import Path

from ase.data import atomic_numbers

from assay.linear.potential import LinearPotential
from assay.scores.protocol import OfActiveSets
from assay.sources.snap.files import potential_commands, snapcoeff, snapparam
from assay.sources.snap.rows import Snap
from assay.storage.files import write_atomically

GUARD_FEATURES = 150
"""γ in LAMMPS needs D² terms per atom; with more features than this no guard is written."""


def write_snap(potential: LinearPotential, stem: str | Path) -> list[Path]:
    """`STEM.snapcoeff`, `STEM.snapparam` and `STEM.snap` (the input that uses them, ZBL included) of the best fit.

    LAMMPS computes what Assay does to rounding: see `assay.sources.snap.files`. Raises `ValueError` for a potential
    that is not SNAP.
    """
    rows, stem = potential.rows, Path(stem)
    if not isinstance(rows, Snap):
        raise ValueError(f"only a SNAP potential has these files, and this is {rows.label}")
    head = f"# {rows.label}, written by Assay: atom types are {' '.join(rows.species)}\n"
    use = potential_commands(rows, f"{stem.name}.snapcoeff", f"{stem.name}.snapparam")
    return [
        _write(stem, ".snapcoeff", snapcoeff(rows, potential.theta)),
        _write(stem, ".snapparam", snapparam(rows)),
        _write(stem, ".snap", head + use),
    ]


def write_guard(rows: Snap, grade: OfActiveSets, stem: str | Path) -> list[Path]:
    """`STEM.guard`: LAMMPS input that computes γ of every atom and stops the run when it passes a threshold.

    To be included after the potential; variables `guard_every`, `guard_threshold` and `guard_cap` can be set before.
    The frame is written to `STEM.caught.dump`, unless γ is above the cap (an exploded frame). A species without an
    active set has γ = 1e30. Nothing is written for more than 150 features.
    """
    d, stem = rows.linear_components, Path(stem)
    if d > GUARD_FEATURES:
        return []
    lines = [
        f"# Extrapolation grade of {rows.label}, written by Assay. After `run`, include {stem.name}.guard-after",
        "variable guard_every index 100",
        "variable guard_threshold index 1.0",
        "variable guard_cap index 1000.0",
        f"compute guard_b all sna/atom {rows.feature_arguments()}",
    ]
    names = []
    for t, species in enumerate(rows.species, 1):
        inverse = grade.active_sets.get(atomic_numbers[species])
        if inverse is None:
            lines.append(f'variable guard_{t}_1 atom "(type=={t})*1.0e30"')
            names.append(f"v_guard_{t}_1")
            continue
        for j in range(d):
            terms = "+".join(f"({value:.17g})*c_guard_b[{i + 1}]" for i, value in enumerate(inverse[:, j]) if value)
            lines.append(f'variable guard_{t}_{j + 1} atom "(type=={t})*abs({terms or 0})"')
            names.append(f"v_guard_{t}_{j + 1}")
    lines += [
        f"compute guard_max all reduce max {' '.join(names)}",
        "variable guard_gamma equal max(c_guard_max)" if len(names) > 1 else "variable guard_gamma equal c_guard_max",
        "fix guard all halt ${guard_every} v_guard_gamma > ${guard_threshold} error soft",
    ]
    after = [
        "# What to do when the guard has stopped the run.",
        "run 0 post no",
        'if "(${guard_gamma} > ${guard_threshold}) && (${guard_gamma} < ${guard_cap})" then &',
        f'  "write_dump all custom {stem.name}.caught.dump id type xu yu zu fx fy fz &',
        'modify sort id format float %.12g"',
    ]
    return [
        _write(stem, ".guard", "\n".join(lines) + "\n"),
        _write(stem, ".guard-after", "\n".join(after) + "\n"),
    ]


def _write(stem: Path, suffix: str, text: str) -> Path:
    path = stem.with_name(stem.name + suffix)
    write_atomically(path, lambda file: file.write(text.encode()))
    return path
