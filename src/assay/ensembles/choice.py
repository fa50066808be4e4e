"""How many members to use: the K best by force RMSE whose U ranks the largest force errors of frames best.

Axis letters: M members, F labelled frames, A atoms of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.ensembles.weights import MemberErrors, weights_of_rmse
from assay.frames.splits import contiguous_blocks
from assay.metrics import FrameBootstrap, interval, spearman
from assay.regions.neighbourhoods import frame_max
from assay.results.arrays import Array
from assay.results.symmetry import STILL, STILL_LABEL
from assay.scores.members.deviations import MemberDeviations, member_deviations


@dataclass(frozen=True)
class BestMembers:
    """The K best of M members, and how well their U ranks `max_i ‖F_i − F̄_i‖`. NaN: nothing to rank.

    | field | meaning |
    |---|---|
    | count | K |
    | spearman | rank correlation on the frames that RMSEs and weights are from |
    | moving | the same without the frames whose forces vanish by symmetry, which tie |
    | cross_validated, cross_validated_moving | on frames that neither order nor weights are from |
    | cross_validated_95 | interval by resampling frames |
    """

    count: int
    spearman: float
    moving: float
    cross_validated: float
    cross_validated_moving: float
    cross_validated_95: tuple[float, float]


@dataclass(frozen=True)
class ChosenMembers:
    """Which of M members to use, and what that is worth on frames that the choice is not made by.

    | field | meaning | shape |
    |---|---|---|
    | members | the chosen ones, in file order | `(K,)` |
    | weights | theirs, ∝ 1/RMSE | `(K,)` |
    | order | all, the best first | `(M,)` |
    | rmse | over force components, eV/Å; as given, or of the labelled frames | `(M,)` |
    | table | for K = 2 … M | `(M - 1,)` |
    | cross_validated, cross_validated_95 | correlation where RMSEs, weights and K are of the other frames | |
    | gain, gain_95 | that less the one of all M members, of the same resamples | |
    | counts | the K of each fold | |
    | frames, still | labelled, and of these those whose forces vanish by symmetry | |
    | note | whether the choice is better than all members by more than chance | |
    """

    members: tuple[int, ...]
    weights: tuple[float, ...]
    order: tuple[int, ...]
    rmse: tuple[float, ...]
    table: tuple[BestMembers, ...]
    cross_validated: float
    cross_validated_95: tuple[float, float]
    gain: float
    gain_95: tuple[float, float]
    counts: tuple[int, ...]
    frames: int
    still: int
    note: str

    def told(self) -> dict[str, Any]:
        """All fields, JSON-ready: `None` for NaN."""
        told: dict[str, Any] = _without_nan(asdict(self))
        return told


def choose_members(
    members: NDArray[Any],
    labels: ArrayLike,
    offsets: ArrayLike,
    *,
    config_types: Sequence[str] = (),
    rmse: Sequence[float] | Array | None = None,
    folds: int = 5,
    resamples: int = 200,
    seed: int = 0,
) -> ChosenMembers:
    """Take the K best of M members by RMSE, K = 2 … M, and keep the K with the highest rank correlation.

    `ρ_K = Spearman(U_j, max_{i∈j} ‖F_i − F̄_i‖)`, both of the K best members and their mean; of equal ones the larger K.
    The best of many correlations flatters, so everything is chosen again without each fold in turn and judged there.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | F_i^k | members | `(M, A, 3)` | eV/Å |
    | F_i | labels | `(A, 3)` | eV/Å |
    | | offsets: where each frame starts, and A | `(F+1,)` | |
    | | config_types: folds are contiguous in file order within each | `(F,)` | |
    | RMSE_k | rmse: known from elsewhere; of the labelled frames without | `(M,)` | any |
    | | folds, at most F | | |
    | | resamples of frames, and their seed, for the intervals | | |

    Raises ValueError for fewer than two members or frames, shapes that differ, and values that are not finite.

    Reference: Liu et al. 2025, arXiv:2507.21297, who found 11 of 21.
    """
    starts, F_dft = np.asarray(offsets, dtype=np.int64), np.asarray(labels, dtype=np.float64)
    count = len(starts) - 1
    if count < 2 or folds < 2:
        raise ValueError(f"{count} labelled frames in {folds} folds: a choice of members needs at least two of each")
    data = _Labelled(members, F_dft, starts, None if rmse is None else np.asarray(rmse, dtype=np.float64))
    fold = contiguous_blocks(np.array(config_types if len(config_types) else [""] * count), min(folds, count))
    every, moving = np.ones(count, dtype=bool), ~data.still
    M = len(members)

    full = [data.best(K, every) for K in range(2, M + 1)]
    rho = [spearman(*each) for each in full]
    at = _highest(rho)
    judged = [(np.empty(count), np.empty(count)) for _ in full]
    procedure, counts = (np.empty(count), np.empty(count)), []
    for k in np.unique(fold):
        here = fold == k
        there = [data.best(K, ~here) for K in range(2, M + 1)]
        chosen = _highest([spearman(U[~here], e[~here]) for U, e in there])
        counts.append(chosen + 2)
        for target, told in ((procedure, there[chosen]), *zip(judged, there, strict=True)):
            for column, values in zip(target, told, strict=True):
                column[here] = values[here]

    resampled = FrameBootstrap(np.arange(count), resamples, seed)
    samples = [resampled.spearman(*each) for each in judged]
    table = tuple(
        BestMembers(
            K, rho[i], spearman(full[i][0][moving], full[i][1][moving]), spearman(*judged[i]),
            spearman(judged[i][0][moving], judged[i][1][moving]), interval(samples[i]),
        )
        for i, K in enumerate(range(2, M + 1))
    )  # fmt: skip
    of_choice = resampled.spearman(*procedure)
    estimate = spearman(*procedure)
    gain, ends = estimate - table[-1].cross_validated, interval(of_choice - samples[-1])
    order, errors = data.order(every)
    kept = sorted(order[: at + 2])
    return ChosenMembers(
        tuple(kept), weights_of_rmse(errors[kept]), tuple(order), tuple(errors.tolist()), table, estimate,
        interval(of_choice), gain, ends, tuple(counts), count, int(data.still.sum()), _note(at + 2, M, gain, ends),
    )  # fmt: skip


def still_frames(members: NDArray[Any], labels: ArrayLike, offsets: ArrayLike) -> NDArray[np.bool_]:
    """Frames whose forces vanish by symmetry, `(F,)`: no label above `STILL_LABEL`, no force of most members `STILL`.

    Of most and not of all, because potentials that predict forces directly may break the symmetry. Arguments as those
    of `choose_members`.
    """
    starts, F_dft = np.asarray(offsets, dtype=np.int64), np.asarray(labels)
    largest = [np.abs(members[:, a:b]).max(axis=(1, 2)) for a, b in pairwise(starts)]
    return np.asarray(
        (np.median(largest, axis=1) < STILL) & (frame_max(np.abs(F_dft).max(axis=1), starts) < STILL_LABEL)
    )


@dataclass(frozen=True)
class _Labelled:
    """Labelled frames with members; what is computed for a set of members is kept."""

    members: NDArray[Any]
    labels: Array
    starts: NDArray[np.int64]
    given: Array | None

    @cached_property
    def squares(self) -> Array:
        """`Σ (F_i^k − F_i)²` of each member and frame, `(M, F)`."""
        found = []
        for a, b in pairwise(self.starts):
            errors = MemberErrors()
            errors.update(self.members[:, a:b], self.labels[a:b])
            found.append(np.square(errors.rmse) * 3 * (b - a))
        return np.stack(found, axis=1)

    @cached_property
    def still(self) -> NDArray[np.bool_]:
        """`(F,)`."""
        return still_frames(self.members, self.labels, self.starts)

    @cached_property
    def _of_sets(self) -> dict[tuple[int, ...], tuple[MemberDeviations, Array]]:
        return {}

    def order(self, frames: NDArray[np.bool_]) -> tuple[list[int], Array]:
        """Members by RMSE over these frames, the best first, and the RMSEs `(M,)`."""
        rmse = self.given
        if rmse is None:
            rmse = np.sqrt(self.squares[:, frames].sum(axis=1) / (3 * np.diff(self.starts)[frames].sum()))
        return np.argsort(rmse, kind="stable").tolist(), rmse

    def best(self, K: int, frames: NDArray[np.bool_]) -> tuple[Array, Array]:
        """U and the largest force error of all frames, two `(F,)`: the K best by these frames, with their weights."""
        order, rmse = self.order(frames)
        which = tuple(sorted(order[:K]))
        if which not in self._of_sets:
            found = member_deviations(self.members, self.starts, which=which, with_mean=True)
            assert found.mean is not None
            error = frame_max(np.linalg.norm(found.mean - self.labels, axis=1), self.starts)
            self._of_sets[which] = MemberDeviations(found.largest, np.empty(0)), error
        deviations, error = self._of_sets[which]
        return deviations.frames(weights_of_rmse(rmse[list(which)])), error


def _highest(rho: Sequence[float]) -> int:
    """Where the highest correlation is, of equal ones the last; the last of all where none is defined."""
    values = np.where(np.isnan(rho), -np.inf, rho)
    return len(values) - 1 - int(np.argmax(values[::-1]))


def _note(K: int, M: int, gain: float, ends: tuple[float, float]) -> str:
    if K == M:
        return f"all {M} members rank best"
    told = f"on other frames the rank correlation changes by {gain:+.3f} (95 %: {ends[0]:+.3f} to {ends[1]:+.3f})"
    if ends[0] > 0:
        return f"the best {K} rank better than all {M} members: {told}"
    return f"the best {K} do not rank significantly better than all {M} members: {told}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
