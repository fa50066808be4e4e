"""What potentials say of frames, checked and as records: dictionaries come from `models/` and from worker processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from assay.results.prediction import Prediction


@dataclass(frozen=True)
class Refused:
    """A potential has no prediction of a frame."""

    reason: str


Results = list[Prediction | Refused]
OPTIONAL = ("stress", "features", "feature_forces")
"""What a potential may say beside energy and forces."""


def checked(results: Sequence[Mapping[str, Any]], frames: Sequence[Atoms]) -> Results:
    """The results of frames; refused are those whose values are not finite or of the wrong shapes.

    All are, where there are fewer or more of them than frames.
    """
    if len(results) != len(frames):
        return [Refused(f"{len(results)} results for {len(frames)} frames")] * len(frames)
    return [_checked(result, len(frame)) for result, frame in zip(results, frames, strict=True)]


def _checked(result: Mapping[str, Any], natoms: int) -> Prediction | Refused:
    if "error" in result:
        return Refused(result["error"])
    if lacking := [key for key in ("energy", "forces") if key not in result]:
        return Refused(f"an answer without {' and '.join(lacking)}")
    shapes = {"energy": (), "forces": (natoms, 3), "stress": (6,)}
    found = {key: shape for key, shape in shapes.items() if key in result}
    if not all(_is_right(result[key], shape) for key, shape in found.items()):
        return Refused("values that are not finite, or of the wrong shape")
    energy = float(result["energy"])
    return Prediction(energy, result["forces"], **{key: result[key] for key in OPTIONAL if key in result})


def _is_right(value: Any, shape: tuple[int, ...]) -> bool:
    try:
        return np.shape(value) == shape and bool(np.isfinite(value).all())
    except (TypeError, ValueError):  # no numbers
        return False
