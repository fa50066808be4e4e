"""What comes out of a parcel is what went in, and nothing of it stays in the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.execution.shared_memory import Parcel


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.array([True, False, True]),
        np.zeros((0, 3)),
        np.float64(1.5),
    ],
    ids=["C order", "Fortran order", "strided", "boolean", "empty", "scalar"],
)
def test_arrays_come_back(array: np.ndarray, tmp_path: Path):
    back = Parcel.pack([array, array], str(tmp_path)).unpack()
    for each in back:
        np.testing.assert_array_equal(each, array)
        assert each.dtype == array.dtype
    assert list(tmp_path.iterdir()) == []


def test_arrays_stay_aligned_and_writable(tmp_path: Path):
    """Three booleans before them must not put numbers between two addresses."""
    value = {"energy": 1.0, "forces": np.ones((2, 3)), "features": np.arange(4.0).reshape(2, 2), "stress": None}
    _, back, _ = Parcel.pack((np.array([True, False, True]), value, "text"), str(tmp_path)).unpack()
    assert back["energy"] == 1.0
    assert back["stress"] is None
    for name in ("forces", "features"):
        assert back[name].flags.aligned
        back[name] += 1.0
    np.testing.assert_array_equal(back["forces"], np.full((2, 3), 2.0))


def test_values_without_arrays(tmp_path: Path):
    assert Parcel.pack({"a": [1, None]}, str(tmp_path)).unpack() == {"a": [1, None]}
    assert list(tmp_path.iterdir()) == []
