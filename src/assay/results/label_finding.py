"""What contradicts itself in labels or members: a sentence with its evidence, its likely cause and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from assay.results.per_quantity import Quantity


@dataclass(frozen=True)
class LabelFinding:
    """One contradiction.

    | field | meaning |
    |---|---|
    | quantity | of which quantity the values are |
    | cause | the reading under which they agree, or what is wrong: `the opposite sign` |
    | said | what was seen, a clause: `stress labels of the training frames contradict …` |
    | remedy | what to do, a sentence |
    | figures | the numbers that it rests on |
    | member | whose values, `""` for labels |
    | frames | frames that it is about, where it is not about all |
    """

    quantity: Quantity
    cause: str
    said: str
    remedy: str
    figures: Mapping[str, float] = field(default_factory=dict)
    member: str = ""
    frames: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.said}. {self.remedy}"

    def summary(self) -> dict[str, Any]:
        """An entry of `label_check` in JSON."""
        return {
            "quantity": self.quantity,
            "member": self.member,
            "cause": self.cause,
            "said": self.said,
            "remedy": self.remedy,
            "figures": dict(self.figures),
            "frames": list(self.frames),
        }

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Self:
        """The finding of which it is the summary."""
        return cls(**{**summary, "frames": tuple(summary["frames"])})


Findings = tuple[LabelFinding, ...]


def distinct(found: Iterable[LabelFinding]) -> Findings:
    """Each cause once for a quantity and a member, the first that says it."""
    first: dict[tuple[str, str, str], LabelFinding] = {}
    for each in found:
        first.setdefault((each.quantity, each.member, each.cause), each)
    return tuple(first.values())
