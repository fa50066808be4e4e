"""How far members are from their mean force, over a whole array of members: one pass over it, a chunk of atoms at once.

Axis letters: M members, K of them, F frames, A atoms of all frames; frame j has the atoms `offsets[j]:offsets[j + 1]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.results.arrays import Array

CHUNK_BYTES = 2**20
"""Of deviations at once, so that a chunk stays in the cache between the steps."""


@dataclass(frozen=True)
class MemberDeviations:
    """Deviations of K members from their plain mean, `δ_i^k = ‖F_i^k − F̄_i‖`; NaN where a member has a gap.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | largest | `max_{i∈j} δ_i^k` of each frame | `(K, F)` | eV/Å |
    | atoms | `√(Σ_k w_k (δ_i^k)²)` | `(A,)` | eV/Å |
    | mean | F̄; `None` unless asked for | `(A, 3)` | eV/Å |
    """

    largest: Array
    atoms: Array
    mean: Array | None = None

    def frames(self, weights: Sequence[float] | Array = ()) -> Array:
        """`U_j = √(Σ_k w_k (max_{i∈j} δ_i^k)²)`, `(F,)` eV/Å, for weights `(K,)`, or `()` for equal ones."""
        return np.asarray(np.sqrt(checked_weights(weights, len(self.largest)) @ np.square(self.largest)))


def member_deviations(
    members: NDArray[Any],
    offsets: ArrayLike,
    weights: Sequence[float] | Array = (),
    *,
    which: Sequence[int] | None = None,
    with_mean: bool = False,
) -> MemberDeviations:
    """The largest deviation of each member in each frame, and the weighted deviation of each atom.

    Reads the members once, in chunks of atoms and in their own precision; beside the result, memory is that of a chunk.
    A frame or atom for which a member is not finite is NaN.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | F_i^k | members: of any float type; a memory map stays on disk | `(M, A, 3)` | eV/Å |
    | | offsets: where each frame starts, and A | `(F+1,)` | |
    | w_k | weights: of the K members, Σw = 1; `()` is equal ones | `(K,)` | none |
    | | which: the K members to take; all by default | `(K,)` | |
    | F̄_i | with_mean: keep the mean force | | |

    Raises ValueError for fewer than two members, weights of other members, a shape that is not `(M, A, 3)`, and
    offsets that do not rise from 0 to A.

    Reference: Liu et al. 2025, arXiv:2507.21297.
    """
    starts = np.asarray(offsets, dtype=np.int64)
    if members.ndim != 3 or members.shape[2] != 3:
        raise ValueError(f"members of shape {members.shape}; needed (M, A, 3)")
    A = members.shape[1]
    if starts.ndim != 1 or len(starts) < 2 or starts[0] != 0 or starts[-1] != A or (np.diff(starts) < 1).any():
        raise ValueError(f"offsets must rise from 0 to the number of atoms, {A}, with an atom in every frame")
    K = len(members) if which is None else len(which)
    w = checked_weights(weights, K)
    if K < 2:
        raise ValueError(f"{K} member: deviations from the mean need at least two")
    square, atoms = np.zeros((K, len(starts) - 1)), np.empty(A)
    mean = np.empty((A, 3)) if with_mean else None
    δ, δ2 = _buffers(members, K)
    ones, each, w = np.ones(3, δ.dtype), np.full(K, 1 / K, δ.dtype), w.astype(δ.dtype)
    for a, b, F in _chunks(members, which, δ2.shape[1]):
        d, d2 = δ[:, : b - a], δ2[:, : b - a]
        with np.errstate(invalid="ignore"):  # inf − inf
            centre = (each @ F.reshape(K, -1)).reshape(-1, 3)
            np.subtract(F, centre, out=d)
        np.square(d, out=d)
        np.matmul(d, ones, out=d2)
        here = slice(int(np.searchsorted(starts, a, side="right")) - 1, int(np.searchsorted(starts, b)))
        of_frames = np.maximum.reduceat(d2, np.maximum(starts[here], a) - a, axis=1)
        np.maximum(square[:, here], of_frames, out=square[:, here])
        atoms[a:b] = np.sqrt(w @ d2)
        if mean is not None:
            mean[a:b] = centre
    return MemberDeviations(np.sqrt(square), atoms, mean)


def _buffers(members: NDArray[Any], K: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """For deviations `(K, n, 3)` and their squares `(K, n)` of n atoms, in the precision of the members."""
    precision = np.result_type(members.dtype, np.float32)
    n = max(1, CHUNK_BYTES // (3 * precision.itemsize * K))
    return np.empty((K, n, 3), precision), np.empty((K, n), precision)


def _chunks(members: NDArray[Any], which: Sequence[int] | None, n: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """First atom, end and members `(K, ≤ n, 3)` of each chunk."""
    for a in range(0, members.shape[1], n):
        b = min(a + n, members.shape[1])
        yield a, b, members[:, a:b] if which is None else members[list(which), a:b]


def checked_weights(weights: Sequence[float] | Array, members: int) -> Array:
    """Weights `(M,)`, equal ones for `()`; raises ValueError for another number of them, or a sum that is not 1."""
    w = np.asarray(weights, dtype=np.float64)
    if w.size == 0:
        return np.full(members, 1.0 / members)
    if w.shape != (members,):
        raise ValueError(f"{w.size} weights of members came, but there are {members} members; give one for each")
    if not (np.isfinite(w).all() and (w >= 0).all() and abs(w.sum() - 1) < 1e-6):
        raise ValueError(f"weights of members must be at least 0 with a sum of 1; they are {np.round(w, 4).tolist()}")
    return w
