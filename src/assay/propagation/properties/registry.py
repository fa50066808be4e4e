"""Properties by name: from `NAME[:WORD,WORD,…,key=value,…]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Protocol

from assay.plugins.kinds import Kinds
from assay.propagation.properties.function import Function
from assay.propagation.properties.options import spelled
from assay.propagation.property import Property

KINDS: Mapping[str, str] = {
    "crystals": "crystals:Crystals",
    "elastic": "elastic:Elastic",
    "path": "paths:Paths",
    "phonons": "phonons:Phonons",
    "vacancy": "point_defects:Vacancy",
    "interstitials": "point_defects:Interstitials",
    "surfaces": "surfaces:Surfaces",
    "barrier": "barriers:Barrier",
    "energies": "energies:Energies",
}
"""Name → module of this package and class; a module, and what it needs, is imported when its property is asked for."""
FUNCTION = "function"
NAMES = (*KINDS, FUNCTION)
"""Assay's own."""


class Kind(Protocol):
    """A class of properties that can be asked for by name."""

    def from_words(self, words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Property:
        """The property; raises `ValueError` for a word or an option that it does not know."""


PLUGGED: Kinds[Kind | None] = Kinds("property", "assay.properties", dict.fromkeys(NAMES), named="")
"""Classes of other packages, by the name of the property."""


def names() -> tuple[str, ...]:
    """All properties that can be asked for, those of other packages included."""
    return PLUGGED.names()


def property_from_spec(
    spec: str, species: Sequence[str], allow_import: Sequence[str] = (), *, element: str | None = None
) -> Property:
    """The property that `NAME[:WORD,WORD,…,key=value,…]` names, such as `crystals:bcc,fcc` or `vacancy:bcc,size=4`.

    | argument | meaning |
    |---|---|
    | species | chemical symbols of the potential; a prototype is made of the only one, or of `element=W` |
    | allow_import | modules (with all inside them) that `function:package.module.name` may come from |
    | element | of prototypes, where the spec has no `element=` |

    Raises ValueError for a name, word or option that is not known; PermissionError for a function of a module that is
    not allowed; as `assay.plugins.kinds.Kinds.find` for a package that can't be imported.
    """
    name, _, rest = spec.partition(":")
    words, options = split(rest, spec)
    if name == FUNCTION:
        kind = None
    elif (kind := _kind(name)) is None:
        raise ValueError(f"unknown property {name!r} in {spec!r}; there are {', '.join(names())}")
    try:
        if kind is None:
            return Function.from_words(words, options, species, allow_import)
        if element is None or "element" in options or not has_prototypes(name, words):
            return kind.from_words(words, options, species)
        found = kind.from_words(words, {**options, "element": element}, species)
        return replace(found, name=spelled(name, words, options))  # type: ignore[type-var]
    except ValueError as error:
        raise ValueError(f"property {spec!r}: {error}") from error


def _kind(name: str) -> Kind | None:
    if name not in KINDS:
        return PLUGGED.find(name)
    module, _, attribute = KINDS[name].partition(":")
    found: Kind = getattr(import_module(f"assay.propagation.properties.{module}"), attribute)
    return found


def has_prototypes(name: str, words: Sequence[str]) -> bool:
    """Whether a property knows the option `element=`."""
    return name in KINDS and name != "energies" and (name != "barrier" or "vacancy" in words)


def split(text: str, spec: str) -> tuple[list[str], dict[str, str]]:
    """Words, and options `key=value`; raises `ValueError` for an option that is given twice or has no value."""
    words, options = [], {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            words.append(item)
        elif not key or not value or key in options:
            raise ValueError(f"property {spec!r}: {item!r} is not key=value, or is given twice")
        else:
            options[key] = value
    return words, options
