"""Sources by name: from a SPEC (`name:key=value,…` or a TOML file), and from a gauge file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.sources.ace.rows import Ace
from assay.sources.capabilities import LinearSource
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.model_names import needs_permission
from assay.sources.corrector import Corrector
from assay.sources.features.callable import PythonCallable
from assay.sources.features.file import Features
from assay.sources.features.soap import Soap
from assay.sources.snap.rows import Snap

LINEAR: Mapping[str, type[Snap] | type[Ace] | type[Corrector]] = {each.kind: each for each in (Snap, Ace, Corrector)}
"""Sources of rows that a linear potential is fitted with."""
FeatureSource = Features | PythonCallable | Soap
"""Sources of features without predictions."""
FEATURES = (Features.kind, PythonCallable.kind, Soap.kind)
NAMES = (*LINEAR, "ase_committee", "recorded", *FEATURES)


def parse_spec(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    """`name:key=value,…`, or the path of a TOML file with `source = "name"` and the same keys, or such a table.

    `features:FILE.npz` is `features:file=FILE.npz`, and `ase_committee:chgnet:0.3.0,sevennet:7net-0` a committee of
    named potentials (`assay.sources.committees.model_names`). Values are read as TOML (`8`, `5.0`, `true`, `[0.5,
    0.6]`), else as a string. Raises `ValueError` for a name that is not known or a pair without `=`.
    """
    if not isinstance(spec, str):
        settings = dict(spec)
    elif spec.endswith(".toml"):
        path = Path(spec)
        if not path.is_file():
            raise ValueError(f"source file {spec}: no such file")
        try:
            settings = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"source file {spec}: {error}") from error
    else:
        name, _, rest = spec.partition(":")
        settings = {"source": name}
        for pair in split_commas(rest):
            if name == AseCommittee.kind and not re.match(r"\w+\s*=", pair.strip()):
                settings.setdefault("member", []).append({"model": pair.strip()})
                continue
            key, equals, value = pair.partition("=")
            if name == Features.kind and not equals and "file" not in settings:
                key, equals, value = "file", "=", key
            if not equals:
                raise ValueError(f"source {spec!r}: {pair!r} is not key=value")
            settings[key.strip()] = _value(value.strip())
    if settings.get("source") not in NAMES:
        raise ValueError(f"unknown source {settings.get('source')!r} in {spec!r}; there are {', '.join(NAMES)}")
    return settings


def split_commas(text: str) -> list[str]:
    """The parts of a text between commas that are not in brackets."""
    pairs, depth = [""], 0
    for character in text:
        depth += (character in "[(") - (character in "])")
        if character == "," and depth == 0:
            pairs.append("")
        else:
            pairs[-1] += character
    return [pair for pair in pairs if pair.strip()]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def feature_source(settings: Mapping[str, Any], allow_import: tuple[str, ...] = ()) -> FeatureSource | None:
    """The source of features that parsed settings name; `None` where the source predicts."""
    own = {key: value for key, value in settings.items() if key != "source"}
    match settings["source"]:
        case Features.kind:
            return Features.from_state(own)
        case PythonCallable.kind:
            return PythonCallable.from_state(own, allow_import)
        case Soap.kind:
            return Soap.from_state(own)
    return None


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
