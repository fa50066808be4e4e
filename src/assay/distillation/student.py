"""The student of a distillation: its files, its fit by `build`, and what was fitted before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.distillation.labels import KEYS, Mixed, bare, mixed_frames
from assay.distillation.student_errors import StudentTest
from assay.distillation.weighting import uncertainty_weights
from assay.execution.progress import Stage
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, LabelKeys, content_hash, file_hash
from assay.frames.writing import frames_out
from assay.linear.weights import Weights
from assay.results.arrays import Array
from assay.sources.frame_files import Paths, labelled
from assay.storage.files import write_json
from assay.storage.provenance import versions
from assay.verbs.build import build
from assay.verbs.export import export

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
    """How a student is fitted: `spec` and the options are those of `assay.build`.

    `by_uncertainty` weights frames by `assay.distillation.weighting`; `heldout` is frames with DFT labels under `keys`.
    """

    spec: dict[str, Any]
    heldout: Paths | None
    keys: LabelKeys
    by_uncertainty: bool
    options: dict[str, Any]

    def fit(
        self,
        folder: Path,
        mixed: Mixed,
        frames: Sequence[Frame],
        uncertainty: Array,
        test: StudentTest | None,
        stage: Stage,
    ) -> dict[str, Any]:
        """Write the mixed set, fit the student to it unless that was done before, judge it; what `summary.json` holds.

        Files are `mixed-U_c.extxyz`, `heldout-U_c.extxyz`, `student-U_c.gauge`, those of `export`, and
        `student-U_c.json` with what is returned.
        """
        tag = f"{mixed.cutoff:.6g}"
        kept_out = np.zeros(len(frames), dtype=bool) if self.heldout is not None else _kept_out(mixed, frames)
        train, heldout = folder / f"mixed-{tag}.extxyz", folder / f"heldout-{tag}.extxyz"
        calibrate = self.heldout is not None or bool(kept_out.any())
        every = list(mixed_frames(frames, mixed, uncertainty))
        kept = kept_out[~mixed.pending]
        _write(train, [atoms for atoms, out in zip(every, kept, strict=True) if not out])
        if self.heldout is not None:
            _write(heldout, [_relabelled(frame) for frame in labelled(self.heldout, None, self.keys, None)])
        elif calibrate:
            _write(heldout, [atoms for atoms, out in zip(every, kept, strict=True) if out])
        files = [train, heldout] if calibrate else [train]
        key = self._key(files, test)
        gauge_file, note_file = folder / f"student-{tag}.gauge", folder / f"student-{tag}.json"
        if note_file.is_file():
            before: dict[str, Any] = json.loads(note_file.read_text(encoding="utf-8"))
            if before["key"] == key and all((folder / name).is_file() for name in before["files"]):
                return before
        weights = Weights()
        if self.by_uncertainty:
            factors = uncertainty_weights(uncertainty, mixed.taught)
            hashes = (content_hash(frame.atoms) for frame in frames)
            weights = Weights("frame", dict(zip(hashes, factors.tolist(), strict=True)))
        built = build(
            train, source=dict(self.spec), heldout=heldout if calibrate else None, out=gauge_file, keys=KEYS,
            weights=weights, stage=stage, **self.options,
        )  # fmt: skip
        exported = export(built.gauge, folder / f"student-{tag}")
        found: dict[str, Any] = {
            "training": built.gauge.provenance["training"],
            "training_dft_frames": int((mixed.dft & ~kept_out).sum()),
            "bars": BARS[self._calibrated_on(mixed, calibrate)],
        }
        if test is not None:
            found |= test.of_student(built.gauge)
        done = {
            "key": key,
            "student": found,
            "student_skipped": [{"frame": origin, "reason": reason} for origin, reason in built.skipped],
            "files": [path.name for path in (*files, gauge_file, *exported)],
        }
        write_json(note_file, done)
        return done

    def _calibrated_on(self, mixed: Mixed, kept_out: bool) -> str:
        """The key of `BARS`."""
        if self.heldout is not None:
            return "given"
        if kept_out:
            return "kept out" if mixed.taught.any() else "all DFT"
        return "few" if mixed.dft.any() else "none"

    def _key(self, files: Sequence[Path], test: StudentTest | None) -> str:
        """Equal for equal mixed sets, settings and test frames."""
        settings = {name: value for name, value in self.options.items() if name not in ("workers", "command")}
        hashes = [file_hash(path) for path in files]
        made_of = [self.spec, settings, self.by_uncertainty, hashes, test.key if test else "", versions().get("assay")]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


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


def _write(path: Path, frames: Sequence[Atoms]) -> None:
    with frames_out(path) as append:
        for atoms in frames:
            append(atoms)
