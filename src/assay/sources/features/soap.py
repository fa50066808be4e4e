"""SOAP power spectra through `featomic`: features of any structure, with no potential and no LAMMPS.

`p_{ab n n' l}(i) = Σ_m c_{a n l m}(i)* c_{b n' l m}(i) / √(2l + 1)`, for a ≠ b times √2, where `c_{a n l m}(i)`
expands the smeared density of the atoms of species a around atom i. Bartók, Kondor and Csányi 2013
(doi:10.1103/PhysRevB.87.184115), Musil et al. 2021 (doi:10.1063/5.0044689).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations_with_replacement, pairwise
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from assay.frames.frame import FrameError
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.settings import Kinds, checked_settings

MARGIN = 1.0
"""Å by which copies of a slab or wire are further apart than the cut-off."""

_KINDS: Kinds = {
    "species": (str, True),
    **dict.fromkeys(("max_radial", "max_angular"), (int, False)),
    **dict.fromkeys(("cutoff", "density_width", "smoothing", "center_weight"), (int | float, False)),
}


@dataclass(frozen=True)
class Soap:
    """Settings of a SOAP power spectrum, and the source of such features: no predictions.

    | setting | meaning | default |
    |---|---|---|
    | species | chemical symbols; set from the training frames where empty | |
    | cutoff | radius of the neighbourhood, Å | 5.0 |
    | max_radial | radial functions (Gaussian-type orbitals) n = 0 … max_radial | 6 |
    | max_angular | spherical harmonics l = 0 … max_angular | 4 |
    | density_width | of the Gaussian that smears each atom, Å | 0.5 |
    | smoothing | over which the density goes to zero at the cut-off (shifted cosine), Å; 0 for a step | 0.5 |
    | center_weight | of the central atom in its own density | 1.0 |

    Columns: for each pair of species a ≤ b by atomic number, l = 0 … L, n, n' (of one species only n ≤ n', the others
    are equal; these stand for two and are multiplied by √2, so that products of rows stay those of whole spectra). With
    N = max_radial + 1 and S species: `D = (L + 1) (S N (N + 1) + S (S - 1) N²) / 2`, in every frame.
    """

    kind: ClassVar[str] = "soap"

    species: tuple[str, ...] = ()
    cutoff: float = 5.0
    max_radial: int = 6
    max_angular: int = 4
    density_width: float = 0.5
    smoothing: float = 0.5
    center_weight: float = 1.0

    def __post_init__(self) -> None:
        if unknown := [s for s in self.species if s not in atomic_numbers]:
            raise ValueError(f"soap: unknown species {', '.join(unknown)}; give chemical symbols")
        if min(self.max_radial, self.max_angular) < 0 or not 0 <= self.smoothing <= self.cutoff:
            raise ValueError(
                f"soap: needs max_radial, max_angular >= 0 and 0 <= smoothing <= cutoff, got {self.max_radial}, "
                f"{self.max_angular}, {self.smoothing} and {self.cutoff}"
            )
        if not (self.cutoff > 0 and self.density_width > 0):
            raise ValueError(f"soap: needs cutoff, density_width > 0, got {self.cutoff} and {self.density_width}")

    def for_species(self, species: Sequence[str]) -> Soap:
        """The same settings for given species, unless they name their own."""
        return self if self.species else replace(self, species=tuple(species))

    @property
    def label(self) -> str:
        size = f"n ≤ {self.max_radial}, l ≤ {self.max_angular}, D = {self.columns}"
        return f"SOAP, {self.cutoff:g} Å, {size}, {'-'.join(self.species)}"

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        """Pairs of atomic numbers a <= b, in the order of the columns."""
        return list(combinations_with_replacement(sorted(atomic_numbers[s] for s in self.species), 2))

    @cached_property
    def _places(self) -> dict[tuple[int, int], slice]:
        """The columns of each pair."""
        n = self.max_radial + 1
        sizes = [(self.max_angular + 1) * (n * (n + 1) // 2 if a == b else n * n) for a, b in self._pairs]
        ends = np.cumsum([0, *sizes]).tolist()
        return {pair: slice(*place) for pair, place in zip(self._pairs, pairwise(ends), strict=True)}

    @property
    def columns(self) -> int:
        """D."""
        return max((place.stop for place in self._places.values()), default=0)

    def predict(self, frame: Atoms) -> Prediction:
        """The `(A, D)` power spectra of a frame: periodic, slab, wire or molecule.

        Raises `FrameError` for a species that the source does not have.
        """
        known = np.isin(frame.numbers, [atomic_numbers[s] for s in self.species])
        if not known.all():
            i = int(np.argmin(known))
            raise FrameError(f"atom {i} is {frame.symbols[i]}; this source has {', '.join(self.species)}")
        features = np.zeros((len(frame), self.columns))
        for (_, a, b), block in _calculator(self).compute(_boxed(frame, self.cutoff)).items():
            values = np.asarray(block.values)
            if a == b:
                n1, n2 = block.properties["n_1"], block.properties["n_2"]
                values = values[:, n1 <= n2] * np.where(n1 < n2, np.sqrt(2.0), 1.0)[n1 <= n2]
            features[block.samples["atom"], self._places[int(a), int(b)]] = values
        return Prediction(features=features)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """`(A, D)`, or of the `first` atoms; raises as `predict`."""
        features = self.predict(frame).features
        assert features is not None
        return features[:first]

    def with_columns(self, columns: int) -> Soap:
        """The same: D follows from the settings."""
        return self

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Soap:
        """Raises `ValueError` for an unknown name or another type."""
        return cls(**checked_settings(cls.kind, _KINDS, settings))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Soap:
        return cls.from_settings(state)


def _boxed(frame: Atoms, cutoff: float) -> Atoms:
    """The frame as featomic knows it: periodic along three vectors or along none.

    A vector that is not periodic is replaced by one that is perpendicular to the others and longer than the atoms by
    more than the cut-off.
    """
    atoms = Atoms(frame.numbers, frame.positions)
    if frame.pbc.any():
        cell = frame.cell.copy()
        cell[~frame.pbc] = 0.0
        cell = cell.complete()
        along = np.ptp(frame.positions @ cell.array[~frame.pbc].T, axis=0)  # completed vectors have length one
        cell[~frame.pbc] *= (along + cutoff + MARGIN)[:, None]
        atoms.set_cell(cell)
        atoms.pbc = True
    return atoms


def import_featomic() -> Any:
    """The module `featomic`; raises `ModuleNotFoundError` that says what to install."""
    try:
        import featomic
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('SOAP needs featomic: pip install "assay[soap]"') from error
    return featomic


@lru_cache(maxsize=4)
def _calculator(soap: Soap) -> Any:
    smoothing = {"type": "ShiftedCosine", "width": soap.smoothing} if soap.smoothing else {"type": "Step"}
    return import_featomic().SoapPowerSpectrum(
        cutoff={"radius": soap.cutoff, "smoothing": smoothing},
        density={"type": "Gaussian", "width": soap.density_width, "center_atom_weight": soap.center_weight},
        basis={
            "type": "TensorProduct",
            "max_angular": soap.max_angular,
            "radial": {"type": "Gto", "max_radial": soap.max_radial},
        },
    )
