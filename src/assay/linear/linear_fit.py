"""How a linear potential and its ensemble are fitted."""

from __future__ import annotations

from dataclasses import dataclass

from assay.linear.posteriors.protocol import Posterior
from assay.linear.posteriors.registry import posterior_from_spec
from assay.linear.weights import Weights


@dataclass(frozen=True)
class LinearFit:
    """Least squares of energies, forces and stresses, and what its members are drawn from.

    | field | meaning |
    |---|---|
    | weights | how much each label counts |
    | posterior | `pops`, `bayesian` or `bootstrap`, with settings as in `pops:leverage_percentile=50` \
(`assay.linear.posteriors.pops_posterior.Pops`) |
    | ensemble_size | M; by default 100, or 16 of the bootstrap |
    | seed | of the random numbers that members are drawn with |

    Raises `ValueError` for a posterior that is not known.
    """

    weights: Weights = Weights()
    posterior: str = "pops"
    ensemble_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        posterior_from_spec(self.posterior, self.ensemble_size)

    @property
    def drawn_from(self) -> Posterior:
        """The posterior with its number of members."""
        return posterior_from_spec(self.posterior, self.ensemble_size)
