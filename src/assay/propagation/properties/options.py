"""Read the words and options `key=value` of a property; every error says what was given and what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.propagation.properties.prototypes import Structure, stable, structure, the_element


def spelled(kind: str, words: Sequence[str], options: Mapping[str, str]) -> str:
    """The property as the user writes it, such as `vacancy:bcc,size=4`."""
    return ":".join(filter(None, [kind, ",".join([*words, *map("=".join, options.items())])]))


def require_known(options: Mapping[str, str], *known: str) -> None:
    """Raises `ValueError` for an option that is none of `known`."""
    if unknown := [f"{key}=" for key in options if key not in known]:
        there_are = f"known are {', '.join(f'{key}=' for key in known)}" if known else "it has none"
        raise ValueError(f"no such option: {', '.join(unknown)}; {there_are}")


def choice(options: Mapping[str, str], key: str, *choices: str) -> str:
    """One of `choices`, the first by default."""
    if (value := options.get(key, choices[0])) not in choices:
        raise ValueError(f"{key}={value}: needs one of {', '.join(choices)}")
    return value


def count(options: Mapping[str, str], key: str, default: int, least: int = 1) -> int:
    """A whole number, at least `least`."""
    value = options.get(key, str(default))
    if not value.isdecimal() or int(value) < least:
        raise ValueError(f"{key}={value}: needs a whole number, {least} or more")
    return int(value)


def length(options: Mapping[str, str], key: str, default: float) -> float:
    """A positive number of Å."""
    value = options.get(key, str(default))
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not 0 < number < float("inf"):
        raise ValueError(f"{key}={value}: needs a positive length in Å")
    return number


def the_structure(words: Sequence[str], options: Mapping[str, str], species: Sequence[str]) -> Structure:
    """The one structure that the user names, the element's stable phase without a name."""
    if len(words) > 1:
        raise ValueError(f"needs one structure, got {', '.join(words)}")
    return structure(words[0] if words else stable(the_element(options, species)), options, species)
