"""Error bars held against errors part by part: are they right for every size of bar, species, coordination, group?

Strata by the bar itself test consistency, strata by what is known of the input adaptivity (Grasselli et al. 2025,
section 2.4). Axis letters: F frames, A atoms, N values of one quantity, K strata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from assay.evaluation.defined import ends, finite
from assay.evaluation.figures import Stratum
from assay.metrics import FrameBootstrap, equal_count, mean_by
from assay.results.arrays import Array
from assay.results.batch import Batch
from assay.results.error_bars import ErrorBar, Gaussian

BARS, PARTS = 10, 5
"""Strata by the bar, and by a number that is known of the input, such as coordination."""
COVERED = (0.68, 0.95)
Division = tuple[NDArray[np.int64], list[str]]
"""The stratum of each value `(N,)`, and the names of the strata."""


def of_atoms(batch: Batch, neighbours: NDArray[np.int64] | None) -> dict[str, Division]:
    """How to divide atoms: by species, by neighbours `(A,)` where given, by group and by size of the frame."""
    found = {"species": _kinds([chemical_symbols[z] for z in batch.numbers])}
    if neighbours is not None:
        found["coordination"] = _ranges(neighbours)
    frame = batch.frame_of_atom
    return found | {name: (stratum[frame], names) for name, (stratum, names) in of_frames(batch).items()}


def of_frames(batch: Batch) -> dict[str, Division]:
    """How to divide frames: by group and by number of atoms."""
    return {"config_type": _kinds(batch.config_types), "frame_size": _ranges(batch.natoms)}


def by_strata(
    bar: ErrorBar, error: Array, here: NDArray[np.bool_], frame: NDArray[np.int64], divisions: Mapping[str, Division]
) -> dict[str, tuple[Stratum, ...]]:
    """The strata of each division: `bar` (equal counts), `bar_log` (equal ranges of ln σ), and those of the input.

    | argument | meaning | shape |
    |---|---|---|
    | bar, error | of all values | `(...)` |
    | here | which values count | `(...)` |
    | frame | of each value | `(...)` |
    | divisions | stratum of each value, of `error.shape` less its last axes | `(F,)` or `(A,)` |

    Coverage is at 68 and 95 %; intervals are of 95 %, by resampling frames. What divides nothing is left out.
    """
    e, frame = error[here], frame[here]
    size = bar.std[here] if isinstance(bar, Gaussian) else bar.half_width(0.68)[here]
    cover = {level: np.abs(e) <= bar.half_width(level)[here] for level in COVERED}
    z2 = None
    if isinstance(bar, Gaussian):
        with np.errstate(divide="ignore", invalid="ignore"):
            z2 = np.where(e == 0, 0.0, (e / size) ** 2)
    resampled = FrameBootstrap(frame)
    chosen = {"bar": _ranges(size, BARS), "bar_log": _decades(size, BARS)}
    for name, (stratum, names) in divisions.items():
        wide = np.broadcast_to(stratum.reshape(stratum.shape + (1,) * (error.ndim - 1)), error.shape)[here]
        left, k = np.unique(wide, return_inverse=True)
        chosen[name] = k.astype(np.int64), [names[i] for i in left]
    return {
        name: _rows(e, size, z2, cover, frame, division, resampled)
        for name, division in chosen.items()
        if len(division[1]) > 1 or name == "bar"
    }


def _rows(
    e: Array,
    size: Array,
    z2: Array | None,
    cover: Mapping[float, NDArray[np.bool_]],
    frame: NDArray[np.int64],
    division: Division,
    resampled: FrameBootstrap,
) -> tuple[Stratum, ...]:
    k, names = division
    count = np.bincount(k, minlength=len(names))
    frames = np.bincount(np.unique(np.stack([k, frame]), axis=1)[0], minlength=len(names))
    mse, mse_95 = mean_by(e**2, k, resampled)
    inside = {level: mean_by(c.astype(np.float64), k, resampled) for level, c in cover.items()}
    width = np.sqrt(np.bincount(k, size**2) / count) if z2 is not None else np.bincount(k, size) / count
    z, z_95 = np.full(len(names), np.nan), np.full((len(names), 2), np.nan)
    if z2 is not None:
        known = np.bincount(k, ~np.isfinite(z2)) == 0
        z, z_95 = mean_by(np.where(np.isfinite(z2), z2, 0.0), k, resampled)
        z[~known], z_95[~known] = np.nan, np.nan
    return tuple(
        Stratum(
            stratum=name,
            values=int(count[i]),
            frames=int(frames[i]),
            bar=finite(width[i]),
            rmse=float(np.sqrt(mse[i])),
            rmse_95=ends(np.sqrt(mse_95[i])),
            z_mean_square=finite(z[i]),
            z_mean_square_95=ends(z_95[i]),
            coverage={level: float(share[i]) for level, (share, _) in inside.items()},
            coverage_95={level: ends(of[i]) for level, (_, of) in inside.items()},
        )
        for i, name in enumerate(names)
    )


def _kinds(values: Any) -> Division:
    names, stratum = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return stratum.astype(np.int64), names.tolist()


def _ranges(values: NDArray[Any], parts: int = PARTS) -> Division:
    """Strata of about equal count, named by the values that they hold."""
    return _named(values, equal_count(values, parts))


def _decades(values: Array, parts: int) -> Division:
    """Strata of equal width in the logarithm; what is not finite and positive in one of its own."""
    usable = np.isfinite(values) & (values > 0)
    stratum = np.full(values.shape, parts, dtype=np.int64)
    if usable.any():
        x = np.log(values[usable])
        low, reach = x.min(), max(np.ptp(x), 1e-9)
        stratum[usable] = np.minimum((parts * (x - low) / reach).astype(np.int64), parts - 1)
    return _named(values, np.unique(stratum, return_inverse=True)[1].astype(np.int64))


def _named(values: NDArray[Any], stratum: NDArray[np.int64]) -> Division:
    order = np.argsort(stratum, kind="stable")
    starts = np.flatnonzero(np.diff(stratum[order], prepend=-1))
    reach = zip(np.minimum.reduceat(values[order], starts), np.maximum.reduceat(values[order], starts), strict=True)
    return stratum, [f"{low:.3g}" if low == high else f"{low:.3g} – {high:.3g}" for low, high in reach]
