"""What every array of Assay is, the levels that scores have, and arrays of records that can't be written into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


Level = Literal["atom", "neighbourhood", "frame"]


def freeze(record: Any) -> None:
    """Make the arrays of a frozen dataclass read-only: for its `__post_init__`.

    Those in its mappings and tuples too. Nothing is copied, and the arrays of whoever made the record stay as they
    were: the record holds views of them.
    """
    for name, value in list(vars(record).items()):
        object.__setattr__(record, name, _read_only(value))


def _read_only(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.flags.writeable:
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, Mapping):
        return {key: _read_only(each) for key, each in value.items()}
    if type(value) is tuple:
        return tuple(_read_only(each) for each in value)
    return value
