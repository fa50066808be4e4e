"""What the page says, read back with an HTML parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import synthetic_report as made
from report_reader import floats, sound

from assay.report.evaluation.verdict import verdict
from assay.results.error_bars import Gaussian, Interval
from assay.scores.members.heterogeneous import HeterogeneousForce


def test_full_report_has_every_figure_and_table(page: Callable[..., str]) -> None:
    assessment, labels = made.make(failed=(("bad.xyz:3", "NaN forces"),))
    result = made.evaluate(assessment, labels)
    text = page(
        assessment,
        evaluation=result,
        training=made.training(),
        worst=made.structure(assessment),
        provenance={"Command": "assay evaluate a.xyz", "numpy": "2.0"},
    )
    read = sound(text)
    figures = {id.removesuffix("-panel") for id in read.ids if id.endswith("-panel")}
    assert figures == {
        *("error-force", "error-energy", "error-stress", "coverage", "rmv-force", "rmv-energy"),
        *("sparsification", "score-0", "score-1", "score-2", "worst"),
        *("consistency-force", "consistency-energy", "adaptivity-force-species", "adaptivity-force-config_type"),
        "adaptivity-energy-config_type",
    }
    assert set(read.tables) == {
        *("score-table", "frames", "atoms", "bar-table", "by-config-type", "by-element"),
        *("strata-force", "strata-energy"),
    }
    assert "right size" in read.text["verdict-heading"]
    assert f"{result.errors.force.rmse:.3f}" in read.text["verdict"]
    assert "assay evaluate a.xyz" in read.text["made"]
    assert "NaN forces" in read.text["failed"]
    assert made.structure(assessment).info["origin"] in read.text["worst-panel"]


def test_members_add_a_section(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    assessment = made.with_members(assessment)
    result = made.evaluate(assessment, labels)
    text = page(assessment, evaluation=result)
    read = sound(text.replace("\N{NO-BREAK SPACE}", " "))
    added = {f"{kind}-{name}-panel" for kind in ("envelope", "ratio") for name in ("force", "energy", "stress")}
    assert added <= set(read.ids)
    outside = result.envelopes.force.violation
    caption = read.text["envelope-force-panel"]
    assert f"{100 * outside:.1f} % of 7,200 references are outside" in caption
    assert "Drawn are 600 values" in caption
    assert read.column("envelope-table", "Outside")[0] == f"{100 * outside:.1f} %"
    low, high = result.envelopes.force.violation_95
    assert read.column("envelope-table", "95 % interval")[0] == f"{100 * low:.1f} % – {100 * high:.1f} %"
    assert floats(read.column("envelope-table", "50 %"))[0] == pytest.approx(3 * 0.674, rel=0.05)
    members = assessment.batch.envelopes.force
    widest = (members.high - members.low).max(axis=1)
    ranges = floats(read.column("frames", "Widest force range"))
    assert max(ranges) == pytest.approx(widest.max(), rel=0.01)
    expected = [f"{100 * part.envelopes.force.violation:.1f} %" for part in result.by_config_type.values()]
    assert read.column("by-config-type", "Forces outside") == expected


def test_members_without_references_have_ranges_and_no_section(page: Callable[..., str]) -> None:
    read = sound(page(made.with_members(made.make()[0])))
    assert "envelope" not in read.text
    assert len(floats(read.column("frames", "Energy range"))) == 50


def test_tables_are_sorted_riskiest_first_and_hold_the_real_errors(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    read = sound(page(assessment, evaluation=made.evaluate(assessment, labels)))
    bar = np.linalg.norm(assessment.bars.force.std, axis=1)
    error = np.linalg.norm(assessment.batch.forces - labels.forces, axis=1)
    order = np.argsort(-bar)[:50]
    short = [name.removeprefix("validation/") for name in assessment.batch.names]
    assert "relative to validation/" in read.text["frames-caption"]
    assert len(read.tables["atoms"]) == 51
    np.testing.assert_allclose(floats(read.column("atoms", "Force bar")), bar[order], atol=6e-4)
    np.testing.assert_allclose(floats(read.column("atoms", "Force error")), error[order], atol=6e-4)
    assert read.column("atoms", "Frame") == [short[f] for f in assessment.batch.frame_of_atom[order]]
    assert read.column("atoms", "Atom") == [str(i % 40) for i in order]
    largest = bar.reshape(60, 40).max(axis=1)
    frames = np.argsort(-largest)[:50]
    assert read.column("frames", "Frame") == [short[f] for f in frames]
    flagged = assessment.scores["gamma", "frame"].flagged[frames]
    assert [cell.startswith("▲") for cell in read.column("frames", "gamma")] == flagged.tolist()


def test_predictions_without_labels_say_where_the_risk_is(page: Callable[..., str]) -> None:
    assessment, _ = made.make(stress=False)
    read = sound(page(assessment, worst=made.structure(assessment)))
    assert "No reference labels" in read.text["bars"]
    assert "Where the risk is" in read.text["verdict"]
    assert "Largest force bar" in read.text["verdict"]
    assert not any("error" in head for head in read.tables["atoms"][0])
    assert read.text["numbers"].count("No evaluation") == 1


def test_scores_without_bars_still_rank(page: Callable[..., str]) -> None:
    assessment, labels = made.make(bars="none")
    read = sound(page(assessment, evaluation=made.evaluate(assessment, labels)))
    assert "no error bars to judge" in read.text["verdict"]
    assert "No force diagram: the gauge gives no bars" in read.text["bars"]
    assert "sparsification-panel" in read.ids
    ranked = floats(read.column("atoms", "gamma"))
    assert ranked == sorted(ranked, reverse=True)
    ranked = floats(read.column("frames", "Largest gamma"))
    assert ranked == sorted(ranked, reverse=True)


def test_frame_scores_alone_rank_frames(page: Callable[..., str]) -> None:
    assessment, _ = made.make(bars="none")
    scores = {key: score for key, score in assessment.scores.items() if key[1] == "frame"}
    read = sound(page(replace(assessment, scores=scores)))
    ranked = floats(read.column("frames", "gamma"))
    assert ranked == sorted(ranked, reverse=True)
    assert "atoms" not in read.tables


def test_nothing_to_rank_by(page: Callable[..., str]) -> None:
    assessment, labels = made.make(bars="none")
    bare = replace(assessment, scores={})
    read = sound(page(bare, evaluation=made.evaluate(bare, labels)))
    assert "neither error bars nor scores" in read.text["riskiest"]
    assert "no error bars or scores of atoms" in read.text["ranking"]
    assert "gave no scores" in read.text["scores"]


def test_intervals_get_coverage_and_a_sentence_instead_of_variances(page: Callable[..., str]) -> None:
    assessment, labels = made.make(bars="interval")
    read = sound(page(assessment, evaluation=made.evaluate(assessment, labels)))
    assert "coverage-panel" in read.ids
    assert "rmv-force-panel" not in read.ids
    assert "have no variance" in read.text["bars"]
    assert read.column("bar-table", "Force")[6] == "–", "the likelihood of an interval is not defined"


def test_intervals_that_promise_nothing(page: Callable[..., str]) -> None:
    """Two calibration errors can't promise 68 %: the bars are infinite, and the page says so."""
    assessment, labels = made.make(bars="interval", frames=4)
    few = Interval(assessment.batch.forces, np.ones_like(assessment.batch.forces), np.array([0.5, 1.0]), "eV/Å")
    infinite = made.with_bars(assessment, force=few)
    read = sound(page(infinite, evaluation=made.evaluate(infinite, labels)))
    assert set(read.column("atoms", "Force bar")) == {"∞"}
    assert "error-force-panel" not in read.ids


