"""What Assay has to say of data, fits and settings: as Python's warnings, and to whoever listens.

Filters of Python's warnings, such as `PYTHONWARNINGS=ignore` or those that other packages set on import, keep nothing
from a listener: the command line prints what it hears, and verbs put it into their JSON and reports.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class AssayWarning(UserWarning):
    """A warning of Assay's own; `warnings.filterwarnings("ignore", category=assay.AssayWarning)` silences them."""


class AssayFutureWarning(AssayWarning, FutureWarning):
    """Of names that a later version will not have."""


Say = Callable[[str], None]
_listeners: ContextVar[tuple[tuple[list[str], Say], ...]] = ContextVar("listeners", default=())
"""What each has heard, and what it does with what is new to it; the innermost last."""


def warn(message: str, *, stacklevel: int = 1, category: type[AssayWarning] = AssayWarning) -> None:
    """Warn as `warnings.warn` does, and tell who listens."""
    remark(message)
    warnings.warn(message, category, stacklevel + 1)


def remark(message: str) -> None:
    """Tell who listens, without a warning of Python's: what a caller sees in the result as well."""
    for told, say in _listeners.get():
        if message not in told:
            told.append(message)
            say(message)


@contextmanager
def listening(say: Say = lambda message: None) -> Iterator[list[str]]:
    """Hear what is said in it: each text once, in the list and by `say`. Those who listen around it hear it too."""
    told: list[str] = []
    token = _listeners.set((*_listeners.get(), (told, say)))
    try:
        yield told
    finally:
        _listeners.reset(token)


@contextmanager
def unheard() -> Iterator[None]:
    """What Assay says in it is said to nobody: of trials whose findings are reported in another way."""
    token = _listeners.set(())
    try:
        with warnings.catch_warnings(action="ignore", category=AssayWarning):
            yield
    finally:
        _listeners.reset(token)


def heard() -> tuple[str, ...]:
    """What the innermost `listening` has heard so far."""
    listeners = _listeners.get()
    return tuple(listeners[-1][0]) if listeners else ()


def with_warnings(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a JSON file, and under `warnings` what was said so far."""
    return {**content, "warnings": [*heard()]}


def listens(verb: Callable[P, T]) -> Callable[P, T]:
    """A verb that hears what is said while it runs."""

    @wraps(verb)
    def heard_in(*args: P.args, **kwargs: P.kwargs) -> T:
        with listening():
            return verb(*args, **kwargs)

    return heard_in
