"""What propagation gives: for each quantity its value with the best fit, with every member, and the spread of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from assay.propagation.property import Quantities, Quantity
from assay.propagation.ranking import Ranking, rankings
from assay.results.arrays import Array

LEVELS = (0.68, 0.95)
"""Central intervals that summaries have."""
NOT_FINITE = "is not finite"


@dataclass(frozen=True)
class Failed:
    """Why a potential gave no numbers, or not all, and those that it gave."""

    reason: str
    quantities: Quantities = field(default_factory=dict)


@dataclass(frozen=True)
class Propagated:
    """One number, or a curve of n points, over M members; `...` is `()` or `(n,)`.

    | field | meaning | shape |
    |---|---|---|
    | name, unit | of the quantity | |
    | value | with the best fit | `(...)` |
    | members | with each member; NaN where it failed | `(M, ...)` |
    | x, x_label, ticks | as in `Quantity` | |

    Statistics are over the members that gave a finite value (for curves: at every point); NaN where there are too few.
    """

    name: str
    unit: str
    value: Array
    members: Array
    x: Array | None = None
    x_label: str = ""
    ticks: tuple[tuple[float, str], ...] = ()

    @cached_property
    def finite(self) -> Array:
        """Members that count, `(m, ...)`."""
        kept = np.isfinite(self.members.reshape(len(self.members), -1)).all(axis=1)
        return self.members[kept]

    @property
    def count(self) -> int:
        """m, how many members count."""
        return len(self.finite)

    @property
    def mean(self) -> Array:
        """Mean over members, `(...)`; it may differ from the value of the best fit, which is what predicts."""
        return self._over(np.mean, least=1)

    @property
    def std(self) -> Array:
        """The error bar, `(...)`: `σ² = Σ_m (a_m − ā)² / (m − 1)`, about the members' own mean ā (as in Perez et al.,
        doi:10.48550/arXiv.2502.07104)."""
        return self._over(lambda a, axis: np.std(a, axis=axis, ddof=1), least=2)

    @property
    def low(self) -> Array:
        """The smallest value of the members and the best fit, `(...)`."""
        return np.fmin(self._over(np.min, least=1), self.value)

    @property
    def high(self) -> Array:
        """The largest value of the members and the best fit, `(...)`."""
        return np.fmax(self._over(np.max, least=1), self.value)

    def interval(self, level: float) -> tuple[Array, Array]:
        """Quantiles `(1 ∓ level)/2` of the members, `(...)` each."""
        ends = (0.5 - level / 2, 0.5 + level / 2)
        low, high = (self._over(lambda a, axis, q=q: np.quantile(a, q, axis=axis), least=1) for q in ends)
        return low, high

    def _over(self, statistic: Any, least: int) -> Array:
        if self.count < least:
            return np.full(self.value.shape, np.nan)
        return np.asarray(statistic(self.finite, axis=0), dtype=np.float64)

    def summary(self) -> dict[str, Any]:
        """JSON values; `null` stands for what is not defined."""
        told: dict[str, Any] = {"unit": self.unit, "value": self.value, "std": self.std, "mean": self.mean}
        told |= {"low": self.low, "high": self.high, "count": self.count}
        told |= {f"central_{level:g}": [*self.interval(level)] for level in LEVELS}
        told["members"] = self.members
        if self.x is not None:
            told |= {"x": self.x, "x_label": self.x_label, "ticks": [list(tick) for tick in self.ticks]}
        return {key: _plain(value) for key, value in told.items()}


def difference(first: Propagated, second: Propagated) -> Propagated:
    """`a − b` of each member and of the best fit: its error bar has the correlation of both in it.

    Raises `ValueError` for other units, abscissae or members.
    """
    if first.unit != second.unit:
        raise ValueError(f"{first.name} is in {first.unit or 'no unit'}, {second.name} in {second.unit or 'no unit'}")
    if first.members.shape != second.members.shape:
        raise ValueError(
            f"{first.name} has members of shape {first.members.shape}, {second.name} of {second.members.shape}"
        )
    if first.x is not None and not np.array_equal(first.x, second.x if second.x is not None else np.nan):
        raise ValueError(f"{first.name} and {second.name} are curves over other abscissae")
    return Propagated(
        f"{first.name} − {second.name}",
        first.unit,
        np.asarray(first.value - second.value),
        first.members - second.members,
        first.x,
        first.x_label,
        first.ticks,
    )


@dataclass(frozen=True)
class PropertyResult:
    """A property over M members.

    | field | meaning |
    |---|---|
    | name | as the user wrote it |
    | quantities | by name |
    | failed | `(member, reason)` of members that did not give all numbers |
    | notes | what the method has to say, such as a member too far for it, and what the best fit does not give |
    """

    name: str
    quantities: Mapping[str, Propagated]
    failed: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def collect(
        cls, name: str, best: Quantities, members: Sequence[Quantities | Failed], notes: Sequence[str] = ()
    ) -> PropertyResult:
        """Members in their order. One that lacks quantities, or has curves of other shape than the best fit or numbers
        that are not finite, has failed in these. What the best fit lacks is left out; what of it is not finite also,
        with a note."""
        best, lost = finite(best)
        notes = (*notes, *with_the_best_fit(lost))
        checked = [_checked(best, member) for member in members]
        quantities = {}
        for key, quantity in best.items():
            value = np.asarray(quantity.value, dtype=np.float64)
            nothing = np.full(value.shape, np.nan)
            given = (member.quantities if isinstance(member, Failed) else member for member in checked)
            rows = [np.asarray(each[key].value, float) if key in each else nothing for each in given]
            over = np.array(rows).reshape(len(rows), *value.shape)
            quantities[key] = Propagated(
                key, quantity.unit, value, over, quantity.x, quantity.x_label, tuple(quantity.ticks)
            )
        failed = tuple((m, member.reason) for m, member in enumerate(checked) if isinstance(member, Failed))
        return cls(name, quantities, failed, tuple(notes))

    def __getitem__(self, name: str) -> Propagated:
        try:
            return self.quantities[name]
        except KeyError:
            raise KeyError(f"{self.name} has no {name!r}; it has {', '.join(self.quantities)}") from None

    def difference(self, first: str, second: str) -> Propagated:
        """Value and error bar of `first − second`: see `difference`."""
        return difference(self[first], self[second])

    @property
    def scalars(self) -> dict[str, Propagated]:
        """The quantities that are numbers."""
        return {name: each for name, each in self.quantities.items() if each.value.ndim == 0}

    @property
    def curves(self) -> dict[str, Propagated]:
        """The quantities that are curves."""
        return {name: each for name, each in self.quantities.items() if each.value.ndim == 1}

    @property
    def in_part(self) -> bool:
        """Whether some quantities are of fewer members than others."""
        return len({each.count for each in self.quantities.values()}) > 1

    @cached_property
    def correlation(self) -> Array:
        """Pearson's correlation of the numbers over the members that gave all of them, `(Q, Q)` in the order of
        `scalars`; NaN for those that don't vary."""
        table = np.array([each.members for each in self.scalars.values()])
        table = table[:, np.isfinite(table).all(axis=0)]
        if table.shape[1] < 2:
            return np.full((len(table), len(table)), np.nan)
        deviation = table - table.mean(axis=1, keepdims=True)
        size = np.linalg.norm(deviation, axis=1)
        size[size <= 1e-12 * np.abs(table).max(axis=1)] = np.nan
        return np.asarray(np.clip(deviation @ deviation.T / np.outer(size, size), -1, 1))

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """How surely each set of like numbers keeps its order."""
        return rankings({name: (each.unit, each.value, each.members) for name, each in self.scalars.items()})

    def summary(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "quantities": {name: each.summary() for name, each in self.quantities.items()},
            "correlation": {"of": [*self.scalars], "pearson": _plain(self.correlation)},
            "rankings": [
                {
                    "of": ranking.of,
                    "names": list(ranking.names),
                    "spearman": _plain(ranking.spearman),
                    "mean": _plain(ranking.mean),
                    "std": _plain(ranking.std),
                    "same_order": _plain(ranking.same_order),
                }
                for ranking in self.rankings
            ],
            "failed": [{"member": member, "reason": reason} for member, reason in self.failed],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Propagation:
    """Properties with error bars from M members.

    | field | meaning |
    |---|---|
    | source | the potential, in one line |
    | method | `resample`, `implicit`, `linear` or `reweight` |
    | members | M |
    | properties | by name |
    | failed | `(property, reason)` of properties that the best fit itself does not give |
    """

    source: str
    method: str
    members: int
    properties: Mapping[str, PropertyResult]
    failed: tuple[tuple[str, str], ...] = field(default=())

    def __getitem__(self, name: str) -> PropertyResult:
        try:
            return self.properties[name]
        except KeyError:
            raise KeyError(f"no property {name!r}; there are {', '.join(self.properties) or 'none'}") from None

    def summary(self) -> dict[str, Any]:
        """JSON values, all members included."""
        return {
            "source": self.source,
            "method": self.method,
            "members": self.members,
            "properties": {name: each.summary() for name, each in self.properties.items()},
            "failed": [{"property": name, "reason": reason} for name, reason in self.failed],
        }


def finite(best: Quantities) -> tuple[Quantities, str]:
    """The quantities that are finite (curves: at every point), and which others are not."""
    found = {name: each for name, each in best.items() if _is_finite(each)}
    return found, "; ".join(f"{name} {NOT_FINITE}" for name in best if name not in found)


def with_the_best_fit(missing: str) -> tuple[str, ...]:
    """The note of what the best fit does not give."""
    return (f"left out, as the best fit does not give it: {missing}",) if missing else ()


def _is_finite(quantity: Quantity) -> bool:
    return bool(np.isfinite(quantity.value).all())


def _checked(best: Quantities, member: Quantities | Failed) -> Quantities | Failed:
    """What of a member is like what the best fit gave; and why, where that is not all."""
    given = member.quantities if isinstance(member, Failed) else member
    others = {name: why for name, quantity in best.items() if (why := unlike(quantity, given.get(name)))}
    alike = {name: given[name] for name in best if name not in others}
    if not others:
        return alike
    reasons = [member.reason] if isinstance(member, Failed) else []
    reasons += [f"{name} {why}" for name, why in others.items() if not reasons or name in given]
    return Failed("; ".join(reasons), alike)


def unlike(best: Quantity, found: Quantity | None) -> str:
    """Why a quantity can't stand beside the best fit's; empty where it can."""
    if found is None:
        return "is not there"
    if (came := np.shape(found.value)) != np.shape(best.value):
        return f"has shape {came}, and with the best fit {np.shape(best.value)}"
    if not _same_abscissa(best, found):
        return "is a curve over other abscissae than with the best fit"
    return "" if _is_finite(found) else NOT_FINITE


def _same_abscissa(first: Quantity, second: Quantity) -> bool:
    if first.x is None or second.x is None:
        return first.x is second.x
    return np.shape(first.x) == np.shape(second.x) and bool(np.allclose(first.x, second.x))


def _plain(value: Any) -> Any:
    """JSON values: arrays as lists, what is not finite as `None`."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
