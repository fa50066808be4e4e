"""Labels that some frames have and others have not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from assay.results.per_quantity import PerQuantity
from assay.results.wording import many

SHOWN = 3
"""Frames that a sentence names."""


def partly_labelled(names: Sequence[str], there: PerQuantity[NDArray[np.bool_]]) -> Iterator[str]:
    """A sentence for each quantity that some of the F frames have a label of and others have not.

    `there` says of each quantity which have, `(F,)`.
    """
    for quantity, has in there.items():
        if has.any() and not has.all():
            without = np.flatnonzero(~has)
            first = ", ".join(names[i] for i in without[:SHOWN]) + (", …" if len(without) > SHOWN else "")
            used = (
                "has no label of the {} and is used for what it has"
                if len(without) == 1
                else ("have no label of the {} and are used for what they have")
            )
            yield f"{len(without)} of {many(len(has), 'frame')} {used.format(quantity)}: {first}"
