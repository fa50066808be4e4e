"""Linear propagation: a property to first order in the coefficients, along the few directions that members differ in.

    a_m = a(Θ*) + Σ_k z_mk ∂a/∂z_k,   σ² = Σ_m (a_m − ā)² / (M − 1)

which is Eq. 29 of Grasselli et al. 2025 (doi:10.1039/d5dd00102a), `σ² = ∇a · Cov · ∇a`, for any property of any
potential with coefficients. Derivatives are central differences in Θ: 2K + 1 evaluations of the property for K
directions, whatever M is.

The directions are principal components of what the members *predict*, not of their coefficients: many combinations of
coefficients differ widely between members and change no prediction. With Z `(M, n)` the predictions of the members less
those of the best fit, `Z = A S Bᵀ` its singular value decomposition, the K directions of the largest singular values
are `d_k = Σ_m A_mk (Θ_m − Θ*)`, and `Θ_m − Θ* ≈ Σ_k A_mk d_k` for all that is predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms

from assay.propagation.methods.resample import given
from assay.propagation.property import YES_OR_NO, NotConverged, Property, Quantities, Quantity, Structures
from assay.propagation.result import PropertyResult, unlike, with_the_best_fit
from assay.results.arrays import Array
from assay.sources.capabilities import HasCoefficients

SHARE = 0.999
"""Of the variance of the members' predictions, in the directions that are kept."""
STEP = 0.5
"""Of the central differences, in standard deviations of the members along a direction."""
CURVED = 0.3
"""Second-order part over the error bar above which a quantity is said not to be linear over the members."""
PROBES = 4
"""Distorted copies of each structure at which members are compared."""
RATTLE, STRAIN = 0.05, 0.01
"""Standard deviations of displacements (Å) and of strains in these copies."""
WIDTH, MOST = 8.0, 64
"""Smaller structures are repeated until their periods have this width (Å), as long as they keep to so many atoms."""


def first_order(
    potential: HasCoefficients,
    property_: Property,
    start: Structures,
    members: Array,
    *,
    share: float = SHARE,
) -> PropertyResult:
    """A property of the best fit and, to first order in its coefficients, of M members.

    Notes say how many directions were taken, and name the quantities for which the second-order parts
    `Σ_k (½ ∂²a/∂z_k² ⟨z_k²⟩)²`, which the same evaluations give, are more than `CURVED²` of the variance. Quantities
    that the best fit or a step of the differences does not give are left out, with a note.

    | symbol | argument | shape |
    |---|---|---|
    | Θ* | `potential.theta` | `(P,)` |
    | a | property_ | |
    | | start: relaxed structures of the best fit, at (and near) which members are compared | |
    | Θ_m | members | `(M, P)` |
    | | share: of the variance of predictions that is kept | |

    Raises
    ------
    ValueError
        the property has no structures, or needs as many evaluations as there are members
    NotConverged
        the best fit gives no quantities, or all fail next to it
    """
    if not start:
        raise ValueError(f"{property_.name} has no structures at which members could be compared: resample it")
    z, directions = principal_directions(potential, start.values(), members, share)
    if 2 * len(directions) + 1 >= len(members):
        raise ValueError(
            f"{property_.name}: {len(members)} members differ in {len(directions)} directions, so that to first order "
            f"it needs {2 * len(directions) + 1} evaluations: resample it"
        )

    def value(theta: Array) -> tuple[Quantities, str]:
        return given(property_, potential.rows.calculator(theta), start)

    best, missing = value(potential.theta)
    best = {name: quantity for name, quantity in best.items() if quantity.unit != YES_OR_NO}
    step = STEP / np.sqrt(len(members))  # A has orthonormal columns: z_k is 1/√M in the root mean square
    plus, minus = (
        [value(potential.theta + sign * step * direction) for direction in directions] for sign in (1.0, -1.0)
    )
    best, lost = _with_all_steps(best, [*plus, *minus])
    slopes, bends = dict[str, Array](), dict[str, Array]()
    for name, quantity in best.items():
        centre = np.asarray(quantity.value)
        up, down = (np.array([found[name].value for found, _ in side]) for side in (plus, minus))
        slopes[name] = (up - down) / (2 * step)
        bends[name] = (up + down - 2 * centre) / step**2 / len(members) / 2
    rows = [
        {name: _changed(quantity, np.tensordot(each, slopes[name], 1)) for name, quantity in best.items()} for each in z
    ]
    curved = [name for name in best if _curved(slopes[name] / np.sqrt(len(members)), bends[name])]
    notes = [f"{len(directions)} directions hold {share:.1%} of the variance of what {len(members)} members predict"]
    notes += with_the_best_fit(missing)
    if lost:
        notes.append(f"left out, as not all potentials next to the best fit give it: {lost}; resample it")
    if curved:
        notes.append(f"not linear over these members: {', '.join(curved)}; resample them")
    return PropertyResult.collect(property_.name, best, rows, notes)


