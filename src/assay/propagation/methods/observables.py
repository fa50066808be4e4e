"""Observables of the frames of a trajectory, whose averages are reweighted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list

from assay.frames.frame import FrameError
from assay.propagation.properties.options import count, length, require_known
from assay.propagation.properties.registry import split
from assay.propagation.property import Quantity
from assay.results.arrays import Array

NAMES = ("energy", "volume", "rdf", "msd", "info", "array")


@dataclass(frozen=True)
class Observable:
    """Numbers of a frame.

    | field | meaning |
    |---|---|
    | name | as the user wrote it |
    | quantity | its unit and abscissa; the value counts for nothing |
    | of | the numbers of a frame, `(n,)`; `None` for the energy per atom, which each potential has its own of |
    """

    name: str
    quantity: Quantity
    of: Callable[[Atoms], Array] | None


def observable_from_spec(spec: str) -> Observable:
    """`energy` (eV/atom), `volume` (Å³/atom), `rdf[:rmax=6,bins=60]`, `msd:FILE` (Å², from the sites in FILE),
    `info:KEY` or `array:KEY` (means).

    Raises `ValueError` for anything else.
    """
    name, _, rest = spec.partition(":")
    words, options = split(rest, spec)
    try:
        match name:
            case "energy":
                _nothing(words, options)
                return Observable(spec, Quantity(0.0, "eV/atom"), None)
            case "volume":
                _nothing(words, options)
                return Observable(
                    spec, Quantity(0.0, "Å³/atom"), lambda frame: np.array([frame.get_volume() / len(frame)])
                )
            case "rdf":
                _no_words(words)
                require_known(options, "rmax", "bins")
                edges = np.linspace(0.0, length(options, "rmax", 6.0), count(options, "bins", 60) + 1)
                x = 0.5 * (edges[1:] + edges[:-1])
                return Observable(spec, Quantity(x, "", x, "r (Å)"), lambda frame: rdf(frame, edges))
            case "msd":
                require_known(options)
                sites = ase.io.read(Path(_one(words, "a file with the sites")))
                return Observable(spec, Quantity(0.0, "Å²"), lambda frame: np.array([msd(frame, sites)]))
            case "info" | "array":
                require_known(options)
                key = _one(words, "a key")
                where: Callable[[Atoms], Any] = lambda frame: frame.info if name == "info" else frame.arrays  # noqa: E731
                return Observable(spec, Quantity(0.0, ""), lambda frame: np.array([_number(where(frame), key)]))
    except ValueError as error:
        raise ValueError(f"observable {spec!r}: {error}") from error
    raise ValueError(f"unknown observable {name!r}; with the method reweight there are {', '.join(NAMES)}")


def rdf(frame: Atoms, edges: Array) -> Array:
    """Radial distribution function `g(r) = n(r, r + dr) / (N ρ 4π r² dr)` of all atoms, `(bins,)`."""
    distances = neighbor_list("d", frame, float(edges[-1]))
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return np.asarray(np.histogram(distances, edges)[0] * frame.get_volume() / (len(frame) ** 2 * shells))


def msd(frame: Atoms, sites: Atoms) -> float:
    """Mean square displacement from the sites, `Σ |u_i − ū|² / N` (Å²), to the nearest image and without drift."""
    if len(frame) != len(sites):
        raise FrameError(f"{len(frame)} atoms, and {len(sites)} sites")
    u = find_mic(frame.positions - sites.positions, frame.cell, frame.pbc)[0]
    return float(((u - u.mean(axis=0)) ** 2).sum(axis=1).mean())


def _number(values: Any, key: str) -> float:
    if key not in values:
        raise FrameError(f"no {key!r}; there are {', '.join(map(str, values)) or 'none'}")
    return float(np.mean(np.asarray(values[key], dtype=np.float64)))


def _nothing(words: Sequence[str], options: Mapping[str, str]) -> None:
    _no_words(words)
    require_known(options)


def _no_words(words: Sequence[str]) -> None:
    if words:
        raise ValueError(f"knows no {', '.join(words)}")


def _one(words: Sequence[str], what: str) -> str:
    if len(words) != 1:
        raise ValueError(f"needs {what}, got {', '.join(words) or 'none'}")
    return words[0]
