"""What every calibrator refuses and leaves out; laws that all of them keep are in `tests/test_laws.py`."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held

from assay.calibration import BY_ORDER, CALIBRATORS, Calibrator, Residuals, fit_calibrator

RNG = np.random.default_rng(3)
SPREAD = RNG.lognormal(size=(120, 3))
ERROR = SPREAD * RNG.standard_normal((120, 3))
FRAME = np.repeat(np.arange(60), 6)
GROUP = np.tile(np.repeat(["a", "b", "c"], [3, 2, 1]), 60)
every = pytest.mark.parametrize("name", CALIBRATORS)


def given(error: np.ndarray, spread: np.ndarray, order: np.ndarray | slice = slice(None)) -> Residuals:
    """Values of 60 frames and three groups (as many as there are; more have no group)."""
    n = error.size
    frame, group = np.resize(FRAME, n), np.append(GROUP, np.full(n, ""))[:n]
    return held(error, spread, frame[order], group=group[order])


def width(calibrator: Calibrator, group: str = "a") -> list[float]:
    """Half the widths for spreads of 0.01, 0.1, 1, 10."""
    bar = calibrator.bar(np.zeros(4), np.logspace(-2, 1, 4), "", np.full(4, group))
    return bar.half_width(0.5).tolist()


@every
def test_nan_is_refused_and_counted(name: str):
    error, spread = ERROR.copy(), SPREAD.copy()
    error[0, :2] = spread[1, 1] = np.nan
    with pytest.raises(ValueError, match="2 errors and 1 spreads are NaN"):
        fit_calibrator(name, given(error, spread))


@every
@pytest.mark.parametrize("value", [0.0, np.inf])
def test_nothing_to_calibrate_on(name: str, value: float):
    if name in BY_ORDER and value == 0:
        pytest.skip("a constant score that is zero is a constant score")
    with pytest.raises(ValueError, match=r"of 360 held-out values none has a (positive )?finite spread"):
        fit_calibrator(name, given(ERROR, np.full((120, 3), value)))


@every
def test_scores_below_zero_are_refused_unless_only_their_order_counts(name: str):
    shifted = given(ERROR, SPREAD - SPREAD.max() - 1)
    if name not in BY_ORDER:
        with pytest.raises(ValueError, match=r"360 of 360 held-out scores are below zero.*isotonic"):
            fit_calibrator(name, shifted)
        return
    here, there = fit_calibrator(name, given(ERROR, SPREAD)), fit_calibrator(name, shifted)
    values = np.linspace(0.5 * SPREAD.min(), 2 * SPREAD.max(), 50)
    expected = here.bar(np.zeros(50), values, "").half_width(0.9)
    told = there.bar(np.zeros(50), values - SPREAD.max() - 1, "").half_width(0.9)
    np.testing.assert_allclose(told, expected, rtol=1e-9)


@every
def test_no_values(name: str):
    with pytest.raises(ValueError, match="of 0 held-out values none has"):
        fit_calibrator(name, given(np.zeros(0), np.zeros(0)))


@pytest.mark.parametrize("column", ["error", "spread", "frame", "group"])
def test_columns_must_have_one_length(column: str):
    columns = {"error": ERROR[:2], "spread": SPREAD[:2], "frame": np.arange(6), "group": np.repeat(["a", "b"], 3)}
    columns = {name: values.ravel() for name, values in columns.items()}
    Residuals(**columns)
    with pytest.raises(ValueError, match=rf"columns \(n,\) of one length, got .*{column} \(5,\)"):
        Residuals(**columns | {column: columns[column][:5]})
    with pytest.raises(ValueError, match=r"error \(2, 3\)"):
        Residuals(ERROR[:2], SPREAD[:2], np.arange(6).reshape(2, 3))


def test_an_unknown_name():
    with pytest.raises(ValueError, match="unknown calibrator 'magic'; there are scale, ratio, "):
        fit_calibrator("magic", given(ERROR, SPREAD))


@every
def test_values_without_usable_spread_are_left_out(name: str):
    left_out = [np.inf] if name in BY_ORDER else [0.0, np.inf]
    error = np.append(ERROR.ravel(), [9.0] * len(left_out))
    spread = np.append(SPREAD.ravel(), left_out)  # and no group
    assert width(fit_calibrator(name, given(error, spread))) == width(fit_calibrator(name, given(ERROR, SPREAD)))
