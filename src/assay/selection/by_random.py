"""A random choice: the control that every other technique has to beat."""

from __future__ import annotations

import numpy as np

from assay.scores.d_optimality.exchange import Indices


def at_random(size: int, n: int, *, rng: np.random.Generator) -> Indices:
    """n of `size` things, each as likely as any other and none twice; all of them, shuffled, where n is more."""
    return rng.permutation(size)[:n]
