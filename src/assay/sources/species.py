"""Atoms as indices into the species of a potential."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.frames import FrameError


def species_index(frame: Atoms, species: Sequence[str]) -> NDArray[np.int64]:
    """Index of each atom's symbol in `species`, `(A,)`; raises `FrameError` for an atom that is none of them."""
    symbols = frame.get_chemical_symbols()
    index = {symbol: i for i, symbol in enumerate(species)}
    strange = next((i for i, symbol in enumerate(symbols) if symbol not in index), None)
    if strange is not None:
        raise FrameError(
            f"atom {strange} is {symbols[strange]}, which this potential does not know (it knows {', '.join(species)})"
        )
    return np.array([index[symbol] for symbol in symbols], dtype=np.int64)
