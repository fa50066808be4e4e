"""The implicit derivative: stationary points of every member from those of the best fit, without relaxing any.

A stationary point X* of `E(X; Θ*)` moves with the coefficients, since `∂E/∂X (X*(Θ); Θ) = 0` for all Θ:

    dX*/dΘ δΘ = −H⁻¹ (∂²E/∂X∂Θ) δΘ

For a linear potential `∂²E/∂X∂Θ` is minus the force rows (and V times the stress rows for a strain), so one evaluation
of the rows at X* has the right-hand sides of all members; H takes further ones (see `hessian`). Each member m is then
taken to the stationary point of its own second-order expansion, with g_m its gradient at X*:

    X_m = X* − H_m⁻¹ g_m,   E_m = Θ_m·D(X*) − ½ g_m H_m⁻¹ g_m

H_m = H(Θ_m) comes from the same evaluations as H(Θ*) and differs from it in first order of δΘ, so that structures are
right to first order, and energies to second, with either; H_m leaves only the anharmonicity of the member itself.
The signs hold at a saddle point too. Perez et al. 2025, Sec. III.F (doi:10.48550/arXiv.2502.07104); Maliyov, Grigorev,
Swinburne 2024 (doi:10.48550/arXiv.2407.02414).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assay.frames.frame import FrameError
from assay.propagation.methods.hessian import NOISE, SYMMETRIC, TOLERANCE, Coordinates, Hessians, Only, Reduced
from assay.propagation.properties.relaxation import FMAX, SWELLING
from assay.propagation.property import (
    NotConverged,
    OfStationaryPoints,
    Property,
    Quantities,
    State,
    Stationary,
    Structures,
)
from assay.propagation.result import Failed, PropertyResult, with_the_best_fit
from assay.results.arrays import Array
from assay.sources.capabilities import HasCoefficients

FAR = 0.3
"""Gradient that is left at the predicted point, over the gradient at the start, above which a member is too far: its
predicted change is then wrong by about this share."""


@dataclass(frozen=True)
class Response:
    """What C potentials make of one stationary point of the best fit.

    | field | meaning | shape |
    |---|---|---|
    | states | structure and energy, or why there is none | C |
    | strains | logarithm of the cell's deformation: `cell_c = cell exp(ε_c)` | `(C, 3, 3)` |
    | displacement | of the atom that moves most, plus that of a neighbour through the strain, Å | `(C,)` |
    | far | potentials that are too far away for an expansion: see `stationary_states` | `(C,)` |
    """

    states: tuple[State | Failed, ...]
    strains: Array
    displacement: Array
    far: NDArray[np.bool_]

    def trusted(self, c: int) -> State | Failed:
        """The state of one potential, unless it is far."""
        if self.far[c] and isinstance(self.states[c], State):
            return Failed(f"moves by {self.displacement[c]:.2g} Å, too far for an expansion: resample it")
        return self.states[c]


def stationary_states(
    potential: HasCoefficients,
    point: Stationary,
    coefficients: Array,
    *,
    strains: Array | None = None,
    only: Only | None = None,
    tolerance: float = TOLERANCE,
) -> Response:
    """Where a stationary point of the best fit goes with each of C coefficient vectors, to first order, and its energy
    to second order.

    A potential is *far* if its gradient at its predicted structure is more than `FAR` of that at X*. This is tested
    for the one that moves most, and where it fails found by bisection over the others in the order of how far they
    move: those that move as far as one that fails count as far too.

    | symbol | argument | shape |
    |---|---|---|
    | Θ* | `potential.theta`; `point` is stationary for it | |
    | Θ_c | coefficients | `(C, P)` |
    | ε_c | strains: of cells that are prescribed (`point.cell_of`), not free | `(C, 3, 3)` |
    | | only: with strains or displacements alone | |
    | | tolerance: of the linear system, see `hessian.TOLERANCE` | |

    One whose volume would change by more than a factor of `SWELLING` fails, as when it is relaxed. Raises
    `ValueError` for constraints or a free cell without periods, `NotConverged` where the linear system can't
    be solved, and `FrameError` where the potential fails.
    """
    coordinates = Coordinates.free(point.atoms, point.free, only)
    if strains is not None:
        if len(coordinates.strains):
            raise ValueError(f"the cell of {point.atoms.get_chemical_formula()} is both free and another's")
        coordinates = replace(coordinates, strains=SYMMETRIC)
    count, n = len(coefficients), coordinates.size
    if n == 0:
        energies = potential.rows.predictions(point.atoms, coefficients).energy_members
        assert energies is not None
        unmoved = tuple(State(point.atoms.copy(), float(energy)) for energy in energies)
        return Response(unmoved, np.zeros((count, 3, 3)), np.zeros(count), np.zeros(count, dtype=bool))

    hessians = Hessians(coordinates, potential, np.vstack([potential.theta, coefficients]))
    at_best, energies_at_best = coordinates.gradients(potential, np.zeros(n), hessians.coefficients)
    gradient, energy = at_best[1:], energies_at_best[1:]
    fixed, q = coordinates.rigid, np.zeros((count, n))
    if strains is not None:  # E += g p + ½ p H p, and g += H p, of the strains p that are prescribed
        fixed = np.hstack([fixed, np.eye(n)[:, : len(SYMMETRIC)]])
        q = coordinates.of_strain(strains)
        images = _images(hessians, q)
        energy = energy + np.einsum("cn,cn->c", q, gradient + 0.5 * images)
        gradient = gradient + images
    right = -(gradient - gradient @ fixed @ fixed.T)
    reduced = Reduced.spanning(hessians, right, fixed, tolerance)
    b, h = right @ reduced.basis, reduced.hessians[1:]
    x = np.linalg.solve(h, b[..., None])[..., 0]
    energy = energy - 0.5 * np.einsum("cr,cr->c", b, x)
    q = q + x @ reduced.basis.T
    negative = reduced.negative()
    growth = np.array([np.trace(coordinates.strain(each)) for each in q])  # ln(V_c / V*)
    swollen = np.abs(growth) > np.log(SWELLING)

    def state(c: int) -> State | Failed:
        if negative[c + 1] != negative[0]:
            return Failed(_other(negative[c + 1], negative[0]))
        if swollen[c]:
            return Failed(f"the logarithm of the volume changed by {growth[c]:+.1f}")
        return State(coordinates.moved(q[c]), float(energy[c]))

    states = tuple(map(state, range(count)))
    displacement = np.array([coordinates.reach(each) for each in q])
    far = _far(coordinates, potential, coefficients, q, displacement, swollen, right, fixed)
    return Response(states, np.array([coordinates.strain(each) for each in q]), displacement, far)


def _images(hessians: Hessians, q: Array) -> Array:
    """`H_c q_c`, `(C, n)`, of vectors `(C, n)` that span few directions."""
    left, sizes, directions = np.linalg.svd(q, full_matrices=False)
    images = np.zeros_like(q)
    for k in np.flatnonzero(sizes > 1e-9 * np.sqrt(len(q))):
        images += (left[:, k] * sizes[k])[:, None] * (hessians @ directions[k])[1:]
    return images


def _far(
    coordinates: Coordinates,
    potential: HasCoefficients,
    coefficients: Array,
    q: Array,
    displacement: Array,
    swollen: NDArray[np.bool_],
    right: Array,
    fixed: Array,
) -> NDArray[np.bool_]:
    """Which potentials move as far as one whose gradient does not vanish to first order, `(C,)`; swollen ones fail
    without a look: atoms that are out of reach of each other have no gradient, and collapsed ones too many neighbours.
    """
    floor = max(NOISE, FMAX) * np.sqrt(len(coordinates.atoms))

    def fails(c: int) -> bool:
        if swollen[c]:
            return True
        try:
            left = coordinates.gradients(potential, q[c], coefficients[c : c + 1])[0][0]
        except FrameError:
            return True
        left = left - fixed @ (fixed.T @ left)
        return bool(np.linalg.norm(left) > FAR * max(float(np.linalg.norm(right[c])), floor))

    order = np.argsort(displacement)
    good, bad = -1, len(order)  # places in this order: the last that is known to hold, the first that fails
    if fails(order[-1]):
        bad = len(order) - 1
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (good, middle) if fails(order[middle]) else (middle, bad)
    far = np.zeros(len(order), dtype=bool)
    far[order[bad:]] = True
    return far


def _other(found: int, expected: int) -> str:
    return f"{found} negative curvatures at the stationary point, where the best fit has {expected}"


class AtStationaryPoints(Property, OfStationaryPoints, Protocol):
    """A property that the implicit derivative serves for."""


def implicit(
    potential: HasCoefficients,
    property_: AtStationaryPoints,
    start: Structures,
    members: Array,
    *,
    only: Only | None = None,
    tolerance: float = TOLERANCE,
) -> PropertyResult:
    """A property of the best fit and of M members through the implicit derivative of its stationary points.

    Members that are far (see `stationary_states`) count as failed: what an expansion says of them may be anything.

    | argument | meaning | shape |
    |---|---|---|
    | start | relaxed structures of the best fit, from `property_.start` | |
    | members | coefficients | `(M, P)` |
    | only, tolerance | as in `stationary_states` | |

    Raises `ValueError` for a property that does not follow from stationary points, and what `stationary_states` does.
    """
    if not isinstance(property_, OfStationaryPoints):
        raise ValueError(f"{property_.name} does not follow from stationary points alone: resample it")
    points = property_.stationary(start)
    coefficients = np.vstack([potential.theta, members])
    responses: dict[str, Response] = {}

    def respond(name: str) -> Response:
        if name not in responses:
            point = points[name]
            strains = respond(point.cell_of).strains if point.cell_of is not None else None
            responses[name] = stationary_states(
                potential, point, coefficients, strains=strains, only=only, tolerance=tolerance
            )
        return responses[name]

    for name in points:
        respond(name)
    best, *others = (
        _of_states(property_, {name: response.trusted(c) for name, response in responses.items()})
        for c in range(len(coefficients))
    )
    if not isinstance(best, Failed):
        return PropertyResult.collect(property_.name, best, others)
    if not best.quantities:
        raise NotConverged(f"{property_.name}: {best.reason}")
    return PropertyResult.collect(property_.name, best.quantities, others, with_the_best_fit(best.reason))


def _of_states(property_: AtStationaryPoints, states: Mapping[str, State | Failed]) -> Quantities | Failed:
    """All numbers, or those that need no structure that failed, with the reasons."""
    found = {name: state for name, state in states.items() if isinstance(state, State)}
    reasons = [f"{name}: {state.reason}" for name, state in states.items() if isinstance(state, Failed)]
    try:
        quantities = property_.of_states(found)
    except NotConverged as error:
        return Failed("; ".join([*reasons, str(error)]), error.partial)
    except KeyError:  # every number needs a structure that failed
        if not reasons:
            raise
        quantities = {}
    return Failed("; ".join(reasons), quantities) if reasons else quantities
