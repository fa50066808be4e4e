"""A potential and every method that it supports, from the pass over its training frames that `build` makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assay.comparison.methods import Method, fitted_methods, of_posteriors
from assay.ensembles.fit import MemberChoice
from assay.execution.run import Run
from assay.gauge.score_fit import UnfittedScores
from assay.gauge.training_pass import TrainingPass, Wanted, fit_committee, fit_potential
from assay.linear.linear_fit import LinearFit
from assay.linear.posteriors.protocol import Posterior
from assay.linear.posteriors.several import Several
from assay.results.label_finding import Findings
from assay.scores.features.emptiness import Emptiness
from assay.sources.capabilities import HasCoefficients, HasMembers, LinearSource, Source


@dataclass(frozen=True)
class Fitted:
    """What was fitted.

    | field | meaning |
    |---|---|
    | source | what predicts |
    | methods | to compare |
    | seconds, posteriors | that the potential took, and each posterior |
    | emptiness | how empty surroundings were in training, where the source has features |
    | findings | labels and members that contradict each other |
    """

    source: Source
    methods: list[Method]
    seconds: float = 0.0
    posteriors: Mapping[str, float] = field(default_factory=dict)
    emptiness: Emptiness | None = None
    findings: Findings = ()


def fit_linear_methods(
    training: TrainingPass, rows: LinearSource, wanted: Wanted, linear: LinearFit, posteriors: Sequence[Posterior]
) -> Fitted:
    """A linear potential with the members of several posteriors, and scores of its features.

    Parameters and what is raised as in `assay.gauge.training_pass.fit_potential`.
    """
    several = Several(tuple(posteriors))
    passed = fit_potential(training, rows, wanted, linear, several)
    assert isinstance(passed.source, HasCoefficients)
    of_members, others = _fitted(passed.scores, training.run)
    committees = of_posteriors(of_members, several.slices, several.seconds, len(passed.source.theta))
    seconds, emptiness = passed.seconds - sum(several.seconds.values()), passed.scores.emptiness()
    return Fitted(passed.source, [*committees, *others], seconds, several.seconds, emptiness, passed.findings)


def fit_committee_methods(training: TrainingPass, source: HasMembers, wanted: Wanted) -> Fitted:
    """The scores of members that a source brings along, with the energy references and weights that `build` gives them,
    and of features where one of the members gives its last layer's.

    Parameters and what is raised as in `assay.gauge.training_pass.fit_committee`.
    """
    passed = fit_committee(training, source, wanted, MemberChoice())
    of_members, others = _fitted(passed.scores, training.run)
    methods = [*of_posteriors(of_members, {"": slice(0, len(source.member_names))}, {}), *others]
    return Fitted(passed.source, methods, passed.seconds, {}, passed.scores.emptiness(), passed.findings)


def _fitted(scores: UnfittedScores, run: Run) -> tuple[list[Method], list[Method]]:
    """Scores of members, and the others."""
    of_members = [score for score in scores.wanted if "members" in score.facts.reads]
    others = [score for score in scores.wanted if score not in of_members]
    progress = run.stage("fitting scores", len(others)) if others else None
    return (
        fitted_methods(of_members, scores.training, scores.options),
        fitted_methods(others, scores.training, scores.options, (lambda done: progress(done, 0)) if progress else None),
    )
