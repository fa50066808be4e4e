"""Thermodynamic averages under every member from one trajectory of the best fit.

    ⟨a⟩_m = ⟨a w_m⟩ / ⟨w_m⟩,   w_m = exp[−β (V_m − V)],   β = 1 / k_B T

with averages over frames that were sampled with the best fit V at temperature T (NVT): Eq. 31 of Grasselli et al. 2025
(doi:10.1039/d5dd00102a). Where weights of a few frames outweigh all others, the second-order cumulant expansion of
Imbalzano et al. 2021 (doi:10.1063/5.0036522) is steadier, and right while a and V_m − V are jointly Gaussian:

    ⟨a⟩_m ≈ ⟨a⟩ − β ⟨(a − ⟨a⟩) (ΔV − ⟨ΔV⟩)⟩,   ΔV = V_m − V

An observable that depends on the member itself, such as its own energy, is a_m on the right of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.units import kB
from numpy.typing import NDArray
from scipy.special import softmax

from assay.results.arrays import Array
from assay.sources.capabilities import HasCoefficients

Estimator = Literal["exponential", "cumulant"]

BLOCKS = 20
"""Of consecutive frames, for errors of sampling."""
FEWEST = 50.0
"""Independent frames that an average needs: its error of sampling is then known to about 10 %, `1/√(2n)`, and the
weights reach two standard deviations of what they weigh."""


@dataclass(frozen=True)
class Reweighted:
    """Averages of n observables over T frames, with the best fit and under each of M members.

    | field | meaning | shape |
    |---|---|---|
    | value | ⟨a⟩ of the best fit | `(n,)` |
    | value_error | its error of sampling, one standard deviation | `(n,)` |
    | members | ⟨a⟩_m | `(M, n)` |
    | sampling_error | of each member's average | `(M, n)` |
    | shift_error | of the difference ⟨a⟩_m − ⟨a⟩, in which much of the noise cancels | `(M, n)` |
    | effective | frames that count, of T: Kish's `(Σ w)² / Σ w²` | `(M,)` |
    | independent | `min(effective, T exp(−β² var ΔV))` over the statistical inefficiency of ΔV | `(M,)` |
    | estimator | `exponential` or `cumulant` | |

    Kish's number tends to `T exp(−β² var ΔV)` for a Gaussian ΔV, and is far too large where the frames that would weigh
    most were never visited; hence the smaller of the two. Members with `independent` below `FEWEST` are `scarce`: their
    exponential averages hang on a few frames. The cumulant expansion does not fail so, but is an approximation then,
    since ΔV varies by more than k_B T.
    """

    value: Array
    value_error: Array
    members: Array
    sampling_error: Array
    shift_error: Array
    effective: Array
    independent: Array
    estimator: Estimator

    @property
    def scarce(self) -> NDArray[np.bool_]:
        """Members with too few effective frames, `(M,)`."""
        return self.independent < FEWEST

    @property
    def model_error(self) -> Array:
        """Spread of the members about their mean without what sampling adds to it, `(n,)`: `σ² − ⟨shift_error²⟩`, at
        least 0, σ with ddof = 1."""
        spread = self.members.var(axis=0, ddof=1) - (self.shift_error**2).mean(axis=0)
        return np.asarray(np.sqrt(np.maximum(spread, 0.0)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""
        scarce = np.flatnonzero(self.scarce)
        if not len(scarce):
            return ()
        listed = ", ".join(map(str, scarce[:10])) + (", …" if len(scarce) > 10 else "")
        cure = "use estimator cumulant, or" if self.estimator == "exponential" else "the expansion is rough:"
        return (
            f"{len(scarce)} members have fewer than {FEWEST:g} independent effective frames, the least "
            f"{self.independent.min():.1f} (members {listed}): {cure} sample longer, or with these members",
        )


def reweight(
    observables: Array,
    energies: Array,
    member_energies: Array,
    temperature: float,
    *,
    member_observables: Array | None = None,
    estimator: Estimator = "exponential",
    blocks: int = BLOCKS,
) -> Reweighted:
    """Averages under M members of n observables along a trajectory of T frames.

    Errors of sampling are delete-one-block jackknifes over `blocks` blocks of consecutive frames; blocks must be longer
    than the correlation time.

    | symbol | argument | shape, unit |
    |---|---|---|
    | a | observables: of each frame (with the best fit) | `(T, n)` |
    | V | energies with the best fit, which sampled | `(T,)` eV |
    | V_m | member_energies | `(T, M)` eV |
    | T | temperature of the trajectory | K |
    | a_m | member_observables: where they depend on the member, such as energies | `(T, n, M)` |

    Raises `ValueError` for shapes that don't fit, fewer frames than two for each block, numbers that are not finite or
    a temperature that is not positive.
    """
    a, v, v_m = (np.asarray(each, dtype=np.float64) for each in (observables, energies, member_energies))
    a_m = None if member_observables is None else np.asarray(member_observables, dtype=np.float64)
    _check(a, v, v_m, a_m, temperature, blocks)
    beta = 1.0 / (kB * temperature)
    delta = v_m - v[:, None]
    delta -= delta.mean(axis=0)  # a constant weighs nothing
    weights = softmax(-beta * delta, axis=0)  # by log-sum-exp
    centre = a.mean(axis=0)
    a = a - centre
    a_m = None if a_m is None else a_m - centre[:, None]

    parts = np.array_split(np.arange(len(a)), blocks)
    counts = _all_but_one(np.array([len(part) for part in parts], dtype=np.float64))[:, None]
    means = _all_but_one(np.array([a[part].sum(axis=0) for part in parts])) / counts
    if estimator == "exponential":
        normal = _all_but_one(np.array([weights[part].sum(axis=0) for part in parts]))
        under = _all_but_one(_sums(a, a_m, weights, parts)) / np.maximum(normal, np.finfo(float).tiny)[:, None]
    else:
        flat = np.ones_like(delta)
        under = _all_but_one(_sums(a, a_m, flat, parts)) / counts[..., None]
        shift = _all_but_one(np.array([delta[part].sum(axis=0) for part in parts])) / counts
        together = _all_but_one(_sums(a, a_m, delta, parts)) / counts[..., None]
        under = under - beta * (together - under * shift[:, None])

    effective = 1.0 / (weights**2).sum(axis=0)
    expected = len(a) * np.exp(-((beta * delta) ** 2).mean(axis=0))
    return Reweighted(
        value=centre + means[0],
        value_error=_jackknife(means),
        members=(centre[:, None] + under[0]).T,
        sampling_error=_jackknife(under).T,
        shift_error=_jackknife(under - means[..., None]).T,
        effective=effective,
        independent=np.minimum(effective, expected) / _inefficiency(delta, parts),
        estimator=estimator,
    )


def along_trajectory(
    potential: HasCoefficients, frames: Iterable[Atoms], observable: Callable[[Atoms], Array], members: Array
) -> tuple[Array, Array, Array]:
    """`observables (T, n)`, `energies (T,)` and `member_energies (T, M)` for `reweight`: one evaluation of the rows
    for each of T frames. `observable` gives n numbers for a frame; `members` are coefficients `(M, P)`."""
    coefficients = np.vstack([potential.theta, members])
    told = [
        (np.atleast_1d(observable(frame)), potential.rows.predictions(frame, coefficients).energy_members)
        for frame in frames
    ]
    energies = np.array([each for _, each in told])
    return np.array([each for each, _ in told]), energies[:, 0], energies[:, 1:]


def require_temperature(temperature: float) -> None:
    """Raises `ValueError` for what is no temperature."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"the temperature must be finite and above 0 K, got {temperature}")


