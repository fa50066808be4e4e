"""The student of a distillation: the files it is fitted to, its fit, and what was fitted before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.distillation.fitted import Counts, FittedStudent
from assay.distillation.folder import Folder
from assay.distillation.labels import KEYS, Mixed, bare, mixed_frames
from assay.distillation.student_errors import StudentTest
from assay.distillation.weighting import uncertainty_weights
from assay.execution.run import Run
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, Frames, content_hash, file_hash
from assay.gauge.fit import Built, fit_gauge
from assay.gauge.gauge import Gauge
from assay.linear.export import write_potential
from assay.linear.linear_fit import LinearFit
from assay.linear.weights import Weights
from assay.results.arrays import Array
from assay.scores.protocol import OfActiveSets
from assay.sources.capabilities import AnySource, Exports, HasCoefficients, LinearSource
from assay.sources.frame_files import FrameFiles
from assay.storage.provenance import versions

HELD_OUT = 0.1
"""Share of the DFT labels that calibrate the student's error bars, where no others are given."""
FEWEST = 5
"""Frames with DFT labels that calibrate at least, and a quarter of what there must be to keep any out."""
BARS = {
    "given": "calibrated on the DFT labels of other frames that were given: they bound errors against DFT",
    "all DFT": "calibrated on kept-out DFT labels: they bound errors against DFT",
    "kept out": (
        "calibrated on kept-out DFT labels: they bound errors against DFT. These are of frames on which the teachers "
        "disagree, so bars are rather too large where they agree"
    ),
    "few": (
        "calibrated on kept-out labels of both kinds, as the DFT labels are too few to keep any out: they bound "
        "errors against these labels, most of them the teachers'. Give frames with DFT labels to calibrate on"
    ),
    "none": (
        "calibrated on the teachers' labels: they bound the difference from the teachers, not the error against DFT. "
        "Give frames with DFT labels to calibrate on"
    ),
}
"""What the student's error bars mean, by what they were calibrated on."""