def principal_directions(
    potential: HasCoefficients, structures: Iterable[Atoms], members: Array, share: float = SHARE
) -> tuple[Array, Array]:
    """`z` `(M, K)` and `d` `(K, P)`, `Θ_m − Θ* ≈ Σ_k z_mk d_k` in what is predicted for structures and copies of them
    that are displaced and strained at random, so that curvatures count too.

    Energies per atom, forces and stresses (V σ / N) each have the same total variance.
    """
    rng = np.random.default_rng(0)
    coefficients = np.vstack([potential.theta, members])
    blocks: dict[str, list[Array]] = {"energy": [], "forces": [], "virial": []}
    for structure in structures:
        for probe in _probes(structure, rng):
            said, n = potential.rows.predictions(probe, coefficients), len(probe)
            assert said.energy_members is not None
            assert said.forces_members is not None
            blocks["energy"].append(said.energy_members[:, None] / n)
            blocks["forces"].append(said.forces_members.reshape(len(coefficients), -1))
            if said.stress_members is not None:
                blocks["virial"].append(said.stress_members * probe.get_volume() / n)
    joined = [np.hstack(block) for block in blocks.values() if block]
    deviations = [block[1:] - block[0] for block in joined]
    scaled = [each / (np.linalg.norm(each) or 1.0) for each in deviations]
    left, sizes, _ = np.linalg.svd(np.hstack(scaled), full_matrices=False)
    variance = np.cumsum(sizes**2)
    kept = int(np.searchsorted(variance, share * variance[-1])) + 1
    z = left[:, :kept]
    return z, z.T @ (members - potential.theta)


def _probes(structure: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
    """The structure, and distorted copies of it, repeated where its periods are short."""
    yield structure
    periods = np.where(structure.pbc, np.ceil(WIDTH / np.maximum(structure.cell.lengths(), 1e-9)), 1).astype(int)
    while periods.prod() * len(structure) > MOST and periods.max() > 1:
        periods[periods.argmax()] -= 1
    for _ in range(PROBES):
        probe = structure.repeat(periods)
        if probe.cell.rank == 3:
            strain = STRAIN * rng.standard_normal((3, 3))
            probe.set_cell(probe.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
        probe.positions += RATTLE * rng.standard_normal((len(probe), 3))
        yield probe


def _with_all_steps(best: Quantities, steps: Sequence[tuple[Quantities, str]]) -> tuple[Quantities, str]:
    """The quantities that every step gives like the best fit, and why others are not among them; raises `NotConverged`
    where all are."""
    whys = {
        name: next((why for found, _ in steps if (why := unlike(quantity, found.get(name)))), "")
        for name, quantity in best.items()
    }
    lost = [f"{name} {why}" for name, why in whys.items() if why]
    reason = "; ".join(dict.fromkeys([*lost, *(reason for _, reason in steps if reason)]))
    if len(lost) == len(best):
        raise NotConverged(f"next to the best fit: {reason}")
    return {name: quantity for name, quantity in best.items() if not whys[name]}, reason if lost else ""


def _changed(quantity: Quantity, change: Array) -> Quantity:
    value = quantity.value + change
    return replace(quantity, value=float(value) if np.ndim(value) == 0 else np.asarray(value))


def _curved(slopes: Array, bends: Array) -> bool:
    """Whether second-order parts `(K, …)` are large beside first-order ones, both for `z_k = 1/√M`."""
    return bool(np.linalg.norm(bends) > CURVED * np.linalg.norm(slopes))
