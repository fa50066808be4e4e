"""One label for each frame: whose it is, and that the energies of both kinds are on one reference."""

from __future__ import annotations

import numpy as np
import pytest
from alloy import QUALITY, SHIFTS, TEACHERS, alloy

from assay.distillation.labels import DFT, jobs, mix, mixed_frames
from assay.distillation.teachers import PoolLabels, Teachers
from assay.frames.frame import Frame, FrameError
from assay.sources.recorded.recorded import Recorded

WEIGHTS = np.array([0.6, 0.3, 0.1])


def as_frames(structures, labelled=True):
    return [
        Frame(a, f"pool:{i}", a.info["config_type"], a.info["REF_energy"], a.arrays["REF_forces"], a.info["REF_stress"])
        if labelled
        else Frame(a, f"pool:{i}", a.info["config_type"])
        for i, a in enumerate(structures)
    ]


def pool(count=16, exact=False, known=None):
    frames, told = Teachers.evaluate(Recorded(TEACHERS), TEACHERS, as_frames(alloy(count, exact=exact)))
    labelled = set(range(count)) if known is None else set(known)
    labels = PoolLabels.of(frames, lambda frame: frame if int(frame.origin.split(":")[1]) in labelled else None)
    return frames, told, labels, told.uncertainty(WEIGHTS)


def mixed(frames, told, labels, u, cutoff, which="best", ties=None, without=None):
    ties = np.zeros(len(frames), dtype=bool) if ties is None else ties
    return mix(frames, told, u, cutoff, labels, weights=WEIGHTS, which=which, ties=ties, without=without)


def test_energies_of_teachers_end_on_the_reference_of_dft():
    frames, told, labels, u = pool(exact=True)
    u = np.linspace(0.0, 1.0, len(frames))  # exact teachers agree
    one = mixed(frames, told, labels, u, 0.7)
    assert 0 < one.dft.sum() < len(frames) / 2
    assert one.references.onto == "labels"
    np.testing.assert_allclose(one.labels.energy, labels.energy, atol=1e-9)
    np.testing.assert_allclose(one.references.shifts[0], [-SHIFTS["near"]["Cu"], -SHIFTS["near"]["Au"]], atol=1e-9)


def test_without_dft_labels_energies_are_those_of_the_best_teacher():
    frames, told, labels, u = pool(known=())
    one = mixed(frames, told, labels, u, np.inf)
    assert one.references.onto == "near"
    assert one.taught.all()
    np.testing.assert_allclose(one.labels.energy, told.energy[0])
    np.testing.assert_array_equal(one.labels.forces, told.forces[0])


def zeros_apart(frames, energy, true):
    """What is left of the difference of energies by the best constant for each species, eV."""
    counts = np.array([[frame.atoms.symbols.count(s) for s in ("Cu", "Au")] for frame in frames])
    difference = energy - true
    return np.abs(difference - counts @ np.linalg.lstsq(counts, difference)[0]).max()


@pytest.mark.filterwarnings("ignore:energy references:UserWarning")
def test_a_species_without_dft_labels_has_one_zero_all_the_same():
    """Copper alone is labelled, and taught with gold in the other frames: a constant per species makes up for it."""
    true = pool(exact=True)[2].energy
    frames, told, labels, _ = pool(known=range(0, 16, 4), exact=True)
    u = np.where(np.arange(16) % 4 == 0, 1.0, 0.0)
    one = mixed(frames, told, labels, u, 0.5)
    assert one.references.onto == "labels"
    assert one.references.undetermined == ("Au",)
    assert one.dft.sum() == 4
    assert zeros_apart(frames, one.labels.energy, true) < 1e-8
    ties = np.arange(16) % 8 == 0  # copper again, where DFT has gold too
    frames, told, labels, u = pool(exact=True)
    one = mixed(frames, told, labels, np.linspace(0, 1, 16), 0.6, ties=ties)
    assert zeros_apart(frames, one.labels.energy, true) < 1e-8


def test_frames_for_the_reference_are_asked_for():
    frames, told, labels, u = pool(known=())
    one = mixed(frames, told, labels, u, np.inf, ties=np.arange(16) < 3)
    assert one.pending.sum() == 3


