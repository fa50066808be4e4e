"""Errors of labels and students, in closed form, and the weights of labels."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from assay.distillation.errors import errors, worse_than
from assay.distillation.teachers import PoolLabels
from assay.distillation.weighting import uncertainty_weights
from assay.frames.frame import Frame

FRAMES = [
    Frame(Atoms(symbols), f"f:{i}", kind)
    for i, (symbols, kind) in enumerate((("Cu2", "a"), ("CuAu", "a"), ("Au4", "b")))
]


def labels(energy, forces):
    return PoolLabels(np.array(energy), np.array(forces, dtype=float), np.full((3, 6), np.nan))


def test_errors_are_those_of_the_definition():
    known = labels([0.0, 0.0, 0.0], np.zeros((8, 3)))
    forces = np.zeros((8, 3))
    forces[0, 0], forces[4:] = 0.6, 0.2
    found = errors(FRAMES, labels([0.02, 0.0, 0.12], forces), known)
    assert found["force_rmse_eV_per_A"] == pytest.approx(np.sqrt((0.36 + 12 * 0.04) / 24))
    assert found["energy_rmse_meV_per_atom"] == pytest.approx(1000 * np.sqrt((0.01**2 + 0 + 0.03**2) / 3))
    assert found["by_config_type"]["b"]["force_rmse_eV_per_A"] == pytest.approx(0.2)
    assert found["by_config_type"]["a"]["frames"] == 2


def test_a_shift_per_species_is_no_shifted_error():
    energy = [2 * 1.5, 1.5 - 0.7, 4 * -0.7]
    found = errors(FRAMES, labels(energy, np.zeros((8, 3))), labels([0.0, 0.0, 0.0], np.zeros((8, 3))))
    assert found["energy_shifted_rmse_meV_per_atom"] == pytest.approx(0.0, abs=1e-9)
    assert found["energy_rmse_meV_per_atom"] > 900


def test_frames_without_a_label_do_not_count():
    known = labels([0.0, np.nan, np.nan], np.where(np.arange(24).reshape(8, 3) < 6, 0.0, np.nan))
    found = errors(FRAMES, labels([0.02, 9.0, 9.0], np.full((8, 3), 0.1)), known)
    assert found["frames"] == 1
    assert found["force_rmse_eV_per_A"] == pytest.approx(0.1)
    assert errors(FRAMES, labels([np.nan] * 3, np.zeros((8, 3))), known) == {}


def test_energies_that_the_shifts_fit_exactly_are_not_judged():
    known = labels([0.0, 0.0, np.nan], np.zeros((8, 3)))
    found = errors(FRAMES, labels([0.02, 0.3, 0.0], np.zeros((8, 3))), known)
    assert found["energy_shifted_rmse_meV_per_atom"] is None
    assert found["energy_rmse_meV_per_atom"] > 100
    assert worse_than(found, found, "energy_shifted_rmse_meV_per_atom") == []


def test_worse_kinds_come_worst_first():
    ours = {"by_config_type": {"a": {"x": 2.0}, "b": {"x": 9.0}, "c": {"x": 1.0}, "d": {"x": 1.0}}}
    theirs = {"by_config_type": {"a": {"x": 1.0}, "b": {"x": 3.0}, "c": {"x": 1.5}}}
    assert worse_than(ours, theirs, "x") == ["b", "a"]


def test_weights_fall_with_the_uncertainty_of_teachers_labels_alone():
    u, taught = np.array([0.1, 0.2, 0.4, 5.0]), np.array([True, True, True, False])
    np.testing.assert_allclose(uncertainty_weights(u, taught), [0.8, 0.5, 0.2, 1.0])
    np.testing.assert_array_equal(uncertainty_weights(np.zeros(4), taught), np.ones(4))
    np.testing.assert_array_equal(uncertainty_weights(u, np.zeros(4, dtype=bool)), np.ones(4))
