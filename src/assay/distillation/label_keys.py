"""Where a file of DFT calculations has its labels: under the keys that are asked for, or as results of a calculator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from assay.frames.frame import LabelKeys, Skipped
from assay.frames.reading import read_frames

RESULTS = LabelKeys("energy", "forces", "stress")
"""The names of a calculator's results, as ASE writes them."""


def keys_of_labels(path: str | Path, keys: LabelKeys, skipped: Skipped | None = None) -> LabelKeys:
    """`keys`, or `RESULTS` where no frame of the file has energy or forces under `keys` and some frame has both there.

    A stress that is ignored (`none`) stays so. With `skipped` frames that can't be read don't raise `FrameError`.
    """
    results = replace(RESULTS, stress="none") if keys.stress == "none" else RESULTS
    left_out: Skipped | None = None if skipped is None else []  # the reader of the labels lists them
    asked = read_frames(path, keys=keys, skipped=left_out)
    if any(frame.energy is not None or frame.forces is not None for frame in asked):
        return keys
    found = read_frames(path, keys=results, skipped=left_out)
    return results if any(frame.energy is not None and frame.forces is not None for frame in found) else keys
