"""The numbers of `assay evaluate`, on assessments small enough to do by hand."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.evaluation.evaluate import evaluated
from assay.evaluation.figures import Stratum
from assay.evaluation.result import EvaluationResult
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
    result = evaluated(assessment(), constant)
    assert (result.frames, result.atoms, len(result.failed), result.symmetry_zero_components) == (3, 5, 1, 3)


def test_errors():
    assert evaluated(assessment(), constant).summary()["errors"] == pytest.approx(
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


def partly_labelled() -> Assessment:
    """The first frame without forces, the second without energy and stress."""
    nan = np.nan
    stress = np.array([[0.001] * 6, [nan] * 6, [0.001] * 6])
    labels = Labels(np.array([-7.0, nan, -7.0]), np.array([[nan] * 3] * 2 + [[1.0] * 3] * 3), stress)
    neighbourhood = np.array([nan, nan, 3.0, 2.0, 1.0])
    return changed(assessment(), labels=labels, neighbourhood_error=neighbourhood)


def test_each_label_that_is_there_is_held_against():
    result = evaluated(partly_labelled(), constant)
    assert (result.frames, result.atoms) == (3, 5)
    assert result.errors.energy.rmse == pytest.approx(np.sqrt((100 + 400) / 2))
    assert result.errors.force.rmse == pytest.approx(np.sqrt(14 / 9))
    assert result.errors.force_vector.mae == pytest.approx(2.0)
    assert result.errors.largest_of_frame.mae == pytest.approx(2.0)
    assert result.errors.stress.rmse == pytest.approx(2.0)
    assert [result.bars[q].figures.values for q in ("energy", "force", "stress")] == [2, 9, 12]
    assert result.bars.energy.figures.coverage[0.5] == pytest.approx(0.5)
    assert result.scores["gamma"].atom.spearman == pytest.approx(1.0)
    assert result.scores["gamma"].atom.flagged == pytest.approx(2 / 5)
    assert result.scores["gamma"].neighbourhood.spearman == pytest.approx(-1.0)
    assert result.scores["committee_energy"].frame.spearman == pytest.approx(1.0)
    kinds = {name: part.errors for name, part in result.by_config_type.items()}
    assert kinds["bulk"].energy.rmse == pytest.approx(10.0)
    assert kinds["bulk"].force.rmse == pytest.approx(np.sqrt(1 / 3))
    assert {name: part.errors.force.rmse for name, part in result.by_element.items()} == {
        "O": pytest.approx(np.sqrt(13 / 6)),
        "Si": pytest.approx(np.sqrt(1 / 3)),
    }
    strict(result.summary())


def test_a_quantity_without_any_label_has_no_figures():
    whole = assessment()
    labels = Labels(np.full(3, -7.0), np.full((5, 3), np.nan))
    result = evaluated(changed(whole, labels=labels, neighbourhood_error=None), constant)
    assert result.errors.energy.rmse == evaluated(whole, constant).errors.energy.rmse
    assert (result.errors.force.rmse, result.errors.largest, result.errors.stress) == (None, None, None)
    assert [quantity for quantity, _ in result.bars.items()] == ["energy"]
    strict(result.summary())


def test_scores():
    """Ranks by hand: γ of atoms and frames is in the order of the errors, that of neighbourhoods in the reverse."""
    scores = evaluated(assessment(), constant).scores
    assert set(scores) == {"gamma", "committee_energy"}
    gamma = {level: pytest.approx(astuple(figures)) for level, figures in scores["gamma"].items()}
    assert gamma["atom"] == (1.0, 1.0, 1.0, 0.4, 2.5)
    assert gamma["frame"] == (1.0, 1.0, 1.0, 2 / 3, 1.5)
    assert gamma["neighbourhood"] == (-1.0, -1.0, 0.0, 0.4, 2.5)
    assert scores["gamma"].frame_mean.threshold is None
    assert [level for level, _ in scores["committee_energy"].items()] == ["frame"]


def test_an_energy_score_is_held_against_the_energy():
    """1, 3, 2 against 10, 30, 20 meV/atom is perfect; against the forces of the frames it would be 0.5."""
    score = evaluated(assessment(), constant).scores["committee_energy"].frame
    assert score.spearman == pytest.approx(1.0)
    assert (score.flagged, score.threshold) == (None, None)


def test_components_that_vanish_by_symmetry_are_left_out_of_the_force_bars():
    """Twelve components move: 0.3 0 0.4 0.6 0.8 0 0 0 2 1 2 2. Bars of one: 0.674, 0.994, 1.645 and 1.960."""
    whole = evaluated(assessment(), constant).bars.force
    bar = whole.figures
    assert bar.values == 12
    assert bar.coverage == pytest.approx({0.5: 7 / 12, 0.68: 8 / 12, 0.9: 9 / 12, 0.95: 9 / 12})
    assert bar.mean_width == bar.width[0.68] == pytest.approx(2 * 0.994458, rel=1e-6)
    assert bar.width[0.95] == pytest.approx(2 * 1.959964, rel=1e-6)
    assert bar.nll == pytest.approx(0.5 * np.log(2 * np.pi) + 0.5 * 14.25 / 12, rel=1e-12)
    assert (whole.name, whole.unit) == ("committee_force:scale", "eV/Å")


def test_the_constant_bar_has_the_same_figures():
    """Bars of two: half widths 1.349, 1.989, 3.290, 3.920."""
    bar = evaluated(assessment(), constant).bars.force.constant
    assert bar.coverage == pytest.approx({0.5: 9 / 12, 0.68: 9 / 12, 0.9: 1.0, 0.95: 1.0})
    assert bar.nll == pytest.approx(0.5 * np.log(2 * np.pi) + np.log(2) + 0.125 * 14.25 / 12, rel=1e-12)


def test_bars_of_energy_and_stress():
    """Energy errors of 0.5, 1.5 and 1 σ; stress errors of 2 σ everywhere."""
    bars = evaluated(assessment(), constant).bars
    assert bars.energy.figures.coverage == pytest.approx({0.5: 1 / 3, 0.68: 1 / 3, 0.9: 1.0, 0.95: 1.0})
    assert bars.energy.figures.values == 3
    assert set(bars.stress.figures.coverage.values()) == {0.0}
    assert bars.stress.figures.values == 18
    assert bars.stress.figures.ence == pytest.approx(1.0)


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
    result = evaluated(with_members(), constant)
    assert strict(result.summary()) == result.summary()
    assert result.members == 12
    force, energy, stress = (result.envelopes[name] for name in ("force", "energy", "stress"))
    assert (force.values, energy.values, stress.values) == (12, 3, 18)
    assert force.violation == pytest.approx(5 / 12), "0.8, 2, 1, 2 and 2"
    assert energy.violation == pytest.approx(2 / 3)
    assert (stress.violation, stress.violation_95) == (0.0, None)
    assert (force.mean_range, force.mean_std) == pytest.approx((1.4, 0.5))
    assert energy.mean_range == pytest.approx(0.05 * (1 / 2 + 1 + 1 / 2) / 3), "per atom"
    assert energy.error_over_std == pytest.approx({0.5: 3.0, 0.68: 4.0, 0.9: 4.0, 0.95: 4.0, 0.99: 4.0})
    low, high = force.violation_95
    assert (low, high) == pytest.approx((0.0, 4 / 6)), "whole frames: none outside, and only the last one"


def test_envelope_violation_of_parts():
    parts = evaluated(with_members(), constant)
    bulk, gas = (parts.by_config_type[name].envelopes for name in ("bulk", "gas"))
    assert (bulk.force.violation, gas.force.violation) == pytest.approx((1 / 6, 4 / 6))
    assert (bulk.energy.violation, gas.energy.violation) == pytest.approx((1 / 2, 1.0))
    oxygen, silicon = (parts.by_element[name].envelopes for name in ("O", "Si"))
    assert (oxygen.force.values, silicon.force.values) == (6, 6)
    assert silicon.force.violation == pytest.approx(1 / 6)
    assert oxygen.energy is oxygen.stress is None


def test_histogram_of_error_over_spread():
    found = evaluated(with_members(), constant).envelopes.force.histogram
    edges, share = found.edges, found.share
    assert not share.flags.writeable
    assert share.sum() == pytest.approx(1.0)
    assert share[edges[:-1] == 4.0] == pytest.approx(2 / 12), "two errors of 2 are four deviations, one is minus four"
    assert share[edges[:-1] == -4.0] == pytest.approx(1 / 12)


def test_frames_without_an_envelope_are_left_out_of_it():
    whole = with_members()
    gap = {f: getattr(whole.batch.envelopes.energy, f).copy() for f in ("std", "low", "high")}
    for column in gap.values():
        column[0] = np.nan
    result = evaluated(changed(whole, envelopes=PerQuantity(energy=Envelope(**gap))), constant)
    assert result.envelopes.energy.values == 2
    assert result.envelopes.energy.violation == 1.0
    assert result.envelopes.force is result.envelopes.stress is None


def test_no_members_no_envelope():
    result = evaluated(assessment(), constant)
    assert not result.envelopes
    assert result.members == 0


def test_ratios_of_error_and_bar():
    """Bars of one eV/Å: the ratios are the errors."""
    bar = evaluated(assessment(), constant).bars.force.figures
    assert bar.error_over_bar == pytest.approx({0.5: 0.4, 0.68: 1.0, 0.9: 2.0, 0.95: 2.0, 0.99: 2.0})


def test_ause_ranks_by_the_bar():
    """The bars of the largest errors are the largest: AUSE is 0, and it isn't when they are the smallest."""
    errors = FORCE_ERROR[~STILL.all(axis=1)]
    for std, wanted in ((0.1 + np.abs(FORCE_ERROR), 0.0), (3.0 - np.abs(FORCE_ERROR), 0.3)):
        result = evaluated(with_force_bar(Gaussian(np.zeros((5, 3)), std, "")), constant)
        assert result.bars.force.ause >= wanted
        assert wanted > 0 or result.bars.force.ause < 1e-12
    assert errors.size == 12


