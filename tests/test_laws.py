"""Objects × laws: every score, source, calibrator and fold of Assay through the public checks of `assay.testing`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from assay.calibration import CALIBRATORS
from assay.ensembles.referenced import Referenced
from assay.ensembles.references import EnergyReferences
from assay.ensembles.weights import MemberErrors
from assay.linear.potential import LinearPotential
from assay.scores.registry import SCORES
from assay.scores.rigidity.leverage import LeverageFold
from assay.sources.ace.basis import AceBasis
from assay.sources.ace.rows import Ace
from assay.sources.committees.committee import AseCommittee
from assay.sources.features.axes import FeatureMoments
from assay.sources.features.callable import PythonCallable
from assay.sources.features.file import Features
from assay.sources.features.soap import Soap
from assay.sources.recorded.recorded import Recorded
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings
from assay.testing import (
    LAWS_OF_CALIBRATORS,
    LAWS_OF_FOLDS,
    LAWS_OF_SCORES,
    LAWS_OF_SOURCES,
    TRAINING_SETS,
    CalibratorCase,
    FoldCase,
    ScoreCase,
    SourceCase,
    held_out_values,
)
from assay.testing.laws import keeps
from assay.testing.training_sets import MO, W

# scores


@cache
def score_case(name: str, training_set: str) -> ScoreCase:
    """Fitted once for all laws."""
    return ScoreCase(next(score for score in SCORES if score.name == name), TRAINING_SETS[training_set])


@pytest.mark.parametrize("law", LAWS_OF_SCORES)
@pytest.mark.parametrize("training_set", TRAINING_SETS)
@pytest.mark.parametrize("name", [score.name for score in SCORES])
def test_score(name: str, training_set: str, law: str) -> None:
    keeps(LAWS_OF_SCORES[law], score_case(name, training_set))


# sources


def frames() -> list[Atoms]:
    """Copper: a crystal, a slab and a cluster."""
    crystal, slab, cluster = bulk("Cu", cubic=True), bulk("Cu", cubic=True) * (2, 1, 1), bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    cluster.pbc = False
    cluster.set_cell(None)
    for seed, atoms in enumerate((crystal, slab, cluster)):
        atoms.rattle(0.1, seed=seed)
    return [crystal, slab, cluster]


def recorded_frames() -> list[Atoms]:
    """The same with what two members say of them, and features."""
    found = frames()
    for seed, atoms in enumerate(found):
        rng = np.random.default_rng(seed)
        for name in COMMITTEE.member_names:
            atoms.info[f"{name}_energy"] = float(rng.normal())
            atoms.arrays[f"{name}_forces"] = rng.normal(size=(len(atoms), 3))
        atoms.arrays["of_each"] = rng.normal(size=(len(atoms), 3))
    return found


def coordination(frame: Atoms) -> np.ndarray:
    """`Σ_j exp(−r_ij²)` and its square, `(A, 2)`."""
    from ase.neighborlist import neighbor_list

    i, r = neighbor_list("id", frame, 4.0)
    sums = np.bincount(i, np.exp(-(r**2)), minlength=len(frame))
    return np.stack([sums, sums**2], axis=1)


LJ = "ase.calculators.lj.LennardJones"
COMMITTEE = AseCommittee.from_toml(
    {
        "member": [
            {"label": f"lj{i}", "calculator": LJ, "arguments": {"sigma": s, "epsilon": 0.4, "rc": 3.6, "smooth": True}}
            for i, s in enumerate((2.26, 2.29))
        ]
    }
)
NONE = np.zeros(2)
REFERENCES = EnergyReferences(
    COMMITTEE.member_names, ("Cu",), np.array([[1.0], [-3.0]]), "labels", 5, NONE, NONE, NONE, np.array([5, 5])
)
SNAP = Snap(SnapSettings(("Cu",), twojmax=2))
THETA = np.random.default_rng(2).normal(size=(4, SNAP.coefficients))


@dataclass(frozen=True)
class Given:
    """How a case of a source is made, when its test runs."""

    source: Callable[[], Any]
    frames: Callable[[], list[Atoms]] = frames
    allow_import: tuple[str, ...] = ()


SOURCES = {
    "ase_committee": Given(lambda: COMMITTEE),
    "referenced": Given(lambda: Referenced(COMMITTEE, REFERENCES)),
    "recorded": Given(lambda: Recorded(COMMITTEE.member_names), recorded_frames),
    "features": Given(lambda: Features(array="of_each"), recorded_frames),
    "callable": Given(lambda: PythonCallable.of(coordination), allow_import=(__name__,)),
    "snap": Given(lambda: SNAP),
    "linear": Given(lambda: LinearPotential(SNAP, THETA[0], THETA[1:], 0.0)),
    "ace": Given(lambda: Ace(AceBasis())),
    "soap": Given(Soap),
}
NEEDS = {"snap": pytest.mark.snap, "linear": pytest.mark.snap, "ace": pytest.mark.ace, "soap": pytest.mark.soap}
AROUND_ANOTHER = ("linear", "referenced")
"""Loaded together with the source that they hold: tests/linear/test_potential.py, tests/sources/test_referenced.py."""


@cache
def source_case(kind: str) -> SourceCase:
    given = SOURCES[kind]
    return SourceCase(given.source(), tuple(given.frames()), given.allow_import)


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        pytest.param(kind, law, marks=NEEDS.get(kind, ()))
        for kind in SOURCES
        for law in LAWS_OF_SOURCES
        if not (kind in AROUND_ANOTHER and law == "saved_and_loaded")
    ],
)
def test_source(kind: str, law: str) -> None:
    keeps(LAWS_OF_SOURCES[law], source_case(kind))


# calibrators


@cache
def calibrator_case(name: str) -> CalibratorCase:
    return CalibratorCase(CALIBRATORS[name], held_out_values())


@pytest.mark.parametrize("law", LAWS_OF_CALIBRATORS)
@pytest.mark.parametrize("name", CALIBRATORS)
def test_calibrator(name: str, law: str) -> None:
    keeps(LAWS_OF_CALIBRATORS[law], calibrator_case(name))


# folds

RNG = np.random.default_rng(7)
CHUNKS = [(RNG.normal(size=(n, 3)), RNG.choice([W, MO], n)) for n in (5, 1, 9, 4)]
FOLDS = {
    "leverage": FoldCase(LeverageFold, CHUNKS, lambda fold: {str(z): f for z, f in fold.factors()[0].items()}, 1e-8),
    "moments of features": FoldCase(
        lambda: FeatureMoments(2, 3),
        [(features, (numbers == W).astype(np.int64)) for features, numbers in CHUNKS],
        lambda fold: [fold.counts, fold.means, fold.scatter],
    ),
    "errors of members": FoldCase(
        MemberErrors,
        [(RNG.normal(size=(3, n, 3)), RNG.normal(size=(n, 3))) for n in (4, 1, 7)],
        lambda fold: [fold.rmse],
    ),
}


@pytest.mark.parametrize("law", LAWS_OF_FOLDS)
@pytest.mark.parametrize("name", FOLDS)
def test_fold(name: str, law: str) -> None:
    keeps(LAWS_OF_FOLDS[law], FOLDS[name])
