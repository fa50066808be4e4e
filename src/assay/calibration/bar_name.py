"""The name of an error bar, `SCORE:CALIBRATOR[:GROUPING]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from assay.calibration import CALIBRATORS

GROUPINGS = ("species", "chemical_system", "config_type", "cluster")


@dataclass(frozen=True)
class BarName:
    """`SCORE:CALIBRATOR`, and `:GROUPING` for calibrators of groups; `grouping` is `""` for the others."""

    score: str
    calibrator: str
    grouping: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `ValueError` for anything that is not such a name, with what there is."""
        score, *rest = text.split(":")
        if not score or not 1 <= len(rest) <= 2:
            raise ValueError(
                f"error bar {text!r} is not SCORE:CALIBRATOR or SCORE:CALIBRATOR:GROUPING, e.g. committee_force:scale "
                "or committee_force:mondrian:species"
            )
        calibrator, grouping = (*rest, "")[:2]
        if calibrator not in CALIBRATORS:
            raise ValueError(f"error bar {text!r}: no calibrator {calibrator!r}; there are {', '.join(CALIBRATORS)}")
        of_groups = [name for name, each in CALIBRATORS.items() if each.of_groups]
        if calibrator in of_groups and grouping not in GROUPINGS:
            raise ValueError(
                f"error bar {text!r}: {calibrator} needs a grouping, {score}:{calibrator}:GROUPING with one of "
                f"{', '.join(GROUPINGS)}" + (f", not {grouping!r}" if grouping else "")
            )
        if len(rest) == 2 and calibrator not in of_groups:
            raise ValueError(f"error bar {text!r}: {calibrator} takes no grouping; {' and '.join(of_groups)} do")
        return cls(score, calibrator, grouping)
