"""What becomes the error bar: the uncalibrated spread of energy, force and stress, made of a score by its facts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array
from assay.results.batch import NO_PREDICTIONS
from assay.results.per_quantity import PerQuantity, Quantity
from assay.results.prediction import Prediction
from assay.results.score import ScoreFacts
from assay.scores.protocol import FittedScore, OfMembers, WithEnergies

COMPONENTS = {"energy": 1, "force": 3, "stress": 6}
"""Over which the spread of a force score is pooled."""


def bar_spreads(
    score: FittedScore, values: Array, prediction: Prediction, numbers: NDArray[np.int64]
) -> PerQuantity[Array]:
    """The spread of the energy per atom `(1,)`, of force components `(A, 3)` and of the stress `(1, 6)` of one frame.

    Of force components `score / √3`, the same along x, y and z: for `committee_force` that is the root mean square of
    the standard deviations of the components. Energy and stress have the mean over the atoms, unless a score of forces
    has its own of energies (`WithEnergies`) or is a spread of members (`OfMembers`), whose stresses then give the
    standard deviation, pooled over the components of the tensor.

    | argument | meaning | shape |
    |---|---|---|
    | values | of the score | `(A,)` or `(1,)` |
    | prediction | of the frame, with members | |
    | numbers | atomic numbers | `(A,)` |

    Raises `ValueError` without forces.
    """
    if prediction.forces is None:
        raise ValueError(NO_PREDICTIONS)
    atoms = np.broadcast_to(proportional_to_errors(score.facts, values), (len(numbers),))
    mean = np.full(1, np.mean(atoms))
    energy = _of_energy(score, prediction, numbers)
    stress = None if prediction.stress is None else np.full((1, 6), mean)
    tensor = _of_tensor(score, prediction)
    return PerQuantity(mean if energy is None else energy, force_spread(atoms), stress if tensor is None else tensor)


def _of_energy(score: FittedScore, prediction: Prediction, numbers: NDArray[np.int64]) -> Array | None:
    """`(1,)` of the score of energies that belongs to one of forces; `None` without, or without members to read."""
    own = score.of_energy() if isinstance(score, WithEnergies) else None
    if own is None or ("members" in own.facts.reads and prediction.energy_members is None):
        return None
    return proportional_to_errors(own.facts, own.values(prediction, numbers))


def _of_tensor(score: FittedScore, prediction: Prediction) -> Array | None:
    """`(1, 6)` of the members' stresses, where the score is a spread of members and there are some."""
    if prediction.stress_members is None or not isinstance(score, OfMembers):
        return None
    variance = score.variance(prediction.stress_members)
    if variance is None:
        return None
    pooled = (variance[:3].sum() + 2 * variance[3:].sum()) / 9  # xy and yx are one Voigt component
    return np.full((1, 6), np.sqrt(pooled))


def proportional_to_errors(facts: ScoreFacts, values: Array) -> Array:
    """Values as error bars take them: the square root of variances (Grasselli et al., Eq. 14)."""
    return np.asarray(np.sqrt(values) if facts.kind == "variance" else values)


def force_spread(score: Array) -> Array:
    """`(A,)` → `(A, 3)`: the score of a force vector as the same spread of its three components."""
    return np.repeat(score[:, None] / np.sqrt(3.0), 3, axis=1)


def sampled(facts: ScoreFacts, quantity: Quantity, members: int) -> tuple[int | None, int]:
    """M and c of what `assay.calibration.scale.Scale` corrects for: of standard deviations over members alone.

    That of a force is pooled over 3 components, that of a stress over 6. The correction takes members for draws from
    one distribution. Those of `heterogeneous_force` are not: their weights say that they differ, and which ones there
    are is no matter of chance. So α² is ⟨e²/s²⟩ as it comes, with which the held-out bars are right on average.
    """
    if not (members and facts.of_draws):
        return None, 1
    return members, COMPONENTS[quantity] if facts.stands_for == "force" else 1
