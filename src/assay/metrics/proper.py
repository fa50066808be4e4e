"""Proper scores of normal error bars: smallest in expectation for the true standard deviation.

`...` any shape. A `Score` in place of standard deviations raises TypeError.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from assay.metrics._bars import standard_deviations
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
