"""Noisy DFT labels: flagged where the teachers agree and like frames have no such difference, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from assay.distillation.noise import check_labels, noisy_labels
from assay.distillation.teachers import PoolLabels, Teachers
from assay.sources.frame_files import FrameFiles
from assay.sources.recorded.recorded import Recorded

F = 200


def clean(seed=0):
    """Two kinds of frames: teachers and labels differ ten times as much on the second, and teachers say so."""
    rng = np.random.default_rng(seed)
    kind = np.arange(F) % 2
    level = 0.05 * 10.0**kind
    uncertainty = level * np.exp(rng.normal(0, 0.2, F))
    difference = uncertainty * np.exp(rng.normal(0, 0.3, F))
    spread = 0.003 * np.exp(rng.normal(0, 0.2, F))
    energy = 0.02 * kind + spread * rng.normal(0, 1, F)
    features = np.column_stack([kind, np.full(F, 3.0), rng.normal(0, 0.1, (F, 2))])  # one column is constant
    return energy, spread, difference, uncertainty, features


def test_clean_labels_are_not_flagged():
    assert sum(noisy_labels(*clean(seed)).any.sum() for seed in range(20)) <= 2


def test_wrong_forces_and_wrong_energies_are_flagged_each_as_what_they_are():
    energy, spread, difference, uncertainty, features = clean()
    difference[[10, 20]] = 2.0
    energy[30] += 0.3
    found = noisy_labels(energy, spread, difference, uncertainty, features)
    assert np.flatnonzero(found.forces).tolist() == [10, 20]
    assert np.flatnonzero(found.energy).tolist() == [30]


def test_where_teachers_disagree_a_difference_is_no_evidence():
    energy, spread, difference, uncertainty, features = clean()
    difference[10] = uncertainty[10] = 2.0
    assert not noisy_labels(energy, spread, difference, uncertainty, features).forces.any()


def test_where_like_frames_differ_as_much_a_difference_is_no_evidence():
    energy, spread, difference, uncertainty, features = clean()
    alike = np.arange(0, 60, 2)
    features[alike, 0] = 5.0
    difference[alike] = 1.0
    assert not noisy_labels(energy, spread, difference, uncertainty, features).forces.any()


def test_order_and_duplicates_do_not_matter():
    given = [np.concatenate([values, values[:20]]) for values in clean()]
    given[2][[10, 120]] = 2.0
    order = np.random.default_rng(1).permutation(F + 20)
    found = noisy_labels(*given).any
    np.testing.assert_array_equal(noisy_labels(*(values[order] for values in given)).any, found[order])
    assert found.sum() == 2


def test_forces_that_vanish_by_symmetry_are_not_noise():
    energy, spread, difference, uncertainty, features = clean()
    difference[:50], uncertainty[:50] = 1e-4 * np.arange(50) / 50, 1e-9
    assert not noisy_labels(energy, spread, difference, uncertainty, features).forces.any()


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="7 labelled frames are too few"):
        noisy_labels(*(values[:7] for values in clean()))


@pytest.mark.data
@pytest.mark.snap
def test_corrupted_labels_of_tungsten_are_found(real_data):
    from assay.sources.snap.rows import Snap

    stem = real_data / "tungsten" / "umlip-committee"
    every = FrameFiles(stem.with_suffix(".extxyz.gz"), stem.with_suffix(".npz"))
    frames = [frame for i, frame in enumerate(every) if i % 4 == 0]
    models = Recorded.from_frame(frames[0].atoms).models[:11]
    frames, told = Teachers.evaluate(Recorded(models), models, frames)
    known, weights = PoolLabels.of(frames, lambda frame: frame), np.full(11, 1 / 11)
    features = {id(f.atoms): a for f, a in zip(frames, _features(Snap, frames), strict=True)}

    def flagged(energy, forces):
        given = PoolLabels(energy, forces, known.stress)
        return check_labels(frames, told, given, weights, lambda atoms: features[id(atoms)])[0]

    assert not flagged(known.energy, known.forces).any()
    rng = np.random.default_rng(0)
    bad = rng.choice(len(frames), 10, replace=False)
    energy, forces = known.energy.copy(), known.forces.copy()
    energy[bad[:5]] += 0.1 * told.natoms[bad[:5]]
    for j in bad[5:]:
        here = slice(told.offsets[j], told.offsets[j + 1])
        forces[here] += rng.normal(0, 0.5, forces[here].shape)
    assert set(np.flatnonzero(flagged(energy, forces))) == set(bad)


def _features(snap, frames):
    rows = snap.from_state({"twojmax": 4, "rcut": 5.0}).for_species(("W",))
    return [rows.features(frame.atoms) for frame in frames]
