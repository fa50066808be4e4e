"""Numbers where they are defined, `None` where they are not: what JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from assay.evaluation.figures import Ends


def number(function: Callable[..., Any], *arguments: Any) -> float | None:
    """The value, or `None` where it is not defined (nothing there, or not a number)."""
    if np.size(arguments[0]) == 0:
        return None
    return finite(float(function(*arguments)))


def finite(value: float) -> float | None:
    """The value as a Python number, or `None` where it is NaN or infinite."""
    return float(value) if np.isfinite(value) else None


def ends(interval: Iterable[float]) -> Ends | None:
    """Both ends of an interval, or `None` where one is not finite."""
    low, high = interval
    return (float(low), float(high)) if np.isfinite([low, high]).all() else None
