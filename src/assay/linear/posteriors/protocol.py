"""What a posterior of the coefficients of a linear potential is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from assay.linear.normal_equations import NormalEquations
from assay.linear.rows_file import RowsFile
from assay.results.arrays import Array


@dataclass(frozen=True)
class Fit:
    """The best fit, M members of the ensemble around it, and the ridge (of scaled columns) of both.

    | field | shape |
    |---|---|
    | theta | `(P,)` |
    | members | `(M, P)` |
    """

    theta: Array
    members: Array
    ridge: float


class Posterior(Protocol):
    """A way to an ensemble of coefficients, with its settings; each in its own file."""

    needs_rows: ClassVar[bool]

    @property
    def name(self) -> str: ...

    @property
    def members(self) -> int:
        """M."""

    def fit(self, equations: NormalEquations, rows: RowsFile | None, seed: int) -> Fit:
        """From the normal equations of groups of frames, and the weighted rows themselves where they are needed.

        Raises `ValueError` where no solution or no posterior exists.
        """
