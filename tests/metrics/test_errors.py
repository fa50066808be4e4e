import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from assay.metrics import mae, rmse


def test_closed_forms():
    error = [3.0, -4.0, 0.0, 0.0]
    assert rmse(error) == 2.5
    assert mae(error) == 1.75


def test_one_value_is_its_own_mean():
    assert rmse(-0.25) == mae(-0.25) == 0.25


def test_against_sklearn():
    y, f = np.random.default_rng(0).standard_normal((2, 50, 3))
    assert rmse(f - y) == pytest.approx(root_mean_squared_error(y.ravel(), f.ravel()), rel=1e-13)
    assert mae(f - y) == pytest.approx(mean_absolute_error(y.ravel(), f.ravel()), rel=1e-13)


def test_single_precision_is_summed_in_double():
    error = np.full(3_000_001, 0.1, dtype=np.float32)
    assert mae(error) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


@pytest.mark.parametrize("metric", [rmse, mae])
@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_no_errors(metric, shape):
    with pytest.raises(ValueError, match=r"no errors.*check that frames with labels are left"):
        metric(np.zeros(shape))
