"""The numbers of `assay evaluate`, on assessments small enough to do by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from assay.evaluation.summary import evaluation

from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.batch import Batch, Labels
from assay.results.envelope import Envelope
from assay.results.error_bars import ErrorBar, Gaussian, Interval
from assay.results.per_quantity import PerQuantity
from assay.results.score import Score
from assay.scores.members.committee import CommitteeEnergy

FORCE_ERROR = np.array([[0.3, 0, 0.4], [0, 0, 0], [0.6, -0.8, 0], [0, 0, 2], [1, -2, 2]])  # norms 0.5, 0, 1, 2, 3
ENERGY_ERROR = np.array([0.02, -0.03, 0.04])  # of 2, 1 and 2 atoms: 10, -30 and 20 meV/atom
STILL = np.zeros((5, 3), dtype=bool)
STILL[1] = True


def assessment() -> Assessment:
    """Three frames: SiO and Si of the kind `bulk`, O₂ of the kind `gas`; the first O does not move by symmetry."""
    forces, energy = FORCE_ERROR + 1.0, ENERGY_ERROR - 7.0
    scores = [
        Score("gamma", "atom", np.array([1.0, 0.5, 2.0, 3.0, 4.0]), 2.5),
        Score("gamma", "neighbourhood", np.arange(5.0), 2.5),
        Score("gamma", "frame", np.array([1.0, 2.0, 4.0]), 1.5),
        Score("committee_energy", "frame", np.array([1.0, 3.0, 2.0]), facts=CommitteeEnergy.facts),
    ]
    batch = Batch(
        names=("f:0", "f:1", "f:2"),
        config_types=("bulk", "bulk", "gas"),
        offsets=np.array([0, 2, 3, 5]),
        numbers=np.array([14, 8, 14, 8, 8]),
        energy=energy,
        forces=forces,
        stress=np.full((3, 6), 0.003),
        scores={(score.name, score.level): score.values for score in scores},
        spreads={},
        still=STILL,
        labels=Labels(np.full(3, -7.0), np.ones((5, 3)), np.full((3, 6), 0.001)),
        neighbourhood_error=np.array([5.0, 4.0, 3.0, 2.0, 1.0]),
    )
    return Assessment(
        batch=batch,
        scores={(score.name, score.level): score for score in scores},
        bars=PerQuantity(
            energy=Gaussian(energy / [2, 1, 2], np.full(3, 0.02), "eV/atom"),
            force=Gaussian(forces, np.ones((5, 3)), "eV/Å"),
            stress=Gaussian(np.full((3, 6), 0.003), np.full((3, 6), 0.001), "eV/Å³"),
        ),
        bar="committee_force:scale",
        failed=(("f:3", "burnt"),),
    )


def changed(whole: Assessment, **columns: Any) -> Assessment:
    """With other columns of the frames."""
    return replace(whole, batch=replace(whole.batch, **columns))


def with_force_bar(bar: ErrorBar) -> Assessment:
    whole = assessment()
    return replace(whole, bars=replace(whole.bars, force=bar))


def constant(quantity: str, mean: Array) -> ErrorBar:
    return Gaussian(mean, np.full(mean.shape, 2.0), "")


def strict(result: object) -> object:
    """Through JSON that knows neither NaN nor infinity, and back."""
    return json.loads(json.dumps(result, allow_nan=False))


def test_counts():
    result = evaluation(assessment(), constant)
    assert [result[key] for key in ("frames", "atoms", "skipped", "symmetry_zero_components")] == [3, 5, 1, 3]


def test_errors():
    assert evaluation(assessment(), constant)["errors"] == pytest.approx(
        {
            "energy_rmse_meV_per_atom": np.sqrt((100 + 900 + 400) / 3),
            "energy_mae_meV_per_atom": 20.0,
            "force_rmse_eV_per_A": np.sqrt(14.25 / 15),
            "force_mae_eV_per_A": 9.1 / 15,
            "force_vector_rmse_eV_per_A": np.sqrt(14.25 / 5),
            "force_vector_mae_eV_per_A": 1.3,
            "largest_force_error_of_frame_rmse_eV_per_A": np.sqrt(10.25 / 3),
            "largest_force_error_of_frame_mae_eV_per_A": 1.5,
            "largest_force_error_eV_per_A": 3.0,
            "stress_rmse_meV_per_A3": 2.0,
            "stress_mae_meV_per_A3": 2.0,
        },
        rel=1e-12,
    )


def test_scores():
    """Ranks by hand: γ of atoms and frames is in the order of the errors, that of neighbourhoods in the reverse."""
    scores = evaluation(assessment(), constant)["scores"]
    assert set(scores) == {"gamma", "committee_energy"}
    perfect = {"spearman": 1.0, "spearman_without_symmetry_zeros": 1.0, "auroc": 1.0}
    assert scores["gamma"]["atom"] == pytest.approx(perfect | {"flagged": 0.4, "threshold": 2.5})
    assert scores["gamma"]["frame"] == pytest.approx(perfect | {"flagged": 2 / 3, "threshold": 1.5})
    worst = {"spearman": -1.0, "spearman_without_symmetry_zeros": -1.0, "auroc": 0.0}
    assert scores["gamma"]["neighbourhood"] == pytest.approx(worst | {"flagged": 0.4, "threshold": 2.5})


def test_an_energy_score_is_held_against_the_energy():
    """1, 3, 2 against 10, 30, 20 meV/atom is perfect; against the forces of the frames it would be 0.5."""
    score = evaluation(assessment(), constant)["scores"]["committee_energy"]["frame"]
    assert score["spearman"] == pytest.approx(1.0)
    assert (score["flagged"], score["threshold"]) == (None, None)


def test_components_that_vanish_by_symmetry_are_left_out_of_the_force_bars():
    """Twelve components move: 0.3 0 0.4 0.6 0.8 0 0 0 2 1 2 2. Bars of one: 0.674, 0.994, 1.645 and 1.960."""
    bar = evaluation(assessment(), constant)["error_bars"]["force"]
    assert bar["values"] == 12
    assert bar["coverage"] == pytest.approx({"0.5": 7 / 12, "0.68": 8 / 12, "0.9": 9 / 12, "0.95": 9 / 12})
    assert bar["mean_width"] == bar["width"]["0.68"] == pytest.approx(2 * 0.994458, rel=1e-6)
    assert bar["width"]["0.95"] == pytest.approx(2 * 1.959964, rel=1e-6)
    assert bar["nll"] == pytest.approx(0.5 * np.log(2 * np.pi) + 0.5 * 14.25 / 12, rel=1e-12)
    assert (bar["bar"], bar["unit"]) == ("committee_force:scale", "eV/Å")


def test_the_constant_bar_has_the_same_figures():
    """Bars of two: half widths 1.349, 1.989, 3.290, 3.920."""
    bar = evaluation(assessment(), constant)["error_bars"]["force"]["constant_bar"]
    assert bar["coverage"] == pytest.approx({"0.5": 9 / 12, "0.68": 9 / 12, "0.9": 1.0, "0.95": 1.0})
    assert bar["nll"] == pytest.approx(0.5 * np.log(2 * np.pi) + np.log(2) + 0.125 * 14.25 / 12, rel=1e-12)


def test_bars_of_energy_and_stress():
    """Energy errors of 0.5, 1.5 and 1 σ; stress errors of 2 σ everywhere."""
    bars = evaluation(assessment(), constant)["error_bars"]
    assert bars["energy"]["coverage"] == pytest.approx({"0.5": 1 / 3, "0.68": 1 / 3, "0.9": 1.0, "0.95": 1.0})
    assert bars["energy"]["values"] == 3
    assert set(bars["stress"]["coverage"].values()) == {0.0}
    assert bars["stress"]["values"] == 18
    assert bars["stress"]["ence"] == pytest.approx(1.0)


def with_members() -> Assessment:
    """The labels are errors away; members reach 0.7 (force), 0.025 eV (energy) and 0.002 eV/Å³ (stress) either side."""
    batch = assessment().batch

    def around(mean: Array, reach: float, std: float) -> Envelope:
        return Envelope(np.full(mean.shape, std), mean - reach, mean + reach)

    envelopes = PerQuantity(
        energy=around(batch.energy, 0.025, 0.01),
        force=around(batch.forces, 0.7, 0.5),
        stress=around(batch.stress, 0.0021, 0.001),
    )
    return changed(assessment(), envelopes=envelopes, members=12)


def test_envelope_violation():
    """Force errors of moving components: 0.3 0 0.4 | 0.6 0.8 0 | 0 0 2 1 2 2, energies 0.02 0.03 0.04 eV."""
    result = evaluation(with_members(), constant)
    assert strict(result) == result
    assert result["members"] == 12
    force, energy, stress = (result["envelope"][name] for name in ("force", "energy", "stress"))
    assert (force["values"], energy["values"], stress["values"]) == (12, 3, 18)
    assert force["violation"] == pytest.approx(5 / 12), "0.8, 2, 1, 2 and 2"
    assert energy["violation"] == pytest.approx(2 / 3)
    assert (stress["violation"], stress["violation_95"]) == (0.0, None)
    assert (force["mean_range"], force["mean_std"]) == pytest.approx((1.4, 0.5))
    assert energy["mean_range"] == pytest.approx(0.05 * (1 / 2 + 1 + 1 / 2) / 3), "per atom"
    assert energy["error_over_std"] == pytest.approx({"0.5": 3.0, "0.68": 4.0, "0.9": 4.0, "0.95": 4.0, "0.99": 4.0})
    low, high = force["violation_95"]
    assert (low, high) == pytest.approx((0.0, 4 / 6)), "whole frames: none outside, and only the last one"


def test_envelope_violation_of_parts():
    parts = evaluation(with_members(), constant)
    bulk, gas = (parts["by_config_type"][name]["envelope"] for name in ("bulk", "gas"))
    assert (bulk["force"]["violation"], gas["force"]["violation"]) == pytest.approx((1 / 6, 4 / 6))
    assert (bulk["energy"]["violation"], gas["energy"]["violation"]) == pytest.approx((1 / 2, 1.0))
    oxygen, silicon = (parts["by_element"][name]["envelope"] for name in ("O", "Si"))
    assert (oxygen["force"]["values"], silicon["force"]["values"]) == (6, 6)
    assert silicon["force"]["violation"] == pytest.approx(1 / 6)
    assert oxygen["energy"] is oxygen["stress"] is None


def test_histogram_of_error_over_spread():
    found = evaluation(with_members(), constant)["envelope"]["force"]["histogram"]
    edges, share = np.array(found["edges"]), np.array(found["share"])
    assert sum(found["share"]) == pytest.approx(1.0)
    assert share[edges[:-1] == 4.0] == pytest.approx(2 / 12), "two errors of 2 are four deviations, one is minus four"
    assert share[edges[:-1] == -4.0] == pytest.approx(1 / 12)


def test_frames_without_an_envelope_are_left_out_of_it():
    whole = with_members()
    gap = {f: getattr(whole.batch.envelopes.energy, f).copy() for f in ("std", "low", "high")}
    for column in gap.values():
        column[0] = np.nan
    result = evaluation(changed(whole, envelopes=PerQuantity(energy=Envelope(**gap))), constant)
    assert result["envelope"]["energy"]["values"] == 2
    assert result["envelope"]["energy"]["violation"] == 1.0
    assert result["envelope"]["force"] is result["envelope"]["stress"] is None


def test_no_members_no_envelope():
    result = evaluation(assessment(), constant)
    assert result["envelope"] == {"force": None, "energy": None, "stress": None}
    assert result["members"] == 0


def test_ratios_of_error_and_bar():
    """Bars of one eV/Å: the ratios are the errors."""
    bar = evaluation(assessment(), constant)["error_bars"]["force"]
    assert bar["error_over_bar"] == pytest.approx({"0.5": 0.4, "0.68": 1.0, "0.9": 2.0, "0.95": 2.0, "0.99": 2.0})


def test_ause_ranks_by_the_bar():
    """The bars of the largest errors are the largest: AUSE is 0, and it isn't when they are the smallest."""
    errors = FORCE_ERROR[~STILL.all(axis=1)]
    for std, wanted in ((0.1 + np.abs(FORCE_ERROR), 0.0), (3.0 - np.abs(FORCE_ERROR), 0.3)):
        result = evaluation(with_force_bar(Gaussian(np.zeros((5, 3)), std, "")), constant)
        assert result["error_bars"]["force"]["ause"] >= wanted
        assert wanted > 0 or result["error_bars"]["force"]["ause"] < 1e-12
    assert errors.size == 12