def test_by_config_type():
    parts = evaluated(assessment(), constant).by_config_type
    assert set(parts) == {"bulk", "gas"}
    bulk, gas = parts["bulk"], parts["gas"]
    assert (bulk.frames, bulk.atoms, gas.frames, gas.atoms) == (2, 3, 1, 2)
    assert bulk.errors.energy.mae == pytest.approx(20.0)
    assert gas.errors.force.rmse == pytest.approx(np.sqrt(13 / 6))
    assert gas.scores["gamma"].atom.flagged == 1.0
    assert gas.scores["gamma"].frame.spearman is None, "one frame has no rank correlation"
    assert bulk.bars.force.figures.values == 6


def test_by_element():
    parts = evaluated(assessment(), constant).by_element
    assert set(parts) == {"O", "Si"}
    silicon = parts["Si"]
    assert (silicon.frames, silicon.atoms) == (0, 2)
    assert silicon.errors.energy.rmse is None
    assert silicon.errors.force_vector.mae == pytest.approx(0.75)
    assert [level for level, _ in silicon.scores["gamma"].items()] == ["atom", "neighbourhood"]
    assert "committee_energy" not in silicon.scores
    assert silicon.bars.energy is None
    assert silicon.bars.stress is None
    assert silicon.bars.force.figures.values == 6


