"""A fitted SNAP potential as files for LAMMPS, and γ as LAMMPS input that stops a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from assay.gauge_file import write_atomically
from assay.linear.potential import LinearPotential
from assay.prediction import Array
from assay.scores.d_optimality import ExtrapolationGrade
from assay.sources.snap import Snap

GUARD_FEATURES = 150
"""γ in LAMMPS needs D² terms per atom; with more features than this no guard is written."""


def write_snap(potential: LinearPotential, stem: str | Path) -> list[Path]:
    """`STEM.snapcoeff`, `STEM.snapparam` and `STEM.snap` (the input that uses them, ZBL included).

    Numbers have 17 significant digits: LAMMPS computes what Assay does to rounding. Coefficients of components that
    are always equal are replaced by their mean, because `pair_style snap` takes the energy from all of them, but the
    forces from one.
    """
    rows, stem = potential.rows, Path(stem)
    if not isinstance(rows, Snap):
        raise ValueError(f"only a SNAP potential has these files, and this is {rows.label}")
    s, k = len(rows.species), rows.components
    constants, blocks = potential.theta[:s], potential.theta[s:].reshape(s, k)
    coeff = [f"# {rows.label}, written by Assay", f"{s} {1 + k}"]
    for species, radius, weight, constant, block in zip(
        rows.species, rows.radii, rows.weights, constants, blocks, strict=True
    ):
        coeff.append(f"{species} {radius!r} {weight!r}")
        coeff += [f"{value:.17g}" for value in (constant, *_symmetric(block, rows))]
    param = [
        f"# {rows.label}, written by Assay",
        f"rcutfac {rows.rcut!r}",
        f"twojmax {rows.twojmax}",
        f"rfac0 {rows.rfac0!r}",
        f"rmin0 {rows.rmin0!r}",
        f"bzeroflag {int(rows.bzero)}",
        f"quadraticflag {int(rows.quadratic)}",
    ]
    if rows.explicit:
        param += ["chemflag 1", "bnormflag 1", "wselfallflag 1"]
    files = f"{stem.name}.snapcoeff {stem.name}.snapparam {' '.join(rows.species)}"
    if rows.zbl:
        inner, outer = rows.zbl_range
        use = [f"pair_style hybrid/overlay zbl {inner} {outer} snap", rows.zbl_coefficients()]
        use.append(f"pair_coeff * * snap {files}")
    else:
        use = ["pair_style snap", f"pair_coeff * * {files}"]
    return [
        _write(stem, ".snapcoeff", coeff),
        _write(stem, ".snapparam", param),
        _write(stem, ".snap", [f"# {rows.label}, written by Assay: atom types are {' '.join(rows.species)}", *use]),
    ]


def _symmetric(block: Array, rows: Snap) -> Array:
    """Coefficients `(K,)` of one species with those of twins made equal: the same energy, `½ BᵀAB + βᵀB`."""
    d = rows.linear_components
    beta = _mean_of_twins(block[:d], rows.twins)
    if not rows.quadratic:
        return beta
    upper = np.triu_indices(d)
    a = np.zeros((d, d))
    a[upper] = block[d:]
    a = _mean_of_twins(_mean_of_twins(a + np.triu(a, 1).T, rows.twins).T, rows.twins)
    return np.concatenate([beta, a[upper]])


def _mean_of_twins(values: Array, twins: NDArray[np.int64]) -> Array:
    sums = np.zeros((twins.max() + 1, *values.shape[1:]))
    np.add.at(sums, twins, values)
    means = sums.T / np.bincount(twins)
    return np.asarray(means.T[twins])


def write_guard(rows: Snap, grade: ExtrapolationGrade, stem: str | Path) -> list[Path]:
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
        inverse = grade.inverses.get(atomic_numbers[species])
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
    return [_write(stem, ".guard", lines), _write(stem, ".guard-after", after)]


def _write(stem: Path, suffix: str, lines: list[str]) -> Path:
    path = stem.with_name(stem.name + suffix)
    data = ("\n".join(lines) + "\n").encode()
    write_atomically(path, lambda file: file.write(data))
    return path
