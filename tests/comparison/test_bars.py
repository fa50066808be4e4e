"""Error bars of methods on splits, beside the bar that is the same everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from invented import FEATURES, MEMBERS, as_split, batch, split

from assay.calibration.bar_name import CalibratorName
from assay.comparison.bars import NotApplicable, bars, skill
from assay.comparison.figures import Estimate
from assay.comparison.methods import CONSTANT, Method, OfPosterior
from assay.comparison.split import Split
from assay.gauge.spreads import bar_spreads, force_spread
from assay.results.per_quantity import PerQuantity
from assay.results.prediction import Prediction
from assay.scores.members.committee import CommitteeEnergy, CommitteeForce
from assay.scores.members.heterogeneous import HeterogeneousForce
from assay.scores.protocol import FittedScore

SCALE = CalibratorName.parse("scale")
HOME = split(60, seed=1)
AWAY = split(60, seed=2)


def test_a_score_that_knows_the_standard_deviation_covers_and_has_skill() -> None:
    found = bars(AWAY, HOME, MEMBERS, "force", SCALE)
    constant = bars(AWAY, HOME, CONSTANT, "force", SCALE)
    for level in (0.5, 0.68, 0.9, 0.95):
        assert found.coverage(level).value == pytest.approx(level, abs=0.04)
    assert found.std is not None
    known = AWAY.batch.scores["gamma", "atom"] / np.sqrt(3)
    np.testing.assert_allclose(found.std, np.repeat(known, 3), rtol=0.05)
    gained = skill(found, constant).estimate()
    assert gained.low is not None
    assert gained.low > 0.1
    assert skill(constant, constant).estimate() == Estimate(0.0, 0.0, 0.0)


def test_the_interval_score_is_that_of_gneiting_and_raftery() -> None:
    """Eq. 43 by hand: width, and 2/α times what sticks out."""
    found = replace(bars(AWAY, HOME, MEMBERS, "force", SCALE), error=np.array([0.5, -3.0]))
    found = replace(found, half={0.9: np.array([1.0, 2.0])}, resamples=split(2, 1).resampled["force_atom"])
    assert found.interval_score.value == pytest.approx(((2.0) + (4.0 + 20.0 * 1.0)) / 2)


def halves_apart() -> Split:
    """Errors of the second half of either config_type are ten times those of the first."""
    made = split(40, seed=3).batch
    assert made.forces is not None
    later = np.arange(40) >= 20
    return as_split(replace(made, forces=made.forces * np.where(np.repeat(later, 10), 10.0, 1.0)[:, None]))


def test_calibration_frames_are_judged_by_bars_of_the_other_half() -> None:
    """Bars of the first half are ten times too wide, those of the second ten times too narrow."""
    here = halves_apart()
    found = bars(here, here, MEMBERS, "force", SCALE)
    first = here.halves("force")
    inside = np.abs(found.error) <= found.half[0.95]
    assert inside[first].all()
    assert inside[~first].mean() == pytest.approx(0.16, abs=0.04)  # 1.96 / 10 standard deviations


@pytest.mark.parametrize("calibrator", ["scale", "conformal", "binned"])
def test_scores_below_zero_are_no_multiples_of_errors(calibrator: str) -> None:
    assert HOME.batch.forces is not None
    logarithms = as_split(batch(HOME.batch.forces, np.log(HOME.batch.scores["gamma", "atom"]), 10))
    with pytest.raises(NotApplicable, match="below zero"):
        bars(logarithms, logarithms, FEATURES, "force", CalibratorName.parse(calibrator))


def test_by_order_scores_may_have_either_sign() -> None:
    """Where the zero of logarithms is makes no difference, and the bars are those of the score itself."""
    assert HOME.batch.forces is not None
    score = HOME.batch.scores["gamma", "atom"]
    told = []
    for values in (score, score - 5.0, score - 0.4):
        shifted = as_split(batch(HOME.batch.forces, values, 10))
        told.append(bars(shifted, shifted, FEATURES, "force", CalibratorName.parse("isotonic")).half[0.68])
    np.testing.assert_allclose(told[1], told[0], rtol=1e-9)
    np.testing.assert_allclose(told[2], told[0], rtol=1e-9)
    assert np.ptp(told[0]) > 0.5


def test_a_constant_bar_has_one_bin_of_ence() -> None:
    found = bars(AWAY, HOME, CONSTANT, "force", SCALE).ence()
    assert found is not None
    assert found.value < 0.1
    assert abs(found.samples - found.value).max() < 0.25


def test_the_interval_of_ence_holds_it_though_noise_raises_that_of_resamples() -> None:
    found = bars(split(30, natoms=4, seed=5), HOME, MEMBERS, "force", SCALE).ence()
    assert found is not None
    told = found.estimate()
    assert told.low is not None
    assert told.high is not None
    assert told.low < found.value < told.high


def test_ence_of_bars_that_are_twice_too_narrow() -> None:
    """RMSE is 2 RMV in every bin: ENCE is 1, and noise is far below that."""
    found = bars(split(60, seed=5, times=2.0), HOME, MEMBERS, "force", SCALE).ence()
    assert found is not None
    told = found.estimate()
    assert told.low is not None
    assert told.high is not None
    assert told.low < 1.0 < told.high
    assert found.value == pytest.approx(1.0, abs=0.15)


def test_too_few_values_for_a_level_have_no_interval_score() -> None:
    few = split(2, natoms=1, seed=7)
    found = bars(AWAY, few, FEATURES, "force", CalibratorName.parse("conformal")).interval_score
    assert np.isnan(found.value)


def test_a_spread_of_energies_says_nothing_of_single_forces() -> None:
    made, energies = HOME.batch, Method("committee_energy", "ensemble", CommitteeEnergy(), members=1000)
    spread = np.linspace(1.0, 2.0, 60)
    own = PerQuantity(spread, force_spread(np.repeat(spread, 10)))
    here = as_split(replace(made, spreads={**made.spreads, "committee_energy": own}))
    np.testing.assert_array_equal(here.spread(energies, "energy"), spread)
    assert here.spread(energies, "force") is None
    with pytest.raises(NotApplicable, match="no spread of the force"):
        bars(here, here, energies, "force", SCALE)


@pytest.mark.parametrize("kind", [CommitteeForce, CommitteeEnergy, HeterogeneousForce])
def test_the_members_of_a_posterior_have_the_spreads_that_they_have_alone(kind: type[FittedScore]) -> None:
    rng = np.random.default_rng(4)
    said = Prediction(
        1.0, rng.normal(size=(2, 3)), rng.normal(size=6), energy_members=rng.normal(size=7),
        forces_members=rng.normal(size=(7, 2, 3)), stress_members=rng.normal(size=(7, 6)),
    )  # fmt: skip
    where, numbers = slice(2, 6), np.array([29, 29])
    parts = {f"{name}_members": getattr(said, f"{name}_members")[where] for name in ("energy", "forces", "stress")}
    alone, among, score = replace(said, **parts), OfPosterior(kind(), "pops", where), kind()
    ours = bar_spreads(among, among.values(said, numbers), said, numbers)
    theirs = bar_spreads(score, score.values(alone, numbers), alone, numbers)
    for quantity, spread in theirs.items():
        np.testing.assert_allclose(ours[quantity], spread, rtol=1e-12)


def test_halves_share_kinds_of_one_frame() -> None:
    """Of four config_types of one frame each, two frames go to either half."""
    here = as_split(batch(np.ones((4, 3)), np.ones(4), 1, kinds=4))
    assert here.halves("energy").sum() == 2
    two = as_split(batch(np.ones((10, 3)), np.ones(10), 1, kinds=2)).halves("energy")
    assert np.flatnonzero(two).tolist() == [0, 1, 2, 3, 5]  # two of the five of one kind, three of those of the other


def test_components_that_vanish_by_symmetry_are_left_out() -> None:
    made = HOME.batch
    still = np.zeros((600, 3), dtype=bool)
    still[:, 2] = True
    here = as_split(replace(made, still=still))
    assert here.quantities["force"].error.size == 1200
    spread = here.spread(FEATURES, "force")
    assert spread is not None
    np.testing.assert_allclose(spread, np.repeat(made.scores["gamma", "atom"], 2) / np.sqrt(3))
