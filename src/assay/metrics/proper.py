"""Proper scores of error bars: smallest in expectation for the true standard deviation, or the true quantiles.

`...` any shape. A `Score` in place of standard deviations raises TypeError.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from assay.metrics._bars import half_widths, standard_deviations
from assay.metrics.errors import finite_errors


def gaussian_nll(error: ArrayLike, std: ArrayLike) -> float:
    """Mean negative log likelihood of the errors under their normal error bars.

    `NLL = ⟨½ ln 2π + ln σ + ½ z²⟩`, `z = e/σ`.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any |
    | σ | std | `(...)` | as error |

    The result depends on the unit: a change of it adds a constant.

    Raises TypeError for a Score; ValueError where there are no errors, for NaN or infinite errors, for
    standard deviations that are not finite and positive, and where the shapes differ.

    Reference: Gneiting & Raftery 2007, doi:10.1198/016214506000001437.
    """
    e = finite_errors(error)
    sigma = standard_deviations(std, e.shape)
    z = e / sigma
    return float(np.mean(0.5 * np.log(2.0 * np.pi) + np.log(sigma) + 0.5 * z**2))


def gaussian_crps(error: ArrayLike, std: ArrayLike) -> float:
    """Mean continuous ranked probability score of the errors under their normal error bars.

    `CRPS = ⟨σ [z (2Φ(z) − 1) + 2φ(z) − 1/√π]⟩`, `z = e/σ`; it becomes |e| as σ → 0.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any; the result has the same |
    | σ | std | `(...)` | as error |
    | φ, Φ | standard normal density and distribution function | | |

    Raises TypeError for a Score; ValueError where there are no errors, for NaN or infinite errors, for
    standard deviations that are not finite and positive, and where the shapes differ.

    Reference: Gneiting & Raftery 2007, doi:10.1198/016214506000001437.
    """
    from scipy.special import erf  # slow to import

    e = finite_errors(error)
    sigma = standard_deviations(std, e.shape)
    z = e / sigma
    two_Phi_minus_1 = erf(z / np.sqrt(2.0))
    phi = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return float(np.mean(sigma * (z * two_Phi_minus_1 + 2.0 * phi - 1.0 / np.sqrt(np.pi))))


def interval_score(error: ArrayLike, half_width: ArrayLike, level: float) -> float:
    """Mean score of central intervals: their width, and a penalty for every error outside.

    `S_α = ⟨2h + (2/α) max(|e| − h, 0)⟩`, `α = 1 − level`. Smallest in expectation for the true quantiles of the errors,
    so that it weighs coverage against width for bars of any kind; ∞ where a half width is.

    | symbol | argument | shape | unit |
    |---|---|---|---|
    | e | error | `(...)` | any; the result has the same |
    | h | half_width, half the width of the central interval, ≥ 0; ∞ allowed | `(...)` | as error |
    | | level, between 0 and 1 | | |

    Raises TypeError for a Score; ValueError for a level not between 0 and 1, where there are no errors, for NaN or
    infinite errors, for NaN or negative half widths, and where the shapes differ.

    Reference: Gneiting & Raftery 2007, Eq. 43, doi:10.1198/016214506000001437.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; a number between 0 and 1 is needed")
    e = np.abs(finite_errors(error))
    h = half_widths(half_width, e.shape)
    return float(np.mean(2.0 * h + 2.0 / (1.0 - level) * np.maximum(e - h, 0.0)))
