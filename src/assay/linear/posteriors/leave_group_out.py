"""Fits that leave out one group of frames each, for residuals that no fit has seen (jackknife+ and CV+)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from assay.linear.normal_equations import NormalEquations, choose_ridge
from assay.linear.posteriors.protocol import Fit
from assay.linear.rows_file import RowsFile


@dataclass(frozen=True)
class LeaveGroupOut:
    """One fit to all groups but one for each of them, all at the ridge that cross-validation chose."""

    name: ClassVar[str] = "leave_group_out"
    needs_rows: ClassVar[bool] = False

    members: int
    """How many groups there are."""

    def fit(self, equations: NormalEquations, rows: RowsFile | None, seed: int) -> Fit:
        """The best fit to all groups, and member g to all but group g."""
        ridge, total = choose_ridge(equations), equations.system()
        factor = total.stable_factor(ridge)
        others = (equations.system(1.0 - one) for one in np.eye(self.members))
        members = [each.stable_factor(ridge).solve(each.moment) for each in others]
        return Fit(factor.solve(total.moment), np.array(members), factor.ridge)
