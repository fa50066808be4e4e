"""Linear sources by name: the one list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.sources import LinearSource
from assay.sources.ace import Ace
from assay.sources.snap import Snap

LINEAR: Mapping[str, type[Snap] | type[Ace]] = {each.kind: each for each in (Snap, Ace)}


def linear_source_from_state(state: Mapping[str, Any]) -> LinearSource:
    """The source of this `kind` and these settings. Raises `ValueError` for settings that it does not have."""
    settings = {key: value for key, value in state.items() if key != "kind"}
    return LINEAR[state["kind"]].from_state(settings)