def test_by_config_type():
    parts = evaluation(assessment(), constant)["by_config_type"]
    assert set(parts) == {"bulk", "gas"}
    bulk, gas = parts["bulk"], parts["gas"]
    assert (bulk["frames"], bulk["atoms"], gas["frames"], gas["atoms"]) == (2, 3, 1, 2)
    assert bulk["errors"]["energy_mae_meV_per_atom"] == pytest.approx(20.0)
    assert gas["errors"]["force_rmse_eV_per_A"] == pytest.approx(np.sqrt(13 / 6))
    assert gas["scores"]["gamma"]["atom"]["flagged"] == 1.0
    assert gas["scores"]["gamma"]["frame"]["spearman"] is None, "one frame has no rank correlation"
    assert bulk["error_bars"]["force"]["values"] == 6


def test_by_element():
    parts = evaluation(assessment(), constant)["by_element"]
    assert set(parts) == {"O", "Si"}
    silicon = parts["Si"]
    assert (silicon["frames"], silicon["atoms"]) == (0, 2)
    assert silicon["errors"]["energy_rmse_meV_per_atom"] is None
    assert silicon["errors"]["force_vector_mae_eV_per_A"] == pytest.approx(0.75)
    assert set(silicon["scores"]["gamma"]) == {"atom", "neighbourhood"}
    assert "committee_energy" not in silicon["scores"]
    assert silicon["error_bars"]["energy"] is None
    assert silicon["error_bars"]["stress"] is None
    assert silicon["error_bars"]["force"]["values"] == 6


