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
    """The results of frames; refused are those whose values are not finite or of the wrong shapes."""
    return [_checked(result, len(frame)) for result, frame in zip(results, frames, strict=True)]


def _checked(result: Mapping[str, Any], natoms: int) -> Prediction | Refused:
    if "error" in result:
        return Refused(result["error"])
    shapes = {"energy": (), "forces": (natoms, 3), "stress": (6,)}
    found = {key: shape for key, shape in shapes.items() if key in result}
    if not all(np.shape(result[key]) == s and np.isfinite(result[key]).all() for key, s in found.items()):
        return Refused("values that are not finite, or of the wrong shape")
    energy = float(result["energy"])
    return Prediction(energy, result["forces"], **{key: result[key] for key in OPTIONAL if key in result})
