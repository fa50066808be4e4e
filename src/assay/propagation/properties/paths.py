"""Transformation paths of bcc crystals at constant volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.propagation.properties.attempts import Attempts
from assay.propagation.properties.options import count, require_known, spelled
from assay.propagation.properties.prototypes import crystal, the_element
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import Quantities, Quantity, State, Stationary, Structures
from assay.results.arrays import Array

BCC = "bcc"
ROOT2 = float(np.sqrt(2))

ENDS: Mapping[str, tuple[float, float]] = {
    "bain": (0.8, 1.8),
    "trigonal": (0.8, 4.4),
    "orthorhombic": (0.9, 2.2),
    "hexagonal": (0.9, 1.5),
}
"""Path → the range of p that is computed."""
POINTS: Mapping[str, Mapping[str, float]] = {
    "bain": {"bcc": 1.0, "fcc": ROOT2},
    "trigonal": {"bcc": 1.0, "sc": 2.0, "fcc": 4.0},
    "orthorhombic": {"bcc": 1.0, "bct": ROOT2, "bcc again": 2.0},
    "hexagonal": {"bcc": 1.0, "hcp": ROOT2},
}
"""Path → its points of higher symmetry, where symmetry makes the energy stationary in p at constant volume (hcp: with
an ideal c/a, where it need not be)."""


@dataclass(frozen=True)
class Paths:
    """Energy per atom above bcc along transformation paths, at the volume per atom of each potential's own bcc.

    | quantity | unit | |
    |---|---|---|
    | `PATH path` | eV/atom | curve, `E(p) − E(bcc)` |
    | `PATH path, POINT` | eV/atom | the same at each point of higher symmetry but bcc |

    Nothing relaxes along a path: see `along` for the paths. The element need not be stable, nor known, as bcc.
    """

    name: str
    paths: tuple[str, ...]
    bcc: Atoms
    points: int = 41

    @classmethod
    def from_words(cls, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Self:
        """Paths by name, none for all; the options `element` and `points` (of a curve, besides those of `POINTS`)."""
        require_known(options, "element", "points")
        if unknown := sorted(set(words) - set(ENDS)):
            raise ValueError(f"unknown path {', '.join(unknown)}; known are {', '.join(ENDS)}")
        points = count(options, "points", cls.points, least=2)
        paths = tuple(dict.fromkeys(words)) or tuple(ENDS)
        return cls(spelled("path", words, options), paths, crystal(BCC, the_element(options, species)), points)

    def start(self, calculator: Calculator) -> Structures:
        bcc = relaxed(self.bcc, calculator, "cell", label=BCC).atoms
        points = {_key(path, p): along(path, p, bcc) for path in self.paths for p in self._abscissa(path)}
        return {BCC: bcc, **points}

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        attempts, states = Attempts(), {BCC: relaxed(start[BCC], calculator, "cell", label=BCC)}
        scale = (states[BCC].atoms.get_volume() / start[BCC].get_volume()) ** (1 / 3)
        for key in start:
            if key != BCC:
                point = start[key].copy()
                point.set_cell(point.cell * scale, scale_atoms=True)
                with attempts:
                    states[key] = relaxed(point, calculator, "nothing", label=key)
        return attempts.quantities(self.of_states(states))

    def stationary(self, start: Structures) -> Mapping[str, Stationary]:
        points = {key: Stationary(atoms, "nothing", cell_of=BCC) for key, atoms in start.items() if key != BCC}
        return {BCC: Stationary(start[BCC], "cell"), **points}

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        found: dict[str, Quantity] = {}
        for path in self.paths:
            x = self._abscissa(path)
            points = {p: states[key] for p in x if (key := _key(path, p)) in states}
            above = {p: _per_atom(state) - _per_atom(states[BCC]) for p, state in points.items()}
            ticks = tuple((p, point) for point, p in POINTS[path].items())
            curve = np.array(list(above.values()))
            if len(curve) == len(x):
                found[f"{path} path"] = Quantity(curve, "eV/atom", x=np.array(x), x_label="p", ticks=ticks)
            for point, p in POINTS[path].items():
                if p in above and point not in (BCC, "bcc again"):
                    found[f"{path} path, {point}"] = Quantity(above[p], "eV/atom")
        return found

    def _abscissa(self, path: str) -> list[float]:
        """p, with those of `POINTS` among them."""
        special = np.array(list(POINTS[path].values()))
        grid = np.linspace(*ENDS[path], self.points)
        apart = np.abs(grid[:, None] - special).min(axis=1) > 1e-6
        return sorted(float(p) for p in (*grid[apart], *special))


def along(path: str, p: float, bcc: Atoms) -> Atoms:
    """The point p of a path, at the volume per atom of the crystal `bcc` (one atom, cubic axes along x, y, z).

    | path | deformation of bcc, det = 1 | p |
    |---|---|---|
    | bain | `p^{2/3}` along [001], `p^{−1/3}` across | c/a: 1 bcc, √2 fcc |
    | trigonal | `p^{2/3}` along [111], `p^{−1/3}` across | 1 bcc, 2 simple cubic, 4 fcc |
    | orthorhombic | `√p` along [001], `1/√p` along [110] | 1 bcc, √2 body-centred tetragonal, 2 bcc |
    | hexagonal | see below | 1 bcc, √2 hcp |

    The hexagonal path takes bcc to hcp as Burgers did: with axes a ∥ [001], b ∥ [110], c ∥ [11̄0], the ratios b/a
    (√2 → √3) and c/a (√2 → √(8/3)) and the shift of every second (11̄0) plane along b (0 → b/6) are linear in p. The
    literature agrees on its ends; its interpolation differs from one work to another.

    Paidar et al. 1999, doi:10.1088/0965-0393/7/3/309; Luo, Roundy, Cohen & Morris 2002,
    doi:10.1103/PhysRevB.66.094110.
    """
    if path == "hexagonal":
        return _burgers(p, bcc)
    deformed = bcc.copy()
    deformed.set_cell(bcc.cell.array @ _deformation(path, p), scale_atoms=True)
    return deformed


def _deformation(path: str, p: float) -> Array:
    if path == "orthorhombic":
        n = np.array([1, 1, 0]) / ROOT2
        stretched = np.diag([0, 0, np.sqrt(p) - 1]) + (1 / np.sqrt(p) - 1) * np.outer(n, n)
        return np.asarray(np.eye(3) + stretched, dtype=np.float64)
    n = np.array([0, 0, 1.0]) if path == "bain" else np.ones(3) / np.sqrt(3)
    along_n = np.outer(n, n)
    return np.asarray(p ** (2 / 3) * along_n + p ** (-1 / 3) * (np.eye(3) - along_n), dtype=np.float64)


def _burgers(p: float, bcc: Atoms) -> Atoms:
    way = (p - 1) / (ROOT2 - 1)
    ratios = np.array([1, ROOT2 + way * (np.sqrt(3) - ROOT2), ROOT2 + way * (np.sqrt(8 / 3) - ROOT2)])
    volume = 4 * bcc.get_volume() / len(bcc)
    cell = np.diag(ratios * (volume / ratios.prod()) ** (1 / 3))
    plane = -way / 6
    scaled = [[0, 0, 0], [1 / 2, 1 / 2, 0], [0, 1 / 2 + plane, 1 / 2], [1 / 2, 1 + plane, 1 / 2]]
    return Atoms([bcc.symbols[0]] * 4, scaled_positions=scaled, cell=cell, pbc=True)


def _key(path: str, p: float) -> str:
    return f"{path} {p:.6f}"


def _per_atom(state: State) -> float:
    return state.energy / len(state.atoms)
