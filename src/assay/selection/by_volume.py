"""The groups of environments (frames, or single atoms) that extend active sets most.

`C = F A⁻¹` are the coefficients of a group's environments. They take places of A, the largest |c_ij| first, until none
exceeds the tolerance (Goreinov et al. 2010, doi:10.1142/9789812836021_0015). Rows i that come to the places J add

    log |det A'| − log |det A| = log |det C_iJ|.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from assay.results.arrays import Array
from assay.scores.d_optimality.exchange import Indices, swaps, update
from assay.scores.d_optimality.maxvol import TOLERANCE
from assay.scores.features.row_blocks import largest

Inverses = Mapping[int, Array]
"""Atomic number → `A⁻¹`, `(D, D)`."""


@dataclass(frozen=True)
class Environments:
    """Environments of one species: features `(n, D)`, and the group `(n,)` of each, in ascending order."""

    features: Array
    groups: Indices

    def of(self, groups: Indices) -> Environments:
        """Those of some groups."""
        keep = np.isin(self.groups, groups)
        return Environments(self.features[keep], self.groups[keep])


@dataclass(frozen=True)
class Extension:
    """What a group added to the active sets when it was chosen.

    `gain`: by how much the log volumes of all species grew, together; `grade`: its largest γ just before.
    """

    group: int
    gain: float
    grade: float


def maxvol(
    pool: Mapping[int, Environments],
    inverses: Inverses,
    n: int,
    *,
    given: Collection[int] = (),
    tolerance: float = TOLERANCE,
) -> tuple[list[Extension], Inverses]:
    """At most n groups, each the one that adds most to what those before it made; and the active sets after them.

    Greedy: `argmax_g Σ_z log |det C_iJ|` over the groups g, until n are chosen or no γ exceeds the tolerance. Its
    environments then take their places, and those of the groups before it that a swap brought above the tolerance
    again. A group that equals a chosen one has γ ≤ 1 by then (to the tolerance), and is never chosen.

    Parameters
    ----------
    pool
        atomic number z → its environments
    inverses
        atomic number → `A⁻¹` of the active set to start from, `(D, D)`, for every species of the pool
    given
        groups that were chosen before
    """
    taken = list(given)
    sets, _ = extended(inverses, pool, taken, tolerance)
    chosen: list[Extension] = []
    while len(chosen) < n:
        gains: dict[int, float] = {}
        grades: dict[int, float] = {}
        for z, environments in pool.items():
            c = environments.features @ sets[z]
            groups, starts = np.unique(environments.groups, return_index=True)
            grade = np.maximum.reduceat(largest(c), starts) if len(starts) else np.empty(0)
            for k in np.flatnonzero((grade > tolerance) & ~np.isin(groups, taken)):
                group, of_group = int(groups[k]), slice(starts[k], starts[k + 1] if k + 1 < len(starts) else None)
                gains[group] = gains.get(group, 0.0) + exchange(c[of_group], tolerance)[0]
                grades[group] = max(grades.get(group, 0.0), float(grade[k]))
        if not gains:
            break
        best = max(gains, key=gains.__getitem__)
        taken.append(best)
        sets, gain = extended(sets, pool, taken, tolerance)
        chosen.append(Extension(best, gain, grades[best]))
    return chosen, sets


def extended(
    inverses: Inverses,
    pool: Mapping[int, Environments],
    groups: Collection[int] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[dict[int, Array], float]:
    """The active sets after an exchange with some groups, or with all, and by how much their log volumes grew."""
    sets, gain = dict(inverses), 0.0
    for z, each in pool.items():
        of_groups = slice(None) if groups is None else np.isin(each.groups, list(groups))
        c = each.features[of_groups] @ sets[z]
        grown, rows, places = exchange(c, tolerance)
        if len(places):
            sets[z] = sets[z] - sets[z][:, places] @ update(c[rows], places)
        gain += grown
    return sets, gain


def exchange(c: Array, tolerance: float = TOLERANCE) -> tuple[float, Indices, Indices]:
    """What rows of coefficients `c` `(n, D)` add to the log volume, which rows these are, and the places they take."""
    taken = swaps(c.copy(), tolerance)
    places = np.flatnonzero(taken >= 0)
    rows = taken[places]
    return float(np.linalg.slogdet(c[np.ix_(rows, places)])[1]), rows, places
