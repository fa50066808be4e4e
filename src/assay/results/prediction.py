"""What a potential says of a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from assay.results.arrays import Array, ReadOnly


@dataclass(frozen=True)
class Prediction(ReadOnly):
    """What a potential says about one frame of A atoms; its arrays are read-only.

    | field | meaning | shape | unit |
    |---|---|---|---|
    | energy | predicted energy; `None` with features only | float | eV |
    | forces | predicted forces; `None` with features only | `(A, 3)` | eV/Å |
    | stress | predicted stress, Voigt xx yy zz yz xz xy; `None` where there is none | `(6,)` | eV/Å³ |
    | energy_members, forces_members, stress_members | predictions of the M members; `None` where there are none, or \
they don't differ in them | `(M,)`, `(M, A, 3)`, `(M, 6)` | |
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

    def member(self, index: int) -> Prediction:
        """What one member says, without the others; what members don't differ in is that of all."""
        energies, forces, stresses = self.energy_members, self.forces_members, self.stress_members
        return Prediction(
            energy=self.energy if energies is None else float(energies[index]),
            forces=self.forces if forces is None else forces[index],
            stress=self.stress if stresses is None else stresses[index],
            features=self.features,
        )

    def only(self, members: slice) -> Prediction:
        """The same with some of the members."""
        energies, forces, stresses = self.energy_members, self.forces_members, self.stress_members
        return replace(
            self,
            energy_members=None if energies is None else energies[members],
            forces_members=None if forces is None else forces[members],
            stress_members=None if stresses is None else stresses[members],
        )
