"""Phonons of a crystal: dispersion along the standard path, and density of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.geometry import minkowski_reduce

from assay.propagation.properties.options import count, length, require_known, spelled, the_structure
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged, Quantities, Quantity, Structures
from assay.results.arrays import Array

SYMPREC = 1e-3
"""Å: what counts as symmetric."""
FELT = 1e-3
"""The share of the largest force on other atoms that still counts as felt, when one atom moves."""
LARGEST = 800
"""Atoms of a supercell that is found by itself."""
POINTS_PER_INVERSE = 30.0
"""Points of the dispersion for each 1/Å of the path (with 2π)."""
IMAGINARY = -0.05
"""THz: a frequency below is counted as imaginary, not as noise around zero."""
CRYSTAL, SUPERCELL, TOP = "crystal", "supercell", "highest_frequency"


@dataclass(frozen=True)
class Phonons:
    """Harmonic frequencies ν_s(q) of the crystal, relaxed with each potential, by finite displacements (phonopy).

    D(q) e = (2πν)² e with the dynamical matrix D of the force constants of a supercell; imaginary ν count as negative.

    | field | meaning |
    |---|---|
    | name | as the user wrote it |
    | structure | not relaxed |
    | mesh | points along each reciprocal axis for the density of states |
    | displacement | of an atom, Å |
    | size | repeats of the reduced primitive cell; 0: as the potential's range demands |

    The best fit sets what all potentials share: the primitive cell, the path (Hinuma et al. 2017,
    doi:10.1016/j.commatsci.2016.10.015, by seekpath) in units of the reciprocal cell, the abscissae, and the supercell.
    Its images of an atom are twice as far apart as the atoms that feel a displacement of that one: that is the range
    of the force constants, up to twice the cut-off of a many-body potential. No long-range (non-analytical) part.
    """

    name: str
    structure: Atoms
    mesh: int = 24
    displacement: float = 0.01
    size: int = 0

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Self:
        """Of `phonons[:STRUCTURE][,mesh=24][,displacement=0.01][,size=6][,element=W]`."""
        require_known(options, "mesh", "displacement", "size", "element")
        return cls(
            spelled("phonons", words, options),
            the_structure(words, options, species).atoms,
            count(options, "mesh", cls.mesh),
            length(options, "displacement", cls.displacement),
            count(options, "size", 1) if "size" in options else 0,
        )

    def start(self, calculator: Calculator) -> Structures:
        """The primitive cell, and its supercell with the best fit's highest frequency (THz) as array."""
        crystal = _primitive(relaxed(self.structure, calculator, "cell").atoms)
        if self.size:
            repeats = (self.size,) * 3
        else:
            repeats = repeats_apart(crystal, 2 * reach(crystal, calculator, self.displacement))
        phonopy = self._phonopy(crystal, repeats, calculator)
        _, frequencies = _mesh(phonopy, self.mesh)
        supercell = crystal.repeat(repeats)
        supercell.set_array(TOP, np.full(len(supercell), frequencies.max()))
        return {CRYSTAL: crystal, SUPERCELL: supercell}

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        """`branch 1` (lowest) … `branch 3n` (THz, along the path), `density of states`, `highest frequency` and
        `imaginary modes` (their share of all)."""
        reference = start[CRYSTAL]
        ratio = start[SUPERCELL].cell.lengths() / reference.cell.lengths()
        phonopy = self._phonopy(relaxed(reference, calculator, "cell").atoms, tuple(np.rint(ratio)), calculator)
        x, points, ticks = path(reference)
        phonopy.run_qpoints(points)
        branches = phonopy.qpoints.frequencies.T
        weights, frequencies = _mesh(phonopy, self.mesh)
        top = float(start[SUPERCELL].get_array(TOP)[0])
        grid = np.linspace(-top / 2, 1.5 * top, 401)
        phonopy.run_total_dos(freq_min=grid[0], freq_max=grid[-1], freq_pitch=grid[1] - grid[0])
        per_atom = np.interp(grid, phonopy.total_dos.frequency_points, phonopy.total_dos.dos) / len(reference)
        imaginary = np.average((frequencies < IMAGINARY).mean(axis=1), weights=weights)
        return {
            **{
                f"branch {number}": Quantity(np.array(branch), "THz", x, "wave vector (1/Å)", ticks)
                for number, branch in enumerate(branches, 1)
            },
            "density of states": Quantity(per_atom, "1/THz/atom", grid, "frequency (THz)"),
            "highest frequency": Quantity(float(frequencies.max()), "THz"),
            "imaginary modes": Quantity(float(imaginary), ""),
        }

    def _phonopy(self, crystal: Atoms, repeats: Sequence[int], calculator: Calculator) -> Any:
        """phonopy's object with force constants of one potential."""
        phonopy, phonopy_atoms, _, _ = _import()
        cell = phonopy_atoms(
            symbols=crystal.get_chemical_symbols(),
            cell=crystal.cell.array,
            scaled_positions=crystal.get_scaled_positions(),
            masses=crystal.get_masses(),
        )
        phonons = phonopy(cell, np.diag(np.rint(repeats).astype(int)), primitive_matrix=np.eye(3), symprec=SYMPREC)
        phonons.generate_displacements(distance=self.displacement)
        phonons.forces = [
            _forces(Atoms(each.numbers, cell=each.cell, scaled_positions=each.scaled_positions, pbc=True), calculator)
            for each in phonons.supercells_with_displacements
        ]
        phonons.produce_force_constants()
        phonons.symmetrize_force_constants()
        return phonons


