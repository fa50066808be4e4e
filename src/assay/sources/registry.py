"""Sources by name: from a SPEC (`name:key=value,…` or a TOML file), and from a gauge file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from ase import Atoms

from assay.plugins.kinds import PLUGIN, Kinds
from assay.sources.ace.rows import Ace
from assay.sources.capabilities import AnySource, LinearSource, Source
from assay.sources.committees.committee import AseCommittee
from assay.sources.corrector import Corrector
from assay.sources.features.callable import PythonCallable
from assay.sources.features.file import Features
from assay.sources.features.soap import Soap
from assay.sources.recorded.recorded import Recorded
from assay.sources.snap.rows import Snap


class SourceKind(Protocol):
    """A class of sources, which a user names and a gauge file holds."""

    kind: ClassVar[str]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AnySource:
        """The source that a user names, here and now; raises `ValueError` for settings that it does not have.

        `allow_import` names modules and programs beyond the known ones that it may run, by the user's leave.
        """

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AnySource:
        """The source of a gauge file; it may run what `allow_import` names, and nothing because the file says so."""


@runtime_checkable
class HasShortSetting(Protocol):
    """A class of sources that reads words of a SPEC which are not `key=value`."""

    @staticmethod
    def short_setting(word: str, settings: dict[str, Any]) -> bool:
        """Whether this word is one, and then put what it means into `settings`."""


SOURCES: tuple[type[SourceKind], ...] = (
    Snap,
    Ace,
    Corrector,
    AseCommittee,
    Recorded,
    Features,
    PythonCallable,
    Soap,
)


KINDS: Kinds[type[SourceKind]] = Kinds("source", "assay.sources", {each.kind: each for each in SOURCES}, named="kind")
"""Sources by name, those of other packages included."""


def source_kind(name: Any, where: str) -> type[SourceKind]:
    """The sources of this name, of Assay or of another package. `where` it was read is for the message.

    Raises `ValueError` where there are none, and as `assay.plugins.kinds.Kinds.find` for a package that can't be
    imported.
    """
    found = KINDS.find(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"unknown source {name!r} in {where}; there are {', '.join(KINDS.names())}")
    return found


def parse_spec(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    """`name:key=value,…`, or the path of a TOML file with `source = "name"` and the same keys, or such a table.

    `features:FILE.npz` is `features:file=FILE.npz`, and `ase_committee:chgnet:0.3.0,sevennet:7net-0` a committee of
    named potentials (`assay.sources.committees.model_names`). Values are read as TOML (`8`, `5.0`, `true`, `[0.5,
    0.6]`), else as a string. Raises `ValueError` for a name that is not known or a pair without `=`.
    """
    if not isinstance(spec, str):
        settings = dict(spec)
    elif spec.endswith(".toml"):
        settings = _read(Path(spec))
    else:
        name, _, rest = spec.partition(":")
        settings = {"source": name}
    kind = source_kind(settings.get("source"), repr(spec))
    if isinstance(spec, str) and not spec.endswith(".toml"):
        for word in map(str.strip, split_commas(rest)):
            if isinstance(kind, HasShortSetting) and kind.short_setting(word, settings):
                continue
            key, equals, value = word.partition("=")
            if not equals:
                raise ValueError(f"source {spec!r}: {word!r} is not key=value")
            settings[key.strip()] = _value(value.strip())
    return settings


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"source file {path}: no such file")
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"source file {path}: {error}") from error


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


def source_from_settings(settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AnySource:
    """The source that parsed settings name, as `source`. Raises `ValueError` for settings that it does not have."""
    own = {key: value for key, value in settings.items() if key != "source"}
    return source_kind(settings["source"], "the settings").from_settings(own, allow_import)


def source_state(source: AnySource) -> dict[str, Any]:
    """What a gauge file holds of a source, its `kind` and what it says of itself."""
    origin = KINDS.origin(source.kind, type(source))
    return {"kind": source.kind, **source.state(), **({PLUGIN: origin} if origin else {})}


def source_from_state(state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AnySource:
    """The source of a gauge file, of the `kind` that it says. Assay's own import nothing until they evaluate a frame.

    Raises as `assay.plugins.kinds.Kinds.of_file`, and `ValueError` for settings that the source does not have.
    """
    own = {key: value for key, value in state.items() if key not in ("kind", PLUGIN)}
    return KINDS.of_file(state["kind"], state.get(PLUGIN, {}), allow_import).from_state(own, allow_import)


GivenSource = str | Mapping[str, Any] | Callable[[Atoms], Any] | AnySource
"""A SPEC, the same as a table, a function of a frame that returns features `(A, D)`, or a source as an object."""


def given_source(given: GivenSource, allow_import: Sequence[str] = ()) -> tuple[AnySource, dict[str, Any]]:
    """The source that a user gives, and the settings that tell of it in provenance; raises `ValueError` as above."""
    if isinstance(given, str | Mapping):
        settings = parse_spec(given)
        return source_from_settings(settings, allow_import), settings
    if isinstance(given, Source | LinearSource):
        return given, {"source": given.kind}
    if not callable(given):
        raise ValueError(
            f"a source is a SPEC, a table, a function of a frame or an object that predicts, not {given!r}"
        )
    function = PythonCallable.of(given)
    return function, {"source": function.kind, "function": function.function}
