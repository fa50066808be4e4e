"""What a comparison recommends: error bars and scores by name, with reasons, and what could be used instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def split_name(name: str) -> tuple[str, str | None, str]:
    """`SCORE[POSTERIOR]:CALIBRATOR` in its parts; without posterior `None`, without calibrator ""."""
    method, _, calibrator = name.partition(":")
    score, _, posterior = method.partition("[")
    return score, posterior.removesuffix("]") or None, calibrator


@dataclass(frozen=True)
class Alternative:
    """What could be used instead, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class RecommendedBar:
    """The error bar to use: `SCORE:CALIBRATOR` as `assay build --error-bar` takes it, and the posterior of the members;
    `None` where there is none."""

    bar: str | None = None
    posterior: str | None = None
    reasons: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @classmethod
    def of(cls, name: str, reasons: Sequence[str], alternatives: Sequence[Alternative] = ()) -> RecommendedBar:
        """From `SCORE[POSTERIOR]:CALIBRATOR`, "" for none."""
        score, posterior, calibrator = split_name(name)
        return cls(f"{score}:{calibrator}" if name else None, posterior, tuple(reasons), tuple(alternatives))

    @property
    def method(self) -> str:
        """`SCORE[POSTERIOR]`, "" for none."""
        return split_name(self.bar or "")[0] + (f"[{self.posterior}]" if self.posterior else "")

    @property
    def calibrator(self) -> str:
        """Its name, "" for none."""
        return split_name(self.bar or "")[2]

    @property
    def name(self) -> str:
        """`SCORE[POSTERIOR]:CALIBRATOR`, "" for none."""
        return f"{self.method}:{self.calibrator}" if self.bar else ""


@dataclass(frozen=True)
class RecommendedRanking:
    """The score to rank by; `None` where nothing surely beats chance."""

    method: str | None = None
    reasons: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def name(self) -> str:
        """Of the method, "" for none."""
        return self.method or ""


@dataclass(frozen=True)
class Recommendation:
    """What to use for error bars of forces and of energies, and to rank frames and atoms by; what to mind beside it."""

    error_bars: RecommendedBar = RecommendedBar()
    energy_bars: RecommendedBar = RecommendedBar()
    ranking_frames: RecommendedRanking = RecommendedRanking()
    ranking_atoms: RecommendedRanking = RecommendedRanking()
    warnings: tuple[str, ...] = ()

    def by_purpose(self) -> dict[str, RecommendedBar | RecommendedRanking]:
        """The four recommendations by what they are for, in words."""
        return {
            "Error bars of forces": self.error_bars,
            "Error bars of energies": self.energy_bars,
            "To rank frames": self.ranking_frames,
            "To rank atoms": self.ranking_atoms,
        }