def test_parts_add_up():
    """Squared errors of the parts, weighted with their atoms, are those of the whole."""
    result = evaluated(assessment(), constant)
    for parts in (result.by_config_type, result.by_element):
        square = sum(part.atoms * part.errors.force.rmse**2 for part in parts.values()) / 5
        assert square == pytest.approx(result.errors.force.rmse**2, rel=1e-12)


def test_the_schema():
    """As issue 2 has it; what is there beyond it is no matter."""
    result = evaluated(assessment(), constant).summary()
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


def keys(node: object) -> object:
    """The keys of a summary in their order, without its values."""
    return [(key, keys(value)) for key, value in node.items()] if isinstance(node, dict) else None


def numbers(node: object) -> list[object]:
    """The values of a summary, one after the other."""
    if isinstance(node, dict | list):
        return [each for part in (node.values() if isinstance(node, dict) else node) for each in numbers(part)]
    return [node]


def test_the_summary_is_that_of_version_0_1():
    """Recorded from the code before results were records: the keys, their order, and every value."""
    recorded = json.loads((Path(__file__).parent / "evaluation_summary.json").read_text())
    for name, given in {"members": with_members(), "interval": one_atom()}.items():
        found = evaluated(given, constant, np.arange(len(given.batch.numbers)) % 2).summary()
        for added in ("training_overlap", "calibration_overlap", "global_bars", "label_check", "failed"):
            del found[added]
        found = strict(found)
        assert keys(found) == keys(recorded[name])
        for ours, theirs in zip(numbers(found), numbers(recorded[name]), strict=True):
            assert ours == (theirs if theirs is None or isinstance(theirs, str) else pytest.approx(theirs, rel=1e-9))


