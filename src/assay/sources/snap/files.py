"""A SNAP potential as the text of LAMMPS's files, the commands that read them, and γ as input that stops a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.sources.snap.settings import SnapSettings

GUARD_FEATURES = 150
"""γ in LAMMPS needs D² terms per atom; with more features than this no guard is written."""


def potential_texts(settings: SnapSettings, coefficients: Array, name: str) -> dict[str, str]:
    """`.snapcoeff`, `.snapparam` and `.snap` (the input that uses them, ZBL included) of files called `name`.

    LAMMPS computes what Assay does to rounding: see `snapcoeff`.
    """
    head = f"# {settings.label}, written by Assay: atom types are {' '.join(settings.species)}\n"
    use = potential_commands(settings, f"{name}.snapcoeff", f"{name}.snapparam")
    return {".snapcoeff": snapcoeff(settings, coefficients), ".snapparam": snapparam(settings), ".snap": head + use}


def snapcoeff(settings: SnapSettings, coefficients: Array) -> str:
    """The content of `.snapcoeff` for coefficients `(P,)`.

    Numbers have 17 significant digits: LAMMPS computes what Assay does to rounding. Coefficients of components that
    are always equal are replaced by their mean, because `pair_style snap` takes the energy from all of them, but the
    forces from one.
    """
    s, k = len(settings.species), settings.components
    lines = [f"# {settings.label}, written by Assay", f"{s} {1 + k}"]
    for species, radius, weight, constant, block in zip(
        settings.species,
        settings.radii,
        settings.weights,
        coefficients[:s],
        coefficients[s:].reshape(s, k),
        strict=True,
    ):
        lines.append(f"{species} {radius!r} {weight!r}")
        lines += [f"{value:.17g}" for value in (constant, *_symmetric(block, settings))]
    return "\n".join(lines) + "\n"


def snapparam(settings: SnapSettings) -> str:
    """The content of `.snapparam`."""
    lines = [
        f"# {settings.label}, written by Assay",
        f"rcutfac {settings.rcut!r}",
        f"twojmax {settings.twojmax}",
        f"rfac0 {settings.rfac0!r}",
        f"rmin0 {settings.rmin0!r}",
        f"bzeroflag {int(settings.bzero)}",
        f"quadraticflag {int(settings.quadratic)}",
    ]
    if settings.explicit:
        lines += ["chemflag 1", "bnormflag 1", "wselfallflag 1"]
    return "\n".join(lines) + "\n"


def potential_commands(settings: SnapSettings, snapcoeff: str, snapparam: str) -> str:
    """LAMMPS input that uses files of these names, ZBL included; atom types are the species in their order."""
    files = f"{snapcoeff} {snapparam} {' '.join(settings.species)}"
    if not settings.zbl:
        return f"pair_style snap\npair_coeff * * {files}\n"
    inner, outer = settings.zbl_range
    style = f"pair_style hybrid/overlay zbl {inner} {outer} snap"
    return f"{style}\n{settings.zbl_coefficients()}\npair_coeff * * snap {files}\n"


def guard_texts(
    settings: SnapSettings, inverses: Mapping[int, Array], name: str, emptiness: Mapping[int, Array]
) -> dict[str, str]:
    """`.guard`: LAMMPS input that computes γ of every atom and stops the run when it passes a threshold; and
    `.guard-after`, what to do then.

    `inverses` are those of the active sets, `(D, D)` by atomic number; of `emptiness` those coefficients `(1 + D,)` of
    a constant and the features, which γ is no less than. To be included after the potential; variables
    `guard_every`, `guard_threshold` and `guard_cap` can be set before. The frame is written to `NAME.caught.dump`,
    unless γ is above the cap (an exploded frame). A species without an active set has γ = 1e30. Nothing is written for
    more than 150 features.
    """
    d = settings.linear_components
    if d > GUARD_FEATURES:
        return {}
    lines = [
        f"# Extrapolation grade of {settings.label}, written by Assay. After `run`, include {name}.guard-after",
        "variable guard_every index 100",
        "variable guard_threshold index 1.0",
        "variable guard_cap index 1000.0",
        f"compute guard_b all sna/atom {settings.feature_arguments()}",
    ]
    names = []
    for t, species in enumerate(settings.species, 1):
        inverse = inverses.get(atomic_numbers[species])
        if inverse is None:
            lines.append(f'variable guard_{t}_1 atom "(type=={t})*1.0e30"')
            names.append(f"v_guard_{t}_1")
            continue
        for j in range(d):
            terms = "+".join(f"({value:.17g})*c_guard_b[{i + 1}]" for i, value in enumerate(inverse[:, j]) if value)
            lines.append(f'variable guard_{t}_{j + 1} atom "(type=={t})*abs({terms or 0})"')
            names.append(f"v_guard_{t}_{j + 1}")
        if (empty := emptiness.get(atomic_numbers[species])) is not None:
            terms = "+".join(f"({value:.17g})*c_guard_b[{i + 1}]" for i, value in enumerate(empty[1:]) if value)
            lines.append(f'variable guard_{t}_{d + 1} atom "(type=={t})*({empty[0]:.17g}+{terms or 0})"')
            names.append(f"v_guard_{t}_{d + 1}")
    lines += [
        f"compute guard_max all reduce max {' '.join(names)}",
        "variable guard_gamma equal max(c_guard_max)" if len(names) > 1 else "variable guard_gamma equal c_guard_max",
        "fix guard all halt ${guard_every} v_guard_gamma > ${guard_threshold} error soft",
    ]
    after = [
        "# What to do when the guard has stopped the run.",
        "run 0 post no",
        'if "(${guard_gamma} > ${guard_threshold}) && (${guard_gamma} < ${guard_cap})" then &',
        f'  "write_dump all custom {name}.caught.dump id type xu yu zu fx fy fz &',
        'modify sort id format float %.12g"',
    ]
    return {".guard": "\n".join(lines) + "\n", ".guard-after": "\n".join(after) + "\n"}


def _symmetric(block: Array, settings: SnapSettings) -> Array:
    """Coefficients `(K,)` of one species with those of twins made equal: the same energy, `½ BᵀAB + βᵀB`."""
    d = settings.linear_components
    beta = _mean_of_twins(block[:d], settings.twins)
    if not settings.quadratic:
        return beta
    upper = np.triu_indices(d)
    a = np.zeros((d, d))
    a[upper] = block[d:]
    a = _mean_of_twins(_mean_of_twins(a + np.triu(a, 1).T, settings.twins).T, settings.twins)
    return np.concatenate([beta, a[upper]])


def _mean_of_twins(values: Array, twins: NDArray[np.int64]) -> Array:
    sums = np.zeros((twins.max() + 1, *values.shape[1:]))
    np.add.at(sums, twins, values)
    means = sums.T / np.bincount(twins)
    return np.asarray(means.T[twins])
