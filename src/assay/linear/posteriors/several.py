"""Several posteriors from one pass over the design rows: their members one after the other, around one best fit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import ClassVar

import numpy as np

from assay.linear.normal_equations import NormalEquations
from assay.linear.posteriors.protocol import Fit, Posterior
from assay.linear.rows_file import RowsFile


@dataclass(frozen=True)
class Several:
    """The members of each posterior, moved to the best fit of the first one; spreads stay what they are.

    | attribute | meaning |
    |---|---|
    | seconds | what drawing from each took, by name; filled by `fit` |
    """

    posteriors: tuple[Posterior, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    needs_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(self.slices) < len(self.posteriors):
            raise ValueError(f"posteriors {self.name}: give each once, with one choice of its settings")

    @property
    def name(self) -> str:
        """Those of all."""
        return ", ".join(each.name for each in self.posteriors)

    @property
    def members(self) -> int:
        return sum(each.members for each in self.posteriors)

    @property
    def slices(self) -> dict[str, slice]:
        """Where the members of each posterior are, by name."""
        ends = accumulate((each.members for each in self.posteriors), initial=0)
        return {each.name: slice(*ends_) for each, ends_ in zip(self.posteriors, pairwise(ends), strict=True)}

    def fit(self, equations: NormalEquations, rows: RowsFile | None, seed: int) -> Fit:
        """Best fit and ridge of the first posterior, members of all."""
        fits = []
        for each in self.posteriors:
            started = time.perf_counter()
            fits.append(each.fit(equations, rows, seed))
            self.seconds[each.name] = time.perf_counter() - started
        theta = fits[0].theta
        return Fit(theta, np.vstack([theta + (fit.members - fit.theta) for fit in fits]), fits[0].ridge)