@pytest.mark.parametrize("atoms", [1, 2, 8])
@pytest.mark.parametrize("bars", ["gaussian", "interval", "none"])
def test_one_frame(page: Callable[..., str], atoms: int, bars: Any) -> None:
    assessment, labels = made.make(frames=1, atoms=atoms, bars=bars)
    read = sound(page(assessment, evaluation=made.evaluate(assessment, labels)))
    assert "1 frame ·" in page(assessment)
    assert "rests on 1 frame only" in read.text["verdict"]
    assert len(read.tables["atoms"]) == 1 + atoms


def test_every_frame_failed(page: Callable[..., str]) -> None:
    assessment, _ = made.make(frames=0, failed=tuple((f"a.xyz:{i}", "too close") for i in range(60)))
    read = sound(page(assessment))
    assert "60 frames were left out" in read.text["made"]
    assert read.text["failed"].count("too close") == 50


def test_still_components_are_left_out_and_counted(page: Callable[..., str]) -> None:
    assessment, labels = made.make()
    still = np.zeros_like(assessment.batch.still)
    still[:7] = True
    zero = assessment.bars.force.std.copy()
    zero[:7] = 0.0
    bar = Gaussian(assessment.batch.forces, zero, "eV/Å")
    assessment = made.with_bars(made.changed(assessment, still=still), force=bar)
    read = sound(page(assessment, evaluation=made.evaluate(assessment, labels)))
    assert "21 force components are left out" in read.text["bars"]
    # two scores of atoms, their means, and one of frames
    assert len(read.column("score-table", "Spearman, moving atoms")) == 5


