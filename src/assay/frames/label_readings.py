"""What labels may be instead of what they should be: units, signs, orders of components, each with its name.

A reading undoes the mistake: `read(label)` is in eV, eV/Å or eV/Å³, with ASE's sign and order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import units

from assay.metrics.contradiction import LARGE, Contradiction, contradiction, losses, scale_of
from assay.results.arrays import Array
from assay.results.label_finding import LabelFinding
from assay.results.per_quantity import Quantity

HARTREE, BOHR = float(units.Hartree), float(units.Bohr)
KCAL, KJ = float(units.kcal / units.mol), float(units.kJ / units.mol)
GPA = float(units.GPa)

FORCES = {
    "with the opposite sign, as gradients of the energy have": -1.0,
    "in Ha/Bohr": HARTREE / BOHR,
    "in Ha/Bohr with the opposite sign, as gradients of the energy have": -HARTREE / BOHR,
    "in kcal/mol/Å": KCAL,
    "in kJ/mol/Å": KJ,
    "in kcal/mol/Å with the opposite sign, as gradients of the energy have": -KCAL,
    "in Ha/Å": HARTREE,
    "in Ry/Bohr": HARTREE / BOHR / 2,
    "in meV/Å": 1e-3,
}
"""eV/Å of one unit of the label."""
ENERGIES = {
    "in Ha": HARTREE,
    "in kcal/mol": KCAL,
    "in Ry": HARTREE / 2,
    "in kJ/mol": KJ,
    "with the opposite sign": -1.0,
}
"""eV of one unit of the label."""
COMMON_FORCES, COMMON_ENERGIES = tuple(FORCES)[:4], tuple(ENERGIES)[:3]
STRESSES = {
    "with the opposite sign, as VASP's has": -1.0,
    "in GPa": GPA,
    "in GPa with the opposite sign, as VASP's": -GPA,
    "in kbar": GPA / 10,
    "in kbar with the opposite sign, as VASP's": -GPA / 10,
    "in Ha/Bohr³": HARTREE / BOHR**3,
    "in Ha/Bohr³ with the opposite sign": -HARTREE / BOHR**3,
    "in meV/Å³": 1e-3,
}
"""eV/Å³ of one unit of the label."""
VIRIAL = "as a virial (eV, -stress times volume)"
TIMES_VOLUME = "as a stress times the volume (eV)"
ORDERS = {
    "": (0, 1, 2, 3, 4, 5),
    "in the order xx yy zz xy yz zx, as VASP's": (0, 1, 2, 4, 5, 3),
    "in the order xx yy zz xy xz yz, as LAMMPS's": (0, 1, 2, 5, 4, 3),
    "in the order xx xy xz yy yz zz": (0, 3, 5, 4, 2, 1),
}
"""Where the components xx yy zz yz xz xy stand in the label."""
PER_ATOM = "per atom, not of the frame"


NOUNS: dict[Quantity, str] = {"energy": "energies", "force": "forces", "stress": "stresses"}
REMEDIES: dict[Quantity, str] = {
    "energy": "Energies are needed as total energies of the frames, in eV: convert them, or name the right ones with "
    "--energy-key",
    "force": "Forces are needed in eV/Å, minus the gradient of the energy: convert them, or name the right ones with "
    "--forces-key",
    "stress": "Stresses are needed in eV/Å³, positive in tension as ASE's, in the order of components "
    "xx yy zz yz xz xy: convert them, or leave them out with --stress-key none",
}
"""What to do about labels of another convention."""
NOTHING = Contradiction(1.0, 0.0, 1.0, 0)
"""Where nothing else is asked."""
Confirmed = Callable[[Array, Array, slice], Contradiction | None]


@dataclass(frozen=True)
class StressReading:
    """A factor to eV/Å³, or of values over the volume its sign, and where the components stand."""

    name: str
    factor: float
    over_volume: bool = False
    order: tuple[int, ...] = ORDERS[""]

    def read(self, stress: Array, volume: Array) -> Array:
        """Labels `(F, 6)` and volumes `(F,)` Å³ as eV/Å³."""
        divided = stress / volume[:, None] if self.over_volume else stress
        return np.asarray(self.factor * divided[:, list(self.order)])


SCALES = (
    StressReading("", 1.0),
    *(StressReading(name, factor) for name, factor in STRESSES.items()),
    StressReading(VIRIAL, -1.0, True),
    StressReading(TIMES_VOLUME, 1.0, True),
)
NORMAL, SHEAR, ALL = slice(0, 3), slice(3, 6), slice(0, 6)
ALIKE = 1.2
"""Times the loss of the nearest reading, up to which others are named beside it."""
SMALL_SHEAR = 0.02
"""Times the size of the normal components, up to which shears say nothing."""


def _always(plain: Array, other: Array, part: slice) -> Contradiction | None:
    return NOTHING


def stress_contradiction(
    stress: Array, predicted: Array, volume: Array, confirmed: Confirmed = _always
) -> tuple[str, Contradiction] | None:
    """How stresses have to be read to agree with what is predicted: their scale, their order, or both; `None` if as
    they are.

    | argument | meaning | shape |
    |---|---|---|
    | stress, predicted | labels, and what others say | `(F, 6)`, eV/Å³ if they are right |
    | volume | of the cells | `(F,)` Å³ |
    | confirmed | whether, in these components, a reading is nearer than stresses as they are by other means too | |
    """
    normal = _nearest(stress, predicted, volume, SCALES, NORMAL, confirmed)
    scale, held = normal or (SCALES[0], None)
    orders = [replace(scale, name=name, order=order) for name, order in ORDERS.items()]
    read = scale.read(stress, volume)
    if normal is None and (found := _nearest(stress, predicted, volume, (orders[0], orders[3]), ALL, confirmed)):
        return found[0].name, found[1]
    shear = scale_of(read[:, SHEAR]) > SMALL_SHEAR * scale_of(read[:, NORMAL])
    order = _nearest(stress, predicted, volume, orders[:3], SHEAR, confirmed) if shear else None
    names = [each.name for each in (scale, *((order[0],) if order else ())) if each.name]
    held = held or (order[1] if order else None)
    return None if held is None else (", and ".join(names), held)


def nearest(as_is: Array, read: Mapping[str, Array]) -> tuple[str, Contradiction] | None:
    """Of readings whose losses `(F,)` contradict those of values as they are, the name of the nearest, if any."""
    found = [(name, held) for name, loss in read.items() if (held := contradiction(as_is, loss)) is not None]
    return min(found, key=lambda each: each[1].other, default=None)


def _nearest(
    stress: Array, predicted: Array, volume: Array, readings: Sequence[StressReading], part: slice, confirmed: Confirmed
) -> tuple[StressReading, Contradiction] | None:
    """The reading that contradicts the first, which is as they are, and is nearest; `None` if none does."""

    def loss(values: Array) -> Array:
        return losses(values[:, part], predicted[:, part])

    plain, *others = (each.read(stress, volume) for each in readings)
    as_is = loss(plain)
    if not np.nanmedian(as_is) >= LARGE:
        return None
    found = [
        (reading, held, values)
        for reading, values in zip(readings[1:], others, strict=True)
        if (held := contradiction(as_is, loss(values))) is not None
    ]
    found = sorted(found, key=lambda each: each[1].other)[:3]
    for reading, held, values in found:
        if confirmed(plain, values, part) is not None:
            near = [each.name for each, other, _ in found if other.other <= ALIKE * held.other and each is not reading]
            return replace(reading, name=" or ".join((reading.name, *near))), held
    return None


def finding(quantity: Quantity, cause: str, held: Contradiction, whose: str, others: str) -> LabelFinding:
    """Labels of these frames that contradict others, and agree with them when they are read otherwise."""
    noun = NOUNS[quantity]
    read = cause if cause.startswith(noun) else f"{noun} {cause}"
    said = f"{noun} of the {whose} contradict {others}, and agree with them when read as {read} "
    said += f"(disagreement {held.as_is:.2f} as they are, {held.other:.2f} when read so, on {held.frames} frames)"
    return LabelFinding(quantity, cause, said, REMEDIES[quantity], held.figures())
