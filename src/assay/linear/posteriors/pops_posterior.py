"""POPS as the posterior of a fit: the box around all pointwise corrections, or the ensemble of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from assay.linear.normal_equations import NormalEquations, choose_ridge
from assay.linear.posteriors.pops import Corrections, Hypercube, Metric, Sampling
from assay.linear.posteriors.protocol import Fit
from assay.linear.rows_file import RowsFile

Form = Literal["hypercube", "ensemble"]


@dataclass(frozen=True)
class Pops:
    """M members of the misspecification-aware posterior: see `assay.linear.posteriors.pops`.

    | setting | meaning | default |
    |---|---|---|
    | form | `hypercube`, or `ensemble`: corrections of single labels, drawn from all | hypercube |
    | leverage_percentile | leave out labels of lower leverage | 0: all, as Perez et al. |
    | percentile_clipping | bounds of the box at this percentile of the corrections, and 100 less it | 0 |
    | sampling | of the box: `uniform`, `sobol` or `latin` | uniform |
    | metric | of the box's axes: `loss`, or `coefficients` as the published implementation | loss |
    """

    name: ClassVar[str] = "pops"
    needs_rows: ClassVar[bool] = True

    members: int = 100
    form: Form = "hypercube"
    leverage_percentile: float = 0.0
    percentile_clipping: float = 0.0
    sampling: Sampling = "uniform"
    metric: Metric = "loss"

    def __post_init__(self) -> None:
        for setting, known in (("form", Form), ("sampling", Sampling), ("metric", Metric)):
            if getattr(self, setting) not in get_args(known):
                raise ValueError(
                    f"pops: unknown {setting} {getattr(self, setting)!r}; there are {', '.join(get_args(known))}"
                )
        if not 0 <= self.leverage_percentile < 100 or not 0 <= self.percentile_clipping < 50:
            raise ValueError("pops: needs 0 <= leverage_percentile < 100 and 0 <= percentile_clipping < 50")

    def fit(self, equations: NormalEquations, rows: RowsFile | None, seed: int) -> Fit:
        """The best fit at the ridge that cross-validation chose, and the members."""
        assert rows is not None
        system = equations.system()
        factor = system.stable_factor(choose_ridge(equations))
        theta = factor.solve(system.moment)
        corrections = Corrections.fit(
            rows.rows, rows.targets, factor, theta, leverage_percentile=self.leverage_percentile
        )
        if self.form == "ensemble":
            drawn = corrections.drawn(self.members, seed)
        else:
            box = Hypercube.fit(corrections, percentile_clipping=self.percentile_clipping, metric=self.metric)
            drawn = box.draw(self.members, seed, self.sampling)
        return Fit(theta, theta + drawn, factor.ridge)
