"""Vacancies and self-interstitials: formation energies and volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.calculator import Calculator

from assay.propagation.properties.attempts import Attempts
from assay.propagation.properties.defect_sites import Defect, distortion, interstitial, usual_interstitials, vacancies
from assay.propagation.properties.options import choice, count, length, require_known, spelled, the_structure
from assay.propagation.properties.prototypes import Structure, structure
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import YES_OR_NO, Free, Quantities, Quantity, State, Stationary, Structures

APART = 10.0
"""Å: periodic images of a defect are at least this far apart by default."""
DISTORTED = 0.1
"""Å: an atom that moves further than this against the symmetry of its defect has left it."""
SEED = 0
"""Of the random displacements."""
BULK, REFERENCE = "bulk", "reference"


@dataclass(frozen=True)
class PointDefects:
    """Formation energies and volumes of defects, each in a supercell of its own of R cells of the crystal.

    E_f = E_defect − R E_bulk − n μ and V_f = V_defect − R V_bulk − n v, where the defect has n atoms more than the
    crystal (vacancy: −1), and μ and v are energy and volume per atom of the reference: of the crystal itself if it is
    of one element, so that E_f = E_defect − (N + n)/N E_bulk with N atoms.

    | field | meaning |
    |---|---|
    | name | as the user wrote it |
    | crystal | the cell, not relaxed; all structures relax with each potential anew |
    | repeats | of the cell in the supercell |
    | defects | as built |
    | reference | crystal of the defect's element, not relaxed; `None`: `crystal` |
    | cell | of the defect, `fixed`: held at the relaxed crystal's; `free`: relaxed too, and V_f is there |
    | rattle | Å: standard deviation of a random displacement (the same for all) of every atom before a defect relaxes |

    Members start from the relaxed defect of the best fit, strained like their crystal. A defect may relax into
    another one, as a dumbbell that turns; that is then the potential's answer, and `… symmetry kept` is 0 instead of
    1: an atom moved by more than 0.1 Å against the symmetry of the defect as built. Where the best fit itself leaves
    the site, members start from the defect as built, and decide on their own.

    Forces keep the symmetry of a site, so without `rattle` a defect that keeps it may rest on a saddle point: it did
    where a `rattle` of 0.01 Å lowers its energy, or `symmetry kept` becomes 0.
    """

    name: str
    crystal: Atoms
    repeats: tuple[int, int, int]
    defects: tuple[Defect, ...]
    reference: Atoms | None = None
    cell: str = "fixed"
    rattle: float = 0.0

    def start(self, calculator: Calculator) -> Structures:
        crystals = dict(self._crystals(calculator, {BULK: self.crystal, REFERENCE: self.reference}))
        attempts, found = Attempts(), {name: state.atoms for name, state in crystals.items()}
        for defect in self.defects:
            built = self._built(defect, crystals[BULK].atoms)
            with attempts:
                found[defect.name] = self._relaxed(built, calculator, defect).atoms
        return attempts.structures(found)

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        attempts, states = Attempts(), dict(self._crystals(calculator, start))
        bulk = states[BULK].atoms
        for defect in self._there(start):
            kept = self._kept(defect, start[BULK], start[defect.name])
            begin = strained(start[defect.name], start[BULK], bulk) if kept else self._built(defect, bulk)
            with attempts:
                states[defect.name] = self._relaxed(begin, calculator, defect)
        return attempts.quantities(self.of_states(states))

    def stationary(self, start: Structures) -> Mapping[str, Stationary]:
        crystals = {name: Stationary(start[name], "cell") for name in (BULK, REFERENCE) if name in start}
        cell_of = BULK if self.cell == "fixed" else None
        return crystals | {d.name: Stationary(start[d.name], self._free, cell_of) for d in self._there(start)}

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        """`… formation energy` (eV), `… formation volume` (Å³, with a free cell) and `… symmetry kept` (1 or 0)."""
        bulk, cells = states[BULK], prod(self.repeats)
        reference = states.get(REFERENCE, bulk)
        quantities = {}
        for defect in self._there(states):
            state, n = states[defect.name], defect.excess
            energy = state.energy - cells * bulk.energy - n * reference.energy / len(reference.atoms)
            quantities[f"{defect.name} formation energy"] = Quantity(energy, "eV")
            if self.cell == "free":
                per_atom = reference.atoms.get_volume() / len(reference.atoms)
                volume = state.atoms.get_volume() - cells * bulk.atoms.get_volume() - n * per_atom
                quantities[f"{defect.name} formation volume"] = Quantity(float(volume), "Å³")
            kept = self._kept(defect, bulk.atoms, state.atoms)
            quantities[f"{defect.name} symmetry kept"] = Quantity(float(kept), YES_OR_NO)
        return quantities

    def _relaxed(self, begin: Atoms, calculator: Calculator, defect: Defect) -> State:
        begin.rattle(self.rattle, seed=SEED)
        return relaxed(begin, calculator, self._free, label=defect.name)

    @property
    def _free(self) -> Free:
        return "positions" if self.cell == "fixed" else "cell"

    def _crystals(self, calculator: Calculator, start: Mapping[str, Atoms | None]) -> Iterator[tuple[str, State]]:
        for name in (BULK, REFERENCE):
            if (atoms := start.get(name)) is not None:
                yield name, relaxed(atoms, calculator, "cell", label=name)

    def _there(self, found: Mapping[str, object]) -> list[Defect]:
        return [defect for defect in self.defects if defect.name in found]

    def _built(self, defect: Defect, bulk: Atoms) -> Atoms:
        return defect.inside(bulk, self.repeats)

    def _kept(self, defect: Defect, bulk: Atoms, moved: Atoms) -> bool:
        return distortion(defect, bulk, self.repeats, moved) < DISTORTED


class Vacancy:
    """What `vacancy:…` asks for."""

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> PointDefects:
        """Of `vacancy[:STRUCTURE][,size=4][,cell=fixed|free][,remove=Ni][,reference=fcc][,element=W][,rattle=0.01]`.

        One vacancy at each inequivalent site. `STRUCTURE` is a prototype or a file, the element's stable phase by
        default; `size` the repeats of its conventional cell (of a file, of the cell as given). A compound needs the
        element to `remove`, and as `reference` the crystal that this element goes to.
        """
        require_known(options, "size", "cell", "remove", "reference", "element", "rattle")
        crystal = conventional(the_structure(words, options, species))
        elements = sorted(set(crystal.symbols))
        if len(elements) > 1 and not {"remove", "reference"} <= set(options):
            raise ValueError(
                f"{'-'.join(elements)}: say which element to take out, and which crystal of this element "
                f"it goes to: remove={elements[0]},reference=fcc"
            )
        element = options.get("remove", elements[0])
        reference = (
            structure(options["reference"], {"element": element}, species).atoms if "reference" in options else None
        )
        if reference is not None and set(reference.symbols) != {element}:
            raise ValueError(f"reference={options['reference']} is {reference.symbols}, needed a crystal of {element}")
        return PointDefects(
            spelled("vacancy", words, options),
            crystal,
            the_repeats(crystal, options),
            vacancies(crystal, element),
            reference,
            choice(options, "cell", "fixed", "free"),
            the_rattle(options),
        )


class Interstitials:
    """What `interstitials:…` asks for."""

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> PointDefects:
        """Of `interstitials[:SITE,…][,structure=bcc][,size=4][,cell=fixed|free][,element=W][,rattle=0.01]`.

        Sites as `defect_sites.interstitial` knows them, such as `111,110,100,tetrahedral,octahedral`; by default the
        usual ones of bcc, fcc, hcp and diamond.
        """
        require_known(options, "structure", "size", "cell", "element", "rattle")
        words_of_crystal = [options["structure"]] if "structure" in options else []
        crystal = conventional(the_structure(words_of_crystal, options, species))
        return PointDefects(
            spelled("interstitials", words, options),
            crystal,
            the_repeats(crystal, options),
            tuple(interstitial(crystal, site) for site in words or usual_interstitials(crystal)),
            cell=choice(options, "cell", "fixed", "free"),
            rattle=the_rattle(options),
        )


def conventional(named: Structure) -> Atoms:
    """The conventional cell of a prototype; of a file, the cell as given."""
    return make_supercell(named.atoms, named.conventional)


def the_repeats(crystal: Atoms, options: Mapping[str, str]) -> tuple[int, int, int]:
    """`size` times in each direction; by default so often that images are `APART` or more apart."""
    if "size" in options:
        return (count(options, "size", 1),) * 3
    a, b, c = (ceil(APART * length) for length in np.linalg.norm(crystal.cell.reciprocal().array, axis=1))
    return a, b, c


def the_rattle(options: Mapping[str, str]) -> float:
    """Å; none by default."""
    return length(options, "rattle", 0.0) if "rattle" in options else 0.0


def strained(supercell: Atoms, cell: Atoms, to: Atoms) -> Atoms:
    """A copy of a supercell of `cell`, deformed as `cell` becomes `to`: C (c⁻¹ c′), atoms along with it."""
    moved = supercell.copy()
    deformation = np.linalg.solve(cell.cell.array, to.cell.array)
    moved.set_cell(supercell.cell.array @ deformation, scale_atoms=True)
    return moved
