"""A score, and what names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.results.arrays import Array, Level, ReadOnly

Reads = Literal["members", "features", "derivatives"]
"""Parts of a prediction: of its members, features of atoms, derivatives of features."""
Kind = Literal["spread", "variance", "distance", "order"]
Given = Literal["members", "unlike members", "features", "last-layer features"]
"""What a source has: members of any sort, members that are no draws of one posterior, features, or those of its last
layer."""
BarsOf = Literal["draws", "draws of energies", "unlike members", "one potential"]
"""What error bars are of: members that are draws of one posterior, such ones that differ in energies alone, members
that were fitted apart, or a single potential with features."""


@dataclass(frozen=True)
class ScoreFacts:
    """What a score declares of itself; all that others need to know beside its name and home.

    | field | meaning |
    |---|---|
    | reads | parts of a prediction that it is fitted to, or needs for its values |
    | kind | `spread`: in the units of the error that it stands for. `variance`: errors go as its square root. \
`distance`: errors grow with it, in units of its own. `order`: only the order counts, as of a logarithm, and no error \
is a multiple of it |
    | stands_for | the error that it ranks: of the `force`, of the `energy` per atom, or none in particular |
    | fixed_threshold | above it the method itself flags atoms and frames (γ > 1); `None`: training or held-out frames \
set one |
    | default_for | sources that have this get it unless scores are named; `None`: only on request |
    | leads | of several scores it is the one that selects and flags frames unless another is named: see `lead` |
    | default_bar_of | error bars of these are made from it unless others are asked for |
    | of_draws | the standard deviation over members that are draws of one distribution, whose number a calibrator can \
correct for |
    | clusters | it divides atoms into clusters: see `assay.scores.protocol.Clustered` |
    | zero_is_home | least where features are zero: `assay.scores.features.emptiness` raises it for lone atoms |
    | whole_frame | an atom's value depends on all atoms of its frame, so that large frames can't be cut in blocks |
    | symbol | the letter that a score of frames is known by, under which it stands beside the error bars |
    | shown_with | name of a score of frames that is told of wherever this one is |
    """

    reads: tuple[Reads, ...]
    kind: Kind = "distance"
    stands_for: Literal["force", "energy"] | None = None
    fixed_threshold: float | None = None
    default_for: Given | None = None
    leads: bool = False
    default_bar_of: BarsOf | None = None
    of_draws: bool = False
    clusters: bool = False
    zero_is_home: bool = False
    whole_frame: bool = False
    symbol: str = ""
    shown_with: str = ""

    @property
    def of_features(self) -> bool:
        """Whether it is fitted to features of atoms."""
        return "features" in self.reads

    @property
    def features_alone(self) -> bool:
        """Whether features of atoms are all that it reads."""
        return set(self.reads) == {"features"}

    @property
    def of_force_members(self) -> bool:
        """Whether it is made of how members differ in forces."""
        return "members" in self.reads and self.stands_for == "force"


NO_FACTS = ScoreFacts(reads=())


def lead(facts: Mapping[str, ScoreFacts]) -> str:
    """Of scores by name, the one that selects and flags: the first that `leads`, else the first; `""` of none."""
    return next((name for name, each in facts.items() if each.leads), next(iter(facts), ""))


@dataclass(frozen=True)
class Score(ReadOnly):
    """A distance from home: bigger is less trustworthy. It is *not* an error bar.

    | field | meaning | shape |
    |---|---|---|
    | name | as in the table of scores in the docs, e.g. `gamma` | |
    | level | what one value belongs to | |
    | values | the score | `(A,)` for atom and neighbourhood, `(F,)` for frame |
    | threshold | values above it are flagged; `None` where nothing sets one | |
    | facts | what it says of itself: which errors it ranks | |
    """

    name: str
    level: Level
    values: Array
    threshold: float | None = None
    facts: ScoreFacts = NO_FACTS

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which values are above the threshold, shape of `values`; without a threshold, none."""
        if self.threshold is None:
            return np.zeros(self.values.shape, dtype=bool)
        return np.asarray(self.values > self.threshold)


Key = tuple[str, Level]
