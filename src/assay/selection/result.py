"""What a selection found: frames, and what each adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.frame import Frames

MEASURES = ("gain", "grade", "score", "distance")


@dataclass(frozen=True)
class Selected:
    """A frame of the pool that was selected.

    | field | meaning |
    |---|---|
    | origin, config_type, natoms | `file:index`, kind and size of the frame |
    | gain | by how much it raised the log volumes of the active sets (`maxvol`) |
    | grade | its largest γ just before (`maxvol`) |
    | score | its score (`score`) |
    | distance | to the nearest frame selected before, or training frame, in standard deviations of features (`score`) |
    | atoms | indices of the selected atoms, the most valuable first; empty where whole frames are selected |
    | ranks | their ranks among all selected atoms, from 1 |

    What a technique does not measure is `None`. Of several atoms these are the sum of the gains, the largest grade and
    score, and the distance of the first.
    """

    origin: str
    config_type: str
    natoms: int
    gain: float | None = None
    grade: float | None = None
    score: float | None = None
    distance: float | None = None
    atoms: tuple[int, ...] = ()
    ranks: tuple[int, ...] = ()

    @property
    def measures(self) -> dict[str, float]:
        """What was measured, by name."""
        return {name: value for name in MEASURES if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Selection:
    """What `assay.select` chose, and passed over.

    | field | meaning |
    |---|---|
    | by | `maxvol`, `score:NAME` or `random` |
    | requested | n |
    | frames | selected frames, the most valuable first |
    | extending | how many of the choices extend the active sets; `None` where that is not measured |
    | pool | frames that could be selected |
    | repeated | frames that are in the training set, or in the pool before: (origin, what it equals) |
    | failed | frames that can't be read or evaluated: (origin, reason) |
    """

    by: str
    requested: int
    frames: tuple[Selected, ...]
    extending: int | None
    pool: int
    repeated: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(frame.origin for frame in self.frames)

    def summary(self) -> dict[str, Any]:
        """What `assay select --json` writes."""
        return {
            "by": self.by,
            "requested": self.requested,
            "extending": self.extending,
            "pool": self.pool,
            "frames": [
                {
                    "rank": rank,
                    "frame": each.origin,
                    "config_type": each.config_type,
                    "atoms": each.natoms,
                    **{name: value if np.isfinite(value) else None for name, value in each.measures.items()},
                    **({"selected_atoms": each.atoms, "ranks_of_atoms": each.ranks} if each.atoms else {}),
                }
                for rank, each in enumerate(self.frames, 1)
            ],
            "repeated": [{"frame": origin, "equals": other} for origin, other in self.repeated],
            "failed": [{"frame": origin, "reason": reason} for origin, reason in self.failed],
        }

    def structures(self, pool: Frames) -> Iterator[Atoms]:
        """The frames as the pool has them, with what was found of each in `info` and `arrays`."""
        originals = pool.originals({frame.origin for frame in self.frames})
        for rank, frame in enumerate(self.frames, 1):
            yield self._annotated(originals[frame.origin], rank, frame)

    def _annotated(self, atoms: Atoms, rank: int, frame: Selected) -> Atoms:
        atoms.info |= {"selected_by": self.by, "selection_rank": rank}
        atoms.info |= {f"selection_{name}": value for name, value in frame.measures.items()}
        if frame.atoms:
            ranks = np.zeros(len(atoms), dtype=np.int64)
            ranks[list(frame.atoms)] = frame.ranks
            atoms.set_array("selection_rank_of_atom", ranks)
        return atoms
