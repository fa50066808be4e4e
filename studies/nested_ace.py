"""Linear ACE potentials of nested bases, fitted to A + B of tungsten: predictions for C, committees and γ.

The functions of a basis are among those of any larger one, so rows are evaluated once, for the largest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from assay.execution.workers import Failure, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, content_hash, file_hash
from assay.frames.reading import read_frames
from assay.gauge.thresholds import tukey_fence
from assay.linear.fit import fit_linear
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.regions.neighbourhoods import frame_max
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.prediction import Prediction
from assay.scores.d_optimality.maxvol import active_set, grades
from assay.scores.members.committee import largest_deviation
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.rows import Ace

TRAINING = ("A-elastic", "B-bulk-and-defects")
TEST = ("C-periodic-defects",)
SIZES = (15, 30, 50, 100, 300, 945)
"""As asked of pacemaker, in the paper's code; the last gives 761 functions here."""
BASIS: dict[str, Any] = {
    "species": ("W",),
    "rcut": 6.0,
    "nradmax_by_orders": (15, 6, 4, 3, 2, 2),
    "lmax_by_orders": (0, 4, 3, 2, 1, 0),
}
COMMITTEES, MEMBERS, LARGEST = 10, 6, 30
"""Independent committees; members of each, as published; members of each where their number is studied."""

Pairs = dict[str, tuple[Array, Array]]
"""Criterion → uncertainties and errors, `(F,)` or `(A,)`."""


@dataclass(frozen=True)
class Rows:
    """The rows of a frame."""

    basis: Ace

    def __call__(self, frame: Frame) -> Design:
        return self.basis.design(frame.atoms)


@dataclass(frozen=True)
class Columns:
    """The linear source of some columns of rows that were evaluated for a larger basis; `designs` by content hash."""

    kind: ClassVar[str] = "columns"

    basis: Ace
    columns: Any
    designs: dict[str, Design]

    @property
    def species(self) -> tuple[str, ...]:
        return self.basis.species

    @property
    def coefficients(self) -> int:
        return len(self.columns)

    @property
    def cutoff(self) -> float:
        return self.basis.cutoff

    @property
    def label(self) -> str:
        return self.basis.label

    def for_species(self, species: Sequence[str]) -> Columns:
        return self

    def design(self, frame: Atoms) -> Design:
        rows = self.designs[content_hash(frame)]
        return replace(
            rows,
            energy_row=rows.energy_row[self.columns],
            force_rows=rows.force_rows[:, self.columns],
            stress_rows=None,
            features=self.features(frame),
        )

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        return self.design(frame).predictions(coefficients)

    def features(self, frame: Atoms) -> Array:
        return self.designs[content_hash(frame)].features[:, self.columns[1:] - 1]

    def state(self) -> dict[str, Any]:
        return self.basis.state()


@dataclass(frozen=True)
class Subset:
    """Labelled frames: energies `(F,)` eV/atom, forces `(A, 3)` eV/Å, offsets `(F+1,)`."""

    frames: list[Frame]
    energy: Array
    forces: Array
    offsets: Any

    @classmethod
    def of(cls, frames: list[Frame]) -> Subset:
        natoms = [len(frame.atoms) for frame in frames]
        energy = np.array([frame.energy for frame in frames], dtype=np.float64) / natoms
        forces = np.concatenate([frame.forces for frame in frames if frame.forces is not None])
        return cls(frames, energy, forces, np.concatenate([[0], np.cumsum(natoms)]))


