"""Which chemical species frames have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from assay.frames.frame import FrameError


def known_species(frame: Atoms, species: tuple[str, ...] | None) -> None:
    """Raise `FrameError` for the first atom whose species the training frames did not have; `None` is any."""
    if species is None:
        return
    known = np.isin(frame.numbers, [atomic_numbers[s] for s in species])
    if not known.all():
        i = int(np.argmin(known))
        raise FrameError(
            f"atom {i} is {frame.get_chemical_symbols()[i]}, which was not in the training frames "
            f"({', '.join(species)})"
        )


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
