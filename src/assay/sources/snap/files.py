"""A SNAP potential as the text of LAMMPS's files and the commands that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array

if TYPE_CHECKING:
    from assay.sources.snap.rows import Snap


def snapcoeff(rows: Snap, coefficients: Array) -> str:
    """The content of `.snapcoeff` for coefficients `(P,)`.

    Numbers have 17 significant digits: LAMMPS computes what Assay does to rounding. Coefficients of components that
    are always equal are replaced by their mean, because `pair_style snap` takes the energy from all of them, but the
    forces from one.
    """
    s, k = len(rows.species), rows.components
    lines = [f"# {rows.label}, written by Assay", f"{s} {1 + k}"]
    for species, radius, weight, constant, block in zip(
        rows.species, rows.radii, rows.weights, coefficients[:s], coefficients[s:].reshape(s, k), strict=True
    ):
        lines.append(f"{species} {radius!r} {weight!r}")
        lines += [f"{value:.17g}" for value in (constant, *_symmetric(block, rows))]
    return "\n".join(lines) + "\n"


def snapparam(rows: Snap) -> str:
    """The content of `.snapparam`."""
    lines = [
        f"# {rows.label}, written by Assay",
        f"rcutfac {rows.rcut!r}",
        f"twojmax {rows.twojmax}",
        f"rfac0 {rows.rfac0!r}",
        f"rmin0 {rows.rmin0!r}",
        f"bzeroflag {int(rows.bzero)}",
        f"quadraticflag {int(rows.quadratic)}",
    ]
    if rows.explicit:
        lines += ["chemflag 1", "bnormflag 1", "wselfallflag 1"]
    return "\n".join(lines) + "\n"


def potential_commands(rows: Snap, snapcoeff: str, snapparam: str) -> str:
    """LAMMPS input that uses files of these names, ZBL included; atom types are the species in their order."""
    files = f"{snapcoeff} {snapparam} {' '.join(rows.species)}"
    if not rows.zbl:
        return f"pair_style snap\npair_coeff * * {files}\n"
    inner, outer = rows.zbl_range
    style = f"pair_style hybrid/overlay zbl {inner} {outer} snap"
    return f"{style}\n{rows.zbl_coefficients()}\npair_coeff * * snap {files}\n"


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
