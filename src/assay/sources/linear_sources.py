"""Linear sources by name: the one list of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from assay.sources import LinearSource
from assay.sources.ace import Ace
from assay.sources.corrector import Corrector
from assay.sources.model_names import needs_permission
from assay.sources.snap import Snap

LINEAR: Mapping[str, type[Snap] | type[Ace] | type[Corrector]] = {each.kind: each for each in (Snap, Ace, Corrector)}


def only_energies(settings: Mapping[str, Any]) -> bool:
    """Whether a source of these settings (`source`, …) leaves forces as they are: a corrector does by default."""
    return settings["source"] == Corrector.kind and not settings.get("forces", False)


def linear_source(settings: Mapping[str, Any], allow_import: tuple[str, ...] = ()) -> LinearSource:
    """The source that a user names, here and now: settings with its name as `source`.

    Raises `ValueError` for settings that it does not have.
    """
    own = {key: value for key, value in settings.items() if key != "source"}
    found = LINEAR[settings["source"]].from_state(own)
    if isinstance(found, Corrector):
        return replace(found, allow_import=(*allow_import, *needs_permission(found.member)))
    return found


def linear_source_from_state(state: Mapping[str, Any], allow_import: tuple[str, ...] = ()) -> LinearSource:
    """The source of a gauge file; it may run what `allow_import` names, and nothing because the file says so.

    Raises `ValueError` for settings that it does not have.
    """
    found = LINEAR[state["kind"]].from_state({key: value for key, value in state.items() if key != "kind"})
    return replace(found, allow_import=allow_import) if isinstance(found, Corrector) else found
