"""The diagrams show the truth: calibrated errors lie on the diagonals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic_report as made
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from assay.evaluation.barred import barred
from assay.evaluation.diagrams import SpreadRatios, coverage, ratios, reliability_of, sparsification
from assay.evaluation.result import Strata
from assay.report.evaluation import figures, strata_figures
from assay.report.evaluation.quantities import shown
from assay.report.kit.parts import number, percent
from assay.results.error_bars import Gaussian
from assay.results.per_quantity import PerQuantity
from assay.results.residuals import enveloped


@pytest.fixture
def ax() -> Axes:
    return Figure(layout="constrained").subplots()


def line(ax: Axes, label: str) -> np.ndarray:
    return next(line for line in ax.get_lines() if line.get_label() == label).get_xydata()


@pytest.mark.parametrize("bars", ["gaussian", "interval"])
def test_calibrated_bars_are_on_the_diagonal_of_coverage(ax: Axes, bars: str) -> None:
    found = barred(*made.make(bars=bars))
    figures.coverage(ax, found.map(coverage))
    promised, inside = line(ax, "force").T
    slack = 4 * np.sqrt(0.25 / found.force.error.size) + (0.0 if bars == "gaussian" else 4 * np.sqrt(0.25 / 400))
    assert np.abs(promised - inside).max() < slack


def test_calibrated_bars_are_on_the_diagonal_of_rmse_against_rmv(ax: Axes) -> None:
    force = barred(*made.make()).force
    figures.rmse_against_rmv(ax, "force", reliability_of(force))
    rmv, rmse = line(ax, "15 bins of force").T
    assert np.abs(rmse / rmv - 1).max() < 4 / np.sqrt(2 * force.error.size / 15)


def test_narrow_bars_are_off_the_diagonals(ax: Axes) -> None:
    force = barred(*made.make()).force
    narrow = replace(force, bar=Gaussian(force.bar.mean, 0.5 * force.bar.std, force.bar.unit))
    figures.coverage(ax, PerQuantity(force=coverage(narrow)))
    promised, inside = line(ax, "force")[10]
    assert inside < promised - 0.2


def test_the_envelope_is_drawn_about_the_prediction(ax: Axes) -> None:
    assessment, labels = made.make(frames=9, atoms=4)
    force = enveloped(made.with_members(assessment).batch, labels).force
    figures.envelope(ax, force, "meV/Å", 1e3)
    low, high = force.envelope.low, force.envelope.high
    ranges = line(ax, "members").reshape(-1, 3, 2)
    np.testing.assert_allclose(ranges[:, 0], np.stack([force.predicted, 1e3 * (low - force.predicted)], axis=1))
    np.testing.assert_allclose(ranges[:, 1, 1], 1e3 * (high - force.predicted))
    assert np.isnan(ranges[:, 2, 1]).all()
    inside, outside = line(ax, "reference inside"), line(ax, "outside")
    assert len(inside) + len(outside) == force.label.size
    assert {tuple(point) for point in outside} == {
        (x, 1e3 * (y - x))
        for x, y, a, b in zip(force.predicted, force.label, low, high, strict=True)
        if not a <= y <= b
    }


def test_errors_of_the_size_of_their_spread_follow_the_normal_curve(ax: Axes) -> None:
    force = barred(*made.make()).force
    third, bar = ratios(force.error, force.bar.std / 3), ratios(force.error, force.bar.std)
    figures.error_over_spread(ax, SpreadRatios(third, bar))
    normal = line(ax, "normal")[:, 1]
    shares = {patch.get_label(): patch.get_data().values for patch in ax.patches}
    assert np.abs(shares["error bar"] - normal).max() < 4 * np.sqrt(normal.max() / force.error.size)
    assert shares["members' deviation"].max() < 0.5 * normal.max()


def test_guides_leave_the_stated_shares_below(ax: Axes) -> None:
    for quantity in shown(*made.make(bars="interval"))[:1]:
        figures.error_against_bar(ax, quantity)
        width = quantity.bar.half_width(0.68)
        for label, share in (("68 % below", 0.68), ("95 % below", 0.95)):
            x, y = line(ax, label)[0]
            assert np.mean(np.abs(quantity.error) < y / x * width) == pytest.approx(share, abs=0.1)


def test_sparsification_is_between_random_and_oracle(ax: Axes) -> None:
    assessment, labels = made.make()
    error = np.linalg.norm(assessment.batch.forces - labels.forces, axis=1)
    figures.sparsification(ax, sparsification(assessment, labels), "eV/Å")
    ranked, oracle = line(ax, "error bar")[:, 1], line(ax, "oracle")[:, 1]
    assert (oracle <= ranked + 1e-12).all()
    assert ranked[50] < 0.6 * error.mean()


def test_histograms_are_logarithmic_where_scores_are_positive(ax: Axes) -> None:
    score = made.make()[0].scores["gamma", "atom"]
    assert figures.score_distribution(ax, score, None).get_xscale() == "log"
    around_zero = replace(score, values=score.values - score.values.mean())
    assert figures.score_distribution(Figure().subplots(), around_zero, None).get_xscale() == "linear"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(None, "–"), (float("nan"), "–"), (float("inf"), "∞"), (0.0, "0"), (0.0123456, "0.0123")],
        *[(1234.5, "1,234"), (-1.5, "−1.50"), (3e-7, "3.00e−07"), (2.5e8, "2.50e+08")],
    ],
)
def test_numbers_are_written_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


def test_shares_are_percentages() -> None:
    assert percent(0.6789) == "67.9 %"
    assert percent(None) == "–"


def strata_of(bars: str = "gaussian", factor: float = 1.0) -> Strata:
    """Rows of forces whose surface bars are too small by a factor."""
    assessment, labels = made.make(bars=bars)
    surface = np.repeat([kind == "surface" for kind in assessment.batch.config_types], assessment.batch.natoms)
    forces = (
        np.where(surface[:, None], factor, 1.0) * (labels.forces - assessment.batch.forces) + assessment.batch.forces
    )
    return made.evaluate(assessment, replace(labels, forces=forces)).strata.force


def test_calibrated_bars_are_consistent(ax: Axes) -> None:
    """RMSE beside the bar, in strata of the bar: on the diagonal, and three in four intervals cross it."""
    rows = strata_of()["bar"]
    strata_figures.consistency(ax, {"equal counts": rows}, "meV/Å", 1e3)
    bar, rmse = line(ax, "equal counts").T
    assert np.abs(rmse / bar - 1).max() < 4 / np.sqrt(2 * 720)
    ends = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()])
    assert ((ends[:, 0] <= bar) & (bar <= ends[:, 1])).sum() >= 7
    assert bar[0] == pytest.approx(1e3 * rows[0].bar)


@pytest.mark.parametrize("bars", ["gaussian", "interval"])
def test_a_group_with_small_bars_is_off_the_line(ax: Axes, bars: str) -> None:
    rows = strata_of(bars, 2.0)["config_type"]
    strata_figures.adaptivity(ax, rows)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["bulk", "liquid", "surface"]
    values = [drawn.get_xdata()[0] for drawn in ax.get_lines()[:3]]
    wanted, slack = ([1.0, 1.0, 4.0], 0.25) if bars == "gaussian" else ([0.68, 0.68, 0.38], 4 * np.sqrt(0.25 / 400))
    assert values == pytest.approx(wanted, abs=slack)
