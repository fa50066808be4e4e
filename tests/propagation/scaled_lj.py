"""A committee whose answer is known: Lennard-Jones crystals scale with σ and ε, and so do their error bars."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

from assay import Gauge
from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged, Quantities, Quantity, Structures
from assay.sources.committees.calculators import Member
from assay.sources.committees.committee import AseCommittee

SIGMA = np.array([2.20, 2.25, 2.32, 2.33, 2.41])
EPSILON = np.array([0.30, 0.35, 0.38, 0.44, 0.40])
GRID = np.linspace(0.98, 1.02, 5)
A = 3.6


def lennard_jones(sigma: float, epsilon: float) -> Member:
    arguments = {"sigma": float(sigma), "epsilon": float(epsilon), "rc": 2.0 * float(sigma), "smooth": True}
    return Member(f"lj-{sigma}", "ase.calculators.lj.LennardJones", arguments)


def gauge(members: int = len(SIGMA)) -> Gauge:
    source = AseCommittee(tuple(map(lennard_jones, SIGMA[:members], EPSILON[:members])))
    return Gauge(source, scores=(), r_cut=5.0, bar="", species=("Cu",))


@dataclass(frozen=True)
class Lattice:
    """Relaxed `S a` and `S energy` of cubic crystals; fcc's energy at given strains as a curve, and at 3.6 Å."""

    name: str = "lattice"
    structures: tuple[str, ...] = ("fcc", "bcc", "sc")

    def start(self, calculator: Calculator) -> Structures:
        lengths = {"fcc": A, "bcc": 2.9, "sc": 2.5}
        return {s: relaxed(bulk("Cu", s, a=lengths[s]), calculator, "volume").atoms for s in self.structures}

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        states = {s: relaxed(atoms, calculator, "volume") for s, atoms in start.items()}
        per_cell = {"fcc": 4.0, "bcc": 2.0, "sc": 1.0}
        found = {f"{s} a": Quantity((per_cell[s] * x.atoms.get_volume()) ** (1 / 3), "Å") for s, x in states.items()}
        found |= {f"{s} energy": Quantity(x.energy, "eV/atom") for s, x in states.items()}
        energies = np.array([energy(bulk("Cu", a=A * x), calculator) for x in GRID])
        found["energy of strain"] = Quantity(energies, "eV/atom", GRID, "a / a₀")
        return {**found, "energy at 3.6 Å": Quantity(energies[2], "eV/atom")}


def energy(atoms: Atoms, calculator: Calculator) -> float:
    atoms.calc = calculator
    return float(atoms.get_potential_energy())


@dataclass(frozen=True)
class Fragile:
    """The energy of fcc at 3.6 Å; potentials (members, not the mean) above `limit` fail as told; `log` gets a line."""

    name: str = "fragile"
    limit: float = np.inf
    fails: str = "converge"
    log: str = ""
    pause: float = 0.0

    def start(self, calculator: Calculator) -> Structures:
        if self.fails == "at the start":
            raise NotConverged("no start")
        return {"fcc": bulk("Cu", a=A)}

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        found = energy(start["fcc"].copy(), calculator)
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{found!r}\n")
        time.sleep(self.pause)
        if found > self.limit:
            self._fail()
        return {"energy": Quantity(found, "eV/atom")}

    def _fail(self) -> None:
        match self.fails:
            case "converge":
                raise NotConverged("ran away")
            case "crash":
                os._exit(7)
            case "raise":
                raise ZeroDivisionError("of a foreign code")


def curvature(calculator: Calculator) -> Mapping[str, float]:
    """A plain function of a calculator, as a user writes it."""
    up, here, down = (energy(bulk("Cu", a=A * x), calculator) for x in (1.01, 1.0, 0.99))
    return {"curvature": (up - 2 * here + down) / 0.01**2}


@dataclass(frozen=True)
class Several:
    """Energies of fcc and sc; sc fails for members above `limit`, and with the best fit in the function `best`."""

    name: str = "several"
    limit: float = np.inf
    best: str = ""

    def start(self, calculator: Calculator) -> Structures:
        found = {"fcc": bulk("Cu", a=A), "sc": bulk("Cu", "sc", a=2.5)}
        if self.best == "start":
            del found["sc"]
            raise NotConverged("sc: no start", structures=found)
        return found

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        found = {f"{s} energy": Quantity(energy(atoms.copy(), calculator), "eV/atom") for s, atoms in start.items()}
        if self.best == "quantities" or found.get("sc energy", found["fcc energy"]).value > self.limit:
            del found["sc energy"]
            raise NotConverged("sc: ran away", partial=found)
        return found
