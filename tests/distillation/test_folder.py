"""What a later call takes from a folder is as it was written, or is refused or found anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.distillation.fitted import Counts, FittedStudent
from assay.distillation.folder import Folder
from assay.distillation.teachers import TeacherWeights

WEIGHTS = TeacherWeights((0.25, 0.75), (0.31, 0.12), 64)
MODELS = ("a", "b")
STUDENT = FittedStudent(
    key="0123456789abcdef", training=Counts(12, 96), training_dft_frames=3, bars="as they are", on_test=None,
    skipped=(("pool:3", "no forces"),), files=("student-0.05.gauge", "student-0.05.snapcoeff"),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    for name in STUDENT.files:
        (tmp_path / name).write_text(f"content of {name}")
    found = Folder(tmp_path)
    found.keep_weights(MODELS, WEIGHTS)
    found.keep_student(0.05, STUDENT)
    return found


def test_what_was_kept_is_found(folder: Folder) -> None:
    assert folder.weights(MODELS) == WEIGHTS
    assert folder.weights(("a", "c")) is None
    assert folder.student(0.05, STUDENT.key) == STUDENT
    assert folder.student(0.05, "of something else") is None
    assert folder.student(0.1, STUDENT.key) is None


@pytest.mark.parametrize("name", ["teachers.json", "student-0.05.json"])
def test_no_changed_bit_is_taken_for_a_result(folder: Folder, name: str) -> None:
    path = folder.path / name
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused: list[str] = []
    for at in rng.integers(len(whole), size=150):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            weights, student = folder.weights(MODELS), folder.student(0.05, STUDENT.key)
        except ValueError as error:
            refused.append(str(error))
        else:  # white space, or the name of the checksum
            assert weights == WEIGHTS
            assert student == STUDENT
    assert len(refused) > 100
    assert all(message.startswith(f"{path}: damaged") for message in refused)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"models": ["a", "b"]', "\ufffd"])
def test_what_is_not_of_a_distillation_is_refused_by_name(folder: Folder, text: str) -> None:
    (folder.path / "teachers.json").write_text(text)
    with pytest.raises(ValueError, match=r"teachers\.json: damaged, or not of a distillation; delete it"):
        folder.weights(MODELS)


def test_a_student_whose_files_changed_is_fitted_anew(folder: Folder) -> None:
    changed = folder.path / STUDENT.files[1]
    changed.write_text("something else")
    with pytest.warns(UserWarning, match=r"student-0\.05\.snapcoeff changed since .* fitted anew"):
        assert folder.student(0.05, STUDENT.key) is None
    changed.unlink()
    assert folder.student(0.05, STUDENT.key) is None


def test_files_without_checksums_are_taken(folder: Folder) -> None:
    for path in folder.path.glob("*.json"):
        told = json.loads(path.read_text())
        path.write_text(json.dumps({key: told[key] for key in told if "sha256" not in key}))
    assert folder.weights(MODELS) == WEIGHTS
    assert folder.student(0.05, STUDENT.key) == STUDENT
