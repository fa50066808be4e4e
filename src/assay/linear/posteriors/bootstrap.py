"""Block bootstrap: fits to groups of frames drawn with replacement.

Efron and Tibshirani 1993 (doi:10.1201/9780429246593). It knows of too few data and not of misspecification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from assay.linear.normal_equations import NormalEquations, choose_ridge
from assay.linear.posteriors.protocol import Fit
from assay.linear.rows_file import RowsFile


@dataclass(frozen=True)
class Bootstrap:
    """M fits to as many groups as there are, drawn with replacement, all at the ridge that cross-validation chose."""

    name: ClassVar[str] = "bootstrap"
    needs_rows: ClassVar[bool] = False

    members: int = 16

    def fit(self, equations: NormalEquations, rows: RowsFile | None, seed: int) -> Fit:
        """The best fit to all groups, and the members."""
        ridge, groups = choose_ridge(equations), len(equations.grams)
        times = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=self.members)
        system = equations.system()
        factor = system.stable_factor(ridge)
        theta = factor.solve(system.moment)
        drawn = (equations.system(n.astype(np.float64)) for n in times)
        members = [each.stable_factor(ridge).solve(each.moment) for each in drawn]
        return Fit(theta, np.array(members).reshape(self.members, len(theta)), factor.ridge)
