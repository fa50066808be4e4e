"""Where point defects sit in a crystal, and whether a relaxed one still has the symmetry of its site."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.spacegroup.symmetrize import check_symmetry
from scipy.spatial import KDTree

from assay.propagation.properties.prototypes import shortest_distance
from assay.results.arrays import Array

Vector = tuple[float, float, float]

SEPARATION = 0.8
"""Distance of the two atoms of a dumbbell as built, in nearest-neighbour distances."""
TOLERANCE = 1e-3
"""Å and fractions of a cell: what counts as equal in an ideal crystal."""

FCC: tuple[Vector, ...] = ((0, 0, 0), (0, 1 / 2, 1 / 2), (1 / 2, 0, 1 / 2), (1 / 2, 1 / 2, 0))
ATOMS: Mapping[str, tuple[Vector, ...]] = {
    "bcc": ((0, 0, 0), (1 / 2, 1 / 2, 1 / 2)),
    "fcc": FCC,
    "hcp": ((1 / 3, 2 / 3, 1 / 4), (2 / 3, 1 / 3, 3 / 4)),
    "diamond": (*FCC, *((x + 1 / 4, y + 1 / 4, z + 1 / 4) for x, y, z in FCC)),
}
"""Atoms of the conventional cells, which the holes and dumbbells below refer to."""
HOLES: Mapping[str, Mapping[str, Vector]] = {
    "bcc": {"octahedral": (1 / 2, 1 / 2, 0), "tetrahedral": (1 / 2, 1 / 4, 0)},
    "fcc": {"octahedral": (1 / 2, 1 / 2, 1 / 2), "tetrahedral": (1 / 4, 1 / 4, 1 / 4)},
    "hcp": {
        "octahedral": (0, 0, 0),
        "tetrahedral": (1 / 3, 2 / 3, 5 / 8),
        "basal-octahedral": (0, 0, 1 / 4),
        "basal-tetrahedral": (2 / 3, 1 / 3, 1 / 4),
    },
    "diamond": {"tetrahedral": (1 / 2, 1 / 2, 1 / 2), "hexagonal": (5 / 8, 5 / 8, 5 / 8)},
}
"""Interstitial holes: International Tables for bcc, fcc and diamond; Johnson & Beeler 1981 for hcp."""
DUMBBELLS: Mapping[str, tuple[str, ...]] = {
    "bcc": ("111", "110", "100"),
    "fcc": ("100", "110", "111"),
    "hcp": ("001", "100"),
    "diamond": ("110",),
}
"""The usual directions; of hcp the split along c (S) and along a (basal split)."""


@dataclass(frozen=True)
class Defect:
    """Atoms taken out of a crystal, and atoms put into it.

    | field | meaning |
    |---|---|
    | name | such as `vacancy`, `110`, `octahedral` |
    | element | what is taken out or put in |
    | removed | indices of atoms of the crystal's cell |
    | added | positions, in units of the crystal's cell |
    """

    name: str
    element: str
    removed: tuple[int, ...] = ()
    added: tuple[Vector, ...] = ()

    @property
    def excess(self) -> int:
        """Atoms more than the crystal has: −1 of a vacancy, +1 of an interstitial."""
        return len(self.added) - len(self.removed)

    def inside(self, crystal: Atoms, repeats: tuple[int, int, int]) -> Atoms:
        """The defect as built, in a supercell of so many repeats of the crystal's cell."""
        supercell = crystal.repeat(repeats)  # its first atoms are those of the first cell
        del supercell[list(self.removed)]
        return supercell + Atoms([self.element] * len(self.added), np.reshape(self.added, (-1, 3)) @ crystal.cell.array)


def vacancies(crystal: Atoms, element: str) -> tuple[Defect, ...]:
    """A vacancy of `element` at each of its inequivalent sites; `vacancy 1` and so on where there are several."""
    equivalent = _symmetry(crystal).equivalent_atoms
    sites = [int(site) for site in np.unique(equivalent) if crystal.symbols[site] == element]
    if not sites:
        raise ValueError(f"{crystal.symbols} holds no {element}")
    names = ["vacancy"] if len(sites) == 1 else [f"vacancy {number}" for number in range(1, len(sites) + 1)]
    return tuple(Defect(name, element, (site,)) for name, site in zip(names, sites, strict=True))