def _check(a: Array, v: Array, v_m: Array, a_m: Array | None, temperature: float, blocks: int) -> None:
    require_temperature(temperature)
    if a.ndim != 2 or v.shape != a.shape[:1] or v_m.ndim != 2 or v_m.shape[0] != a.shape[0]:
        raise ValueError(
            f"needed observables (T, n), energies (T,) and member energies (T, M), got {a.shape}, {v.shape} and "
            f"{v_m.shape}"
        )
    if a_m is not None and a_m.shape != (*a.shape, v_m.shape[1]):
        raise ValueError(f"needed member observables {(*a.shape, v_m.shape[1])}, got {a_m.shape}")
    if blocks < 2 or len(a) < 2 * blocks:
        raise ValueError(f"{len(a)} frames are too few for {blocks} blocks: needed two blocks or more, of two frames")
    for each in (a, v, v_m, a_m):
        if each is not None and not np.isfinite(each).all():
            raise ValueError("observables and energies must be finite")


def _sums(a: Array, a_m: Array | None, weights: Array, parts: list[NDArray[np.int64]]) -> Array:
    """`Σ_t a w_m` of each block, `(B, n, M)`."""
    if a_m is None:
        return np.array([a[part].T @ weights[part] for part in parts])
    return np.array([np.einsum("tnm,tm->nm", a_m[part], weights[part]) for part in parts])


def _all_but_one(sums: Array) -> Array:
    """Of sums over B blocks `(B, …)`: that of all, then those without each, `(1 + B, …)`."""
    total = sums.sum(axis=0)
    return np.concatenate([total[None], total - sums])


def _jackknife(estimates: Array) -> Array:
    """Standard error from the estimates `(1 + B, …)` of `_all_but_one`: `σ² = (B − 1)/B Σ_b (a_b − ā)²`."""
    without = estimates[1:]
    return np.asarray(np.sqrt((len(without) - 1) * without.var(axis=0)))


def _inefficiency(series: Array, parts: list[NDArray[np.int64]]) -> Array:
    """How many frames one independent frame costs, `(M,)`: the variance of block means over what it would be without
    correlation, at least 1."""
    means = np.array([series[part].mean(axis=0) for part in parts])
    variance = series.var(axis=0)
    expected = np.where(variance > 0, variance * len(parts) / len(series), 1.0)
    return np.asarray(np.maximum(means.var(axis=0, ddof=1) / expected, 1.0))
