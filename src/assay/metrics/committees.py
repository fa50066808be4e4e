"""What the spread of a committee says of its error where chance alone makes both: closed forms for normal members.

M members are `y^l = y + σ (√ρ z + √(1 − ρ) z^l)`, all z standard normal: ρ is the share of the variance that members
have in common, and that their deviations from each other can't show. Independent trainings on the same data come
nearest to ρ = 0 (Heid et al. 2024); a bootstrap, whose members deviate from the best fit as far as that deviates from
the truth, is near ρ = ½. `e` is the error of the members' mean, `s` their standard deviation with ddof = 1. For normal
members both are independent: `e/s = √(ρ/(1 − ρ) + 1/M) t`, t of Student's distribution with M − 1 degrees of freedom.
"""

from __future__ import annotations

from math import exp, inf, isfinite, lgamma, pi, sqrt


def c4(members: int) -> float:
    """Expected standard deviation (ddof = 1) of M normal values over the true one: its bias.

    `c₄(M) = ⟨s⟩/σ = √(2/(M − 1)) Γ(M/2) / Γ((M − 1)/2)`, about `1 − 1/(4M)`

    | symbol | argument | unit |
    |---|---|---|
    | M | members, at least 2 | |

    Raises ValueError for fewer than 2 members.

    Reference: Brugger 1969, American Statistician 23, 32 (reference 39 of Heid et al.).
    """
    _at_least(2, members)
    return sqrt(2 / (members - 1)) * exp(lgamma(members / 2) - lgamma((members - 1) / 2))


def published_ratio(members: int) -> float:
    """The ratio of Heid et al., `α = 2/√(2πM)`: that of independent members without the bias of s.

    | symbol | argument | unit |
    |---|---|---|
    | M | members, at least 1 | |

    Raises ValueError for fewer than 1 member.

    Reference: Heid et al. 2024, Eq. 2 (data at doi:10.5281/zenodo.11086346).
    """
    _at_least(1, members)
    return 2 / sqrt(2 * pi * members)


def ratio_of_means(members: int, common: float = 0.0) -> float:
    """`⟨|e|⟩/⟨s⟩` that chance alone makes, whatever the distribution of σ over atoms and frames.

    `α = √(2/π) √(ρ/(1 − ρ) + 1/M) / c₄(M)`: for ρ = 0 the published ratio over c₄(M), 0.259 for M = 10.

    | symbol | argument | unit |
    |---|---|---|
    | M | members, at least 2 | |
    | ρ | common: share of the variance that members have in common, 0 ≤ ρ < 1 | none |

    Raises ValueError for fewer than 2 members and for ρ outside of [0, 1).
    """
    return sqrt(2 / pi) * _width(members, common) / c4(members)


def mean_of_ratios(members: int, common: float = 0.0) -> float:
    """`⟨|e|/s⟩` that chance alone makes, whatever the distribution of σ; infinite for 2 members.

    `⟨|e|/s⟩ = √(ρ/(1 − ρ) + 1/M) √((M − 1)/π) Γ((M − 2)/2) / Γ((M − 1)/2)`: 0.276 for M = 10, ρ = 0. It is above the
    ratio of means because 1/s is large where s happens to be small.

    | symbol | argument | unit |
    |---|---|---|
    | M, ρ | members, common: as in `ratio_of_means` | |

    Raises ValueError as `ratio_of_means`.
    """
    width = _width(members, common)
    if members == 2:
        return inf
    return width * sqrt((members - 1) / pi) * exp(lgamma((members - 2) / 2) - lgamma((members - 1) / 2))


def common_share(members: int, mean_square_ratio: float) -> float:
    """The share ρ of the variance that members have in common, from `r² = ⟨e²⟩/⟨s²⟩`.

    `ρ/(1 − ρ) = r² − 1/M`; 0 where r² is at most 1/M. What is not chance but bias counts as common: the deviations of
    members show neither.

    | symbol | argument | unit |
    |---|---|---|
    | M | members, at least 2 | |
    | r² | mean_square_ratio, at least 0 and finite | none |

    Raises ValueError for fewer than 2 members, and for a ratio that is negative or not finite.
    """
    _at_least(2, members)
    if not (isfinite(mean_square_ratio) and mean_square_ratio >= 0):
        raise ValueError(f"⟨e²⟩/⟨s²⟩ is {mean_square_ratio}; a finite number of at least 0 is needed")
    hidden = max(0.0, mean_square_ratio - 1 / members)
    return hidden / (1 + hidden)


def expected_correlation(
    members: int, values: int, *, mean: float, between: float = 0.0, within: float = 0.0, common: float = 0.0
) -> float:
    """Pearson's correlation of `|e|` and `s`, each averaged over n values of a region, that chance alone makes.

    `r = a c (τ² + ω²/n) / √{[a²τ² + v_e/n] [c²τ² + v_s/n]}`, `a = √(2/π) k`, `k² = ρ/(1 − ρ) + 1/M`, `c = c₄(M)`,
    `v_e = k² S − a²(μ² + τ²)`, `v_s = S − c²(μ² + τ²)`, `S = μ² + τ² + ω²`.

    σ of a value is the mean of its region, whose standard deviation over regions is τ, and a deviation of standard
    deviation ω. It needs no other property of their distribution than these moments. Three cases tell what averaging
    can do: without τ, r is the same for every n (and at most `√(2/π) c₄(M)`, 0.78 for M = 10, however wide σ spreads);
    with τ it rises to 1 as n grows; where σ is the same everywhere it is 0.

    | symbol | argument | unit |
    |---|---|---|
    | M, ρ | members, common: as in `ratio_of_means` | |
    | n | values: force components of a region, at least 1 | |
    | μ | mean of σ, above 0 | any |
    | τ | between: standard deviation of σ between regions | as μ |
    | ω | within: standard deviation of σ within a region | as μ |

    Raises ValueError as `ratio_of_means`, for n < 1, μ ≤ 0, and negative τ or ω.
    """
    _at_least(1, values, "values")
    if mean <= 0 or between < 0 or within < 0:
        raise ValueError(f"mean {mean}, between {between}, within {within}: above 0, and at least 0, are needed")
    k, c = _width(members, common), c4(members)
    a = sqrt(2 / pi) * k
    region = mean**2 + between**2
    S = region + within**2
    covariance = a * c * (between**2 + within**2 / values)
    error = a**2 * between**2 + (k**2 * S - a**2 * region) / values
    spread = c**2 * between**2 + (S - c**2 * region) / values
    return covariance / sqrt(error * spread)


def _width(members: int, common: float) -> float:
    """`√(⟨e²⟩/⟨s²⟩) = √(ρ/(1 − ρ) + 1/M)`."""
    _at_least(2, members)
    if not 0 <= common < 1:
        raise ValueError(f"common is {common}; a share of at least 0 and below 1 is needed")
    return sqrt(common / (1 - common) + 1 / members)


def _at_least(least: int, number: int, name: str = "members") -> None:
    if number < least:
        raise ValueError(f"{number} {name}: at least {least} are needed")
