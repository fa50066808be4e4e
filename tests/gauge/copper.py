"""Copper labelled by ASE's EMT: the small real problem of these tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT

from assay.results.prediction import Prediction

SOURCE = "snap:twojmax=4,rcut=4.5"
PAIRS = [
    {
        "label": f"lj{i}",
        "calculator": "ase.calculators.lj.LennardJones",
        "arguments": {"sigma": s, "epsilon": 0.4, "rc": 3.6},
    }
    for i, s in enumerate((2.26, 2.29, 2.32, 2.35))
]
COMMITTEE = {"source": "ase_committee", "member": PAIRS}


def copper(kind: str, seed: int) -> Atoms:
    """4 or 7 atoms: rattled, strained and sheared, or around a vacancy."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True)
    if kind == "strained":
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
    if kind == "vacancy":
        atoms *= (2, 1, 1)
        del atoms[0]
    atoms.positions += rng.normal(0, 0.12, (len(atoms), 3))
    atoms.info["config_type"] = kind
    return atoms


def labelled(atoms: Atoms) -> Atoms:
    """A copy with the labels of EMT under the usual keys."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    atoms.calc = None
    atoms.info["REF_energy"], atoms.info["REF_stress"] = energy, stress
    atoms.arrays["REF_forces"] = forces
    return atoms


def heat(atoms: Atoms, temperature: float) -> None:
    """Momenta of a canonical ensemble, `p = √(m k T) ξ`, without drift."""
    width = np.sqrt(atoms.get_masses()[:, None] * units.kB * temperature)
    momenta = width * np.random.default_rng(4).standard_normal((len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))


KINDS = ("rattled", "strained", "vacancy")


def frames(count: int, seed: int) -> list[Atoms]:
    """`count` labelled frames, as many of each kind, kind after kind."""
    return [labelled(copper(kind, seed + i)) for kind in KINDS for i in range(count // 3)]


def columns(assessment: Any) -> dict[str, np.ndarray]:
    """All numbers of an assessment by name."""
    batch = assessment.batch
    named = {"energy": batch.energy, "forces": batch.forces, "still": batch.still.astype(float)}
    named |= {f"{name}/{level}": score.values for (name, level), score in assessment.scores.items()}
    named |= {f"{quantity} bar": bar.half_width(0.68) for quantity, bar in assessment.bars.items()}
    return named | ({} if batch.stress is None else {"stress": batch.stress})


@dataclass(frozen=True)
class Says:
    """A source that says what a frame's `info["says"]` holds, and raises it if it is an error."""

    kind: ClassVar[str] = "says"
    label: str = "says"

    def predict(self, frame: Atoms) -> Prediction:
        said = frame.info["says"]
        if isinstance(said, Exception):
            raise said
        return said

    def state(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Files:
    """`train` 30 frames, `held_out` 12, `test` 9, in a folder of their own."""

    folder: Path
    train: Path
    held_out: Path
    test: Path
