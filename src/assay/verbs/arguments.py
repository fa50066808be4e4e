"""Arguments of verbs before these see them: one-shot iterators are stored, and names of the last version replaced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
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


def settled(verb: Callable[P, T]) -> Callable[P, T]:
    """A verb that can go through all that it is given again and again, and is told what its arguments are called.

    It takes the names of the last version for one version more, and tells its caller of the new ones. Raises
    `ValueError` for `calibration` under both its names.
    """
    known = inspect.signature(verb).parameters

    @wraps(verb)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        given: dict[str, Any] = kwargs
        for old in [name for name in given if name not in known]:
            argument, field = NEW.get(old, ("", ""))
            default: Any = known[argument].default if argument in known else None
            if (field and not hasattr(default, field)) or argument not in known:
                continue  # no name of an argument of this verb
            value, name = given.pop(old), verb.__name__
            if field and value is not None:  # `None` stood for the default
                value = f"local:{value}" if old == "workers" else value
                given[argument] = replace(given.get(argument, default), **{field: value})
            elif not field and given.get(argument) is not None:
                raise ValueError(f"{old} is the old name of {argument}: give one of them")
            elif not field:
                given[argument] = value
            new = f"{argument}={type(default).__name__}({field}=…)" if field else f"{argument}=…"
            remark = f"{name}({old}=…) is now {name}({new}); the old name goes with the next version"
            warn(remark, category=AssayFutureWarning, stacklevel=2)
        return verb(*map(_stored, args), **{name: _stored(each) for name, each in given.items()})

    return called


def _stored(given: Any) -> Any:
    return list(given) if isinstance(given, Iterator) else given
