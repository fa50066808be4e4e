"""Held-out values from bare columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from assay.calibration import Residuals


def held(error: ArrayLike, spread: ArrayLike, frame: ArrayLike | None = None, **more: Any) -> Residuals:
    """By default each value is a frame of its own."""
    error = np.asarray(error, dtype=float).ravel()
    frame = np.arange(len(error)) if frame is None else np.asarray(frame)
    return Residuals(error, np.asarray(spread, dtype=float).ravel(), frame, **more)
