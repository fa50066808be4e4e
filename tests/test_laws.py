"""Objects × laws: scores, sources, calibrators, properties and folds of Assay through the public checks of its own."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.io import write

import assay
from assay.calibration import CALIBRATORS
from assay.ensembles.referenced import Referenced
from assay.ensembles.references import EnergyReferences, ReferenceFold
from assay.ensembles.weights import MemberErrors
from assay.linear.normal_equations import NormalEquations, System
from assay.linear.potential import LinearPotential
from assay.propagation.properties.registry import NAMES, property_from_spec
from assay.scores.d_optimality.grade import GradeFold
from assay.scores.d_optimality.maxvol import MaxVol
from assay.scores.features.whitening import Whitening
from assay.scores.registry import SCORES
from assay.scores.rigidity.gaussian_process import ProcessFold
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
    LAWS_OF_PROPERTIES,
    LAWS_OF_SCORES,
    LAWS_OF_SOURCES,
    TRAINING_SETS,
    CalibratorCase,
    FoldCase,
    PropertyCase,
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


# properties


def lennard_jones(sigma: float, epsilon: float) -> Callable[[], Calculator]:
    return lambda: LennardJones(sigma=sigma, epsilon=epsilon, rc=2 * sigma, smooth=True)


def expansion(calculator: Calculator) -> dict[str, float]:
    """A function as a user writes it."""
    energies = []
    for strain in (1.0, 1.01):
        atoms = bulk("Cu", a=3.6 * strain)
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    return {"energy of expansion": energies[1] - energies[0]}


PROPERTIES = {
    "crystals": "crystals:fcc,sc",
    "elastic": "elastic:fcc",
    "path": "path:bain,points=2",
    "phonons": "phonons:fcc,mesh=2,size=2",
    "vacancy": "vacancy:fcc,size=2",
    "interstitials": "interstitials:octahedral,structure=fcc,size=2",
    "surfaces": "surfaces:111,thickness=10",
    "barrier": "barrier:vacancy,structure=fcc,size=2,images=3",
    "energies": "energies:{frames}",
    "function": f"function:{__name__}.expansion",
}
"""By name, as a user asks for them. `{frames}` is a file."""
assert PROPERTIES.keys() == set(NAMES)
NEEDS_MORE = [name for name in PROPERTIES if name not in ("energies", "function")]


@pytest.fixture(scope="module")
def property_case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], PropertyCase]:
    """Of copper, of two Lennard-Jones potentials."""
    path = tmp_path_factory.mktemp("frames") / "frames.extxyz"
    write(path, [frame for frame in frames() if len(frame) == 4])
    potentials = lennard_jones(2.25, 0.35), lennard_jones(2.32, 0.38)

    @cache
    def case(name: str) -> PropertyCase:
        spec = PROPERTIES[name].format(frames=path)
        return PropertyCase(property_from_spec(spec, ["Cu"], allow_import=[__name__]), potentials)

    return case


@pytest.mark.parametrize("law", LAWS_OF_PROPERTIES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.properties] * (name in NEEDS_MORE)) for name in PROPERTIES]
)
def test_property(property_case: Callable[[str], PropertyCase], name: str, law: str) -> None:
    keeps(LAWS_OF_PROPERTIES[law], property_case(name))


# folds

RNG = np.random.default_rng(7)
CHUNKS = [(RNG.normal(size=(n, 3)), RNG.choice([W, MO], n)) for n in (5, 1, 9, 4)]
ROWS = np.concatenate([features for features, _ in CHUNKS])


def upper(system: System) -> list[Any]:
    return [np.triu(system.gram), system.moment, system.square]


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
    "active sets": FoldCase(
        GradeFold,
        CHUNKS,
        lambda fold: {str(z): np.linalg.slogdet(of)[1] for z, of in fold.result().inverses.items()},
        0.05,  # sets of about the same volume serve as well
    ),
    "active set": FoldCase(
        lambda: MaxVol(3), [(features,) for features, _ in CHUNKS], lambda fold: [fold.result().log_volume], 0.05
    ),
    "inducing atoms": FoldCase(
        lambda: ProcessFold(Whitening.fit(ROWS), ROWS[::4]),
        [(features,) for features, _ in CHUNKS],
        lambda fold: [fold.result().std(ROWS + 0.3)],
        1e-8,
    ),
    "energy references": FoldCase(
        lambda: ReferenceFold(("one", "other")),
        [(np.repeat([W, MO], [n, 9 - n]), RNG.normal(size=2), RNG.normal()) for n in (3, 8, 1, 5, 7, 2, 4, 6)],
        lambda fold: [(found := fold.result()).shifts, found.frames, found.after],
        1e-8,
    ),
    "normal equations": FoldCase(
        lambda: NormalEquations(3, 2),
        [
            (int(z == W), features[None], RNG.normal(size=1))
            for features, z in zip(ROWS, RNG.choice([W, MO], 19), strict=True)
        ],
        lambda fold: [fold.rows, upper(fold.system()), upper(fold.system(np.array([2.0, 0.0])))],
    ),
}


def folds_of(source: Path) -> set[str]:
    """Classes that have both `update` and `merge`, but for protocols."""
    return {
        node.name
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and {"update", "merge"} <= {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
        and "Protocol" not in {ast.unparse(base) for base in node.bases}
    }


def test_every_fold_is_in_the_table() -> None:
    assert folds_of(Path(assay.__file__).parent) == {type(case.make()).__name__ for case in FOLDS.values()}


@pytest.mark.parametrize("law", LAWS_OF_FOLDS)
@pytest.mark.parametrize("name", FOLDS)
def test_fold(name: str, law: str) -> None:
    keeps(LAWS_OF_FOLDS[law], FOLDS[name])
