"""Which frames of a data set to keep out of a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def contiguous_blocks(kinds: NDArray[np.str_], blocks: int) -> NDArray[np.int64]:
    """Which of so many blocks each frame is in, `(F,)`: contiguous in file order within each of the `kinds` `(F,)`."""
    block = np.empty(len(kinds), dtype=np.int64)
    start = 0
    for kind in np.unique(kinds):  # a config_type with few frames must not put them all into block 0
        where = np.flatnonzero(kinds == kind)
        block[where] = (start + np.arange(len(where)) * blocks // max(len(where), blocks)) % blocks
        start += len(where) % blocks
    return block
