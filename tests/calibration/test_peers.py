"""The same intervals as crepes (split, normalised, Mondrian) and MAPIE (CV+, jackknife+)."""

from __future__ import annotations

import numpy as np
import pytest
from held_values import held

from assay.calibration.conformal import Conformal
from assay.calibration.jackknife_plus import jackknife_plus
from assay.calibration.mondrian import Mondrian

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("level", [0.5, 0.68, 0.9, 0.95])
def test_intervals_of_crepes(level: float):
    crepes = pytest.importorskip("crepes")
    error, spread = RNG.normal(size=97), RNG.lognormal(size=97)
    new = RNG.lognormal(size=8)
    theirs = crepes.ConformalRegressor().fit(residuals=error, sigmas=spread)
    ends = theirs.predict_int(y_hat=np.zeros(8), sigmas=new, confidence=level)
    ours = Conformal.fit(held(error, spread)).bar(np.zeros(8), new, "").half_width(level)
    np.testing.assert_allclose(np.stack([-ours, ours], axis=1), ends, rtol=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.68, 0.9, 0.95])
def test_mondrian_intervals_of_crepes(level: float):
    """25 to 44 values of each of three groups, one per frame."""
    crepes = pytest.importorskip("crepes")
    group = np.repeat(["a", "b", "c"], [25, 31, 44])
    error, spread = RNG.standard_t(4, 100), RNG.lognormal(size=100)
    new, of_new = RNG.lognormal(size=9), np.tile(["a", "b", "c"], 3)
    theirs = crepes.ConformalRegressor().fit(residuals=error, sigmas=spread, bins=group)
    ends = theirs.predict_int(y_hat=np.zeros(9), sigmas=new, bins=of_new, confidence=level)
    fitted = Mondrian.fit(held(error, spread, group=group))
    np.testing.assert_allclose(fitted.bar(np.zeros(9), new, "", of_new).half_width(level), ends[:, 1], rtol=1e-12)


@pytest.mark.parametrize(("folds", "level"), [(5, 0.9), (5, 0.68), (40, 0.9), (40, 0.8)])
def test_intervals_of_mapie(folds: int, level: float):
    """Least squares of 40 values by 5 folds and by leaving one out."""
    pytest.importorskip("mapie")
    from mapie.regression import CrossConformalRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import KFold

    x, new = RNG.normal(size=(40, 6)), RNG.normal(size=(11, 6))
    y = x.sum(axis=1) + RNG.standard_t(3, 40)
    theirs = CrossConformalRegressor(LinearRegression(), confidence_level=level, method="plus", cv=KFold(folds))
    ends = theirs.fit_conformalize(x, y).predict_interval(new)[1][:, :, 0]
    residual, fold, predictions = np.empty(40), np.empty(40, dtype=np.int64), []
    for k, (rest, out) in enumerate(KFold(folds).split(x)):
        fit = LinearRegression().fit(x[rest], y[rest])
        residual[out], fold[out] = y[out] - fit.predict(x[out]), k
        predictions.append(fit.predict(new))
    ours = jackknife_plus(residual, fold, np.array(predictions), level)
    np.testing.assert_allclose(np.stack(ours, axis=1), ends, rtol=1e-10)
