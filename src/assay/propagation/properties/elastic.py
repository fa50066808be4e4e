"""Elastic constants of crystals, ions relaxed, and the moduli of their polycrystals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.spacegroup.symmetrize import check_symmetry
from scipy.linalg import LinAlgError, solve

from assay.propagation.properties.attempts import Attempts
from assay.propagation.properties.options import require_known, spelled
from assay.propagation.properties.prototypes import structure
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.properties.same_crystal import relaxed_crystal
from assay.propagation.property import YES_OR_NO, NotConverged, Quantities, Quantity, Structures
from assay.results.arrays import Array

STRAIN = 2e-3
"""Strains are −STRAIN, 0 and STRAIN: the slope has no error of second order."""
FMAX = 1e-4
"""eV/Å, of ions in a strained cell."""
SYMPREC = 1e-2
"""Å, within which a structure as given is symmetric."""

SYSTEMS: Mapping[str, tuple[int, str]] = {
    "triclinic": (15, "11 12 13 14 15 16 22 23 24 25 26 33 34 35 36 44 45 46 55 56 66"),
    "orthorhombic": (74, "11 12 13 22 23 33 44 55 66"),
    "tetragonal_low": (88, "11 12 13 16 33 44 66"),
    "tetragonal_high": (142, "11 12 13 33 44 66"),
    "trigonal_low": (148, "11 12 13 14 15 33 44"),
    "trigonal_high": (167, "11 12 13 14 33 44"),
    "hexagonal": (194, "11 12 13 33 44"),
    "cubic": (230, "11 12 44"),
}
"""Laue class as matscipy names it → its last space group, and its independent constants; monoclinic crystals count as
triclinic. Nye, Physical Properties of Crystals, 1957."""


@dataclass(frozen=True)
class Crystal:
    """A structure in the standard orientation of its symmetry, and the Laue class that this is."""

    label: str
    atoms: Atoms
    system: str


@dataclass(frozen=True)
class Elastic:
    """Elastic constants `C_ij = ∂σ_i/∂ε_j` (Voigt, GPa) of crystals relaxed in cell and positions.

    The independent ones of the Laue class, in spglib's standard orientation: cubic, tetragonal and orthorhombic axes
    along x, y, z; hexagonal and trigonal a along x, c along z. Ions relax in each strained cell. From them, the
    moduli of a polycrystal without texture: see `averages`; of a cubic one there is one bulk modulus. `… mechanically
    stable` is 1 or 0. A structure that relaxes into another one is not converged.
    """

    name: str
    crystals: tuple[Crystal, ...]

    def __post_init__(self) -> None:
        labels = [c.label for c in self.crystals]
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"needs one structure or more, of different names, such as bcc; got {labels}")

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Self:
        """Structures by name or file; the option `element`."""
        require_known(options, "element")
        named = (structure(word, options, species) for word in words)
        return cls(spelled("elastic", words, options), tuple(Crystal(s.label, *standard(s.atoms)) for s in named))

    def start(self, calculator: Calculator) -> Structures:
        attempts, found = Attempts(), dict[str, Atoms]()
        for c in self.crystals:
            with attempts:
                found[c.label] = relaxed_crystal(c.atoms, calculator, c.atoms, c.label).atoms
        return attempts.structures(found)

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        attempts, found = Attempts(), dict[str, Quantity]()
        for c in self.crystals:
            if c.label in start:
                with attempts:
                    self._add(found, c, relaxed_crystal(start[c.label], calculator, c.atoms, c.label).atoms, calculator)
        return attempts.quantities(found)

    def _add(self, found: dict[str, Quantity], c: Crystal, atoms: Atoms, calculator: Calculator) -> None:
        constants = elastic_constants(atoms, calculator, c.system, c.label)
        for ij in SYSTEMS[c.system][1].split():
            found[f"{c.label} C{ij}"] = Quantity(float(constants[int(ij[0]) - 1, int(ij[1]) - 1]), "GPa")
        means = averages(constants)
        if c.system == "cubic":  # the bulk moduli of Voigt and Reuss are the same
            means = {"bulk modulus": means["bulk modulus (Hill)"]} | {k: v for k, v in means.items() if "bulk" not in k}
        for name, value in means.items():
            found[f"{c.label} {name}"] = Quantity(value, "" if "Poisson" in name else "GPa")
        found[f"{c.label} mechanically stable"] = Quantity(float(mechanically_stable(constants)), YES_OR_NO)


def standard(atoms: Atoms) -> tuple[Atoms, str]:
    """The structure rotated to the standard orientation of its space group, and its Laue class as in `SYSTEMS`.

    Raises ModuleNotFoundError without spglib, ValueError where it finds no symmetry.
    """
    try:
        import spglib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('elastic constants need spglib: pip install "assay[properties]"') from error
    try:
        found = check_symmetry(atoms, symprec=SYMPREC)
    except Exception as error:  # spglib's own errors have no name in its older versions
        raise ValueError(f"{atoms.get_chemical_formula()}: spglib finds no space group: {error}") from error
    system = next(name for name, (last, _) in SYSTEMS.items() if found.number <= last)
    rotation = np.asarray(found.std_rotation_matrix)
    rotated = Atoms(atoms.numbers, atoms.positions @ rotation.T, cell=atoms.cell.array @ rotation.T, pbc=True)
    return rotated, system


def elastic_constants(atoms: Atoms, calculator: Calculator, system: str = "triclinic", label: str = "") -> Array:
    """`C_ij = ∂σ_i/∂ε_j`, Voigt order xx yy zz yz xz xy, `(6, 6)`, GPa.

    The slopes of the stress in cells strained by `±STRAIN`, ions relaxed in each, along the strains that the symmetry
    asks for (matscipy). Trigonal crystals are strained in all six ways: matscipy 1.3 would strain them by ε1 and ε4
    at once and read C11 off σ1, to which C14 ε4 contributes.

    | argument | meaning |
    |---|---|
    | atoms | relaxed in cell and positions, in the standard orientation of `system` |
    | system | Laue class, a key of `SYSTEMS`; "triclinic" serves for any structure and orientation |
    | label | what messages call the structure; by default its formula |

    Raises `NotConverged` where ions do not relax, `ModuleNotFoundError` without matscipy.
    """
    elasticity = _elasticity()
    reference = atoms.copy()
    reference.calc = None
    symmetry = "triclinic" if system.startswith("trigonal") else system
    steps = {"symmetry": symmetry, "N_steps": 3, "delta": STRAIN}
    strained = []
    for cell in elasticity.generate_strained_configs(reference, **steps):
        ions = relaxed(cell, calculator, "positions", fmax=FMAX, label=label).atoms
        ions.calc = calculator
        ions.calc = SinglePointCalculator(ions, stress=ions.get_stress())
        strained.append(ions)
    constants, _ = elasticity.fit_elastic_constants(strained, **steps, verbose=False, graphics=False)
    return np.asarray(constants / units.GPa, dtype=np.float64)


def averages(constants: Array) -> dict[str, float]:
    """Voigt's and Reuss's bounds of bulk and shear modulus of a polycrystal and Hill's means of them, GPa.

    With `C` the constants and `S = C⁻¹`,

        9 K_V = C11 + C22 + C33 + 2 (C12 + C13 + C23)
        15 G_V = C11 + C22 + C33 − (C12 + C13 + C23) + 3 (C44 + C55 + C66)
        1 / K_R = S11 + S22 + S33 + 2 (S12 + S13 + S23)
        15 / G_R = 4 (S11 + S22 + S33) − 4 (S12 + S13 + S23) + 3 (S44 + S55 + S66)

    and Young's modulus `9 K G / (3 K + G)` and Poisson's ratio `(3 K − 2 G) / (6 K + 2 G)` of Hill's means.
    Hill 1952, doi:10.1088/0370-1298/65/5/307. Raises `NotConverged` where C is singular.
    """
    try:
        compliances = solve(constants, np.eye(6))
    except LinAlgError as error:
        raise NotConverged("the elastic constants are singular") from error
    (c, c_off, c_shear), (s, s_off, s_shear) = _sums(constants), _sums(compliances)
    voigt = {"bulk": (c + 2 * c_off) / 9, "shear": (c - c_off + 3 * c_shear) / 15}
    reuss = {"bulk": 1 / (s + 2 * s_off), "shear": 15 / (4 * s - 4 * s_off + 3 * s_shear)}
    k, g = ((voigt[kind] + reuss[kind]) / 2 for kind in ("bulk", "shear"))
    return {
        "bulk modulus (Voigt)": voigt["bulk"],
        "bulk modulus (Reuss)": reuss["bulk"],
        "bulk modulus (Hill)": k,
        "shear modulus (Voigt)": voigt["shear"],
        "shear modulus (Reuss)": reuss["shear"],
        "shear modulus (Hill)": g,
        "Young's modulus": 9 * k * g / (3 * k + g),
        "Poisson's ratio": (3 * k - 2 * g) / (6 * k + 2 * g),
    }


def mechanically_stable(constants: Array) -> bool:
    """Whether every strain costs energy, `εᵀ C ε > 0`: all eigenvalues of C `(6, 6)`, made symmetric, are positive.

    Born's criterion: Mouhat & Coudert 2014, doi:10.1103/PhysRevB.90.224104.
    """
    return bool(np.linalg.eigvalsh(constants + constants.T).min() > 0)


def _sums(m: Array) -> tuple[float, float, float]:
    normal = float(np.trace(m[:3, :3]))
    return normal, float(m[:3, :3].sum() - normal) / 2, float(np.trace(m[3:, 3:]))


def _elasticity() -> Any:
    try:
        from matscipy import elasticity
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('elastic constants need matscipy: pip install "assay[properties]"') from error
    return elasticity