def test_strict_json():
    result = evaluated(assessment(), constant)
    assert strict(result.summary()) == result.summary()


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
    result = evaluated(one_atom(), lambda quantity, mean: None)
    assert strict(result.summary()) == result.summary()
    score = result.scores["gamma"].atom
    assert (score.spearman, score.auroc, score.threshold, score.flagged) == (None, None, None, 0.0)
    assert result.bars.energy is result.bars.stress is None
    assert result.bars.force.constant is None
    bar = result.bars.force.figures
    assert (bar.ence, bar.nll, bar.crps, bar.ence_95, bar.ence_by_chance) == (None,) * 5
    assert not {"error_over_bar", "without_bar"} & set(result.summary()["error_bars"]["force"])
    assert bar.mean_width is None, "68 % of three is more than two held-out values can promise"
    assert bar.coverage == {0.5: 0.0, 0.68: 1.0, 0.9: 1.0, 0.95: 1.0}
    assert result.errors.stress is None
    assert "stress_rmse_meV_per_A3" not in result.summary()["errors"]


def test_everything_still():
    result = evaluated(changed(assessment(), still=np.ones((5, 3), dtype=bool)), constant)
    assert strict(result.summary()) == result.summary()
    assert result.bars.force is None
    assert result.scores["gamma"].atom.spearman == pytest.approx(1.0)
    assert result.scores["gamma"].atom.spearman_without_symmetry_zeros is None


def test_bars_without_width_have_no_likelihood():
    """Half the bars are zero, their errors are not: they count for coverage, and no likelihood leaves them out."""
    std = np.ones((5, 3))
    std[2:] = 0.0
    result = evaluated(with_force_bar(Gaussian(np.zeros((5, 3)), std, "")), constant)
    bar = result.bars.force.figures
    assert bar.nll is None
    assert bar.without_bar == 6
    assert bar.coverage[0.95] == pytest.approx(6 / 12)


def test_labels_are_needed():
    with pytest.raises(ValueError, match="evaluation needs labelled frames"):
        evaluated(changed(assessment(), labels=None), constant)


def rows(result: EvaluationResult, quantity: str, division: str) -> dict[str, Stratum]:
    return {row.stratum: row for row in result.strata[quantity][division]}


def test_strata_by_hand():
    """Bars of one: ⟨z²⟩ is the mean square of the errors. Si moves in frames 0 and 1, O in frame 2 only."""
    result = evaluated(assessment(), constant, np.array([1, 1, 0, 1, 1]))
    assert strict(result.summary()) == result.summary()
    species = rows(result, "force", "species")
    assert {name: (row.values, row.frames) for name, row in species.items()} == {"Si": (6, 2), "O": (6, 1)}
    assert species["Si"].z_mean_square == pytest.approx((0.25 + 1.0) / 6)
    assert species["Si"].rmse == pytest.approx(np.sqrt(1.25 / 6))
    assert species["Si"].coverage == {0.68: 1.0, 0.95: 1.0}
    low, high = species["Si"].z_mean_square_95
    assert (low, high) == pytest.approx((0.25 / 3, 1.0 / 3)), "either frame alone"
    assert species["O"].z_mean_square == pytest.approx(13 / 6)
    assert species["O"].z_mean_square_95 is species["O"].rmse_95 is None, "one frame has no interval"
    assert rows(result, "force", "coordination")["0"].z_mean_square == pytest.approx(1 / 3)
    assert set(rows(result, "force", "config_type")) == set(rows(result, "energy", "config_type")) == {"bulk", "gas"}
    assert rows(result, "energy", "config_type")["bulk"].z_mean_square == pytest.approx((0.25 + 2.25) / 2)
    assert set(rows(result, "energy", "frame_size")) == {"1", "2"}
    assert list(rows(result, "force", "bar")) == ["1"], "a constant bar is one stratum"
    assert "bar_log" not in result.strata.force


