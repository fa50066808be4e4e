"""The rules of the recommendation, on results made up so that each rule alone decides."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from assay.comparison.estimate import Resampled, leaders
from assay.comparison.figures import Estimate
from assay.comparison.reading import from_summary
from assay.comparison.reasons import by_split
from assay.comparison.recommendation import recommendation
from assay.comparison.recommended import Alternative, Recommendation, RecommendedBar, split_name
from assay.metrics import spearman
from assay.metrics.bootstrap import FrameBootstrap

CALIBRATORS = ("scale", "isotonic")
NO_BAR = {"bar": None, "posterior": None, "reasons": [], "alternatives": []}
NO_RANKING = {"method": None, "reasons": [], "alternatives": []}
NOTHING = {
    "error_bars": NO_BAR, "energy_bars": NO_BAR, "ranking_frames": NO_RANKING, "ranking_atoms": NO_RANKING,
    "warnings": [],
}  # fmt: skip


def est(value: float | None, half: float = 0.02) -> dict[str, float | None]:
    return dict.fromkeys(("value", "low", "high")) if value is None else {
        "value": value, "low": value - half, "high": value + half
    }  # fmt: skip


def near(value: float | None) -> Estimate:
    return Estimate(**est(value))


def bar(score: float | None, constant: float, coverage: tuple[float, float] = (0.68, 0.95)) -> dict[str, Any]:
    """Figures of a bar with this interval score, and a constant bar that has `constant`."""
    return {
        "coverage": {"0.5": est(0.5), "0.68": est(coverage[0]), "0.9": est(0.9), "0.95": est(coverage[1])},
        "mean_width": 1.0,
        "interval_score": est(score),
        "skill": est(None if score is None else 1 - score / constant),
        "ence": None, "nll": None, "crps": None, "area": None, "remarks": [],
    }  # fmt: skip


def made(
    scores: Mapping[str, tuple[float | None, ...]],
    *,
    spearman: Mapping[str, tuple[float | None, ...]] | None = None,
    costs: Mapping[str, tuple[float, float]] | None = None,
    tied: bool = False,
    coverage: Mapping[str, tuple[tuple[float, float], ...]] | None = None,
    frames: int = 200,
    splits: tuple[str, ...] = ("calibration", "ood"),
) -> dict[str, Any]:
    """The summary of a result in which `scores` are interval scores on each split, `{"constant": …}` among them.

    `tied`: nothing is significantly different; `costs`: µs per atom and seconds to fit, beside 10 and 10.
    """
    spearman = spearman or {name: (0.5,) * len(splits) for name in scores if name != "constant"}
    names = list(dict.fromkeys([*scores, *spearman]))
    result: dict[str, Any] = {
        "assay": {}, "source": "", "settings": {}, "seed": 0, "resamples": 200, "r_cut": 5.0, "remarks": [],
        "splits": [
            {
                "name": split, "role": "test" if i else "calibration", "frames": frames, "atoms": frames,
                "errors": None, "files": {}, "skipped": 0, "failed": [],
            }
            for i, split in enumerate(splits)
        ],
        "source_cost": {"fit_seconds": 10.0, "evaluation_microseconds_per_atom": 10.0},
        "methods": {
            name: {
                "family": "control" if name == "constant" else "ensemble" if "committee" in name else "features",
                "microseconds_per_atom": (costs or {}).get(name, (1.0, 1.0))[0],
                "fit_seconds": (costs or {}).get(name, (1.0, 1.0))[1],
                "failed": None,
            }
            for name in names
        },
        "bars": {}, "ranking": {}, "best": {}, "recommendation": NOTHING,
        "bad": {split: {"force_frame": {"limit": 1.0, "share": 0.1}} for split in splits},
    }  # fmt: skip
    for i, split in enumerate(splits):
        bars = {
            name: {"scale": bar(each[i], scores["constant"][i], (coverage or {}).get(name, ((0.68, 0.95),) * 9)[i])}
            | {"isotonic": None, "not_applicable": {"isotonic": "made up"}}
            for name, each in scores.items()
        }
        ranking = {
            name: {"spearman": est(each[i]), "auroc": est(0.8), "detection": est(0.5), "flagged": est(0.1)}
            for name, each in spearman.items()
        }
        result["bars"][split] = {"force": bars, "energy": copy.deepcopy(bars)}
        result["ranking"][split] = {"force_frame": ranking, "force_atom": ranking}
        best_bar = min(
            (n for n, e in scores.items() if e[i] is not None and n != "constant"), key=lambda n: scores[n][i]
        )
        best_rank = max(spearman, key=lambda n: spearman[n][i] or 0)
        every_bar = [f"{name}:scale" for name in scores] if tied else [f"{best_bar}:scale"]
        best = {"interval_score": {"best": f"{best_bar}:scale", "tied": every_bar, "better_than_control": True}}
        every_rank = list(spearman) if tied else [best_rank]
        ranks = {"spearman": {"best": best_rank, "tied": every_rank, "better_than_control": True}}
        result["best"][split] = {"force_bar": best, "energy_bar": best, "force_frame": ranks, "force_atom": ranks}
    return result


def recommended(result: dict[str, Any]) -> Recommendation:
    return recommendation(from_summary(result))


def chosen(result: dict[str, Any]) -> str:
    return recommended(result).error_bars.name


def test_the_least_geometric_mean_wins_so_a_split_where_a_bar_fails_counts() -> None:
    # at home the leverage is better by more than the committee is elsewhere in eV/Å, not in proportion
    result = made({"constant": (4.0, 4.0), "leverage": (1.0, 3.0), "committee_force[pops]": (1.6, 1.0)})
    found = recommended(result).error_bars
    assert (found.bar, found.posterior) == ("committee_force:scale", "pops")
    assert "1.26 eV/Å of committee_force[pops]:scale, 4 eV/Å of constant:scale" in found.reasons[1]
    assert "0.60 [0.58, 0.62] on calibration, 0.75 [0.73, 0.77] on ood" in found.reasons[2]


def test_bars_that_are_surely_dishonest_at_home_are_out_and_without_honest_ones_the_nearest_is_in() -> None:
    scores = {"constant": (4.0, 4.0), "gamma": (1.0, 1.0), "leverage": (2.0, 2.0)}
    narrow = {"gamma": ((0.5, 0.8), (0.68, 0.95))}
    assert chosen(made(scores)) == "gamma:scale"
    assert chosen(made(scores, coverage=narrow)) == "leverage:scale"
    # 0.61 ± 0.02 reaches to 0.63: within 5 points
    assert chosen(made(scores, coverage={"gamma": ((0.61, 0.95), (0.1, 0.1))})) == "gamma:scale"
    assert chosen(made(scores, coverage={"gamma": ((0.60, 0.95), (0.68, 0.95))})) == "leverage:scale"
    assert chosen(made(scores, coverage={"gamma": ((0.80, 0.95), (0.68, 0.95))})) == "leverage:scale", "too wide"
    result = made(scores, coverage=narrow | {"leverage": ((0.4, 0.95), (0.68, 0.95))})
    assert chosen(result) == "gamma:scale"
    assert "surely off" in recommended(result).error_bars.reasons[0]


def test_of_near_equals_a_cheaper_one_per_atom_and_a_tenth_is_no_difference() -> None:
    scores = {"constant": (4.0, 4.0), "gamma": (1.0, 1.0), "leverage": (1.04, 1.04)}
    dear = {"gamma": (9.0, 1.0), "leverage": (1.0, 1.0)}
    assert chosen(made(scores, costs=dear)) == "gamma:scale", "not equal: the cost is no matter"
    found = recommended(made(scores, costs=dear, tied=True)).error_bars
    assert found.bar == "leverage:scale"
    assert [each.name for each in found.alternatives] == ["gamma:scale"]
    assert "2 are as good within the error. The mean of gamma is better by less than 5 %" in found.reasons[-1]
    assert "at 9 µs per atom; this costs 1 µs" in found.reasons[-1]
    assert chosen(made(scores, costs={"gamma": (2.0, 1.0), "leverage": (1.0, 1.0)}, tied=True)) == "gamma:scale"
    once = {"gamma": (1.0, 500.0), "leverage": (1.0, 1.0)}
    assert chosen(made(scores, costs=once, tied=True)) == "gamma:scale", "seconds to fit decide nothing"


def test_a_tied_one_that_is_worse_by_more_is_not_taken_for_its_cost() -> None:
    scores = {"constant": (4.0, 4.0), "committee_force[pops]": (1.0, 1.0), "hull": (1.06, 1.06)}
    costs = {"committee_force[pops]": (9.0, 1.0), "hull": (0.0, 0.0)}
    found = recommended(made(scores, costs=costs, tied=True)).error_bars
    assert (found.bar, found.alternatives[0].name) == ("committee_force:scale", "hull:scale")
    spearman = {"committee_force[pops]": (0.6, 0.6), "hull": (0.57, 0.57)}
    result = made(scores, spearman=spearman, costs=costs, tied=True)
    assert recommended(result).ranking_frames.method == "committee_force[pops]"
    result = made(scores, spearman=spearman | {"hull": (0.59, 0.59)}, costs=costs, tied=True)
    found = recommended(result).ranking_frames
    assert found.method == "hull"
    assert "better by less than 0.02, at 9 µs per atom" in found.reasons[-1]


def test_a_cheaper_bar_must_beat_the_constant_itself() -> None:
    scores = {"constant": (1.0, 1.0), "gamma": (0.96, 0.96), "leverage": (0.995, 0.995)}
    costs = {"gamma": (9.0, 1.0), "leverage": (0.0, 0.0)}
    assert chosen(made(scores, costs=costs, tied=True)) == "gamma:scale"


def test_where_no_bar_is_honest_a_sliver_of_coverage_decides_nothing_and_it_is_said() -> None:
    scores = {"constant": (4.0, 4.0), "committee_force[pops]": (1.0, 1.0), "gamma": (3.9, 3.9)}
    coverage = dict.fromkeys(scores, ((0.4, 0.95), (0.68, 0.95))) | {"committee_force[pops]": ((0.38, 0.95),) * 2}
    found = recommended(made(scores, coverage=coverage)).error_bars
    assert found.bar == "committee_force:scale"
    assert "surely off; 0 of 2 bars of scores are about right there. No such bar is honest" in found.reasons[0]
    result = made(scores | {"committee_force[pops]": (5.0, 5.0), "gamma": (5.0, 5.0)}, coverage=coverage)
    found = recommended(result).error_bars
    assert found.bar == "constant:scale"
    assert any("No such bar is honest" in reason for reason in found.reasons)


def test_bars_of_whole_frames_are_not_judged_by_single_values() -> None:
    result = made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0), "leverage": (2.0, 2.0)})
    for split in result["bars"].values():
        for method in split["force"].values():
            method["simultaneous_conformal"] = method["scale"]
        split["force"]["gamma"]["scale"] = None
        split["force"]["gamma"]["not_applicable"]["scale"] = "made up"
    found = recommended(result)
    assert found.error_bars.bar == "leverage:scale"
    assert "simultaneous_conformal promises" in "".join(found.warnings)


@pytest.mark.parametrize(("frames", "told"), [(4, True), (5, False)])
def test_of_fewer_than_five_calibration_frames_nothing_is_sure(frames: int, told: bool) -> None:
    scores = {"constant": (4.0, 4.0), "gamma": (1.0, 1.0), "leverage": (2.0, 2.0)}
    result = made(scores, spearman={"gamma": (0.9, 0.9)}, coverage={"gamma": ((0.5, 0.8), (0.68, 0.95))})
    result["splits"][0]["frames"] = frames
    found = recommended(result)
    assert found.error_bars.bar == ("gamma:scale" if told else "leverage:scale"), "4 can't show it dishonest"
    home = found.error_bars.reasons[0]
    assert (home == "4 calibration frames can't tell whether it holds what it promises.") == told
    unsure = "Not surely better than chance, as the best of 1, on calibration."
    assert (unsure in found.ranking_frames.reasons) == told
    result["splits"][1]["frames"] = frames
    assert (recommended(result).error_bars.bar == "constant:scale") == told
    assert ("can't tell" in recommended(result).ranking_frames.reasons[0]) == told


def test_remarks_come_first_and_those_on_the_recommended_bar_are_there() -> None:
    result = made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}, frames=1)
    result["remarks"] = ["calibration has 1 different frame: too few"]
    result["bars"]["calibration"]["energy"]["constant"]["scale"]["remarks"] = ["all the same"]
    found = recommended(result).warnings
    assert found[0] == "calibration has 1 different frame: too few."
    assert found[1].startswith("1 calibration frame is few")
    assert "ood has 1 frame only: take its numbers as rough." in found
    assert "constant:scale, bars of the energy: all the same." in found


def test_a_recommended_bar_tells_its_width() -> None:
    found = recommended(made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}))
    assert "Its 68 % bars are, on average, ± 0.5 eV/Å on calibration, ± 0.5 eV/Å on ood." in found.error_bars.reasons
    assert any("± 500 meV/atom on calibration" in reason for reason in found.energy_bars.reasons)


def test_one_that_is_surely_worse_on_one_split_is_no_equal() -> None:
    result = made(
        {"constant": (4.0, 4.0), "gamma": (1.0, 1.0), "leverage": (1.1, 1.1)}, costs={"gamma": (9.0, 1.0)}, tied=True
    )
    result["best"]["ood"]["force_bar"]["interval_score"]["tied"] = ["gamma:scale"]
    assert chosen(result) == "gamma:scale"


def test_the_constant_bar_where_nothing_beats_it() -> None:
    worse = made({"constant": (1.0, 1.0), "gamma": (1.5, 0.9)})
    unsure = made({"constant": (1.0, 1.0), "gamma": (0.99, 0.99)})
    for result in (worse, unsure):
        found = recommended(result).error_bars
        assert found.bar == "constant:scale"
        assert found.posterior is None
        assert "Nothing surely beats" in found.reasons[0]
        assert [each.name for each in found.alternatives] == ["gamma:scale"]
    assert chosen(made({"constant": (1.0, 1.0), "gamma": (0.97, 0.97)})) == "gamma:scale"


def test_a_bar_without_a_number_on_some_split_is_no_candidate() -> None:
    assert chosen(made({"constant": (4.0, 4.0), "gamma": (1.0, None), "leverage": (2.0, 2.0)})) == "leverage:scale"
    result = made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0), "leverage": (2.0, 2.0)})
    result["bars"]["ood"]["force"]["gamma"]["scale"] = None
    assert chosen(result) == "leverage:scale"
    none = recommended(made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}) | {"bars": {"calibration": {}, "ood": {}}})
    assert none.error_bars.bar is None
    assert "No score" in none.error_bars.reasons[0]


def test_where_no_score_gives_bars_the_reason_is_that_of_most_of_them() -> None:
    result = made({"constant": (4.0, 4.0), "gamma": (None, 1.0), "leverage": (2.0, 2.0)})
    result["bars"]["ood"]["force"]["leverage"] = {"scale": None, "not_applicable": {"scale": "scores are all 0"}}
    found = recommended(result).error_bars
    assert found.bar == "constant:scale"
    told = "made up (gamma:isotonic); intervals are infinite (gamma:scale); scores are all 0 (leverage:scale)."
    assert found.reasons == (f"No score gave error bars of the force on all sets: {told}",)


def test_energies_have_the_bar_of_the_forces_where_it_is_as_good() -> None:
    result = made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0), "leverage": (1.1, 1.1)}, tied=True)
    for split in result["bars"].values():
        split["energy"]["gamma"], split["energy"]["leverage"] = split["energy"]["leverage"], split["energy"]["gamma"]
    assert recommended(result).energy_bars.bar == "gamma:scale"
    for split in result["best"].values():
        split["energy_bar"] = {
            "interval_score": {"best": "leverage:scale", "tied": ["leverage:scale"], "better_than_control": True}
        }
    assert recommended(result).energy_bars.bar == "leverage:scale"


def test_the_ranking_with_the_largest_mean_and_undefined_ones_rank_nothing() -> None:
    spearman = {"gamma": (0.9, 0.1), "leverage": (0.5, 0.7), "density": (0.95, None), "half": (1.0,)}
    result = made(
        {"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}, spearman={k: (*v, None)[:2] for k, v in spearman.items()}
    )
    del result["ranking"]["ood"]["force_frame"]["half"]
    found = recommended(result).ranking_frames
    assert found.method == "leverage"
    assert "0.50 [0.48, 0.52] on calibration, 0.70 [0.68, 0.72] on ood; 0.6 on average" in found.reasons[0]
    assert "50 % [48, 52] on ood" in found.reasons[1]
    result["bad"]["ood"]["force_frame"]["share"] = 0.02
    told = "".join(recommended(result).ranking_frames.reasons)
    assert "50 % [48, 52]" not in told, "of 4 bad frames no share is told"


def test_a_set_that_ranks_nothing_is_left_out_of_the_mean() -> None:
    """One frame has no order: `steady` is the better one on those that have."""
    spearman = {"steady": (0.6, 0.5, None), "gamma": (0.9, 0.1, None)}
    splits = ("calibration", "ood", "single")
    result = made({"constant": (4.0,) * 3, "gamma": (1.0,) * 3}, spearman=spearman, splits=splits)
    found = recommended(result).ranking_frames
    assert found.method == "steady"
    assert "0.50 [0.48, 0.52] on ood; 0.55 on average" in found.reasons[0]
    assert any(reason.startswith("Not defined, and so not judged, on single:") for reason in found.reasons)
    assert "chance" not in "".join(found.reasons)


def test_scores_that_are_all_equal_rank_nothing() -> None:
    spearman = {"gamma": (None, None), "random": (0.0, 0.0)}
    found = recommended(made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}, spearman=spearman)).ranking_frames
    assert found.method is None
    assert "all equal" in found.reasons[0]
    assert "not defined" not in found.reasons[0]


@pytest.mark.parametrize(("value", "method"), [(0.01, None), (-0.5, None), (0.05, "gamma")])
def test_no_ranking_where_none_is_surely_better_than_chance(value: float, method: str | None) -> None:
    result = made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}, spearman={"gamma": (value, -0.01)})
    found = recommended(result).ranking_atoms
    assert found.method == method
    assert ("Nothing surely beats chance" in found.reasons[0]) == (method is None)


def test_the_best_of_many_must_beat_more_than_luck() -> None:
    """0.03 ± 0.02 has p = 0.002 of Student's t with 199 degrees of freedom: sure of one on two sets, not of one in 50.

    Of 10 frames it is 0.01: the same interval says less.
    """
    alone = {"constant": (1.0, 1.0), "best": (0.97, 0.97)}
    assert chosen(made(alone)) == "best:scale"
    assert chosen(made(alone | {f"score_{k}": (0.98, 0.98) for k in range(49)})) == "constant:scale"
    assert chosen(made(alone, frames=10)) == "best:scale"
    assert chosen(made(alone | {f"score_{k}": (0.98, 0.98) for k in range(3)}, frames=10)) == "constant:scale"
    for count, method in ((1, "best"), (50, None)):
        spearman = {"best": (0.03, 0.03)} | {f"score_{k}": (0.02, 0.02) for k in range(count - 1)}
        found = recommended(made({"constant": (4.0, 4.0), "best": (1.0, 1.0)}, spearman=spearman)).ranking_frames
        assert found.method == method
    assert "the best of 50, best, has 0.03" in found.reasons[0]


def test_noise_is_recommended_in_few_cases() -> None:
    """Ten scores drawn at random on two sets of 20 frames: in 100 trials, luck may be taken for a ranking in 5."""
    rng = np.random.default_rng(0)
    names = [f"score_{k}" for k in range(10)]
    frames = 20
    result = made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}, frames=frames)
    result["methods"] |= dict.fromkeys(names, result["methods"]["gamma"])
    no_bars: dict[str, Any] = {split: {} for split in result["bars"]}
    taken = alone = 0
    for _ in range(100):
        for split in result["ranking"]:
            error = rng.exponential(size=frames)
            scores = {name: rng.random(frames) for name in names}
            samples = FrameBootstrap(np.arange(frames), 60, 0).rankings(scores, error, error > np.median(error))
            found = {name: Resampled(spearman(scores[name], error), samples[name][0]) for name in names}
            told = {
                name: {"spearman": asdict(each.estimate()), "auroc": est(None), "detection": est(None)}
                for name, each in found.items()
            }
            result["ranking"][split] = {"force_frame": told, "force_atom": told}
            best = leaders(found)
            assert best is not None
            result["best"][split]["force_frame"] = {"spearman": asdict(best)}
        taken += recommended(result | {"bars": no_bars}).ranking_frames.method is not None
        alone += any(
            of["force_frame"][name]["spearman"]["low"] > 0 for of in result["ranking"].values() for name in names
        )
    assert taken <= 8
    assert alone > 30, "one by one, many are above 0"


def test_warnings_of_few_frames_bars_that_collapse_and_methods_that_failed() -> None:
    scores = {"constant": (4.0, 4.0, 1.0), "gamma": (1.0, 1.0, 1.5)}
    collapsed = {"gamma": ((0.68, 0.95), (0.3, 0.5), (0.68, 0.9))}
    result = made(scores, coverage=collapsed, splits=("calibration", "ood", "liquid"), frames=18)
    result["methods"]["lost"] = {"family": "features", "failed": "singular"}
    told = "\n".join(recommended(result).warnings)
    assert "18 calibration frames are few" in told
    assert "by 5 points" in told  # √(0.95 · 0.05 / 20), the standard deviation of Beta(19, 1) to first order
    assert "ood has 18 frames only" in told
    assert "95 % bars of the force hold 50 % [48, 52] on ood." in told, "not liquid: 0.92, its end, is in the slack"
    assert "One constant bar of the force is better than this: skill −0.50 [−0.52, −0.48] on liquid." in told
    assert "lost could not be compared: singular" in told
    assert recommended(made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)})).warnings == ()


def test_many_sets_are_told_by_the_least_and_the_largest() -> None:
    found = {name: near(value) for name, value in zip("abcde", (0.9, 0.4, 0.2, 0.8, None), strict=True)}
    assert by_split(found) == "0.90 [0.88, 0.92] on a, from 0.20 [0.18, 0.22] on c to 0.80 [0.78, 0.82] on d"
    del found["c"], found["d"]
    assert by_split(found) == "0.90 [0.88, 0.92] on a, 0.40 [0.38, 0.42] on b, not defined on e"


def test_names_come_apart_and_together() -> None:
    assert split_name("committee_force[pops]:scale") == ("committee_force", "pops", "scale")
    assert split_name("gamma") == ("gamma", None, "")
    bar = RecommendedBar("committee_force:scale", "pops")
    assert (bar.name, bar.method, bar.calibrator) == ("committee_force[pops]:scale", "committee_force[pops]", "scale")
    assert RecommendedBar.of("committee_force[pops]:scale", ["good"], [Alternative("gamma:scale", "as good")]) == (
        RecommendedBar("committee_force:scale", "pops", ("good",), (Alternative("gamma:scale", "as good"),))
    )
    assert (RecommendedBar().name, RecommendedBar.of("", [])) == ("", RecommendedBar())


def test_a_perfect_ranking_is_surely_one_and_without_an_interval_none_is() -> None:
    result = made({"constant": (4.0, 4.0), "gamma": (1.0, 1.0)}, spearman={"gamma": (1.0, None)})
    told = result["ranking"]["calibration"]["force_frame"]["gamma"]["spearman"]
    for low, method in ((1.0, "gamma"), (1.0 - 1e-16, "gamma"), (None, None)):
        told["low"] = low
        told["high"] = low and 1.0
        assert recommended(result).ranking_frames.method == method
