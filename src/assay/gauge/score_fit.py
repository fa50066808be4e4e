"""To which atoms scores are fitted, and the fold over training frames that fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.frames.frame import Frame, FrameError
from assay.gauge.score_choice import CLUSTERED, has_clusters
from assay.gauge.thresholds import tukey_fence
from assay.results.arrays import Array
from assay.scores.features.emptiness import Emptiness
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import FitOptions, FittedScore, ScoreClass
from assay.scores.registry import fit_scores


@dataclass(frozen=True)
class ScoreFit:
    """To which atoms scores of features are fitted, and how these are divided into clusters.

    | field | meaning |
    |---|---|
    | clusters | of local scores: `config_type`, `kmeans` or `birch`, with `:K` clusters and `:atoms` to divide atoms \
instead of frames; by default config_type where frames name several, else k-means |
    | cluster_thresholds | add `committee_force_clusterwise`, the spread in units of a threshold of the atom's \
cluster, and `gamma_local_clusterwise`, γ_local in units of a threshold of the frame's cluster |
    | without_outliers | leave out atoms whose force error is above `Q3 + 1.5 (Q3 - Q1)`, as pacemaker does; takes a \
second pass |
    | core | array of the frames that is true for the atoms to fit scores to, such as the core of a cut-out cluster |
    """

    clusters: str | None = None
    cluster_thresholds: bool = False
    without_outliers: bool = False
    core: str | None = None

    def check(self, scores: Sequence[ScoreClass]) -> None:
        """Raises `ValueError` for options that none of these scores could follow."""
        if self.clusters and not has_clusters(scores):
            raise ValueError(f"clusters {self.clusters!r} are of {CLUSTERED}, which is not asked for")
        if (self.core or self.without_outliers) and not any(score.facts.features_alone for score in scores):
            names = ", ".join(score.name for score in scores)
            raise ValueError(f"no atoms to choose: none of {names} is fitted to features of atoms")


@dataclass(frozen=True)
class UnfittedScores:
    """Scores that are wanted, the features of the training atoms that they are fitted to, and options of the fit.

    `vanishing`: features are about zero without neighbours, as those of a network's last layer are not.
    """

    wanted: tuple[ScoreClass, ...]
    training: TrainingFeatures
    options: FitOptions
    vanishing: bool = True

    def fitted(self) -> tuple[FittedScore, ...]:
        """Raises as `ScoreClass.fit`."""
        return fit_scores(self.wanted, self.training, self.options)

    def emptiness(self) -> Emptiness | None:
        """Against the atoms that the scores are fitted to; `None` where no features tell."""
        return Emptiness.fit(self.training) if self.vanishing and self.training.numbers else None


@dataclass
class ScoreFold:
    """Features of training frames as they come, for the scores `wanted` that read them.

    Raises `ValueError` for options that none of the scores could follow.
    """

    options: ScoreFit
    wanted: tuple[ScoreClass, ...]
    training: TrainingFeatures = field(default_factory=TrainingFeatures)
    _core: list[NDArray[np.bool_]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.options.check(self.wanted)

    @property
    def needed(self) -> bool:
        """Whether any of the scores is fitted to features."""
        return any(score.facts.of_features for score in self.wanted)

    def append(self, frame: Frame, features: Array) -> None:
        """One frame with its features `(A, D)`.

        Raises `FrameError` for a frame without the array that names the core, or with one that is no mask.
        """
        self._core.append(self._of_core(frame))
        self.training.append(features, frame.atoms.numbers, frame.config_type)

    def _of_core(self, frame: Frame) -> NDArray[np.bool_]:
        """The atoms to fit to, `(A,)`."""
        key, arrays = self.options.core, frame.atoms.arrays
        if key is None:
            return np.ones(len(frame.atoms), bool)
        if key not in arrays:
            raise FrameError(f"{frame.origin}: no array {key!r}, which says what the core is; it has {list(arrays)}")
        if arrays[key].ndim != 1:
            raise FrameError(
                f"{frame.origin}: array {key!r} of shape {arrays[key].shape}, needed one value for each atom"
            )
        return np.asarray(arrays[key].astype(bool))

    def result(self, errors: Array | None = None, weights: tuple[float, ...] = ()) -> UnfittedScores:
        """The scores with what they are fitted to.

        | argument | meaning | shape, unit |
        |---|---|---|
        | errors | norms of the force errors of all atoms, where outliers are left out; NaN: no label | `(A,)` eV/Å |
        | weights | of the members | `(M,)` |

        Raises `FrameError` where no atom is left to fit to.
        """
        if self._core:
            keep = np.concatenate(self._core)
            if errors is not None:
                known = keep & ~np.isnan(errors)
                if not known.any():
                    raise FrameError("no labels of forces to tell outliers by")
                keep &= np.isnan(errors) | (errors <= tukey_fence(errors[known]))
            if not keep.any():
                raise FrameError(f"no atom to fit scores to: the array {self.options.core!r} is false for all atoms")
            if not keep.all():
                self.training.keep_only(keep)
        return UnfittedScores(self.wanted, self.training, FitOptions(self.options.clusters, weights))
