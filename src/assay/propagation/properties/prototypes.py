"""Crystal structures by name, of one element, and structures that the user names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii, reference_states
from ase.spacegroup import Spacegroup
from ase.spacegroup import crystal as spacegroup_crystal
from ase.spacegroup.symmetrize import check_symmetry

from assay.regions.neighbours import close_pairs
from assay.results.arrays import Array

Sites = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Prototype:
    """A structure type, all sites taken by the same element.

    | field | meaning |
    |---|---|
    | spacegroup, setting | number, and origin choice, of the International Tables |
    | sites | one position of each Wyckoff orbit, in units of the conventional cell |
    | c_over_a | of the conventional cell |
    | hexagonal | whether γ = 120° |
    | room | volume per atom over that of close packing: neighbours fewer than 12 take more |
    """

    spacegroup: int
    sites: Sites
    c_over_a: float = 1.0
    hexagonal: bool = False
    setting: int = 1
    room: float = 1.0


SYMPREC = 1e-2
"""Å, within which the structure of a file is symmetric."""
IDEAL = np.sqrt(8 / 3)
"""c/a of hard spheres, close packed."""

PROTOTYPES: Mapping[str, Prototype] = {
    "bcc": Prototype(229, ((0, 0, 0),)),
    "fcc": Prototype(225, ((0, 0, 0),)),
    "hcp": Prototype(194, ((1 / 3, 2 / 3, 1 / 4),), IDEAL, hexagonal=True),
    "dhcp": Prototype(194, ((0, 0, 0), (1 / 3, 2 / 3, 1 / 4)), 2 * IDEAL, hexagonal=True),
    "sc": Prototype(221, ((0, 0, 0),), room=1.1),
    "diamond": Prototype(227, ((0, 0, 0),), room=1.4),
    "beta-Sn": Prototype(141, ((0, 0, 0),), 0.5456, room=1.07),
    "A15": Prototype(223, ((0, 0, 0), (1 / 4, 0, 1 / 2))),
    "C14": Prototype(194, ((1 / 3, 2 / 3, 1 / 16), (0, 0, 0), (5 / 6, 5 / 3, 1 / 4)), IDEAL, hexagonal=True),
    "C15": Prototype(227, ((1 / 8, 1 / 8, 1 / 8), (1 / 2, 1 / 2, 1 / 2)), setting=2),
    "C36": Prototype(
        194,
        ((0, 0, 3 / 32), (1 / 3, 2 / 3, 27 / 32), (1 / 3, 2 / 3, 1 / 8), (1 / 2, 0, 0), (1 / 6, 1 / 3, 1 / 4)),
        2 * IDEAL,
        hexagonal=True,
    ),
    "sigma": Prototype(
        136,
        (
            (0, 0, 0),
            (0.39864, 0.39864, 0),
            (0.13122, 0.46349, 0),
            (0.06609, 0.73933, 0),
            (0.18267, 0.18267, 0.25202),
        ),
        0.518177,
    ),
    "chi": Prototype(
        217,
        (
            (0, 0, 0),
            (0.31787, 0.31787, 0.31787),
            (-0.08958, -0.08958, 0.28194),
            (0.64294, 0.64294, 0.03457),
        ),
    ),
    "mu": Prototype(
        166,
        ((0, 0, 0), (0, 0, 0.167), (0, 0, 0.346), (0, 0, 0.448), (-0.16667, -0.33334, 0.25667)),
        5.43199,
        hexagonal=True,
    ),
    "Al12W": Prototype(204, ((0, 0, 0), (0, 0.184, 0.309))),
}
"""The structure types by name: bcc (A2), fcc (A1), hcp (A3), dhcp (A3′, αLa), sc (A_h), diamond (A4), β-Sn (A5),
A15 (Cr3Si, also βW), the Laves phases C14 (MgZn2), C15 (MgCu2) and C36 (MgNi2), σ (D8_b, CrFe), χ (A12, αMn),
μ (D8_5, Fe7W6) and Al12W. Wyckoff positions and c/a: Mehl et al. 2017, doi:10.1016/j.commatsci.2017.01.017;
of the Laves phases, those of hard spheres: Stein, Palm & Sauthoff 2004, doi:10.1016/j.intermet.2004.02.010.
Volumes relative to close packing: silicon, Yin & Cohen 1982, doi:10.1103/PhysRevB.26.5668."""


def crystal(name: str, element: str, *, primitive: bool = True) -> Atoms:
    """The structure type `name`, all its sites taken by `element`, not relaxed.

    The volume per atom is that of the element's stable phase (ASE's reference state), or of touching covalent
    spheres where that is no crystal of atoms, times what the coordination asks for. The conventional axes are the
    usual ones: cubic and tetragonal axes along x, y, z; hexagonal a along x, c along z.

    | argument | meaning |
    |---|---|
    | name | one of `PROTOTYPES` |
    | element | chemical symbol |
    | primitive | the primitive cell, in the same orientation as the conventional one |

    Raises `ValueError` for a name or an element that is not known.
    """
    prototype = _prototype(name)
    if atomic_numbers.get(element, 0) < 1:
        raise ValueError(f"{element!r} is not a chemical element")
    atoms = spacegroup_crystal(
        [element] * len(prototype.sites),
        basis=prototype.sites,
        spacegroup=prototype.spacegroup,
        setting=prototype.setting,
        cellpar=[1, 1, prototype.c_over_a, 90, 90, 120 if prototype.hexagonal else 90],
        primitive_cell=primitive,
        symprec=1e-4,
    )
    volume = close_packed_volume(element) * prototype.room
    atoms.set_cell(atoms.cell * (volume * len(atoms) / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
    atoms.wrap()
    return Atoms(element * len(atoms), atoms.positions, cell=atoms.cell, pbc=True)


def conventional(name: str) -> Array:
    """The integer matrix `P` (3, 3) with conventional cell = P @ primitive cell (rows are vectors)."""
    prototype = _prototype(name)
    primitive = Spacegroup(prototype.spacegroup, prototype.setting).scaled_primitive_cell
    return np.rint(np.linalg.solve(primitive, np.eye(3)))


def close_packed_volume(element: str) -> float:
    """About the volume per atom (Å³) that the element takes in a close-packed structure."""
    if (reference := _reference(element)) is not None:
        name, atoms = reference
        return float(atoms.get_volume()) / len(atoms) / PROTOTYPES[name].room
    return float(4 * np.sqrt(2) * covalent_radii[atomic_numbers[element]] ** 3)  # d³/√2 with d = 2r


def stable(element: str) -> str:
    """The prototype of the element's stable phase, as far as ASE's reference states know one of ours."""
    if (reference := _reference(element)) is None:
        raise ValueError(f"{element}: its stable phase is none of {', '.join(PROTOTYPES)}; say which structure to use")
    return reference[0]


def _reference(element: str) -> tuple[str, Atoms] | None:
    """The stable phase of ASE's reference states and its prototype's name, where it is one of ours."""
    name = str((reference_states[atomic_numbers[element]] or {}).get("symmetry"))
    try:
        return (name, bulk(element)) if name in PROTOTYPES else None
    except ValueError:  # a lattice of ours, but with a basis of its own: selenium, tellurium
        return None


def _prototype(name: str) -> Prototype:
    if name not in PROTOTYPES:
        raise ValueError(f"{name!r} is no structure type; known are {', '.join(PROTOTYPES)}")
    return PROTOTYPES[name]


@dataclass(frozen=True)
class Structure:
    """A structure that the user names: a prototype, or a file.

    | field | meaning |
    |---|---|
    | label | the name of the prototype, or of the file without folder and ending |
    | atoms | not relaxed; carries no calculator |
    | conventional | P (3, 3): conventional cell = P @ cell of `atoms`; of a file, the cell as given |
    | axes | edges of the conventional cell that symmetry does not make equal; of a file, of the cell as given |
    """

    label: str
    atoms: Atoms
    conventional: Array
    axes: str = "abc"


def the_element(options: Mapping[str, str], species: Sequence[str]) -> str:
    """What `element=` says, else the only species of the potential; raises `ValueError` where it is not clear."""
    element = options.get("element")
    if element is None and len(species) != 1:
        raise ValueError(f"the potential has the species {', '.join(species)}: say which with element=")
    element = element or species[0]
    if element not in species:
        raise ValueError(f"element={element}: the potential knows {', '.join(species)}")
    return element


def structure(word: str, options: Mapping[str, str], species: Sequence[str]) -> Structure:
    """The prototype or the file of that name.

    Raises `ValueError` for a name that is neither, a file that ASE can't read or that is no periodic crystal, and
    species that the potential does not know.
    """
    if word in PROTOTYPES:
        prototype = PROTOTYPES[word]
        axes = "ac" if prototype.hexagonal or prototype.c_over_a != 1 else "a"
        return Structure(word, crystal(word, the_element(options, species)), conventional(word), axes)
    path = Path(word)
    if not path.is_file():
        raise ValueError(f"{word!r} is neither a file nor one of {', '.join(PROTOTYPES)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # readers comment on keys that are of no interest here
            read = ase.io.read(path)
    except Exception as error:  # readers raise anything
        raise ValueError(f"{word}: ASE can't read it: {error}") from error
    if not read.pbc.all():
        raise ValueError(f"{word}: needs a crystal, periodic in all three directions")
    if unknown := sorted(set(read.get_chemical_symbols()) - set(species)):
        raise ValueError(f"{word}: holds {', '.join(unknown)}; the potential knows {', '.join(species)}")
    atoms = Atoms(read.numbers, read.positions, cell=read.cell, pbc=True)
    return Structure(path.name.split(".")[0], atoms, np.eye(3), _independent(atoms))


def _independent(atoms: Atoms) -> str:
    """The edges a, b, c that no operation of the symmetry takes to an earlier one; all where spglib does not say."""
    try:
        rotations = check_symmetry(atoms, symprec=SYMPREC).rotations  # columns: where the edges go, in units of them
    except Exception:  # it is not installed, or finds no symmetry
        return "abc"
    onto = {(i, j) for r in rotations for i in range(3) for j in range(3) if (abs(r[:, i]) == np.eye(3)[j]).all()}
    return "".join("abc"[i] for i in range(3) if not any((i, j) in onto for j in range(i)))


def shortest_distance(atoms: Atoms, beyond: float = 16.0) -> float:
    """Å, between any two atoms or periodic images; 0 where there is none within `beyond`."""
    cutoff = 1.0
    while cutoff <= beyond:
        _, distances = close_pairs(atoms, cutoff)
        if len(distances):
            return float(distances.min())
        cutoff *= 2
    return 0.0