def test_each_frame_has_the_label_that_its_uncertainty_asks_for():
    frames, told, labels, u = pool(known=range(12, 15))
    cutoff = float(np.sort(u)[-6])
    one = mixed(frames, told, labels, u, cutoff, "mean")
    wanted = u >= cutoff
    known = np.isin(np.arange(16), [12, 13, 14])
    np.testing.assert_array_equal(one.dft, wanted & known)
    np.testing.assert_array_equal(one.pending, wanted & ~known)
    np.testing.assert_array_equal(one.taught, ~wanted)
    mean = np.tensordot(WEIGHTS, told.forces, axes=1)
    of_dft = np.repeat(one.dft, 4)
    np.testing.assert_array_equal(one.labels.forces[of_dft], labels.forces[of_dft])
    np.testing.assert_allclose(one.labels.forces[~of_dft], mean[~of_dft])


def test_frames_for_the_reference_have_dft_labels_and_set_it_alone():
    frames, told, labels, u = pool()
    labels.energy[4:] += 100.0 * np.random.default_rng(0).normal(size=12)
    ties = np.arange(16) < 4
    one = mixed(frames, told, labels, u, np.inf, ties=ties)
    np.testing.assert_array_equal(one.dft, ties)
    assert one.tied == 4
    assert one.references.frames == 4
    assert np.abs(one.references.shifts[0] + [SHIFTS["near"]["Cu"], SHIFTS["near"]["Au"]]).max() < 0.05


def test_a_distrusted_label_is_not_used():
    frames, told, labels, u = pool()
    order = np.argsort(u)
    without = np.isin(np.arange(16), [order[0], order[-1]])
    one = mixed(frames, told, labels, u, float(np.sort(u)[8]), without=without)
    assert one.taught[order[0]]
    assert one.pending[order[-1]]
    assert one.dft.sum() == 7


def test_mixed_frames_say_whose_label_they_have_and_pending_ones_are_left_out():
    frames, told, labels, u = pool(known=range(12))
    cutoff = float(np.sort(u)[6])
    one = mixed(frames, told, labels, u, cutoff)
    written = list(mixed_frames(frames, one, u))
    assert len(written) == 16 - one.pending.sum()
    here = np.flatnonzero(~one.pending)
    for j, atoms in zip(here, written, strict=True):
        assert atoms.info["origin"] == frames[j].origin
        assert atoms.info["U"] == u[j]
        assert (atoms.info["label_source"] == DFT) == (u[j] >= cutoff)
        np.testing.assert_array_equal(atoms.arrays["REF_forces"], one.labels.forces[4 * j : 4 * j + 4])
    assert all("REF_stress" not in atoms.info for atoms in written)  # the teachers have none
    everything = list(mixed_frames(frames, mixed(*pool(), 0.0), u))
    np.testing.assert_array_equal(everything[3].info["REF_stress"], frames[3].stress)


def test_jobs_come_with_the_most_uncertain_first():
    frames, told, labels, u = pool(known=())
    low, high = (float(np.sort(u)[i]) for i in (6, 12))
    found = jobs(frames, [mixed(frames, told, labels, u, cutoff) for cutoff in (high, low)], u)
    assert [atoms.info["rank"] for atoms in found] == list(range(1, 11))
    values = [atoms.info["U"] for atoms in found]
    assert values == sorted(u, reverse=True)[:10]
    assert [atoms.info["largest_cutoff"] for atoms in found] == [high] * 4 + [low] * 6


def test_rmse_of_teachers_is_over_labelled_frames():
    _, told, labels, _ = pool(count=200, known=range(100, 200))
    rmse = told.force_rmse(labels.forces)
    here = np.repeat(labels.known, 4)
    np.testing.assert_allclose(rmse[1] ** 2, np.mean((told.forces[1] - labels.forces)[here] ** 2))
    np.testing.assert_allclose(rmse / rmse[0], np.array(QUALITY) / QUALITY[0], rtol=0.2)


def test_a_frame_without_all_teachers_is_named_and_as_uncertain_as_can_be():
    structures = alloy(4)
    structures[2].arrays["far_forces"][1] = np.nan
    with pytest.raises(FrameError, match=r"pool:2: .*far is not finite"):
        Teachers.evaluate(Recorded(TEACHERS), TEACHERS, as_frames(structures))
    failed = []
    frames, told = Teachers.evaluate(Recorded(TEACHERS), TEACHERS, as_frames(structures), failed=failed)
    assert [origin for origin, _ in failed] == ["pool:2"]
    assert len(frames) == told.energy.shape[1] == 4
    assert told.answered.tolist() == [True, True, False, True]
    assert np.flatnonzero(np.isinf(told.uncertainty(()))).tolist() == [2]
