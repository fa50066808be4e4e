"""Groups of values that error bars are calibrated apart for: by species, chemical system, config_type or cluster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from assay.gauge.score_choice import CLUSTERED
from assay.results.batch import Batch
from assay.results.per_quantity import PerQuantity
from assay.scores.protocol import Clustered, FittedScore, clustered, majority

Groups = NDArray[np.str_]


def groups(batch: Batch, grouping: str, scores: Sequence[FittedScore]) -> PerQuantity[Groups]:
    """The group of every energy `(F,)`, force component `(A, 3)` and stress component `(F, 6)`.

    | grouping | of an atom | of a frame |
    |---|---|---|
    | species | its chemical symbol | the symbols that it has, `Mo-W` |
    | chemical_system | that of its frame | the symbols that it has, `Mo-W` |
    | config_type | that of its frame | what the file says; `""` where it says nothing |
    | cluster | the cluster of `gamma_local` whose active set it is nearest to | that of most of its atoms |

    `""` is no group: such values have the error bar of all.
    """
    symbols = np.array(chemical_symbols)
    if grouping in ("species", "chemical_system"):
        atoms = symbols[batch.numbers]
        frames = np.array(["-".join(np.unique(atoms[a:b])) for a, b in pairwise(batch.offsets)])
        if grouping == "chemical_system":
            atoms = np.repeat(frames, batch.natoms)
    elif grouping == "config_type":
        frames = np.array(batch.config_types)
        atoms = np.repeat(frames, batch.natoms)
    else:
        local = require_clusters(scores)
        cluster = batch.companions[local.companion]
        names = np.array([*local.names, ""])  # a species without training atoms has the cluster -1
        atoms = names[cluster]
        of_frame = [majority(cluster[a:b]) if np.any(cluster[a:b] >= 0) else -1 for a, b in pairwise(batch.offsets)]
        frames = names[of_frame]
    n = len(batch.names)
    return PerQuantity(
        energy=frames,
        force=np.broadcast_to(atoms[:, None], (len(atoms), 3)),
        stress=np.broadcast_to(frames[:, None], (n, 6)),
    )


def require_clusters(scores: Sequence[FittedScore]) -> Clustered:
    """The score that has clusters; raises `ValueError` where none has."""
    if (local := clustered(scores)) is None:
        raise ValueError(
            f"an error bar by cluster needs the score {CLUSTERED}, which has the clusters; there are "
            f"{', '.join(score.name for score in scores)}"
        )
    return local
