"""Evaluate the members of a committee once: one member at a time, in batches, and keep what they say.

Only `record` keeps anything; evaluations of a run of molecular dynamics would fill the disk for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

if TYPE_CHECKING:
    pass


Results = list[dict[str, Any]]


def refused(results: Results, frames: list[Atoms]) -> Results:
    """The results, with an error for those whose values are not finite or of the wrong shapes."""
    for result, frame in zip(results, frames, strict=True):
        shapes = {"energy": (), "forces": (len(frame), 3), "stress": (6,)}
        found = {key: shape for key, shape in shapes.items() if key in result}
        if not all(np.shape(result[key]) == s and np.isfinite(result[key]).all() for key, s in found.items()):
            result.setdefault("error", "values that are not finite, or of the wrong shape")
    return results
