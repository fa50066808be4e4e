"""How good scores and error bars are: pure functions of arrays.

| question | functions | needs |
|---|---|---|
| How large are the errors? | `rmse`, `mae` | errors |
| Does the score rank them? | `spearman`, `roc_auc`, `worst_decile`, `flagged_fraction` | a score |
| What is gained by leaving out what it flags? | `sparsification_curve`, `ause` | a score |
| Do the error bars hold what they say? | `coverage`, `coverages`, `coverage_curve`, `miscalibration_area`, \
`reliability`, `ence`, `vector_coverage` | error bars |
| Are they too small or too large? | `signed_miscalibration_area`, `areas_over_and_under` | error bars |
| Do they hold it everywhere? | `z_mean_square`, `mean_by`, with strata such as `equal_count` | error bars, frames |
| Do the members of an ensemble hold the truth? | `envelope_violation`, `envelope_violation_interval` | members |
| How are errors spread beside their spread or bar? | `error_ratios`, `error_ratio_quantiles`, \
`error_ratio_histogram` | members or error bars |
| How sure is a metric, and which of two is better? | `FrameBootstrap`, `interval`, `ence_interval`, \
`ence_samples`, `ence_by_chance` | the frame of each value |
| Are they both honest and narrow? | `gaussian_nll`, `gaussian_crps`, `interval_score` | error bars |

Errors are prediction − reference, of any sign and any shape (frames, atoms or force components): every value
counts once. What needs error bars refuses an `assay.results.score.Score`.
"""

from assay.metrics.bootstrap import FrameBootstrap, interval
from assay.metrics.calibration import (
    areas_over_and_under,
    coverage,
    coverage_curve,
    coverages,
    ence,
    miscalibration_area,
    reliability,
    signed_miscalibration_area,
    vector_coverage,
)
from assay.metrics.envelope import (
    envelope_violation,
    envelope_violation_interval,
    error_ratio_histogram,
    error_ratio_quantiles,
    error_ratios,
)
from assay.metrics.errors import mae, rmse
from assay.metrics.proper import gaussian_crps, gaussian_nll, interval_score
from assay.metrics.ranking import flagged_fraction, roc_auc, spearman, worst_decile
from assay.metrics.sparsification import ause, sparsification_curve
from assay.metrics.stratified import ence_by_chance, ence_interval, ence_samples, equal_count, mean_by, z_mean_square

__all__ = [
    "FrameBootstrap",
    "areas_over_and_under",
    "ause",
    "coverage",
    "coverage_curve",
    "coverages",
    "ence",
    "ence_by_chance",
    "ence_interval",
    "ence_samples",
    "envelope_violation",
    "envelope_violation_interval",
    "equal_count",
    "error_ratio_histogram",
    "error_ratio_quantiles",
    "error_ratios",
    "flagged_fraction",
    "gaussian_crps",
    "gaussian_nll",
    "interval",
    "interval_score",
    "mae",
    "mean_by",
    "miscalibration_area",
    "reliability",
    "rmse",
    "roc_auc",
    "signed_miscalibration_area",
    "sparsification_curve",
    "spearman",
    "vector_coverage",
    "worst_decile",
    "z_mean_square",
]
