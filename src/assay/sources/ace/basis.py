"""A basis of the atomic cluster expansion: its settings, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from assay.frames.frame import FrameError
from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.results.design import LARGEST
from assay.sources.ace.wheel import configuration_in, configuration_of
from assay.sources.settings import Kinds, checked_settings

RADIAL = ("SBessel", "ChebExpCos", "ChebPow", "ChebLinear")

_SHAPES = {
    "UNARY": ([15, 6, 4, 3, 2, 2], [0, 4, 3, 2, 1, 0]),
    "BINARY": ([15, 6, 3, 2, 2, 1], [0, 3, 2, 1, 1, 0]),
    "TERNARY": ([15, 3, 3, 2, 1], [0, 2, 2, 1, 1]),
    "ALL": ([15, 3, 2, 1, 1], [0, 2, 2, 1, 1]),
}
"""Largest n and l by order, for functions of one, two, three and more species: what pacemaker's template offers."""

_SETTINGS: Kinds = {
    "species": (str, True),
    "number_of_functions_per_element": (int, False),
    **dict.fromkeys(("rcut", "dcut"), (int | float, False)),
    "radbase": (str, False),
    "radparameters": (int | float, True),
    **dict.fromkeys(("nradmax_by_orders", "lmax_by_orders"), (int, True)),
}
_STATE: Kinds = {
    "species": (str, True),
    "functions": (int, True),
    "rcut": (int | float, False),
    "configuration": (str, False),
}


@dataclass(frozen=True)
class AceBasis:
    """A basis of the atomic cluster expansion.

    | setting | meaning | default |
    |---|---|---|
    | potential | a pacemaker potential file `.yaml`: its functions, whatever its coefficients and embedding; or: | |
    | species | chemical symbols; set from the training frames where empty, and always sorted | |
    | number_of_functions_per_element | at most so many, the lowest orders, n and l first | 300 |
    | rcut, dcut | cut-off of the neighbourhood, and width of its end, Å | 6.0, 0.01 |
    | radbase, radparameters | radial functions | SBessel, 5.25 |
    | nradmax_by_orders, lmax_by_orders | largest n and l by order; those of pacemaker's template where empty | |

    `configuration` (pacemaker's YAML) and `functions` (per species) follow from these. P = S + Σ functions
    coefficients: first the S constants, then species by species. Features are the B-functions, `(A, D)` with D the
    largest number of functions: those of a species with fewer end in zeros. They are the linear projections of
    pacemaker's active sets.
    """

    species: tuple[str, ...] = ()
    potential: str = ""
    number_of_functions_per_element: int = 300
    rcut: float = 6.0
    dcut: float = 0.01
    radbase: str = "SBessel"
    radparameters: tuple[float, ...] = (5.25,)
    nradmax_by_orders: tuple[int, ...] = ()
    lmax_by_orders: tuple[int, ...] = ()
    functions: tuple[int, ...] = ()
    configuration: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        unknown = [s for s in self.species if s not in atomic_numbers]
        if unknown:
            raise ValueError(f"ace: unknown species {', '.join(unknown)}; give chemical symbols")
        if not self.rcut > 0 or self.number_of_functions_per_element < 1:
            raise ValueError(
                f"ace: needs rcut > 0 and number_of_functions_per_element >= 1, "
                f"got {self.rcut} and {self.number_of_functions_per_element}"
            )
        if self.radbase not in RADIAL:
            raise ValueError(f"ace: unknown radbase {self.radbase!r}; there are {', '.join(RADIAL)}")
        if len(self.nradmax_by_orders) != len(self.lmax_by_orders):
            raise ValueError(
                f"ace: {len(self.nradmax_by_orders)} orders of nradmax_by_orders for {len(self.lmax_by_orders)} of "
                f"lmax_by_orders"
            )
        if not self.configuration and (self.potential or self.species):
            made = configuration_in(self.potential) if self.potential else configuration_of(self._potential_section())
            derived = {"species": made.species, "functions": made.functions, "rcut": made.cutoff}
            for name, value in {**derived, "configuration": made.text}.items():
                object.__setattr__(self, name, value)
        if self.functions and self.coefficients > LARGEST:
            raise ValueError(
                f"ace: {self.coefficients} coefficients are more than the {LARGEST} that a dense fit can hold; "
                f"lower number_of_functions_per_element"
            )

    def _potential_section(self) -> dict[str, Any]:
        """The section `potential` of a pacemaker input."""
        shapes: Mapping[str, tuple[Sequence[int], Sequence[int]]] = _SHAPES
        if self.nradmax_by_orders:
            shapes = {"ALL": (self.nradmax_by_orders, self.lmax_by_orders)}
        bonds = {
            "radbase": self.radbase,
            "radparameters": list(self.radparameters),
            "rcut": self.rcut,
            "dcut": self.dcut,
            "NameOfCutoffFunction": "cos",
        }
        return {
            "deltaSplineBins": 0.001,
            "elements": list(self.species),
            "embeddings": {"ALL": {"npot": "FinnisSinclair", "fs_parameters": [1, 1], "ndensity": 1}},
            "bonds": {"ALL": bonds},
            "functions": {
                "number_of_functions_per_element": self.number_of_functions_per_element,
                **{k: {"nradmax_by_orders": [*n], "lmax_by_orders": [*ell]} for k, (n, ell) in shapes.items()},
            },
        }

    def for_species(self, species: Sequence[str]) -> AceBasis:
        """The same settings for given species, unless they name their own."""
        return self if self.species else replace(self, species=tuple(species))

    @property
    def coefficients(self) -> int:
        """P."""
        return len(self.species) + sum(self.functions)

    @property
    def cutoff(self) -> float:
        """The largest distance at which any two species see each other, Å."""
        return self.rcut

    @property
    def label(self) -> str:
        functions = "/".join(map(str, self.functions))
        return f"ACE, {functions} functions, {self.rcut:g} Å, {'-'.join(self.species)}, P = {self.coefficients}"

    def counts(self, frame: Atoms) -> Array:
        """Atoms of each species, `(S,)`; raises `FrameError` as design rows do."""
        finite = np.isfinite(frame.positions).all(axis=1)
        if not finite.all():
            raise FrameError(f"atom {np.argmin(finite)}: position is not finite")
        return np.bincount(species_index(frame, self.species), minlength=len(self.species)).astype(np.float64)

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _STATE}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> AceBasis:
        """The basis with these settings, or of a gauge file. Raises `ValueError` for an unknown setting."""
        if "configuration" in state:
            return cls(**checked_settings("ace", _STATE, state))
        if "potential" in state:
            return cls(**checked_settings("ace: beside potential", {"potential": (str, False)}, state))
        return cls(**checked_settings("ace", {"potential": (str, False), **_SETTINGS}, state))
