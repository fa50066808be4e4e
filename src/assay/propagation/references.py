"""Reference values of properties, and the errors of the best fit beside the spread of the members."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay.propagation.result import Propagated, Propagation
from assay.results.arrays import Array

References = Mapping[str, Mapping[str, Array]]
"""By property and quantity: `()`, or `(n,)` of a curve."""


def read_references(path: str | Path) -> References:
    """Of `{"PROPERTY": {"QUANTITY": number or list of numbers}}`; raises `ValueError` for anything else."""
    try:
        return as_references(json.loads(Path(path).read_text("utf-8")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def as_references(given: Mapping[str, Mapping[str, Any]]) -> References:
    """Of `{property: {quantity: number or list of numbers}}`; raises `ValueError` for anything else."""
    try:
        found = {
            str(name): {str(key): np.asarray(value, dtype=np.float64) for key, value in quantities.items()}
            for name, quantities in given.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f'references are {{"PROPERTY": {{"QUANTITY": number or list of numbers}}}}: {error}'
        ) from error
    for name, quantities in found.items():
        for key, value in quantities.items():
            if not np.isfinite(value).all():
                raise ValueError(f"reference of {name!r}, {key!r} is {given[name][key]!r}, needed finite numbers")
    return found


def require_asked(references: References, names: Collection[str]) -> None:
    """Raises `ValueError` for references of a property that is not asked for."""
    for name in references:
        if name not in names:
            raise ValueError(f"reference of {name!r}: there are {', '.join(names)}")


def matching(references: References, result: Propagation) -> tuple[References, list[str]]:
    """The references of numbers that are there and of their shape, and what is wrong with the others, except those of
    properties that failed."""
    kept, wrong = dict[str, dict[str, Array]](), list[str]()
    for name, quantities in references.items():
        if name not in result.properties:
            continue
        known, kept[name] = result[name].quantities, {}
        for key, value in quantities.items():
            if key not in known:
                wrong.append(f"reference of {name!r}, {key!r}: there are {', '.join(known)}")
            elif value.shape != (needed := known[key].value.shape):
                wrong.append(f"reference of {name!r}, {key!r} has shape {value.shape}, needed {needed}")
            else:
                kept[name][key] = value
    return kept, wrong


@dataclass(frozen=True)
class Against:
    """The best fit against a reference; `...` is `()` or `(n,)`.

    | field | meaning |
    |---|---|
    | reference | the true value |
    | error | value − reference |
    | in_std | abs(error) / std of the members; NaN where they don't vary |
    | in_range | abs(error) / (high − low); NaN likewise |
    | bracketed | low ≤ reference ≤ high |
    """

    reference: Array
    error: Array
    in_std: Array
    in_range: Array
    bracketed: Array


def against(quantity: Propagated, reference: Array) -> Against:
    """The errors of one quantity, as in Tables I–V of Perez et al. (doi:10.48550/arXiv.2502.07104)."""
    error = np.asarray(quantity.value - reference)
    low, high = quantity.low, quantity.high
    return Against(
        reference,
        error,
        _ratio(np.abs(error), quantity.std),
        _ratio(np.abs(error), high - low),
        np.asarray((low <= reference) & (reference <= high)),
    )


def mean_ratios(quantities: Mapping[str, Propagated], references: Mapping[str, Array]) -> tuple[float, float, float]:
    """Mean |error|/std, mean |error|/(high − low) and share bracketed, over all values with a reference that vary."""
    found = [against(each, references[name]) for name, each in quantities.items() if name in references]
    if not found:
        return (float("nan"),) * 3
    in_std, in_range, bracketed = (
        np.concatenate([np.ravel(getattr(each, part)) for each in found])
        for part in ("in_std", "in_range", "bracketed")
    )
    kept = np.isfinite(in_std)
    if not kept.any():
        return (float("nan"),) * 3
    return float(in_std[kept].mean()), float(in_range[kept].mean()), float(bracketed[kept].mean())


def _ratio(error: Array, width: Array) -> Array:
    width = np.asarray(width)
    return np.asarray(np.divide(error, width, out=np.full(width.shape, np.nan), where=width > 0))