@dataclass(frozen=True)
class Student:
    """What learns from a mixed set, and how.

    | field | meaning |
    |---|---|
    | rows | a linear potential that can be exported |
    | settings | what tells of it |
    | calibration | frames with DFT labels that calibrate its error bars; a tenth of those of the mixed set without |
    | by_uncertainty | weights of frames are those of `assay.distillation.weighting`, not those of `linear_fit` |
    | linear_fit, error_bar | as in `assay.build` |
    | command | by which the user asked for it |
    """

    rows: LinearSource
    settings: Mapping[str, Any]
    calibration: Frames | None = None
    by_uncertainty: bool = False
    linear_fit: LinearFit = LinearFit()
    error_bar: str | None = None
    command: str = ""

    def fit(
        self,
        folder: Folder,
        mixed: Mixed,
        frames: Sequence[Frame],
        uncertainty: Array,
        test: StudentTest | None,
        run: Run,
    ) -> FittedStudent:
        """Write the mixed set, fit the student to it unless that was done before, and judge it.

        It is fitted to the files of the mixed set, so that what they hold is what it has seen.
        """
        kept_out = np.zeros(len(frames), bool) if self.calibration is not None else _kept_out(mixed, frames)
        files = self._write(folder, mixed, list(mixed_frames(frames, mixed, uncertainty)), kept_out)
        key = self._key(files, test, run)
        if (before := folder.student(mixed.cutoff, key)) is not None:
            return before
        built = self._built(files, mixed, frames, uncertainty, run)
        built.gauge.save(folder.of("student", mixed.cutoff, ".gauge"))
        written = [*files, folder.of("student", mixed.cutoff, ".gauge")]
        written += _exported(built.gauge, folder.of("student", mixed.cutoff))
        done = FittedStudent(
            key=key,
            training=Counts(**built.gauge.provenance["training"]),
            training_dft_frames=int((mixed.dft & ~kept_out).sum()),
            bars=BARS[self._calibrated_on(mixed, bool(kept_out.any()))],
            on_test=None if test is None else test.of_student(built.gauge, run),
            skipped=tuple(built.skipped),
            files=tuple(path.name for path in written),
        )
        folder.keep_student(mixed.cutoff, done)
        return done

    def _write(
        self, folder: Folder, mixed: Mixed, labelled: Sequence[Atoms], kept_out: NDArray[np.bool_]
    ) -> tuple[Path, ...]:
        """The file to fit to, and that to calibrate on if there is any; `labelled`: what is not pending."""
        train, apart = (folder.of(kind, mixed.cutoff, ".extxyz") for kind in ("mixed", "heldout"))
        here = kept_out[~mixed.pending]
        folder.write_frames(train, [atoms for atoms, kept in zip(labelled, here, strict=True) if not kept])
        if self.calibration is not None:
            folder.write_frames(apart, [_relabelled(frame) for frame in self.calibration])
        elif kept_out.any():
            folder.write_frames(apart, [atoms for atoms, kept in zip(labelled, here, strict=True) if kept])
        else:
            return (train,)
        return (train, apart)

    def _built(
        self, files: Sequence[Path], mixed: Mixed, frames: Sequence[Frame], uncertainty: Array, run: Run
    ) -> Built:
        linear_fit = self.linear_fit
        if self.by_uncertainty:
            factors = uncertainty_weights(uncertainty, mixed.taught)
            hashes = (content_hash(frame.atoms) for frame in frames)
            weights = Weights("frame", dict(zip(hashes, factors.tolist(), strict=True)))
            linear_fit = replace(linear_fit, weights=weights)
        train, *apart = (FrameFiles(path, keys=KEYS, skip_bad=run.skip_bad) for path in files)
        return fit_gauge(
            train, self.rows, calibration=next(iter(apart), None), linear_fit=linear_fit, error_bar=self.error_bar,
            keys=KEYS, settings=self.settings, run=run, command=self.command,
        )  # fmt: skip

    def _calibrated_on(self, mixed: Mixed, kept_out: bool) -> str:
        """The key of `BARS`."""
        if self.calibration is not None:
            return "given"
        if kept_out:
            return "kept out" if mixed.taught.any() else "all DFT"
        return "few" if mixed.dft.any() else "none"

    def _key(self, files: Sequence[Path], test: StudentTest | None, run: Run) -> str:
        """Equal for equal mixed sets, settings and test frames."""
        options = {
            "posterior": self.linear_fit.posterior,
            "ensemble_size": self.linear_fit.ensemble_size,
            "error_bar": self.error_bar,
            "seed": self.linear_fit.seed,
            "skip_bad": run.skip_bad,
        }
        if self.linear_fit.weights != Weights():
            options["weights"] = repr(self.linear_fit.weights)
        hashes = [file_hash(path) for path in files]
        version, tested = versions().get("assay"), test.key if test else ""
        made_of = [self.settings, options, self.by_uncertainty, hashes, tested, version]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def as_student(source: AnySource) -> LinearSource:
    """The source, which can be a student; raises `ValueError` for one that can't be fitted, or not be exported."""
    if isinstance(source, LinearSource) and isinstance(source, Exports):
        return source
    raise ValueError(f"a student is a potential that can be fitted, snap or ace, not {source.kind!r}")


def _exported(gauge: Gauge, stem: Path) -> list[Path]:
    """The student's potential, and γ if it has it, in files that LAMMPS runs."""
    source = gauge.source
    assert isinstance(source, HasCoefficients)
    assert isinstance(source.rows, Exports)
    grade = next((score for score in gauge.scores if isinstance(score, OfActiveSets)), None)
    emptiness = gauge.emptiness.coefficients() if gauge.emptiness else None
    return write_potential(source.rows, source.theta, stem, grade.active_sets if grade else None, emptiness)


def _kept_out(mixed: Mixed, frames: Sequence[Frame]) -> NDArray[np.bool_]:
    """Frames with DFT labels that calibrate, `(F,)`: a tenth of them, but at least `FEWEST`; none if that is more
    than a quarter of them."""
    here = np.flatnonzero(mixed.dft)
    kept = np.zeros(len(frames), dtype=bool)
    if len(here) >= 4 * FEWEST:
        survey = Survey.fit(frames[j] for j in here.tolist())
        kept[here[survey.held_out(max(HELD_OUT, FEWEST / len(here)))]] = True
    return kept


def _relabelled(frame: Frame) -> Atoms:
    """A labelled frame with its labels under the keys of the mixed set, without stress as these may have none."""
    atoms = bare(frame)
    atoms.info[KEYS.energy] = frame.energy
    atoms.set_array(KEYS.forces, frame.forces)
    return atoms
