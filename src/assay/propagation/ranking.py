"""How surely like numbers keep their order: of energies of crystal structures, of surfaces, of defects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assay.metrics.ranking import ranks
from assay.results.arrays import Array

ORDERED = ("eV", "eV/atom", "J/m²", "meV/Å²", "Å³", "Å³/atom", "GPa")
"""Units of what has an order that means something: energies, volumes and moduli, not lattice parameters."""


@dataclass(frozen=True)
class Ranking:
    """The order of N like numbers with each of M members against that of the best fit.

    `ρ_m = Σ_i (r_i − r̄)(q_i − r̄) / √(Σ_i (r_i − r̄)² Σ_i (q_i − r̄)²)`, `r̄ = (N + 1)/2`

    | symbol | field | meaning | shape |
    |---|---|---|---|
    | | of | what is ranked, such as `energy` | |
    | | names | of the numbers | `(N,)` |
    | r | | ranks with the best fit, ties share their average | |
    | q | | ranks with the member | |
    | ρ | spearman | Spearman's rank correlation; NaN where a member failed or all are equal | `(M,)` |
    | | same_order | share of members in which two numbers stand as with the best fit; 1 with itself | `(N, N)` |

    Reference: Perez et al., doi:10.48550/arXiv.2502.07104, Fig. 5.
    """

    of: str
    names: tuple[str, ...]
    spearman: Array
    same_order: Array

    @property
    def mean(self) -> float:
        """Mean ρ over members."""
        kept = self.spearman[np.isfinite(self.spearman)]
        return float(kept.mean()) if kept.size else float("nan")

    @property
    def std(self) -> float:
        """Standard deviation of ρ over members, ddof = 1."""
        kept = self.spearman[np.isfinite(self.spearman)]
        return float(kept.std(ddof=1)) if kept.size > 1 else float("nan")


def rankings(scalars: Mapping[str, tuple[str, Array, Array]]) -> tuple[Ranking, ...]:
    """The rankings of `{name: (unit, value (), members (M,))}`: one of each set of three or more like numbers of
    different things (names that differ in the first word) in a unit of `ORDERED`, unless the best fit has them all
    equal."""
    found = []
    for kind, names in alike({name: unit for name, (unit, _, _) in scalars.items()}).items():
        value = np.array([scalars[name][1] for name in names])
        members = np.array([scalars[name][2] for name in names]).T
        if scalars[names[0]][0] not in ORDERED:
            continue
        if len(names) > 2 and len({name.split()[0] for name in names}) == len(names) and np.ptp(value) > 0:
            found.append(ranking(kind, names, value, members))
    return tuple(found)


def alike(units: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Names by what they are of: those of one unit that differ in one word, such as `bcc energy` and `fcc energy`.

    A name goes where it has the most company, and else to the first of its words that others differ in; alone, or of
    one word, it is of its own kind.
    """
    left, groups = dict(units), dict[str, tuple[str, ...]]()
    while left:
        company: dict[tuple[str, str], list[str]] = {}
        for place in range(max(len(name.split()) for name in left)):
            for name, unit in left.items():
                words = name.split()
                if place < len(words) > 1:
                    common = " ".join(words[:place] + words[place + 1 :])
                    company.setdefault((common, f"{unit}|{place}"), []).append(name)
        (common, _), names = max(company.items(), key=lambda item: len(item[1]), default=(("", ""), []))
        if len(names) < 2:
            return groups | {name: (name,) for name in left}
        kind = common if common not in groups else f"{common}, {left[names[0]]}"
        groups[kind] = tuple(names)
        for name in names:
            del left[name]
    return groups


def ranking(of: str, names: tuple[str, ...], value: Array, members: Array) -> Ranking:
    """The ranking of numbers `(N,)` of the best fit and `(M, N)` of members."""
    kept = np.isfinite(members).all(axis=1)
    spearman = np.full(len(members), np.nan)
    spearman[kept] = correlation(value, members[kept])
    order = np.sign(value[:, None] - value)
    found = np.sign(members[kept, :, None] - members[kept, None, :])
    share = (found == order).mean(axis=0) if kept.any() else np.full(order.shape, np.nan)
    return Ranking(of, names, spearman, share)


def correlation(value: Array, others: Array) -> Array:
    """Spearman's ρ of `(N,)` with each of `(M, N)`: `(M,)`."""
    middle = 0.5 * (len(value) + 1)
    r, q = ranks(value) - middle, np.array([ranks(other) for other in others]).reshape(others.shape) - middle
    norm = np.sqrt((r @ r) * (q**2).sum(axis=1))
    return np.asarray(np.divide(q @ r, norm, out=np.full(len(others), np.nan), where=norm > 0))