def path(crystal: Atoms) -> tuple[Array, Array, tuple[tuple[float, str], ...]]:
    """Abscissae (1/Å, with 2π), wave vectors `(n, 3)` in units of the reciprocal cell, and marked points of the path.

    Where the path jumps, two points have the same abscissa and share a mark, such as `U|K`.
    """
    _, _, seekpath, _ = _import()
    found = seekpath.get_path_orig_cell(
        (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers), symprec=SYMPREC
    )
    reciprocal = 2 * np.pi * crystal.cell.reciprocal().array
    abscissae, points, at = [], [], 0.0
    ticks: list[tuple[float, str]] = []
    for begin, end in found["path"]:
        first, last = (np.array(found["point_coords"][label]) for label in (begin, end))
        distance = float(np.linalg.norm((last - first) @ reciprocal))
        share = np.linspace(0, 1, max(2, round(POINTS_PER_INVERSE * distance)))
        abscissae.append(at + share * distance)
        points.append(first + share[:, None] * (last - first))
        if ticks and ticks[-1][1] != _sign(begin):
            ticks[-1] = (at, f"{ticks[-1][1]}|{_sign(begin)}")
        elif not ticks:
            ticks.append((at, _sign(begin)))
        at += distance
        ticks.append((at, _sign(end)))
    return np.concatenate(abscissae), np.concatenate(points), tuple(ticks)


def reach(crystal: Atoms, calculator: Calculator, displacement: float) -> float:
    """Å: how far away an atom still feels (more than 0.001 of what the nearest feel) that another one moves.

    The supercell grows until the answer fits in.
    """
    apart = 12.0
    while True:
        supercell = crystal.repeat(repeats_apart(crystal, apart))
        at_rest, farthest = _forces(supercell, calculator), 0.0
        for atom in range(len(crystal)):
            moved = supercell.copy()
            moved.positions[atom] += displacement * np.array([0.8, 0.5, 0.33])  # along no axis of symmetry
            felt = np.linalg.norm(_forces(moved, calculator) - at_rest, axis=1)
            felt[atom] = 0.0
            distances = supercell.get_distances(atom, range(len(supercell)), mic=True)
            farthest = max(farthest, float(distances[felt > FELT * felt.max()].max()))
        if 2 * farthest < apart or len(supercell) > LARGEST:
            return min(farthest, apart / 2)
        apart *= 1.5


def repeats_apart(crystal: Atoms, apart: float) -> tuple[int, int, int]:
    """How often to repeat the cell so that all images of an atom are at least `apart` (Å) away."""
    repeats = np.ceil(apart / crystal.cell.lengths())
    while np.linalg.norm(minkowski_reduce(crystal.cell.array * repeats[:, None])[0], axis=1).min() < apart:
        repeats += 1
    a, b, c = (int(number) for number in repeats)
    return a, b, c


def _primitive(atoms: Atoms) -> Atoms:
    """The primitive cell with its shortest vectors, not turned."""
    _, _, _, spglib = _import()
    lattice, positions, numbers = spglib.standardize_cell(
        (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers),
        to_primitive=True,
        no_idealize=True,
        symprec=SYMPREC,
    )
    primitive = Atoms(numbers, cell=lattice, scaled_positions=positions, pbc=True)
    primitive.set_cell(minkowski_reduce(lattice)[0], scale_atoms=False)
    primitive.wrap()
    return primitive


def _mesh(phonons: Any, mesh: int) -> tuple[Array, Array]:
    """Weights (q) and frequencies (q, 3n) on a mesh of wave vectors."""
    phonons.run_mesh([mesh] * 3, is_gamma_center=True)
    return phonons.mesh.weights, phonons.mesh.frequencies


def _forces(atoms: Atoms, calculator: Calculator) -> Array:
    forces: Array = calculator.get_forces(atoms)
    if not np.isfinite(forces).all():
        raise NotConverged(f"{atoms.get_chemical_formula()}: forces of displaced atoms are not finite")
    return forces


def _sign(label: str) -> str:
    return label.replace("GAMMA", "Γ").replace("_", "")


def _import() -> tuple[Any, Any, Any, Any]:
    """`Phonopy`, `PhonopyAtoms`, seekpath and spglib."""
    try:
        import seekpath
        import spglib
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('phonons need phonopy and seekpath: pip install "assay[properties]"') from error
    return Phonopy, PhonopyAtoms, seekpath, spglib
