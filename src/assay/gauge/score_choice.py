"""Which scores are fitted: those that are asked for, or all that a source supports; and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assay.calibration import DEFAULT
from assay.results.score import Given, Reads
from assay.scores.protocol import ScoreClass
from assay.scores.registry import SCORES, Asked, resolved, score_of_bars
from assay.sources.capabilities import HasDerivatives, HasMembers, LinearSource, OnlyFeatures, keeps_forces, running

SAME_FORCES = (
    "a corrector of energies leaves forces as they are, so its members don't differ in them. Build with forces=true, "
    f"or take error bars of another score, such as {score_of_bars('draws of energies')}:{DEFAULT} or "
    f"{score_of_bars('one potential')}:{DEFAULT}"
)


@dataclass(frozen=True)
class Readable:
    """What a source gives scores to read.

    | field | meaning |
    |---|---|
    | given | what it has |
    | lacking | what it has not, each with what a score that reads it "needs" |
    | same_forces | its members don't differ in forces |
    """

    given: frozenset[Given]
    lacking: Mapping[Reads, str] = field(default_factory=dict)
    same_forces: bool = False

    @classmethod
    def of_linear(cls, rows: LinearSource) -> Readable:
        """A potential that is linear in its coefficients: members of a posterior, and the features of its rows."""
        return cls(
            frozenset({"members", "features"}),
            {"derivatives": _no_derivatives(rows.kind)},
            same_forces=keeps_forces(rows),
        )

    @classmethod
    def of_members(cls, source: HasMembers) -> Readable:
        """Members that a source brings along, where there are several, and the last-layer features of one of them."""
        given: set[Given] = set()
        lacking: dict[Reads, str] = {}
        if (count := len(source.member_names)) > 1:
            given |= {"members", "unlike members"}
        else:
            lacking["members"] = f"needs at least two members; this source has {count}"
        if source.featured:
            given |= {"features", "last-layer features"}
        else:
            give = "; name a member that gives its own with features=LABEL" if running(source) else ""
            lacking["features"] = f"needs features, which the source {source.kind!r} does not have{give}"
        if not isinstance(source, HasDerivatives):
            lacking["derivatives"] = _no_derivatives(source.kind)
        return cls(frozenset(given), lacking)

    @classmethod
    def of_features(cls, source: OnlyFeatures) -> Readable:
        """Features without predictions."""
        members = f"needs predictions of members; {source.kind} gives features alone"
        return cls(frozenset({"features"}), {"derivatives": _no_derivatives(source.kind), "members": members})

    def choose(
        self, asked: Sequence[Asked] | None, of_bar: Sequence[Asked] = (), *, every: bool = False
    ) -> tuple[ScoreClass, ...]:
        """The scores that are asked for, or those by default, and that of the error bar.

        | argument | meaning |
        |---|---|
        | asked | names or classes; all that the source supports without |
        | of_bar | the score of the error bar; none without one |
        | every | by default also the scores of features that are otherwise only there on request |

        Raises `ValueError` for a score that is not known, or that reads what there is not.
        """
        chosen = resolved([*(asked or self._by_default(every)), *of_bar])
        if meaningless := [score.name for score in chosen if self.same_forces and score.facts.of_force_members]:
            raise ValueError(f"{', '.join(meaningless)}: {SAME_FORCES}")
        for reads, needs in self.lacking.items():
            if names := [score.name for score in chosen if reads in score.facts.reads]:
                raise ValueError(f"{', '.join(names)} {needs}")
        if not chosen:
            raise ValueError(f"there is no score that this source could have: {'; '.join(self.lacking.values())}")
        return chosen

    def _by_default(self, every: bool) -> list[ScoreClass]:
        return [
            score
            for score in SCORES
            if (
                score.facts.default_for in self.given
                or (every and "features" in self.given and score.facts.features_alone)
            )
            and not (self.same_forces and score.facts.of_force_members)
        ]


def _no_derivatives(kind: str) -> str:
    return f"needs derivatives of last-layer features, which the source {kind!r} does not give"


CLUSTERED = ", ".join(score.name for score in SCORES if score.facts.clusters)
"""Names of scores that divide atoms into clusters."""


def has_clusters(scores: Sequence[ScoreClass]) -> bool:
    """Whether one of the scores divides atoms into clusters."""
    return any(score.facts.clusters for score in scores)