def test_what_divides_nothing_is_left_out():
    whole = changed(assessment(), config_types=("", "", ""), numbers=np.full(5, 8))
    strata = evaluated(whole, constant).strata.force
    assert set(strata) == {"bar", "frame_size"}


def test_strata_of_bars_of_all_sizes():
    """Bars over two decades, some of them zero and infinite: neither is a z-score, and they stay in coverage."""
    std = np.geomspace(0.01, 1.0, 15).reshape(5, 3)
    std[0, 0], std[4, 2] = 0.0, np.inf
    result = evaluated(with_force_bar(Gaussian(np.zeros((5, 3)), std, "eV/Å")), constant)
    assert strict(result.summary()) == result.summary()
    found = result.strata.force
    assert sum(row.values for row in found["bar"]) == sum(row.values for row in found["bar_log"]) == 12
    assert found["bar"][0].z_mean_square is None, "an error of 0.3 with a bar of zero"
    assert found["bar"][-1].bar is None
    assert rows(result, "force", "bar_log")["0 – inf"].values == 2


def test_intervals_have_coverage_by_strata_and_areas():
    """Half widths of 1 at every level: 9 of 12 errors are inside, so F = ¾ from 0 to 1 but for the end."""
    bar = Interval(np.zeros((5, 3)), np.ones((5, 3)), np.ones(999), "eV/Å")
    result = evaluated(with_force_bar(bar), constant)
    assert strict(result.summary()) == result.summary()
    figures = result.bars.force.figures
    assert figures.miscalibration_area == pytest.approx(0.5 * (0.75**2 + 0.25**2), abs=0.02)
    assert figures.signed_area == pytest.approx(0.5 * (0.25**2 - 0.75**2), abs=0.02)
    assert figures.interval_score[0.5] == pytest.approx(2 + 4 * 3 / 12), "three errors of 2 are 1 outside"
    oxygen = rows(result, "force", "species")["O"]
    assert (oxygen.z_mean_square, oxygen.coverage[0.68]) == (None, 0.5)


def test_the_sign_of_the_area():
    """Errors of 1.5 σ are overconfident, bars of two are too wide; each vector is held against its ellipsoid."""
    bars = evaluated(assessment(), constant).bars
    assert bars.stress.figures.signed_area > 0.4
    assert bars.force.constant.signed_area < -0.1
    assert bars.force.vector_coverage == {0.5: 0.5, 0.68: 0.5, 0.9: 0.75, 0.95: 0.75}
    whole = bars.force.figures
    assert whole.ence_95[0] <= whole.ence_95[1]
    assert whole.ence_by_chance[0] <= whole.ence_by_chance[1]


def test_vectors_with_a_component_that_vanishes_by_symmetry_are_no_vectors():
    """Left are squared norms of 0.25, 1 and 4; quantiles of χ² of three components are 2.4, 3.5, 6.3 and 7.8."""
    still = STILL.copy()
    still[4, 0] = True
    found = evaluated(changed(assessment(), still=still), constant).bars.force.vector_coverage
    assert found == pytest.approx({0.5: 2 / 3, 0.68: 2 / 3, 0.9: 1.0, 0.95: 1.0})
    still[:, 1] = True
    assert evaluated(changed(assessment(), still=still), constant).bars.force.vector_coverage is None
