"""How wide should the region be over which errors and spreads are averaged? (Heid et al. 2024, Eqs. 9-10, Fig. 5c)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from assay.metrics.bootstrap import FrameBootstrap, interval
from assay.metrics.errors import finite_errors, one_for_each
from assay.metrics.ranking import spearman
from assay.regions.neighbours import close_pairs
from assay.results.arrays import Array

RADII = tuple(float(r) for r in range(9))
"""Å: from the atom alone to what holds some hundred atoms of a dense crystal."""


@dataclass(frozen=True)
class RadiusCurve:
    """Rank correlation of mean error and mean spread of neighbourhoods against their radius, R radii.

    | field | meaning | shape, unit |
    |---|---|---|
    | radii | rising; 0 is the atom alone | `(R,)` Å |
    | neighbours | mean number of atoms, the central one included | `(R,)` |
    | pooled | correlation over all atoms of all frames: which atoms of all are worst | `(R,)` |
    | within | mean over frames, by atoms, of the correlation within the frame: where in it the errors are | `(R,)` |
    | pooled_interval, within_interval | 95 % by frame bootstrap | `(R, 2)` |
    | chosen | the smallest radius within one standard error of the largest correlation | Å |
    """

    radii: Array
    neighbours: Array
    pooled: Array
    within: Array
    pooled_interval: Array
    within_interval: Array
    chosen: float


def radius_curve(
    frames: Sequence[Atoms],
    error: ArrayLike,
    spread: ArrayLike,
    radii: Sequence[float] = RADII,
    *,
    by: Literal["within", "pooled"] = "within",
    resamples: int = 100,
    seed: int = 0,
) -> RadiusCurve:
    """Correlate errors and spreads of neighbourhoods of every radius on labelled held-out frames, and choose one.

    `e_i(r) = (1/N_i) Σ_{j: d_ij < r} e_j`, `s_i(r)` likewise; ρ(r) is Spearman's correlation of both, and the choice
    `min {r : ρ(r) ≥ max ρ − SE}`, SE the bootstrap's standard error at the maximum (the one-standard-error rule): no
    wider than the data demand, since a wider region tells less of where an error is. Averages over whole frames
    correlate better in general, which `pooled` shows and `within` leaves out. Neighbourhoods overlap, so that atoms of
    a frame say the same thing many times: the intervals draw whole frames.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | | frames: F of them, A atoms in all | | |
    | e | error: of an atom, e.g. mean \\|error\\| of its force components | `(A,)` | any |
    | s | spread: of an atom, e.g. mean standard deviation of its force components | `(A,)` | any |
    | r | radii, at least 0; one neighbour list at the largest serves all | `(R,)` | Å |

    NaN correlations where nothing varies; with a single frame there is no standard error, and the maximum is chosen.
    Raises ValueError for errors or spreads that are not finite or not one an atom, without radii or with negative ones,
    and where no radius has a correlation (`by`).

    Reference: Heid et al. 2024, Eqs. 9-10 (data at doi:10.5281/zenodo.11086346); the rule: Breiman et al. 1984,
    doi:10.1201/9781315139470, section 3.4.3.
    """
    r = np.unique(np.asarray(radii, dtype=np.float64))
    if not len(r) or not np.isfinite(r).all() or r[0] < 0:
        raise ValueError(f"radii are {list(radii)}; at least one is needed, finite and not negative")
    sizes = [len(atoms) for atoms in frames]
    e = one_for_each(finite_errors(error), (sum(sizes),), "error")
    s = one_for_each(finite_errors(spread), e.shape, "spread")
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    frame = np.repeat(np.arange(len(frames)), sizes)

    columns = np.stack([e, s, np.ones_like(e)], axis=1)
    sums = [neighbourhood_sums(columns[a:b], atoms, r) for (a, b), atoms in zip(_parts(offsets), frames, strict=True)]
    e_r, s_r, n_r = np.moveaxis(np.concatenate(sums, axis=1), 2, 0)
    e_r, s_r = e_r / n_r, s_r / n_r

    bootstrap = FrameBootstrap(frame, resamples, seed)
    pooled, within = (np.full(len(r), np.nan) for _ in range(2))
    drawn = {which: np.full((len(r), resamples), np.nan) for which in ("pooled", "within")}
    for k in range(len(r)):
        pooled[k] = spearman(s_r[k], e_r[k])
        drawn["pooled"][k] = bootstrap.spearman(s_r[k], e_r[k])
        of_frame = np.array([spearman(s_r[k, a:b], e_r[k, a:b]) for a, b in _parts(offsets)])[frame]
        defined = ~np.isnan(of_frame)
        if defined.any():
            within[k] = of_frame[defined].mean()
            drawn["within"][k] = FrameBootstrap(frame[defined], resamples, seed).mean(of_frame[defined])
    ends = {which: np.array([interval(each) for each in samples]) for which, samples in drawn.items()}
    chosen = _smallest_as_good(r, {"pooled": pooled, "within": within}[by], drawn[by], by)
    return RadiusCurve(r, n_r.mean(axis=1), pooled, within, ends["pooled"], ends["within"], chosen)


def neighbourhood_sums(values: Array, atoms: Atoms, radii: Array) -> Array:
    """Sums over the atoms within each of the rising `radii` (Å) of each atom, itself included.

    `(A, K)` and `(R,)` → `(R, A, K)`. Counts as `assay.regions.neighbourhoods.neighbourhood_mean` does.
    """
    n, R = len(atoms), len(radii)
    added = np.zeros((R, n, values.shape[1]))
    added[0] = values
    if radii[-1] > 0:
        pairs, distances = close_pairs(atoms, float(radii[-1]))
        shell = np.searchsorted(radii, distances, side="right")
        near = shell < R
        (i, j), shell = pairs[near].T, shell[near]
        for here, there in ((i, j), (j, i)):
            for k in range(values.shape[1]):
                added[:, :, k] += np.bincount(shell * n + here, values[there, k], R * n).reshape(R, n)
    return np.cumsum(added, axis=0)


def _smallest_as_good(radii: Array, correlation: Array, drawn: Array, by: str) -> float:
    if np.isnan(correlation).all():
        raise ValueError(
            f"no radius can be chosen by {by!r}: errors or spreads are constant"
            + (" within every frame; by='pooled' compares atoms of different frames" if by == "within" else "")
        )
    best = int(np.nanargmax(correlation))
    standard_error = np.nanstd(drawn[best], ddof=1) if np.isfinite(drawn[best]).sum() > 1 else 0.0
    return float(radii[np.flatnonzero(correlation >= correlation[best] - standard_error)[0]])


def _parts(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    return zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
