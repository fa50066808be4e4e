"""Force errors of each member on labelled frames, and the weights that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array


class MemberErrors:
    """Accumulates the force errors of M members over labelled frames: `update`, `merge`, `rmse`, `weights`."""

    def __init__(self) -> None:
        self._squares: Array | None = None
        self._components = 0

    def update(self, members: NDArray[Any], labels: NDArray[Any]) -> None:
        """Add frames of A atoms: forces of members `(M, A, 3)` and labels `(A, 3)`, eV/Å.

        Raises ValueError for other shapes, another number of members than before, and values that are not finite.
        """
        if members.ndim != 3 or members.shape[1:] != labels.shape or labels.shape[-1] != 3:
            raise ValueError(f"members {members.shape} and labels {labels.shape}: needed (M, A, 3) and (A, 3)")
        error = np.asarray(members, dtype=np.float64) - labels
        squares = np.einsum("kic,kic->k", error, error)
        if not np.isfinite(squares).all():
            gaps = np.flatnonzero(~np.isfinite(squares)).tolist()
            raise ValueError(f"forces of members {gaps}, or labels, are not finite; leave frames with gaps out")
        self._add(squares, labels.size)

    def merge(self, other: MemberErrors) -> None:
        if other._squares is not None:
            self._add(other._squares, other._components)

    def _add(self, squares: Array, components: int) -> None:
        if self._squares is not None and len(self._squares) != len(squares):
            raise ValueError(f"{len(squares)} members, but {len(self._squares)} in frames before")
        self._squares = squares if self._squares is None else self._squares + squares
        self._components += components

    @property
    def rmse(self) -> Array:
        """`RMSE_k = √⟨(F^k − F)²⟩` over force components, `(M,)` eV/Å; raises ValueError without labelled frames."""
        if self._squares is None:
            raise ValueError("no labelled frames: the errors of members are not known")
        return np.asarray(np.sqrt(self._squares / self._components))

    @property
    def weights(self) -> tuple[float, ...]:
        """`weights_of_rmse` of them, `(M,)`."""
        return weights_of_rmse(self.rmse)


def weights_of_rmse(rmse: Sequence[float] | Array) -> tuple[float, ...]:
    """Weights of members, `w_k = (1/RMSE_k) / Σ_l (1/RMSE_l)`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | RMSE_k | rmse: of each member, all in one unit | `(M,)` | any |

    Raises ValueError for fewer than two members, and for an RMSE that is not finite and above 0: a member without
    errors was held against its own predictions.

    Reference: Liu et al. 2025, arXiv:2507.21297.
    """
    errors = np.asarray(rmse, dtype=np.float64)
    if errors.ndim != 1 or len(errors) < 2:
        raise ValueError(f"RMSEs of shape {errors.shape}: weights need those of at least two members")
    if bad := np.flatnonzero(~(np.isfinite(errors) & (errors > 0))).tolist():
        raise ValueError(
            f"the RMSE of member {bad[0]} (counted from 0) is {errors[bad[0]]}, and a weight is its inverse: it must "
            "be finite and above 0. Leave out a member that the labels come from, and frames where one has a gap"
        )
    inverse = errors.min() / errors
    return tuple((inverse / inverse.sum()).tolist())
