"""Features of the atoms of one frame, in the cheapest way that a source has."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from assay.frames.frame import FrameError
from assay.results.arrays import Array
from assay.sources.capabilities import HasFeatures, Source


def atom_features(source: Source, atoms: Atoms) -> Array:
    """`(A, D)`; raises `FrameError` where the source has none or one is not finite."""
    features: Array | None
    if isinstance(source, HasFeatures):
        features = source.features(atoms)
    else:
        features = source.predict(atoms).features
    if features is None:
        raise FrameError(f"{source.kind} has no features of atoms; select by score, or at random")
    if not np.isfinite(features).all():
        i, k = np.argwhere(~np.isfinite(features))[0]
        raise FrameError(f"atom {i}: feature {k} is not finite: {features[i, k]}")
    return features
