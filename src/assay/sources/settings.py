"""Settings of a source, as a SPEC or a gauge file gives them: known names, right types."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any

Kinds = Mapping[str, tuple[type | UnionType, bool]]
"""Type of each setting, and whether it is a list."""


def checked_settings(source: str, kinds: Kinds, state: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with lists as tuples. Raises `ValueError` for an unknown name or a value of another type."""
    unknown = sorted(set(state) - set(kinds))
    if unknown:
        there_are = f"known are {', '.join(kinds)}" if kinds else "it has no settings"
        raise ValueError(f"{source}: unknown setting {', '.join(unknown)}; {there_are}")
    settings: dict[str, Any] = {}
    for name, value in state.items():
        kind, several = kinds[name]
        values = list(value) if isinstance(value, list | tuple) else [value]
        if not all(v is None or (isinstance(v, kind) and isinstance(v, bool) == (kind is bool)) for v in values):
            words: Mapping[Any, str] = {int: "a whole number", bool: "true or false", str: "a string"}
            wanted = words.get(kind, "a number")
            raise ValueError(f"{source}: {name} must be {wanted}{' or a list of them' * several}, got {value!r}")
        settings[name] = tuple(values) if several else value
    return settings