def test_parts_add_up():
    """Squared errors of the parts, weighted with their atoms, are those of the whole."""
    result = evaluation(assessment(), constant)
    for name in ("by_config_type", "by_element"):
        parts = result[name].values()
        square = sum(part["atoms"] * part["errors"]["force_rmse_eV_per_A"] ** 2 for part in parts) / 5
        assert square == pytest.approx(result["errors"]["force_rmse_eV_per_A"] ** 2, rel=1e-12)


def test_the_schema():
    """As issue 2 has it; what is there beyond it is no matter."""
    result = evaluation(assessment(), constant)
    assert {"frames", "atoms", "skipped", "errors", "scores", "error_bars", "by_config_type", "by_element"} <= set(
        result
    )
    errors = {"energy_rmse_meV_per_atom", "energy_mae_meV_per_atom", "force_rmse_eV_per_A", "force_mae_eV_per_A"}
    figures = {"ence", "nll", "crps", "miscalibration_area", "ause", "coverage", "mean_width", "constant_bar", "bar"}
    for part in (result, *result["by_config_type"].values(), *result["by_element"].values()):
        assert errors <= set(part["errors"])
        assert set(part["error_bars"]) == {"force", "energy", "stress"}
        for levels in part["scores"].values():
            assert all({"spearman", "auroc", "flagged"} <= set(numbers) for numbers in levels.values())
        for bar in filter(None, part["error_bars"].values()):
            assert figures <= set(bar)
            assert list(bar["coverage"]) == ["0.5", "0.68", "0.9", "0.95"]
            assert {"coverage", "nll"} <= set(bar["constant_bar"])


