"""Weighted design rows and targets on disk, so that passes over them are cheap and memory is not."""

from __future__ import annotations

import numpy as np

from assay.execution.scratch import scratch_file
from assay.results.arrays import Array
from assay.storage.files import unfinished


class RowsFile:
    """Rows `(n, P)` and targets `(n,)` in the order they were appended.

    The file has no name: nothing is left of it when the process ends, however it does.
    """

    def __init__(self, coefficients: int) -> None:
        self._columns = coefficients
        self._rows = scratch_file(self, "assay-rows-")
        self._targets: list[Array] = []

    def append(self, rows: Array, targets: Array) -> None:
        with unfinished():
            self._rows.write(np.ascontiguousarray(rows, dtype=np.float64).data)
        self._targets.append(np.array(targets, dtype=np.float64))

    @property
    def rows(self) -> Array:
        """A memory map, `(n, P)`."""
        with unfinished():
            self._rows.flush()
        return np.memmap(self._rows, dtype=np.float64, mode="r").reshape(-1, self._columns)

    @property
    def targets(self) -> Array:
        return np.concatenate([np.empty(0), *self._targets])
