"""The name of an error bar, `SCORE:CALIBRATOR[:GROUPING]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from assay.calibration import CALIBRATORS, KINDS, CalibratorClass, calibrator_kind

GROUPINGS = ("species", "chemical_system", "config_type", "cluster")

AskedBar = str | tuple[str, str | CalibratorClass] | tuple[str, str | CalibratorClass, str]
"""`SCORE:CALIBRATOR[:GROUPING]`, or its parts, where the calibrator may be a class: `("leverage", MyCalibrator)`."""


@dataclass(frozen=True)
class BarName:
    """`SCORE:CALIBRATOR`, and `:GROUPING` for calibrators of groups; `grouping` is `""` for the others.

    `kind` is the calibrator's class.
    """

    score: str
    kind: CalibratorClass
    grouping: str = ""

    @classmethod
    def parse(cls, text: str, own: CalibratorClass | None = None) -> Self:
        """Raises `ValueError` for anything that is not such a name, with what there is.

        `own`: the calibrator that goes by its name here, where that is not found by it.
        """
        score, *rest = text.split(":")
        if not score or not 1 <= len(rest) <= 2:
            raise ValueError(
                f"error bar {text!r} is not SCORE:CALIBRATOR or SCORE:CALIBRATOR:GROUPING, e.g. committee_force:scale "
                "or committee_force:mondrian:species"
            )
        name, grouping = (*rest, "")[:2]
        kind = own if own is not None and own.name == name else KINDS.find(name)
        if kind is None:
            raise ValueError(f"error bar {text!r}: no calibrator {name!r}; there are {', '.join(KINDS.names())}")
        kind = calibrator_kind(kind)
        if kind.of_groups and grouping not in GROUPINGS:
            raise ValueError(
                f"error bar {text!r}: {name} needs a grouping, {score}:{name}:GROUPING with one of "
                f"{', '.join(GROUPINGS)}" + (f", not {grouping!r}" if grouping else "")
            )
        if len(rest) == 2 and not kind.of_groups:
            of_groups = [name for name, each in CALIBRATORS.items() if each.of_groups]
            raise ValueError(f"error bar {text!r}: {name} takes no grouping; {' and '.join(of_groups)} do")
        return cls(score, kind, grouping)

    @classmethod
    def of(cls, asked: AskedBar) -> Self:
        """As `parse`, of a text or of its parts."""
        if isinstance(asked, str):
            return cls.parse(asked)
        if not 2 <= len(asked) <= 3 or not isinstance(asked[0], str):
            raise ValueError(f"error bar {asked!r} is neither SCORE:CALIBRATOR nor (SCORE, CALIBRATOR)")
        kind = calibrator_kind(asked[1])
        return cls.parse(":".join([asked[0], kind.name, *asked[2:]]), kind)

    def __str__(self) -> str:
        return ":".join(filter(None, (self.score, self.calibrator, self.grouping)))

    @property
    def calibrator(self) -> str:
        """Its name."""
        return self.kind.name

    @property
    def own(self) -> CalibratorClass | None:
        """The calibrator's class; `None` for Assay's own, which are found by name."""
        return None if self.calibrator in CALIBRATORS else self.kind
