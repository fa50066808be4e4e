"""What a potential says of a frame."""

from __future__ import annotations

from dataclasses import dataclass

from assay.results.arrays import Array


@dataclass(frozen=True)
class Prediction:
    """What a potential says about one frame of A atoms.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | energy | predicted energy; `None` with features only | float | eV |
    | forces | predicted forces; `None` with features only | `(A, 3)` | eV/Å |
    | stress | predicted stress, Voigt xx yy zz yz xz xy; `None` where there is none | `(6,)` | eV/Å³ |
    | energy_members, forces_members, stress_members | predictions of the M members | `(M,)`, `(M, A, 3)`, `(M, 6)` | |
    | features | per-atom descriptor vectors | `(A, D)` | |
    | feature_forces | `-∂(Σ_i f_id)/∂r` of them, where they were asked for | `(D, A, 3)` | 1/Å |
    """

    energy: float | None = None
    forces: Array | None = None
    stress: Array | None = None
    energy_members: Array | None = None
    forces_members: Array | None = None
    stress_members: Array | None = None
    features: Array | None = None
    feature_forces: Array | None = None
