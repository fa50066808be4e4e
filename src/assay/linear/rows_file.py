"""Weighted design rows and targets on disk, so that passes over them are cheap and memory is not."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from assay.prediction import Array


class RowsFile:
    """Rows `(n, P)` and targets `(n,)` in the order they were appended, in files that vanish with this object."""

    def __init__(self, coefficients: int) -> None:
        self._columns = coefficients
        self._folder = Path(mkdtemp(prefix="assay-rows-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def append(self, rows: Array, targets: Array) -> None:
        for values, name in ((rows, "rows"), (targets, "targets")):
            with (self._folder / name).open("ab") as file:
                file.write(np.ascontiguousarray(values, dtype=np.float64).data)

    @property
    def rows(self) -> Array:
        """A memory map, `(n, P)`."""
        return np.memmap(self._folder / "rows", dtype=np.float64, mode="r").reshape(-1, self._columns)

    @property
    def targets(self) -> Array:
        return np.fromfile(self._folder / "targets")
