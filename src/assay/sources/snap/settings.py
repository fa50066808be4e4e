"""Settings of a SNAP potential, and what follows from them: numbers of components, LAMMPS's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from assay.results.design import LARGEST
from assay.sources.settings import Kinds

KINDS: Kinds = {
    "species": (str, True),
    "twojmax": (int, False),
    "rcut": (int | float, False),
    **dict.fromkeys(("quadratic", "chem"), (bool, False)),
    **dict.fromkeys(("rfac0", "rmin0"), (int | float, False)),
    "bzero": (bool, False),
    **dict.fromkeys(("radelem", "wj"), (int | float, True)),
    "zbl": (bool, False),
    **dict.fromkeys(("zbl_inner", "zbl_outer"), (int | float, False)),
}


@dataclass(frozen=True)
class SnapSettings:
    """Settings of a SNAP potential.

    | setting | meaning | default |
    |---|---|---|
    | species | chemical symbols; set from the training frames where empty | |
    | twojmax | order of the expansion, 2J | 8 |
    | rcut | cut-off of the neighbourhood in Å | 5.0 |
    | quadratic | products of components as well | False |
    | chem | explicit multi-element components; `None`: yes with more than one species | None |
    | rfac0, rmin0 | mapping of distances to angles | 0.99363, 0.0 |
    | bzero | subtract the components of an isolated atom | True |
    | radelem | per species, in units of `2 rcut` (0.5 each: every pair is cut at `rcut`) | 0.5 each |
    | wj | per species: weight of a neighbour | 1; without `chem` from 1 down to 0.5 |
    | zbl | subtract a ZBL repulsion before the fit, and export it | False |
    | zbl_inner, zbl_outer | where its switching to zero starts and ends, Å | 0.3 rcut, 0.45 rcut |

    P = S (1 + K) coefficients: first the S constants, then K per species. Features are the bispectrum components
    without their products, D of them.
    """

    species: tuple[str, ...] = ()
    twojmax: int = 8
    rcut: float = 5.0
    quadratic: bool = False
    chem: bool | None = None
    rfac0: float = 0.99363
    rmin0: float = 0.0
    bzero: bool = True
    radelem: tuple[float, ...] = ()
    wj: tuple[float, ...] = ()
    zbl: bool = False
    zbl_inner: float | None = None
    zbl_outer: float | None = None

    def __post_init__(self) -> None:
        unknown = [s for s in self.species if s not in atomic_numbers]
        if unknown:
            raise ValueError(f"snap: unknown species {', '.join(unknown)}; give chemical symbols")
        if self.twojmax < 0 or self.rcut <= 0:
            raise ValueError(f"snap: needs twojmax >= 0 and rcut > 0, got {self.twojmax} and {self.rcut}")
        for name in ("radelem", "wj"):
            given = getattr(self, name)
            if given and self.species and len(given) != len(self.species):
                raise ValueError(f"snap: {len(given)} values of {name} for {len(self.species)} species")
        if self.species and self.coefficients > LARGEST:
            raise ValueError(
                f"snap: {self.coefficients} coefficients are more than the {LARGEST} that a dense fit can hold; "
                f"lower twojmax, or leave out quadratic or chem"
            )

    def for_species(self, species: Sequence[str]) -> SnapSettings:
        """The same settings for given species, unless they name their own."""
        return self if self.species else replace(self, species=tuple(species))

    @property
    def explicit(self) -> bool:
        """Whether components tell the species of neighbours apart by index, not only by weight."""
        return len(self.species) > 1 if self.chem is None else self.chem

    @property
    def radii(self) -> tuple[float, ...]:
        return self.radelem or (0.5,) * len(self.species)

    @property
    def weights(self) -> tuple[float, ...]:
        if self.wj:
            return self.wj
        n = len(self.species)
        return (1.0,) * n if self.explicit else tuple(float(w) for w in np.linspace(1.0, 0.5, n))

    @cached_property
    def linear_components(self) -> int:
        """D: the number of bispectrum components, `(J+1)(J+2)(J+3/2)/3` times S³ if explicit."""
        return len(self._triples) * (len(self.species) ** 3 if self.explicit else 1)

    @cached_property
    def _triples(self) -> list[tuple[int, int, int]]:
        """(j1, j2, j) of the components of one combination of elements, in LAMMPS's order."""
        return [
            (j1, j2, j)
            for j1 in range(self.twojmax + 1)
            for j2 in range(j1 + 1)
            for j in range(j1 - j2, min(self.twojmax, j1 + j2) + 1, 2)
            if j >= j1
        ]

    @cached_property
    def twins(self) -> NDArray[np.int64]:
        """A number for each linear component, `(D,)`; components with the same number are always equal.

        `B^{abc}_{j1 j2 j}` with explicit elements a, b, c does not change when its three pairs (j1, a), (j2, b),
        (j, c) are exchanged, and components that differ only in this way are all there.
        """
        elements = range(len(self.species) if self.explicit else 1)
        numbers: dict[Any, int] = {}
        return np.array(
            [
                numbers.setdefault(tuple(sorted([(j1, a), (j2, b), (j, c)])), len(numbers))
                for a, b, c in product(elements, repeat=3)
                for j1, j2, j in self._triples
            ]
        )

    @property
    def components(self) -> int:
        """K: components per species, products included."""
        d = self.linear_components
        return d + d * (d + 1) // 2 if self.quadratic else d

    @property
    def coefficients(self) -> int:
        """P."""
        return len(self.species) * (1 + self.components)

    @property
    def label(self) -> str:
        kind = "quadratic SNAP" if self.quadratic else "SNAP"
        return f"{kind}, 2J = {self.twojmax}, {self.rcut:g} Å, {'-'.join(self.species)}, P = {self.coefficients}"

    @property
    def cutoff(self) -> float:
        """The largest distance at which any two species see each other, Å."""
        return 2.0 * self.rcut * max(self.radii, default=0.5)

    @property
    def zbl_range(self) -> tuple[float, float]:
        """Inner and outer cut-off of the ZBL repulsion, Å."""
        return (
            0.3 * self.rcut if self.zbl_inner is None else self.zbl_inner,
            0.45 * self.rcut if self.zbl_outer is None else self.zbl_outer,
        )

    def pair_commands(self) -> str:
        """The reference potential as LAMMPS input: none, or ZBL."""
        if not self.zbl:
            return f"pair_style zero {self.cutoff}\npair_coeff * *"
        inner, outer = self.zbl_range
        styles = f"zero {self.cutoff} zbl {inner} {outer}"
        return f"pair_style hybrid/overlay {styles}\npair_coeff * * zero\n{self.zbl_coefficients()}"

    def zbl_coefficients(self) -> str:
        """`pair_coeff` lines of ZBL for every pair of species."""
        z = [atomic_numbers[s] for s in self.species]
        pairs = [(i, j) for i in range(len(z)) for j in range(i, len(z))]
        return "\n".join(f"pair_coeff {i + 1} {j + 1} zbl {z[i]} {z[j]}" for i, j in pairs)

    def compute_arguments(self) -> str:
        """Arguments of `compute snap`."""
        words = [
            f"{self.rcut} {self.rfac0} {self.twojmax}",
            " ".join(map(str, self.radii)),
            " ".join(map(str, self.weights)),
            f"rmin0 {self.rmin0} bzeroflag {int(self.bzero)} quadraticflag {int(self.quadratic)} bikflag 1",
        ]
        if self.explicit:
            n = len(self.species)
            words.append(f"chem {n} {' '.join(map(str, range(n)))} bnormflag 1 wselfallflag 1")
        return " ".join(words)

    def feature_arguments(self) -> str:
        """Arguments of `compute sna/atom` for the features."""
        return replace(self, quadratic=False).compute_arguments().replace(" bikflag 1", "")
