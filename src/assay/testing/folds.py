"""Laws of folds: what is filled in parts and merged is what one would have been that saw all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from assay.testing.laws import check, require, require_same, table


class Fold(Protocol):
    """Something that learns from one chunk after the other."""

    def update(self, *chunk: Any) -> object:
        """Take in a chunk."""

    def merge(self, other: Any) -> object:
        """Take in what another one has seen."""


@dataclass(frozen=True)
class FoldCase:
    """How a fold is made, the arguments of each of its updates, and what it has learnt, as a tree of arrays."""

    make: Callable[[], Any]
    chunks: Sequence[tuple[Any, ...]]
    outcome: Callable[[Any], Any]
    tolerance: float = 1e-10

    def filled(self, chunks: Iterable[tuple[Any, ...]]) -> Any:
        """A new fold that has seen these chunks."""
        fold: Fold = self.make()
        for chunk in chunks:
            fold.update(*chunk)
        return fold

    def require_same(self, what: str, fold: Any, other: Any) -> None:
        """Two folds have learnt the same."""
        found, expected = (dict(leaves(self.outcome(each))) for each in (fold, other))
        require(found.keys() == expected.keys(), f"{what}: has {', '.join(found)}, needed {', '.join(expected)}")
        for name, value in expected.items():
            require_same(f"{what}{name}", found[name], value, self.tolerance)


def leaves(tree: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """The arrays of a tree, by where they are."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{name}, {key}")
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            yield from leaves(value, f"{name}, {i}")
    else:
        yield name, np.asarray(tree)


def merged_is_whole(case: FoldCase) -> None:
    """Two folds of a part of the chunks each, merged, are one of all."""
    half = len(case.chunks) // 2
    fold = case.filled(case.chunks[:half])
    fold.merge(case.filled(case.chunks[half:]))
    case.require_same("merged of two parts", fold, case.filled(case.chunks))


def chunk_by_chunk(case: FoldCase) -> None:
    """One fold for each chunk, merged one after the other, are one of all."""
    fold = case.filled(case.chunks[:1])
    for chunk in case.chunks[1:]:
        fold.merge(case.filled([chunk]))
    case.require_same("merged of single chunks", fold, case.filled(case.chunks))


def either_into_the_other(case: FoldCase) -> None:
    """It does not matter which of two folds is merged into which."""
    half = len(case.chunks) // 2
    one, other = case.filled(case.chunks[:half]), case.filled(case.chunks[half:])
    turned = deepcopy(other)
    turned.merge(one)
    one.merge(other)
    case.require_same("merged the other way round", turned, one)


def the_other_stays(case: FoldCase) -> None:
    """A fold that was merged into another one is what it was."""
    half = len(case.chunks) // 2
    one, other = case.filled(case.chunks[:half]), case.filled(case.chunks[half:])
    one.merge(other)
    case.require_same("the one that was merged", other, case.filled(case.chunks[half:]))


def the_other_stays_afterwards(case: FoldCase) -> None:
    """A fold that was merged into a new one stays what it was while that one goes on."""
    half = len(case.chunks) // 2
    other, new = case.filled(case.chunks[half:]), case.make()
    new.merge(other)
    for chunk in case.chunks:
        new.update(*chunk)
    case.require_same("merged into one that went on", other, case.filled(case.chunks[half:]))


def nothing_adds_nothing(case: FoldCase) -> None:
    """A fold that has seen nothing changes none that it is merged into."""
    fold = case.filled(case.chunks)
    fold.merge(case.make())
    case.require_same("merged with an empty one", fold, case.filled(case.chunks))


LAWS_OF_FOLDS = table(
    merged_is_whole,
    chunk_by_chunk,
    either_into_the_other,
    the_other_stays,
    the_other_stays_afterwards,
    nothing_adds_nothing,
)
"""By name; each of a `FoldCase`."""


def check_fold(
    make: Callable[[], Any],
    chunks: Sequence[tuple[Any, ...]],
    outcome: Callable[[Any], Any],
    tolerance: float = 1e-10,
) -> None:
    """Every law of folds: `update(*chunk)`, `merge(other)`.

    | argument | meaning |
    |---|---|
    | make | a new fold |
    | chunks | the arguments of each update, two or more |
    | outcome | what a fold has learnt: a tree of arrays |
    | tolerance | relative; sums in another order are rounded otherwise |

    Raises `AssertionError` that lists the laws it breaks, and by how much.
    """
    case = FoldCase(make, chunks, outcome, tolerance)
    check(f"the fold {type(make()).__name__}", LAWS_OF_FOLDS, [(f"{len(chunks)} chunks", case)])
