"""Calibrate the disagreement of four classical potentials, and see what it is worth on frames that none has seen.

Their zeros of energy are not that of the labels, so only forces and stresses are looked at.
"""

from pathlib import Path

import assay
from assay.verbs.demo import demo_data

built = assay.build(
    demo_data("train"),
    calibration=demo_data("calibration"),
    source=str(Path(__file__).with_name("own_calculators.toml")),
    error_bar="committee_force:conformal",
)
print(built.gauge.source.label)
for name in ("test", "ood"):
    result = assay.evaluate(built.gauge, demo_data(name))
    force, ranking = result.bars.force, result.scores["committee_force"].neighbourhood
    print(
        f"{name:4}: force RMSE {result.errors.force.rmse:.2f} eV/Å, "
        f"95 % intervals hold {100 * force.figures.coverage[0.95]:.0f} % of the errors "
        f"(one width for all: {100 * force.constant.coverage[0.95]:.0f} %), "
        f"rank correlation of neighbourhoods {ranking.spearman:.2f}"
    )