def test_strict_json():
    result = evaluation(assessment(), constant)
    assert strict(result) == result


def one_atom() -> Assessment:
    whole = assessment()
    frame = {name: getattr(whole.batch, name)[1:2] for name in ("names", "config_types", "energy", "stress")}
    atom = {name: getattr(whole.batch, name)[2:3] for name in ("numbers", "forces", "still")}
    one = changed(
        whole,
        **frame,
        **atom,
        offsets=np.array([0, 1]),
        labels=Labels(np.zeros(1), np.zeros((1, 3))),
        neighbourhood_error=None,
    )
    return replace(
        one,
        scores={("gamma", "atom"): Score("gamma", "atom", np.array([np.inf]), np.inf)},
        bars=PerQuantity(force=Interval(atom["forces"], np.zeros((1, 3)), np.array([1.0, 2.0]), "")),
        failed=(),
    )


def test_what_is_not_defined_is_none():
    """One atom with an infinite score, and intervals from two held-out values."""
    result = evaluation(one_atom(), lambda quantity, mean: None)
    assert strict(result) == result
    score = result["scores"]["gamma"]["atom"]
    assert (score["spearman"], score["auroc"], score["threshold"], score["flagged"]) == (None, None, None, 0.0)
    assert result["error_bars"]["energy"] is result["error_bars"]["stress"] is None
    bar = result["error_bars"]["force"]
    assert bar["constant_bar"] is None
    assert [bar[name] for name in ("ence", "nll", "crps", "ence_95", "ence_by_chance")] == [None] * 5
    assert bar["mean_width"] is None, "68 % of three is more than two held-out values can promise"
    assert bar["coverage"] == {"0.5": 0.0, "0.68": 1.0, "0.9": 1.0, "0.95": 1.0}
    assert "stress_rmse_meV_per_A3" not in result["errors"]


