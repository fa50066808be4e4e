"""What all laws have in common: how far two arrays differ, and the report of those that are broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from assay.storage.archive import load_state, save_state

C = TypeVar("C")
Law = Callable[[C], None]
"""Raises `AssertionError` for a case that breaks it."""


def table(*laws: Law[C]) -> Mapping[str, Law[C]]:
    """Laws by name."""
    return {law.__name__: law for law in laws}


def require(kept: bool, otherwise: str) -> None:
    """Raises `AssertionError`; unlike a bare `assert`, under `python -O` too."""
    if not kept:
        raise AssertionError(otherwise)


def require_same(what: str, found: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Two arrays of one shape that differ by `tolerance (1 + |expected|)` at most; NaN equals nothing."""
    found, expected = np.asarray(found), np.asarray(expected)
    require(found.shape == expected.shape, f"{what}: shape {found.shape}, needed {expected.shape}")
    if found.dtype.kind not in "fiub" or expected.dtype.kind not in "fiub":
        require(bool(np.all(found == expected)), f"{what}: {found}, needed {expected}")
        return
    equal = found == expected  # infinite values too
    with np.errstate(invalid="ignore"):
        apart = np.where(equal, 0.0, np.abs(found.astype(float) - expected.astype(float)))
    off = ~(apart <= tolerance * (1.0 + np.abs(np.where(equal, 0.0, expected.astype(float)))))
    if off.any():
        where = tuple(int(i) for i in np.argwhere(off)[0])
        raise AssertionError(
            f"{what}: {int(off.sum())} of {off.size} values are off, the first at {where}: {found[where]:.6g}, needed "
            f"{expected[where]:.6g} (to {tolerance:g})"
        )


def another_order(n: int) -> NDArray[np.int64]:
    """A permutation of n atoms that leaves none of them in its place, `(n,)`: one cycle through all, by chance."""
    cycle, order = np.random.default_rng(1).permutation(n), np.empty(n, dtype=np.int64)
    order[cycle] = np.roll(cycle, 1)
    return order


def through_a_file(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state as a gauge file gives it back; raises `AssertionError` for what such a file can't hold."""
    with TemporaryDirectory(prefix="assay-law-") as folder:
        try:
            save_state(Path(folder) / "state", state)
        except (TypeError, ValueError) as error:
            raise AssertionError(f"a file can't hold the state, needed JSON values and arrays: {error}") from error
        return load_state(Path(folder) / "state")


def check(name: str, laws: Mapping[str, Law[C]], cases: Iterable[tuple[str, C]]) -> None:
    """Every law on every case; raises one `AssertionError` that lists the broken ones, with the first case of each."""
    broken: dict[str, str] = {}
    for label, case in cases:
        for law in laws.values():
            if law.__name__ in broken:
                continue
            try:
                keeps(law, case)
            except AssertionError as error:
                broken[law.__name__] = f"{error} [{label}]"
    if broken:
        listed = "\n".join(f"- {law}: {reason}" for law, reason in broken.items())
        raise AssertionError(f"{name} breaks {len(broken)} of {len(laws)} laws:\n{listed}")


def keeps(law: Law[C], case: C) -> None:
    """A law on a case, where whatever else is raised is a broken law too."""
    try:
        law(case)
    except AssertionError:
        raise
    except Exception as error:  # foreign code may raise anything
        raise AssertionError(f"raised {type(error).__name__}: {error}") from error