class Model:
    """A potential fitted to the subset `training`; what it and its members predict for every subset; and γ.

    The members form ten committees of `size`.
    """

    def __init__(self, source: Columns, subsets: dict[str, Subset], size: int) -> None:
        training = subsets["training"].frames
        everything = np.ones(len(training), dtype=bool)
        members = COMMITTEES * size
        potential = fit_linear(training, Survey.fit(training), source, chosen=everything, posterior=Bootstrap(members))
        self.functions, self.ridge, self.size, self.subsets = source.coefficients - 1, potential.ridge, size, subsets
        theta = np.vstack([potential.theta, potential.members])
        self.energies, self.forces, self.features = {}, {}, {}  # eV/atom (N, F), eV/Å (N, A, 3), (A, D)
        for name, subset in subsets.items():
            told = [source.predictions(frame.atoms, theta) for frame in subset.frames]
            self.energies[name] = np.stack([each.energy_members for each in told], axis=1) / np.diff(subset.offsets)
            self.forces[name] = np.concatenate([each.forces_members for each in told], axis=1)
            self.features[name] = np.concatenate([each.features for each in told])
        inside = self.force_error("training") <= tukey_fence(self.force_error("training"))
        trained = self.features["training"]
        self.inverses = {"γ": active_set(trained).inverse, "γ filtered": active_set(trained[inside]).inverse}

    def force_error(self, name: str) -> Array:
        """Norm, of the fit to all frames, `(A,)` eV/Å."""
        return np.asarray(np.linalg.norm(self.forces[name][0] - self.subsets[name].forces, axis=1))

    def energy_error(self, name: str) -> Array:
        """Of the fit to all frames, `(F,)` eV/atom."""
        return np.asarray(np.abs(self.energies[name][0] - self.subsets[name].energy))

    def committee(self, name: str, which: int, size: int = MEMBERS, std: bool = False) -> Pairs:
        """CBE, CBF and ABF of the first members of a committee, and errors of their mean.

        `std`: standard deviations (ddof = 1) in place of the largest deviations.
        """
        subset = self.subsets[name]
        first = 1 + self.size * which
        energies, forces = (of[name][first : first + size] for of in (self.energies, self.forces))
        spread: Callable[[Array], Array] = standard_deviation if std else largest_deviation
        abf, error = spread(forces), np.linalg.norm(forces.mean(axis=0) - subset.forces, axis=1)
        return {
            "CBE": (spread(energies[..., None]), np.abs(energies.mean(axis=0) - subset.energy)),
            "CBF": (frame_max(abf, subset.offsets), frame_max(error, subset.offsets)),
            "ABF": (abf, error),
        }

    def gamma(self, name: str) -> Pairs:
        """γ of frames (their maximum) and atoms with force errors; `filtered`: its active set without outliers."""
        offsets, error = self.subsets[name].offsets, self.force_error(name)
        pairs: Pairs = {}
        for kind, inverse in self.inverses.items():
            (of_atoms,) = grades(self.features[name], [inverse])
            pairs[f"{kind}, frames"] = frame_max(of_atoms, offsets), frame_max(error, offsets)
            pairs[f"{kind}, atoms"] = of_atoms, error
        return pairs

    def fence(self, criterion: str, which: int, size: int = MEMBERS) -> float:
        """Q3 + 1.5 IQR of the training errors of a committee."""
        return tukey_fence(self.committee("training", which, size)[criterion][1])


def standard_deviation(members: Array) -> Array:
    """`√(Σ_xyz s²)`, ddof = 1, over members `(M, ..., C)`, `(...)`."""
    return np.asarray(np.linalg.norm(members.std(axis=0, ddof=1), axis=-1))


class Laboratory:
    """Frames, rows and models, each made once."""

    def __init__(self, data: Path, quick: bool, workers: int) -> None:
        paths = {name: data / f"tungsten/{name}.extxyz.gz" for name in (*TRAINING, *TEST)}
        self.hashes = {f"tungsten/{path.name}": file_hash(path) for path in paths.values()}
        read = {name: list(read_frames(path, labels="needed"))[:: 10 if quick else 1] for name, path in paths.items()}
        self.training = [frame for name in TRAINING for frame in read[name]]
        self.test = Subset.of([frame for name in TEST for frame in read[name]])
        sizes = SIZES[:3] if quick else SIZES
        self.bases = [Ace(AceBasis(number_of_functions_per_element=size, **BASIS)) for size in sizes]
        started = time.perf_counter()
        self.designs = {}
        for frame, design in map_frames(Rows(self.bases[-1]), [*self.training, *self.test.frames], workers=workers):
            if isinstance(design, Failure):
                sys.exit(f"{design.origin}: {design.reason}")
            self.designs[content_hash(frame.atoms)] = replace(design, stress_rows=None)
        self.seconds = time.perf_counter() - started

    def source(self, basis: Ace) -> Columns:
        """The columns of a smaller basis: those whose features are equal in a frame with many environments."""
        probe = max(self.training, key=lambda frame: len(frame.atoms)).atoms
        small, large = basis.features(probe), self.designs[content_hash(probe)].features
        same = np.array([np.isclose(large, column[:, None], rtol=1e-9, atol=0).all(axis=0) for column in small.T])
        if not (same.sum(axis=1) == 1).all():
            sys.exit(f"the basis of {small.shape[1]} functions is not a part of that of {large.shape[1]}")
        return Columns(basis, np.concatenate([[0], 1 + same.argmax(axis=1)]), self.designs)

    @cached_property
    def models(self) -> list[Model]:
        """Of every basis; the last with the committees of thirty."""
        subsets = {"training": Subset.of(self.training), "C": self.test}
        sizes = [MEMBERS] * (len(self.bases) - 1) + [LARGEST]
        return [Model(self.source(basis), subsets, size) for basis, size in zip(self.bases, sizes, strict=True)]

    @cached_property
    def controlled(self) -> Model:
        """The largest basis fitted to nine tenths of the training frames; `control` is the rest."""
        held = Survey.fit(self.training).held_out(0.1)
        parts = {
            name: Subset.of([frame for frame, use in zip(self.training, mask, strict=True) if use])
            for name, mask in (("training", ~held), ("control", held))
        }
        return Model(self.source(self.bases[-1]), parts | {"C": self.test}, MEMBERS)
