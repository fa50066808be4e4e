"""A student that was fitted: what was found of it, and that as JSON, in which it is kept for later calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from assay.distillation.figures import RMSE_KEYS, DftErrors, ForceBars, Rmses, StudentOnTest
from assay.results.plain import plain


@dataclass(frozen=True)
class Counts:
    """How many frames, and atoms in them."""

    frames: int
    atoms: int


@dataclass(frozen=True)
class FittedStudent:
    """What was found of a student.

    | field | meaning |
    |---|---|
    | key | equal for what is fitted to the same mixed set in the same way |
    | training, training_dft_frames | what it was fitted to, and how many of these frames have DFT labels |
    | bars | a sentence: what its error bars mean |
    | on_test | `None` without test frames |
    | skipped | frames that the fit left out: (origin, reason) |
    | files | names of its files in the folder |
    """

    key: str
    training: Counts
    training_dft_frames: int
    bars: str
    on_test: StudentOnTest | None
    skipped: tuple[tuple[str, str], ...]
    files: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """What `summary.json` and the student's own file hold."""
        return {
            "key": self.key,
            "student": {
                "training": plain(self.training),
                "training_dft_frames": self.training_dft_frames,
                "bars": self.bars,
                **({} if self.on_test is None else self.on_test.summary()),
            },
            "student_skipped": [{"frame": origin, "reason": reason} for origin, reason in self.skipped],
            "files": list(self.files),
        }

    @classmethod
    def from_summary(cls, given: Mapping[str, Any]) -> Self:
        """The student of which `given` is the summary."""
        student = given["student"]
        return cls(
            key=given["key"],
            training=Counts(**student["training"]),
            training_dft_frames=student["training_dft_frames"],
            bars=student["bars"],
            on_test=StudentOnTest(_errors(student["test"]), _bars(student["force_bars"]))
            if "test" in student
            else None,
            skipped=tuple((each["frame"], each["reason"]) for each in given["student_skipped"]),
            files=tuple(given["files"]),
        )


def _errors(given: Mapping[str, Any]) -> DftErrors | None:
    if not given:
        return None
    return DftErrors(_rmses(given), {name: _rmses(each) for name, each in given["by_config_type"].items()})


def _rmses(given: Mapping[str, Any]) -> Rmses:
    return Rmses(given["frames"], given["atoms"], **{name: given[key] for name, key in RMSE_KEYS.items()})


def _bars(given: Mapping[str, Any] | None) -> ForceBars | None:
    if given is None:
        return None
    return ForceBars({float(level): share for level, share in given["coverage"].items()}, given["mean_width"])
