"""Sources that Assay never saw, given as objects: they are built and compared like its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.neighborlist import neighbor_list
from copper import COMMITTEE, Files

import assay
from assay import Gauge
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.prediction import Prediction
from assay.sources.committees.committee import AseCommittee
from assay.sources.frame_calculator import row_calculator

WIDTHS = np.array([1.0, 1.6, 2.4])
CUTOFF = 3.8


def pairs(frame: Atoms) -> tuple[Array, Array]:
    """`f_ik = Σ_j exp(−(r_ij / w_k)²)`, `(A, 3)`, and minus its gradients, `(3A, 3)`."""
    i, r, vector = neighbor_list("idD", frame, CUTOFF)
    terms = np.exp(-((r[:, None] / WIDTHS) ** 2))
    features, forces = np.zeros((len(frame), 3)), np.zeros((len(frame), 3, 3))
    np.add.at(features, i, terms)
    np.add.at(forces, i, -4.0 * vector[:, :, None] * (terms / WIDTHS**2)[:, None])
    return features, forces.reshape(-1, 3)


@dataclass(frozen=True)
class Rows:
    """Design rows, and nothing that Assay has a class for."""

    kind: ClassVar[str] = "my_pairs"
    species: tuple[str, ...] = ("Cu",)
    label: str = "my pairs"
    coefficients: int = 4
    cutoff: float = CUTOFF
    changes_forces: bool = True

    def for_species(self, species: Any) -> Rows:
        return self

    def design(self, frame: Atoms) -> Design:
        (features, forces), n = pairs(frame), len(frame)
        row = np.concatenate([[n], features.sum(axis=0)])
        rows = np.hstack([np.zeros((3 * n, 1)), forces])
        return Design(row, rows, None, features, 0.0, np.zeros((n, 3)), np.zeros(6))

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        return self.design(frame).predictions(coefficients)

    def calculator(self, coefficients: Array) -> Calculator:
        return row_calculator(self, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        return pairs(frame)[0][:first]

    def state(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Ensemble:
    """Members, of a committee that it hides."""

    kind: ClassVar[str] = "my_ensemble"
    label: str = "my ensemble"
    hidden: AseCommittee = field(default_factory=lambda: AseCommittee.from_toml(COMMITTEE))
    featured: str = ""
    member_rmse: tuple[float, ...] = ()

    @property
    def member_names(self) -> tuple[str, ...]:
        return self.hidden.member_names

    def only(self, names: Any) -> Ensemble:
        return Ensemble(hidden=self.hidden.only(names))

    def predict(self, frame: Atoms) -> Prediction:
        return self.hidden.predict(frame)

    def state(self) -> dict[str, Any]:
        return {}


def cell_energy(calculator: Calculator) -> float:
    calculator.calculate(bulk("Cu"))
    return float(calculator.results["energy"])


def test_rows_are_fitted_and_give_bars_that_hold(files: Files) -> None:
    built = assay.build(files.train, source=Rows(), calibration=files.held_out)
    gauge = built.gauge
    assert gauge.bar == "committee_force:scale"
    assert gauge.provenance["source"] == {"source": "my_pairs"}
    found = assay.evaluate(gauge, files.test)
    assert found.errors.force.rmse < 0.3
    result = assay.propagate(gauge, cell_energy, members=3)
    assert result.members == 3
    assert not result.failed


def test_members_give_the_numbers_of_the_committee_that_they_are(files: Files, committee: Gauge) -> None:
    gauge = assay.build(files.train, source=Ensemble(), calibration=files.held_out).gauge
    assert gauge.bar == committee.bar
    theirs, ours = (assay.evaluate(each, files.test) for each in (committee, gauge))
    assert ours.errors == theirs.errors
    assert ours.bars == theirs.bars


def test_objects_are_compared(files: Files) -> None:
    options: dict[str, Any] = {"calibration": files.held_out, "resamples": 20}
    ours = assay.compare(files.train, files.test, source=Ensemble(), **options)
    theirs = assay.compare(files.train, files.test, source=COMMITTEE, **options)
    assert ours.methods.keys() == theirs.methods.keys()
    assert ours.splits == theirs.splits
    of_rows = assay.compare(files.train, files.test, source=Rows(), scores=["gamma", "leverage"], **options)
    assert {"gamma", "leverage"} <= of_rows.methods.keys()


def test_an_object_without_anything_to_gauge_is_refused(files: Files) -> None:
    @dataclass(frozen=True)
    class Alone:
        kind: ClassVar[str] = "alone"
        label: str = "alone"

        def predict(self, frame: Atoms) -> Prediction:
            return Prediction(0.0, np.zeros((len(frame), 3)))

        def state(self) -> dict[str, Any]:
            return {}

    with pytest.raises(ValueError, match="'alone' has neither design rows, nor members, nor features alone"):
        assay.build(files.train, source=Alone())  # type: ignore[arg-type]
