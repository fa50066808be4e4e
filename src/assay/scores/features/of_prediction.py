"""Extrapolation grade γ: how far a feature vector is from the active set of its species.

`γ_i = max_j |c_ij|` with `f_iᵀ = c_iᵀ A`, where the D rows of A are the training environments whose determinant is
the largest that MaxVol finds (Podryabinkin and Shapeev 2017, doi:10.1016/j.commatsci.2017.08.031; Lysogorskiy et al.
2023, doi:10.1103/PhysRevMaterials.7.043801). γ > 1 is extrapolation."""

from __future__ import annotations

from assay.results.arrays import Array
from assay.results.prediction import Prediction


def features_of(prediction: Prediction, name: str) -> Array:
    """The features; raises `ValueError` where the source has none."""
    if prediction.features is None:
        raise ValueError(f"{name} needs per-atom features, which this source does not have")
    return prediction.features
