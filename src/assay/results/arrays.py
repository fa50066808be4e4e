"""What every array of Assay is, the levels that scores have, and arrays of records that can't be written into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


Level = Literal["atom", "neighbourhood", "frame"]


class ReadOnly:
    """A frozen dataclass whose arrays can't be written into, nor those in its mappings, tuples and frozen dataclasses.

    Nothing is copied, and the arrays of whoever made it stay as they were: it holds views of them. What another
    process sends is read-only again.
    """

    def __post_init__(self) -> None:
        _freeze(self)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        _freeze(self)


def _freeze(frozen: Any) -> None:
    for each in fields(frozen):
        object.__setattr__(frozen, each.name, _read_only(getattr(frozen, each.name)))


def _read_only(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.flags.writeable:
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, Mapping):
        return {key: _read_only(each) for key, each in value.items()}
    if type(value) is tuple:
        return tuple(_read_only(each) for each in value)
    if getattr(getattr(type(value), "__dataclass_params__", None), "frozen", False):
        _freeze(value)
    return value
