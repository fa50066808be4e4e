"""What every calibrator refuses, and laws that all of them keep."""

from __future__ import annotations

import numpy as np
import pytest

from assay.calibration import CALIBRATORS, Calibrator, fit_calibrator

ERROR = np.array([[0.1, -0.4, 0.2], [0.5, -0.1, 0.3]])
SPREAD = np.array([[0.2, 0.3, 0.1], [0.4, 0.2, 0.2]])
every = pytest.mark.parametrize("name", CALIBRATORS)


def width(calibrator: Calibrator) -> float:
    return float(calibrator.bar(np.zeros(1), np.ones(1), "").half_width(0.5)[0])


@every
def test_nan_is_refused_and_counted(name: str):
    error, spread = ERROR.copy(), SPREAD.copy()
    error[0, :2] = spread[1, 1] = np.nan
    with pytest.raises(ValueError, match="2 errors and 1 spreads are NaN"):
        fit_calibrator(name, error, spread)


@every
@pytest.mark.parametrize("value", [0.0, -1.0, np.inf])
def test_nothing_to_calibrate_on(name: str, value: float):
    with pytest.raises(ValueError, match="of 6 held-out values none has a positive finite spread"):
        fit_calibrator(name, ERROR, np.full((2, 3), value))


@every
def test_no_values(name: str):
    with pytest.raises(ValueError, match="of 0 held-out values none has"):
        fit_calibrator(name, np.zeros(0), np.zeros(0))


@every
@pytest.mark.parametrize("spread", [SPREAD[0], SPREAD.ravel(), SPREAD.T])
def test_shapes_must_match(name: str, spread: np.ndarray):
    with pytest.raises(ValueError, match=r"errors \(2, 3\) and spreads \(.*\) do not belong together"):
        fit_calibrator(name, ERROR, spread)


def test_an_unknown_name():
    with pytest.raises(ValueError, match="unknown calibrator 'isotonic'; there are scale, ratio, conformal"):
        fit_calibrator("isotonic", ERROR, SPREAD)


@every
def test_values_without_usable_spread_are_left_out(name: str):
    error = np.append(ERROR.ravel(), [9.0, 9.0, 9.0])
    spread = np.append(SPREAD.ravel(), [0.0, -1.0, np.inf])
    assert width(fit_calibrator(name, error, spread)) == width(fit_calibrator(name, ERROR, SPREAD))


@every
def test_signs_and_order_do_not_count(name: str):
    p = np.array([3, 1, 5, 0, 2, 4])
    again = fit_calibrator(name, -ERROR.ravel()[p], SPREAD.ravel()[p])
    assert width(again) == pytest.approx(width(fit_calibrator(name, ERROR, SPREAD)), rel=1e-14)


@every
def test_twice_the_errors_twice_the_bars(name: str):
    assert width(fit_calibrator(name, 2 * ERROR, SPREAD)) == 2 * width(fit_calibrator(name, ERROR, SPREAD))


@every
def test_the_scale_of_the_score_does_not_count(name: str):
    """A score has no unit of error: 1000 times larger scores give the same error bars."""
    bars = [
        fit_calibrator(name, ERROR, factor * SPREAD).bar(np.zeros((2, 3)), factor * SPREAD, "").half_width(0.5)
        for factor in (1.0, 1000.0)
    ]
    np.testing.assert_allclose(bars[1], bars[0], rtol=1e-12)


@every
def test_state_round_trip(name: str):
    fitted = fit_calibrator(name, ERROR, SPREAD)
    assert width(CALIBRATORS[name].from_state(fitted.state())) == width(fitted)
