"""The size of errors, and what every metric asks of an array of errors.

`...` any shape: frames `(F,)`, atoms `(A,)`, force components `(A, 3)`, stress components `(F, 6)`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from assay.results.arrays import Array


def rmse(error: ArrayLike) -> float:
    """Root mean square error, `√(⟨e²⟩)`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any; the result has the same |

    Raises ValueError where there are no errors or one is NaN or infinite.

    Reference: Chai & Draxler 2014, doi:10.5194/gmd-7-1247-2014.
    """
    e = finite_errors(error)
    return float(np.sqrt(np.mean(e**2)))


def mae(error: ArrayLike) -> float:
    """Mean absolute error, `⟨|e|⟩`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any; the result has the same |

    Raises ValueError where there are no errors or one is NaN or infinite.

    Reference: Chai & Draxler 2014, doi:10.5194/gmd-7-1247-2014.
    """
    e = finite_errors(error)
    return float(np.mean(np.abs(e)))


def finite_errors(error: ArrayLike, least: int = 1) -> Array:
    """`error` as floats of the same shape; ValueError for fewer than `least`, or where any is not finite."""
    e = np.asarray(error, dtype=np.float64)
    if e.size < least:
        raise ValueError(
            f"no errors: an array of shape {e.shape} came, at least {least} value is needed; "
            "check that frames with labels are left"
        )
    unusable = e.size - np.count_nonzero(np.isfinite(e))
    if unusable:
        raise ValueError(
            f"{unusable} of {e.size} errors are NaN or infinite; "
            "leave out frames without labels or whose prediction failed"
        )
    return e


def one_for_each(values: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    """`values` as floats; ValueError unless they have the `shape` of what they belong to."""
    v = np.asarray(values, dtype=np.float64)
    if v.shape != shape:
        raise ValueError(
            f"{name} has shape {v.shape} and what it is held against {shape}: one value for each is needed"
        )
    return v
