"""Energy barriers: minimum energy path between two states, and its saddle point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.geometry import find_mic
from ase.mep import NEB

from assay.frames.reading import read_frames
from assay.propagation.properties.defect_sites import vacancies
from assay.propagation.properties.minimum_energy_path import minimum_energy_path, one_barrier
from assay.propagation.properties.options import count, require_known, spelled, the_structure
from assay.propagation.properties.point_defects import BULK, conventional, strained, the_repeats
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import YES_OR_NO, Quantities, Quantity, State, Stationary, Structures

INITIAL, FINAL, SADDLE = "initial", "final", "saddle"


@dataclass(frozen=True)
class Barrier:
    """Energies along the minimum energy path between two minima, and over its highest saddle point.

    A band of images with climbing image and improved tangents (Henkelman & Jónsson 2000, doi:10.1063/1.1323224 and
    doi:10.1063/1.1329672), from an interpolation by image-dependent pair potentials (Smidstrup et al. 2014,
    doi:10.1063/1.4878664). The path reconverges with each potential from that of the best fit, strained like the
    crystal. The climbing image is then refined, off the band, to where all forces vanish. A path may have an
    intermediate minimum, or start or end above a lower one; the barriers are then still those of the highest saddle
    point over the two ends, and `one barrier` is 0.

    | field | meaning |
    |---|---|
    | name | as the user wrote it |
    | ends | two structures of the same atoms, not relaxed; atoms are not wrapped between them |
    | crystal | their cell is a supercell of this one's, which relaxes; `None`: their cell is held as it is |
    | images | between the ends, 2 or more; odd ones put one on the middle of a symmetric hop |
    """

    name: str
    ends: tuple[Atoms, Atoms]
    crystal: Atoms | None = None
    images: int = 5

    def __post_init__(self) -> None:
        first, last = self.ends
        if (
            first.symbols.get_chemical_formula() != last.symbols.get_chemical_formula()
            or (first.numbers != last.numbers).any()
        ):
            raise ValueError(f"{self.name}: its ends are {first.symbols} and {last.symbols}, needed the same atoms")
        if not np.allclose(first.cell, last.cell, atol=1e-6):
            raise ValueError(f"{self.name}: its ends have different cells")

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Self:
        """Of `barrier:vacancy[,structure=bcc][,size=4][,element=W]` or `barrier:FILE`, each with `[,images=5]`.

        `vacancy`: a nearest neighbour of the same element hops into a vacancy (the first of the inequivalent ones).
        FILE: two frames of the same atoms in the same order and cell.
        """
        name = spelled("barrier", words, options)
        if len(words) != 1:
            raise ValueError("needs `vacancy`, or a file of two frames")
        if words[0] == "vacancy":
            require_known(options, "structure", "size", "element", "images")
            named = [options["structure"]] if "structure" in options else []
            crystal = conventional(the_structure(named, options, species))
            ends = _hop(crystal, the_repeats(crystal, options))
            return cls(name, ends, crystal, count(options, "images", cls.images, least=2))
        require_known(options, "images")
        ends_read = [frame.atoms for frame in read_frames(words[0])]
        if len(ends_read) != 2:
            raise ValueError(f"{words[0]} has {len(ends_read)} frames, needed the two ends of the path")
        return cls(name, _unwrapped(*ends_read), None, count(options, "images", cls.images, least=2))

    def start(self, calculator: Calculator) -> Structures:
        bulk = {} if self.crystal is None else {BULK: relaxed(self.crystal, calculator, "cell").atoms}
        first, last = (strained(end, self.crystal, bulk[BULK]) if bulk else end for end in self.ends)
        path = [relaxed(first, calculator, "positions").atoms, *(first.copy() for _ in range(self.images))]
        path.append(relaxed(last, calculator, "positions").atoms)
        NEB(path, method="improvedtangent").interpolate("idpp")
        found = minimum_energy_path(path, calculator)
        return bulk | dict(zip(self._names, found.path, strict=True)) | {SADDLE: found.saddle.atoms}

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        """The barriers; `one barrier`, 1 or 0: whether the path only climbs up to the saddle point and descends from
        there; `energy along the path` (eV above the initial state, over the share of its length)."""
        path = [start[name] for name in self._names]
        if self.crystal is not None:
            bulk = relaxed(start[BULK], calculator, "cell").atoms
            path = [strained(image, start[BULK], bulk) for image in path]
        for end in (0, -1):
            path[end] = relaxed(path[end], calculator, "positions").atoms
        found = minimum_energy_path(path, calculator)
        states = {INITIAL: found.state(0), SADDLE: found.saddle, FINAL: found.state(-1)}
        curve = found.curve()
        one = Quantity(float(one_barrier(np.asarray(curve.value))), YES_OR_NO)
        return {**self.of_states(states), "one barrier": one, "energy along the path": curve}

    @property
    def _names(self) -> list[str]:
        return [INITIAL, *(f"image {number}" for number in range(1, self.images + 1)), FINAL]

    def stationary(self, start: Structures) -> Mapping[str, Stationary]:
        if self.crystal is None:
            return {name: Stationary(start[name], "positions") for name in (INITIAL, SADDLE, FINAL)}
        bulk = {BULK: Stationary(start[BULK], "cell")}
        return bulk | {name: Stationary(start[name], "positions", BULK) for name in (INITIAL, SADDLE, FINAL)}

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        """`forward barrier` E_saddle − E_initial and `backward barrier` E_saddle − E_final, eV."""
        top = states[SADDLE].energy
        return {
            "forward barrier": Quantity(top - states[INITIAL].energy, "eV"),
            "backward barrier": Quantity(top - states[FINAL].energy, "eV"),
        }


def _hop(crystal: Atoms, repeats: tuple[int, int, int]) -> tuple[Atoms, Atoms]:
    """A vacancy, and the same with its nearest neighbour of the same element in its place."""
    supercell = crystal.repeat(repeats)
    element = crystal.symbols[0]
    (site,) = vacancies(crystal, element)[0].removed
    same = [i for i in range(len(supercell)) if supercell.symbols[i] == element and i != site]
    hopping = same[int(supercell.get_distances(site, same, mic=True).argmin())]
    first = supercell.copy()
    last = supercell.copy()
    last.positions[hopping] += last.get_distance(hopping, site, mic=True, vector=True)
    del first[site], last[site]
    return first, last


def _unwrapped(first: Atoms, last: Atoms) -> tuple[Atoms, Atoms]:
    """The ends with the shortest way of each atom between them."""
    last = last.copy()
    last.positions = first.positions + find_mic(last.positions - first.positions, first.cell, first.pbc)[0]
    return first, last
