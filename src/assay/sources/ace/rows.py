"""The atomic cluster expansion: design rows and per-atom features through pacemaker's `python-ace`.

`E = Σ_i [ β⁰_s(i) + Σ_k β_s(i),k B_k(i) ]`, where the B_k are pacemaker's B-functions of the neighbourhood of atom i,
those of rank 1 first: a linear embedding. Drautz 2019 (doi:10.1103/PhysRevB.99.014104), Bochkarev et al. 2022
(doi:10.1103/PhysRevMaterials.6.013804).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers

from assay.frames.frame import FrameError
from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.results.design import LARGEST, Design, Predictions
from assay.sources.ace.engine import engine
from assay.sources.ace.wheel import configuration_in, configuration_of
from assay.sources.settings import Kinds, checked_settings

RADIAL = ("SBessel", "ChebExpCos", "ChebPow", "ChebLinear")

FEW = 50
"""Coefficient vectors up to which evaluations cost less than the rows, which cost as much as 25 to 130 of them."""

_SHAPES = {
    "UNARY": ([15, 6, 4, 3, 2, 2], [0, 4, 3, 2, 1, 0]),
    "BINARY": ([15, 6, 3, 2, 2, 1], [0, 3, 2, 1, 1, 0]),
    "TERNARY": ([15, 3, 3, 2, 1], [0, 2, 2, 1, 1]),
    "ALL": ([15, 3, 2, 1, 1], [0, 2, 2, 1, 1]),
}
"""Largest n and l by order, for functions of one, two, three and more species: what pacemaker's template offers."""

_BASIS: Kinds = {
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
class Ace:
    """A basis of the atomic cluster expansion, and the source of its design rows.

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

    kind: ClassVar[str] = "ace"

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

    def for_species(self, species: Sequence[str]) -> Ace:
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

    def design(self, frame: Atoms) -> Design:
        """Rows of one frame: see `assay.results.design.Design`.

        Raises `FrameError` for a species that the basis does not have, positions that are not finite, atoms that
        coincide, or a frame that has exploded.
        """
        counts = self.counts(frame)
        own = engine(self.configuration)
        forces, virial = own.gradients(frame)
        n, s, k = len(frame), len(self.species), sum(self.functions)
        features = self._padded(own.projections(frame))
        index = species_index(frame, self.species)
        sums = [features[index == t, :d].sum(axis=0) for t, d in enumerate(self.functions)]
        force_rows = np.zeros((3 * n, s + k))
        force_rows[:, s:] = forces
        volume = _volume(frame)
        stress_rows = None
        if volume:
            stress_rows = np.zeros((6, s + k))
            stress_rows[:, s:] = virial / volume
        energies, references, virials = own.linear(frame, np.zeros((int(own.has_core), k)))
        return Design(
            energy_row=np.concatenate([counts, *sums]),
            force_rows=force_rows,
            stress_rows=stress_rows,
            features=features,
            reference_energy=float(energies.sum()),
            reference_forces=references.sum(axis=0),
            reference_stress=virials.sum(axis=0) / (volume or np.inf),
        )

    def predictions(self, frame: Atoms, coefficients: Array) -> Predictions:
        """Energies, forces and stresses of N coefficient vectors `(N, P)`: N evaluations, or for more than `FEW` the
        rows.

        Raises as `design`.
        """
        if len(coefficients) > FEW:
            return self.design(frame).predictions(coefficients)
        counts = self.counts(frame)
        s, volume = len(self.species), _volume(frame)
        energies, forces, virials = engine(self.configuration).linear(frame, coefficients[:, s:])
        return Predictions(
            energies=energies + coefficients[:, :s] @ counts,
            forces=forces,
            stresses=virials / volume if volume else None,
            features=self.features(frame),
        )

    def calculator(self, coefficients: Array) -> Calculator:
        """An ASE calculator of one coefficient vector `(P,)`: pacemaker's recursive evaluator, far faster
        than rows."""
        from assay.sources.ace.calculator import AceCalculator

        return AceCalculator(self, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """B-functions of every atom, `(A, D)`: those of `design`, without force rows. Raises as `design`.

        With `first` of the first atoms only, `(first, D)`.
        """
        self.counts(frame)
        return self._padded(engine(self.configuration).projections(frame, first))

    def counts(self, frame: Atoms) -> Array:
        """Atoms of each species, `(S,)`; raises as `design`."""
        finite = np.isfinite(frame.positions).all(axis=1)
        if not finite.all():
            raise FrameError(f"atom {np.argmin(finite)}: position is not finite")
        return np.bincount(species_index(frame, self.species), minlength=len(self.species)).astype(np.float64)

    def _padded(self, projections: Sequence[Array]) -> Array:
        features = np.zeros((len(projections), max(self.functions)))
        for row, values in zip(features, projections, strict=True):
            row[: len(values)] = values
        return features

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _STATE}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Ace:
        """The source with these settings, or of a gauge file. Raises `ValueError` for an unknown setting."""
        if "configuration" in state:
            return cls(**checked_settings("ace", _STATE, state))
        if "potential" in state:
            return cls(**checked_settings("ace: beside potential", {"potential": (str, False)}, state))
        return cls(**checked_settings("ace", {"potential": (str, False), **_BASIS}, state))


def _volume(frame: Atoms) -> float:
    """Å³; 0 where none is defined."""
    return float(frame.get_volume()) if frame.pbc.all() else 0.0
