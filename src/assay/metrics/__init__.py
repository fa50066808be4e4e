"""How good scores and error bars are: pure functions of arrays.

| question | functions | needs |
|---|---|---|
| How large are the errors? | `rmse`, `mae` | errors |
| Does the score rank them? | `spearman`, `roc_auc`, `worst_decile`, `flagged_fraction` | a score |
| What is gained by leaving out what it flags? | `sparsification_curve`, `ause` | a score |
| Do the error bars hold what they say? | `coverage`, `coverages`, `coverage_curve`, `miscalibration_area`, \
`reliability`, `ence` | error bars |
| Do the members of an ensemble hold the truth? | `envelope_violation`, `envelope_violation_interval` | members |
| How are errors spread beside their spread or bar? | `error_ratios`, `error_ratio_quantiles`, \
`error_ratio_histogram` | members or error bars |
| Are they both honest and narrow? | `gaussian_nll`, `gaussian_crps` | error bars |

Errors are prediction − reference, of any sign and any shape (frames, atoms or force components): every value
counts once. What needs error bars refuses an `assay.prediction.Score`.
"""

from assay.metrics.calibration import (
    coverage,
    coverage_curve,
    coverages,
    ence,
    miscalibration_area,
    reliability,
)
from assay.metrics.envelope import (
    envelope_violation,
    envelope_violation_interval,
    error_ratio_histogram,
    error_ratio_quantiles,
    error_ratios,
)
from assay.metrics.errors import mae, rmse
from assay.metrics.proper import gaussian_crps, gaussian_nll
from assay.metrics.ranking import flagged_fraction, roc_auc, spearman, worst_decile
from assay.metrics.sparsification import ause, sparsification_curve

__all__ = [
    "ause",
    "coverage",
    "coverage_curve",
    "coverages",
    "ence",
    "envelope_violation",
    "envelope_violation_interval",
    "error_ratio_histogram",
    "error_ratio_quantiles",
    "error_ratios",
    "flagged_fraction",
    "gaussian_crps",
    "gaussian_nll",
    "mae",
    "miscalibration_area",
    "reliability",
    "rmse",
    "roc_auc",
    "sparsification_curve",
    "spearman",
    "worst_decile",
]