def test_everything_still():
    result = evaluation(changed(assessment(), still=np.ones((5, 3), dtype=bool)), constant)
    assert strict(result) == result
    assert result["error_bars"]["force"] is None
    assert result["scores"]["gamma"]["atom"]["spearman"] == pytest.approx(1.0)
    assert result["scores"]["gamma"]["atom"]["spearman_without_symmetry_zeros"] is None


def test_bars_without_width_have_no_likelihood():
    """Half the bars are zero, their errors are not: they count for coverage, and no likelihood leaves them out."""
    std = np.ones((5, 3))
    std[2:] = 0.0
    result = evaluation(with_force_bar(Gaussian(np.zeros((5, 3)), std, "")), constant)
    bar = result["error_bars"]["force"]
    assert bar["nll"] is None
    assert bar["without_bar"] == 6
    assert bar["coverage"]["0.95"] == pytest.approx(6 / 12)


def test_labels_are_needed():
    with pytest.raises(ValueError, match="evaluation needs labelled frames"):
        evaluation(changed(assessment(), labels=None), constant)


def rows(result: dict, quantity: str, division: str) -> dict:
    return {row["stratum"]: row for row in result["strata"][quantity][division]}


def test_strata_by_hand():
    """Bars of one: ⟨z²⟩ is the mean square of the errors. Si moves in frames 0 and 1, O in frame 2 only."""
    result = evaluation(assessment(), constant, np.array([1, 1, 0, 1, 1]))
    assert strict(result) == result
    species = rows(result, "force", "species")
    assert {name: (row["values"], row["frames"]) for name, row in species.items()} == {"Si": (6, 2), "O": (6, 1)}
    assert species["Si"]["z_mean_square"] == pytest.approx((0.25 + 1.0) / 6)
    assert species["Si"]["rmse"] == pytest.approx(np.sqrt(1.25 / 6))
    assert species["Si"]["coverage"] == {"0.68": 1.0, "0.95": 1.0}
    low, high = species["Si"]["z_mean_square_95"]
    assert (low, high) == pytest.approx((0.25 / 3, 1.0 / 3)), "either frame alone"
    assert species["O"]["z_mean_square"] == pytest.approx(13 / 6)
    assert species["O"]["z_mean_square_95"] is species["O"]["rmse_95"] is None, "one frame has no interval"
    assert rows(result, "force", "coordination")["0"]["z_mean_square"] == pytest.approx(1 / 3)
    assert set(rows(result, "force", "config_type")) == set(rows(result, "energy", "config_type")) == {"bulk", "gas"}
    assert rows(result, "energy", "config_type")["bulk"]["z_mean_square"] == pytest.approx((0.25 + 2.25) / 2)
    assert set(rows(result, "energy", "frame_size")) == {"1", "2"}
    assert list(rows(result, "force", "bar")) == ["1"], "a constant bar is one stratum"
    assert "bar_log" not in result["strata"]["force"]


