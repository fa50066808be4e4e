"""From atoms to neighbourhoods and frames."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.regions.neighbours import pair_blocks
from assay.results.arrays import Array


def neighbourhood_mean(values: Array, atoms: Atoms, r_cut: float) -> Array:
    """Mean over the atoms within `r_cut` (Å) of each atom, itself included.

    `s_i^local = (1 / N_i) Σ_{n: r_in < r_cut} s_n` (Heid et al., Eqs. 9-10; the study's data are
    at doi:10.5281/zenodo.11086346). A periodic image counts as often as it lies within the cut-off.

    Parameters
    ----------
    values : (A,) or (A, K)
        K columns share the neighbour list

    Returns
    -------
    the means, shape of `values`; infinite where a neighbour is
    """
    n = len(atoms)
    columns = values.reshape(n, -1).T
    totals, count = np.array(columns, dtype=np.float64), np.ones(n)
    for i, j in pair_blocks(atoms, r_cut):
        for here, there in ((i, j), (j, i)):
            count += np.bincount(here, minlength=n)
            for column, total in zip(columns, totals, strict=True):
                total += np.bincount(here, column[there], minlength=n)
    return np.asarray((totals / count).T.reshape(values.shape))


def frame_mean(values: Array, offsets: NDArray[np.int64]) -> Array:
    """Mean over the atoms of each frame: `(A,)` and `(F+1,)` → `(F,)`."""
    return np.asarray(np.add.reduceat(values, offsets[:-1]) / np.diff(offsets))


def frame_max(values: Array, offsets: NDArray[np.int64]) -> Array:
    """Maximum over the atoms of each frame: `(A,)` and `(F+1,)` → `(F,)`."""
    return np.asarray(np.maximum.reduceat(values, offsets[:-1]))


def coordination(atoms: Atoms, r_cut: float) -> NDArray[np.int64]:
    """Number of neighbours within `r_cut` (Å) of each atom, images counted, `(A,)`; raises as `pair_blocks`."""
    count = np.zeros(len(atoms), dtype=np.int64)
    for pair in pair_blocks(atoms, r_cut):
        for end in pair:
            count += np.bincount(end, minlength=len(atoms))
    return count
