"""The names of calibrators and error bars: `CALIBRATOR[:GROUPING]`, and `SCORE:` before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from assay.calibration import CALIBRATORS, KINDS, CalibratorClass, calibrator_kind

GROUPINGS = ("species", "chemical_system", "config_type", "cluster")

AskedCalibrator = str | CalibratorClass | tuple[str | CalibratorClass, str]
"""`CALIBRATOR[:GROUPING]`; or its parts, where the calibrator may be a class: `MyCalibrator`,
`(MyCalibrator, "species")`."""


class Named(Protocol):
    """A score, before or after its fit, as far as the name of a bar goes."""

    @property
    def name(self) -> str: ...


Parts = tuple[str | Named, str | CalibratorClass] | tuple[str | Named, str | CalibratorClass, str]


@dataclass(frozen=True)
class CalibratorName:
    """`CALIBRATOR`, and `:GROUPING` for calibrators of groups; `grouping` is `""` for the others.

    `kind` is the calibrator's class.
    """

    kind: CalibratorClass
    grouping: str = ""

    @classmethod
    def parse(cls, text: str, own: CalibratorClass | None = None) -> Self:
        """Raises `ValueError` for anything that is not such a name, with what there is.

        `own`: the calibrator that goes by its name here, where that is not found by it.
        """
        name, *rest = text.split(":")
        if not name or len(rest) > 1:
            raise ValueError(f"{text!r} is not CALIBRATOR or CALIBRATOR:GROUPING, e.g. scale or mondrian:species")
        kind = own if own is not None and own.name == name else KINDS.find(name)
        if kind is None:
            raise ValueError(f"no calibrator {name!r}; there are {', '.join(KINDS.names())}")
        kind, grouping = calibrator_kind(kind), "".join(rest)
        if kind.of_groups and grouping not in GROUPINGS:
            raise ValueError(
                f"{name} needs a grouping, {name}:GROUPING with one of {', '.join(GROUPINGS)}"
                + (f", not {grouping!r}" if grouping else "")
            )
        if rest and not kind.of_groups:
            of_groups = [name for name, each in CALIBRATORS.items() if each.of_groups]
            raise ValueError(f"{name} takes no grouping; {' and '.join(of_groups)} do")
        return cls(kind, grouping)

    @classmethod
    def of(cls, asked: AskedCalibrator) -> Self:
        """As `parse`, of a text or of its parts."""
        if isinstance(asked, str):
            return cls.parse(asked)
        parts = asked if isinstance(asked, tuple) else (asked,)
        if not 1 <= len(parts) <= 2:
            raise ValueError(f"calibrator {asked!r} is neither CALIBRATOR nor (CALIBRATOR, GROUPING)")
        kind = calibrator_kind(parts[0])
        return cls.parse(":".join([kind.name, *parts[1:]]), kind)

    def __str__(self) -> str:
        return ":".join(filter(None, (self.kind.name, self.grouping)))


@dataclass(frozen=True)
class BarName:
    """`SCORE:CALIBRATOR[:GROUPING]`."""

    score: str
    by: CalibratorName

    @classmethod
    def parse(cls, text: str, own: CalibratorClass | None = None) -> Self:
        """As `CalibratorName.parse`."""
        score, *rest = text.split(":")
        if not score or not 1 <= len(rest) <= 2:
            raise ValueError(
                f"error bar {text!r} is not SCORE:CALIBRATOR or SCORE:CALIBRATOR:GROUPING, e.g. committee_force:scale "
                "or committee_force:mondrian:species"
            )
        try:
            return cls(score, CalibratorName.parse(":".join(rest), own))
        except ValueError as error:
            raise ValueError(f"error bar {text!r}: {error}") from error

    @classmethod
    def of(cls, asked: str | Parts) -> Self:
        """As `parse`, of a text or of its parts, where score and calibrator may be classes."""
        if isinstance(asked, str):
            return cls.parse(asked)
        score = getattr(asked[0], "name", asked[0]) if 2 <= len(asked) <= 3 else None
        if not isinstance(score, str):
            raise ValueError(f"error bar {asked!r} is neither SCORE:CALIBRATOR nor (SCORE, CALIBRATOR)")
        kind = calibrator_kind(asked[1])
        return cls.parse(":".join([score, kind.name, *asked[2:]]), kind)

    def __str__(self) -> str:
        return f"{self.score}:{self.by}"

    @property
    def kind(self) -> CalibratorClass:
        """The calibrator's class."""
        return self.by.kind

    @property
    def grouping(self) -> str:
        """`""` where the calibrator takes none."""
        return self.by.grouping

    @property
    def calibrator(self) -> str:
        """Its name."""
        return self.kind.name

    @property
    def own(self) -> CalibratorClass | None:
        """The calibrator's class; `None` for Assay's own, which are found by name."""
        return None if self.calibrator in CALIBRATORS else self.kind
