"""Records hold arrays that nobody changes behind their back, and views of them that agree."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from assay import Batch, Ensemble, Gaussian, Interval, Labels, Score
from assay.results.assessment import Assessment
from assay.results.design import Design
from assay.results.envelope import Envelope
from assay.results.per_quantity import QUANTITIES, PerQuantity, together
from assay.results.plain import plain
from assay.results.residuals import Residuals, enveloped


def batch(**columns: Any) -> Batch:
    """Two frames of two atoms and one, with one score, spreads and members of all quantities."""
    forces, energy, stress = np.arange(9.0).reshape(3, 3), np.array([-4.0, -3.0]), np.full((2, 6), 0.1)
    given = {
        "names": ("x:0", "x:1"),
        "config_types": ("a", ""),
        "offsets": np.array([0, 2, 3]),
        "numbers": np.array([14, 8, 14]),
        "energy": energy,
        "forces": forces,
        "stress": stress,
        "scores": {("gamma", "atom"): np.ones(3)},
        "spreads": {"gamma": PerQuantity(np.ones(2), np.ones((3, 3)), np.ones((2, 6)))},
        "still": np.zeros((3, 3), dtype=bool),
        "members": 5,
        "labels": Labels(energy - 2.0, forces - 1.0, stress - 0.3),
        "neighbourhood_error": np.ones(3),
        "companions": {"gamma_cluster": np.zeros(3, dtype=np.int64)},
        "envelopes": PerQuantity(*(Envelope(0.0 * y + 0.5, y - 1.5, y + 1.5) for y in (energy, forces, stress))),
    }
    return Batch(**given | columns)


ROW = np.ones(3)
RECORDS: dict[str, Callable[[np.ndarray], Any]] = {
    "labels": lambda x: Labels(x, x, x),
    "batch": lambda x: batch(neighbourhood_error=x, scores={("gamma", "atom"): x}, companions={"gamma_cluster": x}),
    "score": lambda x: Score("gamma", "atom", x),
    "gaussian": lambda x: Gaussian(x, x, "eV"),
    "ensemble": lambda x: Ensemble(x, "eV"),
    "interval": lambda x: Interval(x, x, x, "eV", masses=x, strata=((x, x),), stratum=x),
    "envelope": lambda x: Envelope(x, x, x),
    "residuals": lambda x: Residuals(x, x, x, x),
    "design": lambda x: Design(x, x, x, x, 0.0, x, x),
}


def arrays(value: Any) -> list[np.ndarray]:
    """All arrays in a record, its mappings and tuples."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, tuple):
        return [array for each in value for array in arrays(each)]
    if isinstance(value, dict):
        return arrays(tuple(value.values()))
    return arrays(tuple(vars(value).values())) if hasattr(value, "__dataclass_fields__") else []


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_arrays_of_a_record_are_read_only_views_and_those_given_stay_writable(make: Callable[..., Any]) -> None:
    given = ROW.copy()
    record = make(given)
    found = [array for array in arrays(record) if np.shares_memory(array, given)]
    assert found
    for array in arrays(record):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    given[0] = 7.0
    assert all(array[0] == 7.0 for array in found), "a view, not a copy"
    assert not any(array.flags.writeable for array in arrays(pickle.loads(pickle.dumps(record)))), "sent by a worker"
    with pytest.raises(ValueError, match="read-only"):
        arrays(replace(record))[0][...] = 0


def test_arrays_of_an_assessment_are_read_only() -> None:
    made = batch()
    scores = {key: Score(*key, values) for key, values in made.scores.items()}
    bars = PerQuantity(force=Gaussian(made.forces, made.spreads["gamma"].force, "eV/Å"))
    for array in arrays(Assessment(made, scores, bars, "gamma:scale")):
        assert not array.flags.writeable


def test_values_of_every_quantity_belong_together() -> None:
    made = batch()
    assert made.labels is not None
    columns = (made.predicted, made.errors(made.labels), made.spreads["gamma"], made.counted, made.frames_of)
    rows = list(together(*columns))
    assert [quantity for quantity, *_ in rows] == list(QUANTITIES)
    for _, *each in rows:
        assert len({array.shape for array in each}) == 1
    assert made.frames_of.force is not None
    assert made.frames_of.force[:, 2].tolist() == [0, 0, 1]
    errors = made.errors(made.labels)
    assert errors.energy is not None
    assert errors.energy.tolist() == [1.0, 2.0], "per atom"
    np.testing.assert_allclose(errors.force, 1.0)
    np.testing.assert_allclose(errors.stress, 0.3)
    assert batch(stress=None).errors(made.labels).stress is None


def test_what_members_span_is_compared_with_labels() -> None:
    still = np.zeros((3, 3), dtype=bool)
    still[0, 0] = True
    made = batch(still=still, labels=Labels(np.array([-4.0, -9.0]), np.full((3, 3), 2.0), np.full((2, 6), 5.0)))
    assert made.labels is not None
    found = enveloped(made, made.labels)
    assert [quantity for quantity, _ in found.items()] == ["energy", "force", "stress"]
    energy, force = found.energy, found.force
    assert energy is not None
    assert force is not None
    assert energy.outside.tolist() == [False, True]
    assert energy.residuals.error.tolist() == [0.0, 6.0]
    assert energy.residuals.spread.tolist() == [0.25, 0.5], "of the energy of a frame, per atom"
    assert force.residuals.frame.tolist() == [0] * 5 + [1] * 3
    assert force.label.size == 8, "what vanishes by symmetry is left out"
    some = enveloped(made, made.labels, np.array([False, False]), np.array([True, False, False]))
    assert [quantity for quantity, _ in some.items()] == ["force"]


def test_one_thing_each_for_the_quantities() -> None:
    some = PerQuantity(energy=0, stress=2)
    assert dict(some.items()) == {"energy": 0, "stress": 2}, "zero is something"
    assert some.map(lambda x: x + 1) == PerQuantity(energy=1, stress=3)
    assert not some.map(lambda x: None)
    assert list(together(some, PerQuantity(1, 2, 3))) == [("energy", 0, 1), ("stress", 2, 3)]
    with pytest.raises(TypeError, match="forces"):
        PerQuantity.of({"forces": 1})


def test_people_are_told_of_forces_first() -> None:
    some = PerQuantity(energy=1, stress=3)
    assert list(some.forces_first()) == [("energy", 1), ("stress", 3)]
    assert [name for name, _ in replace(some, force=2).forces_first()] == ["force", "energy", "stress"]


def test_records_are_plain_in_json() -> None:
    score = Score("gamma", "atom", np.array([1.0, 2.0]), 1.5)
    told = plain({0.68: (score, None)})
    assert list(told) == ["0.68"]
    assert told["0.68"][1] is None
    assert told["0.68"][0]["values"] == [1.0, 2.0]
    assert json.loads(json.dumps(told)) == told
