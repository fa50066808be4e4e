"""Errors of labels and students, in closed form, and the weights of labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms

from assay.distillation.errors import errors, worse_than
from assay.distillation.figures import DftErrors, ForceBars, Rmses, StudentOnTest
from assay.distillation.fitted import Counts, FittedStudent
from assay.distillation.teachers import PoolLabels
from assay.distillation.weighting import uncertainty_weights
from assay.frames.frame import Frame

FRAMES = [
    Frame(Atoms(symbols), f"f:{i}", kind)
    for i, (symbols, kind) in enumerate((("Cu2", "a"), ("CuAu", "a"), ("Au4", "b")))
]


def labels(energy, forces):
    return PoolLabels(np.array(energy), np.array(forces, dtype=float), np.full((3, 6), np.nan))


def rmses(force):
    return Rmses(3, 8, force, 2.0, None)


def test_errors_are_those_of_the_definition():
    known = labels([0.0, 0.0, 0.0], np.zeros((8, 3)))
    forces = np.zeros((8, 3))
    forces[0, 0], forces[4:] = 0.6, 0.2
    found = errors(FRAMES, labels([0.02, 0.0, 0.12], forces), known)
    assert found.overall.force == pytest.approx(np.sqrt((0.36 + 12 * 0.04) / 24))
    assert found.overall.energy == pytest.approx(1000 * np.sqrt((0.01**2 + 0 + 0.03**2) / 3))
    assert found.by_config_type["b"].force == pytest.approx(0.2)
    assert found.by_config_type["a"].frames == 2


def test_a_shift_per_species_is_no_shifted_error():
    energy = [2 * 1.5, 1.5 - 0.7, 4 * -0.7]
    found = errors(FRAMES, labels(energy, np.zeros((8, 3))), labels([0.0, 0.0, 0.0], np.zeros((8, 3))))
    assert found.overall.energy_shifted == pytest.approx(0.0, abs=1e-9)
    assert found.overall.energy > 900


def test_frames_without_a_label_do_not_count():
    known = labels([0.0, np.nan, np.nan], np.where(np.arange(24).reshape(8, 3) < 6, 0.0, np.nan))
    found = errors(FRAMES, labels([0.02, 9.0, 9.0], np.full((8, 3), 0.1)), known)
    assert found.overall.frames == 1
    assert found.overall.force == pytest.approx(0.1)
    assert errors(FRAMES, labels([np.nan] * 3, np.zeros((8, 3))), known) is None


def test_energies_that_the_shifts_fit_exactly_are_not_judged():
    known = labels([0.0, 0.0, np.nan], np.zeros((8, 3)))
    found = errors(FRAMES, labels([0.02, 0.3, 0.0], np.zeros((8, 3))), known)
    assert found.overall.energy_shifted is None
    assert found.overall.energy > 100
    assert worse_than(found, found, "energy_shifted") == ()


def test_worse_kinds_come_worst_first():
    def of(**forces):
        return DftErrors(rmses(1.0), {kind: rmses(force) for kind, force in forces.items()})

    ours, theirs = of(a=2.0, b=9.0, c=1.0, d=1.0), of(a=1.0, b=3.0, c=1.5)
    assert worse_than(ours, theirs, "force") == ("b", "a")
    assert worse_than(ours, None, "force") == worse_than(None, theirs, "force") == ()


@pytest.mark.parametrize(
    "on_test",
    [
        None,
        StudentOnTest(None, None),
        StudentOnTest(DftErrors(rmses(0.1), {"": rmses(0.3)}), ForceBars({0.68: 0.7, 0.95: None}, None)),
    ],
)
def test_a_student_that_is_kept_is_read_back(on_test):
    student = FittedStudent("k", Counts(5, 20), 2, "bars", on_test, (("f:1", "bad"),), ("a.gauge",))
    assert FittedStudent.from_summary(json.loads(json.dumps(student.summary()))) == student


def test_the_summary_of_errors_says_units():
    found = DftErrors(rmses(0.1), {"md": rmses(0.3)}).summary()
    assert list(found.items()) == [
        ("frames", 3), ("atoms", 8), ("force_rmse_eV_per_A", 0.1), ("energy_rmse_meV_per_atom", 2.0),
        ("energy_shifted_rmse_meV_per_atom", None),
        ("by_config_type", {"md": {"frames": 3, "atoms": 8, "force_rmse_eV_per_A": 0.3,
                                   "energy_rmse_meV_per_atom": 2.0, "energy_shifted_rmse_meV_per_atom": None}}),
    ]  # fmt: skip


def test_weights_fall_with_the_uncertainty_of_teachers_labels_alone():
    u, taught = np.array([0.1, 0.2, 0.4, 5.0]), np.array([True, True, True, False])
    np.testing.assert_allclose(uncertainty_weights(u, taught), [0.8, 0.5, 0.2, 1.0])
    np.testing.assert_array_equal(uncertainty_weights(np.zeros(4), taught), np.ones(4))
    np.testing.assert_array_equal(uncertainty_weights(u, np.zeros(4, dtype=bool)), np.ones(4))
