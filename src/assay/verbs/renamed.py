"""Names that arguments of verbs had in the last version: taken for one version more, with a remark."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from assay.results.warning import AssayFutureWarning, warn

P = ParamSpec("P")
T = TypeVar("T")

NEW: Mapping[str, tuple[str, str]] = {
    "heldout": ("calibration", ""),
    "workers": ("run", "executor"),
    "skip_bad": ("run", "skip_bad"),
    "allow_import": ("run", "allow_import"),
    "stage": ("run", "progress"),
    "weights": ("linear_fit", "weights"),
    "posterior": ("linear_fit", "posterior"),
    "ensemble_size": ("linear_fit", "ensemble_size"),
    "seed": ("linear_fit", "seed"),
    "clusters": ("score_fit", "clusters"),
    "cluster_thresholds": ("score_fit", "cluster_thresholds"),
    "without_outliers": ("score_fit", "without_outliers"),
    "core": ("score_fit", "core"),
    "references": ("members", "references"),
    "rmse": ("members", "rmse"),
    "best_members": ("members", "best"),
}
"""Old name → the argument that it is now, or that it is a field of, and the field."""


def takes_old_names(verb: Callable[P, T]) -> Callable[P, T]:
    """A verb that takes the old names of its arguments too, and tells its caller of the new ones.

    It raises `ValueError` for an argument under both names.
    """
    known = inspect.signature(verb).parameters

    @wraps(verb)
    def renamed(*args: P.args, **kwargs: P.kwargs) -> T:
        given: dict[str, Any] = kwargs
        for old in [name for name in given if name not in known]:
            argument, field = NEW.get(old, ("", ""))
            default: Any = known[argument].default if argument in known else None
            if (field and not hasattr(default, field)) or argument not in known:
                continue  # no name of an argument of this verb
            value, name = given.pop(old), verb.__name__
            if field:
                value = f"local:{value}" if old == "workers" else value
                given[argument] = replace(given.get(argument, default), **{field: value})
            elif given.get(argument) is not None:
                raise ValueError(f"{old} is the old name of {argument}: give one of them")
            else:
                given[argument] = value
            new = f"{argument}={type(default).__name__}({field}=…)" if field else f"{argument}=…"
            remark = f"{name}({old}=…) is now {name}({new}); the old name goes with the next version"
            warn(remark, category=AssayFutureWarning, stacklevel=2)
        return verb(*args, **kwargs)

    return renamed
