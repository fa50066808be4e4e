"""The old name of `calibration`, which verbs take for one version more."""

from __future__ import annotations

import warnings

from assay.sources.frame_files import Given


def renamed(verb: str, heldout: Given, calibration: Given | None) -> Given:
    """`heldout`, and a `FutureWarning` to who called the verb; raises `ValueError` where `calibration` is there too."""
    if calibration is not None:
        raise ValueError("heldout is the old name of calibration: give one of them")
    remark = f"{verb}(heldout=…) is now {verb}(calibration=…); the old name goes with the next version"
    warnings.warn(remark, FutureWarning, stacklevel=3)
    return heldout
