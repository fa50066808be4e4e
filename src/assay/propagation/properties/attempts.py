"""Several structures, one after another: where one fails the others go on, and what failed is said at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType

from assay.propagation.property import NotConverged, Quantities, Structures


@dataclass
class Attempts:
    """A context, entered for each structure, that keeps the reason of `NotConverged` and goes on behind it.

    attempts = Attempts()
    for name, atoms in structures.items():
        with attempts:
            states[name] = relaxed(atoms, calculator)
    return attempts.quantities(of(states))
    """

    reasons: list[str] = field(default_factory=list)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if isinstance(error, NotConverged):
            self.reasons.append(str(error))
        return isinstance(error, NotConverged)

    def quantities(self, found: Quantities) -> Quantities:
        """What was found; raises `NotConverged` with it and all reasons where something failed."""
        if self.reasons:
            raise NotConverged("; ".join(self.reasons), partial=found)
        return found

    def structures(self, found: Structures) -> Structures:
        """The same of structures."""
        if self.reasons:
            raise NotConverged("; ".join(self.reasons), structures=found)
        return found
