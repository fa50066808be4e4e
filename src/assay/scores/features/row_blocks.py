"""Work on the rows of features in blocks whose results stay in the cache, by as many threads as BLAS would use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from assay.results.arrays import Array

BLOCK = 512
"""Rows of one matrix product."""


def blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


@contextmanager
def block_threads(n: int) -> Iterator[int]:
    """How many threads BLAS has; inside it has one, for blocks in threads. With one block of n rows nothing changes.

    Two BLAS libraries (NumPy's and SciPy's) whose idle threads spin make every small product slower than on one thread.
    """
    if n <= BLOCK:
        yield 1
        return
    threads = max((each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"):
        yield threads


def each_block(work: Callable[[slice], object], n: int, threads: int) -> None:
    """`work(rows)` for each block of n rows."""
    if threads == 1:
        for rows in blocks(n):
            work(rows)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, blocks(n)):
                pass


def float64(features: NDArray[Any]) -> Array:
    return np.asarray(features, dtype=np.float64)


def largest(c: NDArray[Any]) -> Array:
    """Largest absolute value of each row."""
    return np.asarray(np.maximum(c.max(axis=1, initial=0.0), -c.min(axis=1, initial=0.0)))


def column_maxima(features: NDArray[Any]) -> Array:
    """Largest absolute value of each column; raises `ValueError` where one is not finite."""
    found = np.zeros(features.shape[1])
    for rows in blocks(len(features)):
        block = features[rows]
        np.maximum(found, np.maximum(block.max(axis=0), -block.min(axis=0)), out=found)
    if not np.isfinite(found).all():
        row = next(i for i, f in enumerate(features) if not np.isfinite(f).all())
        raise ValueError(f"the features of environment {row} are not finite: an active set needs finite features")
    return found


def top(values: Array, count: int) -> NDArray[np.int64]:
    """Where the `count` largest values are, in order of place."""
    if count >= len(values):
        return np.arange(len(values))
    return np.sort(np.argpartition(-values, count)[:count])