@pytest.mark.parametrize(
    ("stretch", "tone", "words"),
    [(1.0, "good", "right size"), (0.5, "bad", "too narrow"), (2.0, "bad", "too wide")],
)
def test_verdict_names_what_is_wrong(stretch: float, tone: str, words: str) -> None:
    assessment, labels = made.make()
    bar = Gaussian(assessment.batch.forces, stretch * assessment.bars.force.std, "eV/Å")
    result = made.evaluate(made.with_bars(assessment, force=bar, energy=None, stress=None), labels)
    found = verdict(assessment, result)
    assert words in found.headline
    assert found.tone == tone


def test_verdict_is_not_good_where_only_the_forces_are() -> None:
    assessment, labels = made.make()
    bar = assessment.bars.energy
    narrow = made.with_bars(assessment, energy=Gaussian(bar.mean, 0.3 * bar.std, bar.unit))
    found = verdict(narrow, made.evaluate(narrow, labels))
    assert "right size" in found.headline
    assert found.tone == "plain"
    assert any(sentence.startswith("The energy error bars are too narrow") for sentence in found.sentences)


def test_verdict_on_one_width_for_all_names_shape_and_groups() -> None:
    """One width for three groups of errors is too wide for most, too narrow for the worst."""
    assessment, labels = made.make()
    flat = Gaussian(assessment.batch.forces, np.full_like(assessment.batch.forces, 0.12), "eV/Å")
    found = verdict(assessment, made.evaluate(made.with_bars(assessment, force=flat), labels))
    assert "wrong shape" in found.headline
    assert re.search(r"between 4\d\.\d % \(liquid\) and 99\.\d % \(bulk\)", " ".join(found.sentences))


def test_verdict_warns_of_frames_that_were_trained_on() -> None:
    assessment, labels = made.make()
    found = verdict(assessment, replace(made.evaluate(assessment, labels), training_overlap=12))
    assert "12 frames of these were trained on" in " ".join(found.sentences)


def test_verdict_leads_with_the_score_of_the_error_bar() -> None:
    assessment, labels = made.make()
    atoms, frames = (assessment.scores["gamma", level] for level in ("atom", "frame"))
    scores = {
        ("committee_energy", "frame"): replace(frames, name="committee_energy"),
        ("heterogeneous", "frame"): replace(frames, name="heterogeneous", threshold=-1.0),
        ("heterogeneous_force", "atom"): replace(
            atoms, name="heterogeneous_force", threshold=1e9, facts=HeterogeneousForce.facts
        ),
    }
    unlike = replace(assessment, scores=scores, bar="heterogeneous_force:scale")
    for found in (verdict(unlike, None), verdict(unlike, made.evaluate(unlike, labels))):
        assert [sentence for sentence in found.sentences if sentence.startswith("Flagged")] == [
            "Flagged by heterogeneous_force: 0.0 % of atoms (above 1e+09).",
            "Flagged by heterogeneous: 100.0 % of frames (above -1).",
        ]
        assert found.tiles[-1].remark.startswith("heterogeneous_force")
    without = replace(unlike, scores={("gamma", "atom"): atoms, **scores}, bar="constant")
    assert "Flagged by gamma" in " ".join(verdict(without, None).sentences)


def test_many_elements_are_counted_in_the_headline(page: Callable[..., str]) -> None:
    assessment, _ = made.make()
    assert "elements)" not in page(assessment)
    every = made.changed(assessment, numbers=np.arange(len(assessment.batch.numbers)) % 89 + 1)
    assert "(89 elements)" in page(every).replace("\N{NO-BREAK SPACE}", " ")


def test_undefined_numbers_are_dashes(page: Callable[..., str]) -> None:
    assessment, labels = made.make()

    def emptied(node: Any) -> Any:
        if is_dataclass(node):
            return replace(node, **{each.name: emptied(getattr(node, each.name)) for each in fields(node)})
        if isinstance(node, dict):
            return {key: emptied(value) for key, value in node.items()}
        return node if isinstance(node, str) else None

    result = made.evaluate(assessment, labels)
    shown = ("errors", "scores", "bars", "envelopes", "by_config_type", "by_element")
    result = replace(result, **{name: emptied(getattr(result, name)) for name in shown})
    read = sound(page(assessment, evaluation=result))
    assert "not defined on these frames" in read.text["verdict-heading"]
    assert set(read.column("score-table", "Spearman")) == {"–"}
    shown = "".join(read.text[id] for id in ("verdict", "numbers", "ranking"))
    assert "None" not in shown
    assert "nan" not in shown
