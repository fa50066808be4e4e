"""Which frames of a pool keep the teachers' label: those whose uncertainty U is below a cut-off U_c.

Axis letters: F frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array


def taught(uncertainty: Array, cutoff: float) -> NDArray[np.bool_]:
    """`U_j < U_c`, `(F,)`: the frames whose teachers' label is trusted."""
    return np.asarray(uncertainty < cutoff)


def cutoff_for_share(uncertainty: Array, natoms: NDArray[np.int64], share: float) -> float:
    """The U_c at which nearest to a share of the atoms needs DFT labels, `Σ_{U_j ≥ U_c} n_j ≈ share · Σ_j n_j`, eV/Å.

    | argument | meaning |
    |---|---|
    | uncertainty | U `(F,)`, eV/Å |
    | natoms | n `(F,)` |
    | share | from 0 (infinity is returned) to 1 (the smallest U) |

    Frames of equal U go together. Raises `ValueError` for a share outside of 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of atoms with DFT labels is from 0 to 1, got {share}")
    values, group = np.unique(-uncertainty, return_inverse=True)  # the largest U first
    atoms = np.concatenate([[0], np.cumsum(np.bincount(group, weights=natoms))])
    groups = int(np.argmin(np.abs(atoms - share * atoms[-1])))
    if share > 0:
        groups = max(groups, 1)
    return float(-values[groups - 1]) if groups else float("inf")