def test_what_divides_nothing_is_left_out():
    whole = changed(assessment(), config_types=("", "", ""), numbers=np.full(5, 8))
    strata = evaluation(whole, constant)["strata"]["force"]
    assert set(strata) == {"bar", "frame_size"}


def test_strata_of_bars_of_all_sizes():
    """Bars over two decades, some of them zero and infinite: neither is a z-score, and they stay in coverage."""
    std = np.geomspace(0.01, 1.0, 15).reshape(5, 3)
    std[0, 0], std[4, 2] = 0.0, np.inf
    result = evaluation(with_force_bar(Gaussian(np.zeros((5, 3)), std, "eV/Å")), constant)
    assert strict(result) == result
    found = result["strata"]["force"]
    assert sum(row["values"] for row in found["bar"]) == sum(row["values"] for row in found["bar_log"]) == 12
    assert found["bar"][0]["z_mean_square"] is None, "an error of 0.3 with a bar of zero"
    assert found["bar"][-1]["bar"] is None
    assert rows(result, "force", "bar_log")["0 – inf"]["values"] == 2


def test_intervals_have_coverage_by_strata_and_areas():
    """Half widths of 1 at every level: 9 of 12 errors are inside, so F = ¾ from 0 to 1 but for the end."""
    bar = Interval(np.zeros((5, 3)), np.ones((5, 3)), np.ones(999), "eV/Å")
    result = evaluation(with_force_bar(bar), constant)
    assert strict(result) == result
    figures = result["error_bars"]["force"]
    assert figures["miscalibration_area"] == pytest.approx(0.5 * (0.75**2 + 0.25**2), abs=0.02)
    assert figures["signed_area"] == pytest.approx(0.5 * (0.25**2 - 0.75**2), abs=0.02)
    assert figures["interval_score"]["0.5"] == pytest.approx(2 + 4 * 3 / 12), "three errors of 2 are 1 outside"
    oxygen = rows(result, "force", "species")["O"]
    assert (oxygen["z_mean_square"], oxygen["coverage"]["0.68"]) == (None, 0.5)


def test_the_sign_of_the_area():
    """Errors of 1.5 σ are overconfident, bars of two are too wide; each vector is held against its ellipsoid."""
    bars = evaluation(assessment(), constant)["error_bars"]
    assert bars["stress"]["signed_area"] > 0.4
    assert bars["force"]["constant_bar"]["signed_area"] < -0.1
    assert bars["force"]["vector_coverage"] == {"0.5": 0.5, "0.68": 0.5, "0.9": 0.75, "0.95": 0.75}
    whole = bars["force"]
    assert whole["ence_95"][0] <= whole["ence_95"][1]
    assert whole["ence_by_chance"][0] <= whole["ence_by_chance"][1]


def test_vectors_with_a_component_that_vanishes_by_symmetry_are_no_vectors():
    """Left are squared norms of 0.25, 1 and 4; quantiles of χ² of three components are 2.4, 3.5, 6.3 and 7.8."""
    still = STILL.copy()
    still[4, 0] = True
    found = evaluation(changed(assessment(), still=still), constant)["error_bars"]["force"]["vector_coverage"]
    assert found == pytest.approx({"0.5": 2 / 3, "0.68": 2 / 3, "0.9": 1.0, "0.95": 1.0})
    still[:, 1] = True
    assert evaluation(changed(assessment(), still=still), constant)["error_bars"]["force"]["vector_coverage"] is None
