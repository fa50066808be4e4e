"""CV+ intervals of a linear potential without calibration frames."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from copper import SOURCE, frames, labelled
from numpy.typing import NDArray

import assay
from assay import FrameError, read_frames

pytestmark = pytest.mark.snap
LEVEL = 0.8


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("cross")
    for name, count, seed in (("train", 30, 0), ("new", 90, 5000)):
        ase.io.write(folder / f"{name}.extxyz", frames(count, seed))
    return folder / "train.extxyz", folder / "new.extxyz"


@pytest.fixture(scope="module")
def told(files: tuple[Path, Path]) -> assay.CrossConformal:
    return assay.cross_conformal(*files, source=SOURCE, level=LEVEL, folds=10)


def inside(low: NDArray[np.float64], label: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    return float(np.mean((low <= label) & (label <= high)))


def test_coverage_of_new_frames(told: assay.CrossConformal, files: tuple[Path, Path]) -> None:
    """At least 1 - 2α by the theorem, and about 1 - α: four standard deviations of 90 frames are 17 %."""
    new = list(read_frames(files[1]))
    energy = np.array([frame.energy / len(frame.atoms) for frame in new])
    assert 1 - 2 * (1 - LEVEL) <= inside(told.energy_low, energy, told.energy_high) <= 1
    forces = inside(told.forces_low, np.concatenate([frame.forces for frame in new]), told.forces_high)
    assert forces == pytest.approx(LEVEL, abs=0.17)


def test_predictions_are_those_of_a_fit_to_all_labels(told: assay.CrossConformal) -> None:
    assert told.folds == 10
    assert told.offsets[-1] == len(told.forces)
    assert len(told.names) == 90
    middle = (told.energy_low + told.energy_high) / 2
    assert np.median(np.abs(middle - told.energy)) < np.median(told.energy_high - told.energy_low)


def test_residuals_are_of_fits_that_had_not_seen_the_frame(files: tuple[Path, Path], tmp_path: Path) -> None:
    """With as many coefficients as the labels of a frame or two, a fit that had seen them would have no residuals."""
    few = frames(6, 40)
    for atoms in few:
        atoms.info.pop("REF_stress")
    ase.io.write(tmp_path / "few.extxyz", few)
    kinds = "snap:twojmax=6,rcut=4.5"
    told = assay.cross_conformal(tmp_path / "few.extxyz", tmp_path / "few.extxyz", source=kinds, level=0.5, folds=6)
    seen = np.abs(told.energy - [frame.energy / len(frame.atoms) for frame in read_frames(tmp_path / "few.extxyz")])
    assert np.median(told.energy_high - told.energy_low) > 10 * np.median(seen)


def test_too_few_frames_for_the_level_have_infinite_intervals(files: tuple[Path, Path], tmp_path: Path) -> None:
    ase.io.write(tmp_path / "five.extxyz", frames(6, 40)[:5])
    told = assay.cross_conformal(tmp_path / "five.extxyz", files[1], source=SOURCE, level=0.9, folds=5)
    assert np.isinf(told.energy_high).all()
    assert np.isfinite(told.forces_high).all()


def test_frames_that_cannot_be_predicted_are_listed(files: tuple[Path, Path], tmp_path: Path) -> None:
    mixed = frames(3, 7)
    mixed[1].symbols[0] = "Zr"
    ase.io.write(tmp_path / "mixed.extxyz", mixed)
    told = assay.cross_conformal(files[0], tmp_path / "mixed.extxyz", source=SOURCE, folds=4)
    assert len(told.names) == 2
    assert "Zr, which was not in the training frames" in told.failed[0][1]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"source": "recorded"}, ValueError, "fits a linear potential"),
        ({"folds": 1}, ValueError, "at least 2"),
        ({"level": 1.0}, ValueError, "between 0 and 1"),
    ],
)
def test_what_cannot_be_asked(
    files: tuple[Path, Path], changed: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        assay.cross_conformal(*files, **{"source": SOURCE, **changed})


def test_one_frame_cannot_be_divided(files: tuple[Path, Path], tmp_path: Path) -> None:
    ase.io.write(tmp_path / "one.extxyz", labelled(frames(3, 1)[0]))
    with pytest.raises(FrameError, match="can't be divided"):
        assay.cross_conformal(tmp_path / "one.extxyz", files[1], source=SOURCE)
