"""Members of several posteriors around one best fit."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit import fitted, make

from assay.linear.posteriors.bayesian_ridge import BayesianRidge
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.linear.posteriors.pops_posterior import Pops
from assay.linear.posteriors.several import Several


def test_members_deviate_from_the_one_best_fit_as_from_their_own() -> None:
    posteriors = Bootstrap(5), BayesianRidge(7), Pops(4)
    several, frames = Several(posteriors), make()
    found = fitted(frames, posterior=several)
    assert several.members == len(found.members) == 16
    assert several.slices == {"bootstrap": slice(0, 5), "bayesian": slice(5, 12), "pops": slice(12, 16)}
    for each in posteriors:
        alone = fitted(frames, posterior=each)
        deviations = found.members[several.slices[each.name]] - found.theta
        np.testing.assert_allclose(deviations, alone.members - alone.theta, atol=1e-10)
        if each is posteriors[0]:
            assert found.theta == pytest.approx(alone.theta)
            assert found.ridge == alone.ridge
        elif each is posteriors[1]:
            assert np.abs(alone.theta - found.theta).max() > 1e-6, "another ridge, another best fit"
    assert set(several.seconds) == {"bootstrap", "bayesian", "pops"}
    assert found.posterior == several.name == "bootstrap, bayesian, pops"


def test_a_posterior_twice_would_hide_the_members_of_one() -> None:
    with pytest.raises(ValueError, match="posteriors pops, pops: give each once"):
        Several((Pops(4), Pops(4, leverage_percentile=50)))