def interstitial(crystal: Atoms, site: str) -> Defect:
    """A further atom of the crystal's only element.

    | site | meaning |
    |---|---|
    | `110`, `1-10` … | dumbbell: two atoms share a lattice site, split along that direction of the cell |
    | `octahedral` … | a hole of `HOLES`, in the conventional cell of bcc, fcc, hcp or diamond |
    | `0.5/0.25/0` | position in units of the cell |

    Raises `ValueError` for another site, several elements, and a dumbbell where atoms are not all equivalent.
    """
    elements = set(crystal.symbols)
    if len(elements) > 1:
        raise ValueError(f"interstitials of one element only; {crystal.symbols} has {len(elements)}")
    (element,) = elements
    if re.fullmatch(r"(-?\d){3}", site) and site.strip("-0"):
        if len(vacancies(crystal, element)) > 1:
            raise ValueError(f"{site}: the sites of {crystal.symbols} differ, so where a dumbbell sits is not clear")
        direction = np.array([int(digit) for digit in re.findall(r"-?\d", site)])
        unit = direction / np.linalg.norm(direction @ crystal.cell.array)
        half = unit * SEPARATION * shortest_distance(crystal) / 2
        centre = crystal.get_scaled_positions()[0]
        return Defect(site, element, (0,), (_vector(centre - half), _vector(centre + half)))
    if re.fullmatch(r"[-\d.]+(/[-\d.]+){2}", site):
        return Defect(site, element, (), (_vector(np.array([float(x) for x in site.split("/")])),))
    known, origin = _conventional(crystal)
    if site not in HOLES.get(known, {}):
        holes = ", ".join(HOLES.get(known, {})) or "no named holes"
        raise ValueError(f"{site}: {known or crystal.symbols} has {holes}; or a dumbbell like 110, or x/y/z")
    return Defect(site, element, (), (_vector(origin + np.array(HOLES[known][site])),))


def usual_interstitials(crystal: Atoms) -> tuple[str, ...]:
    """The sites that the literature looks at; raises `ValueError` for crystals other than bcc, fcc, hcp, diamond."""
    known, _ = _conventional(crystal)
    if not known:
        raise ValueError(f"{crystal.symbols}: name the sites: dumbbells like 110, or positions x/y/z")
    return (*DUMBBELLS[known], *HOLES[known])


def distortion(defect: Defect, crystal: Atoms, repeats: tuple[int, int, int], moved: Atoms) -> float:
    """How far (Å) the atoms of a relaxed defect moved against the symmetry that it has as built in this crystal.

    With the operations (R, t) of its site, which take atom i to atom j, and displacements u without their mean:
    max |R u_i − u_j|. Zero for a relaxation that keeps the site; about an atom's way where a dumbbell turns or an
    atom leaves its hole. A supercell of lower symmetry than the crystal counts with its own.
    """
    built, size = defect.inside(crystal, repeats), np.array(repeats, dtype=float)
    sites = built.get_scaled_positions() % 1.0 % 1.0  # −1e-17 % 1.0 is 1.0
    away = moved.get_scaled_positions(wrap=False) - built.get_scaled_positions(wrap=False)
    away -= np.rint(away)
    away -= away.mean(axis=0)
    sites, away = sites * size, away * size  # in units of the crystal's cell
    nearest = KDTree(sites, boxsize=size)
    positions = crystal.get_scaled_positions()
    centre = np.mean(defect.added, axis=0) if defect.added else positions[list(defect.removed)].mean(axis=0)
    symmetry = _symmetry(crystal)
    largest = 0.0
    for rotation, translation in zip(symmetry.rotations, symmetry.translations, strict=True):
        lattice = centre - rotation @ centre - translation
        if np.abs(lattice - np.rint(lattice)).max() > TOLERANCE:
            continue
        apart, image = nearest.query((sites @ rotation.T + translation + np.rint(lattice)) % size % size)
        if np.max(apart) > TOLERANCE or len(np.unique(image)) < len(sites):
            continue
        against = (away @ rotation.T - away[image]) @ crystal.cell.array
        largest = max(largest, float(np.linalg.norm(against, axis=1).max()))
    return largest


def _conventional(crystal: Atoms) -> tuple[str, Array]:
    """Which of `ATOMS` this cell is, and where its origin lies in units of the cell; `""` for none."""
    lengths, angles = crystal.cell.lengths(), crystal.cell.angles()
    cubic = np.allclose(lengths, lengths[0], rtol=TOLERANCE) and np.allclose(angles, 90, atol=0.1)
    hexagonal = np.isclose(lengths[0], lengths[1], rtol=TOLERANCE) and np.allclose(angles, (90, 90, 120), atol=0.1)
    sites = crystal.get_scaled_positions()
    for name, atoms in ATOMS.items():
        if len(atoms) == len(crystal) and (hexagonal if name == "hcp" else cubic):
            for atom in atoms:
                origin = sites[0] - np.array(atom)
                apart = (sites - origin)[:, None] - np.array(atoms)
                if (np.abs(apart - np.rint(apart)).max(axis=2).min(axis=1) < TOLERANCE).all():
                    return name, origin
    return "", np.zeros(3)


def _vector(values: Array) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _symmetry(atoms: Atoms) -> Any:
    """spglib's data set."""
    try:
        import spglib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('point defects need spglib: pip install "assay[properties]"') from error
    return check_symmetry(atoms, symprec=TOLERANCE)
