"""From atoms to neighbourhoods and frames."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.neighbours import neighbours
from assay.prediction import Array


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
    i, j = (k.view(np.int64) for k in neighbours(atoms, r_cut, "ij", full=False))  # each pair once
    count = 1.0 + np.bincount(i, minlength=n) + np.bincount(j, minlength=n)
    columns = values.reshape(n, -1).T
    totals = [s + np.bincount(i, s[j], minlength=n) + np.bincount(j, s[i], minlength=n) for s in columns]
    return np.asarray(np.stack([total / count for total in totals], axis=1).reshape(values.shape))


def frame_mean(values: Array, offsets: NDArray[np.int64]) -> Array:
    """Mean over the atoms of each frame: `(A,)` and `(F+1,)` → `(F,)`."""
    return np.asarray(np.add.reduceat(values, offsets[:-1]) / np.diff(offsets))


def frame_max(values: Array, offsets: NDArray[np.int64]) -> Array:
    """Maximum over the atoms of each frame: `(A,)` and `(F+1,)` → `(F,)`."""
    return np.asarray(np.maximum.reduceat(values, offsets[:-1]))
