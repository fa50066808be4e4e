"""SNAP and quadratic SNAP: design rows and per-atom features through LAMMPS's `compute snap`.

`E = Σ_i [ β⁰_s(i) + Σ_k β_s(i),k B_k(i) ]`, where the B_k are the bispectrum components of the neighbourhood of
atom i and, with `quadratic`, their products. Thompson et al. 2015 (doi:10.1016/j.jcp.2014.12.018), Wood and Thompson
2018 (doi:10.1063/1.5017641), explicit elements: Cusentino et al. 2020 (doi:10.1021/acs.jpca.0c02450).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from numpy.typing import NDArray

from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.results.design import LARGEST, Design, Predictions
from assay.sources.lammps import create_atoms, lammps_box, lammps_errors, lammps_instance
from assay.sources.settings import Kinds, checked_settings

_KINDS: Kinds = {
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
class Snap:
    """Settings of a SNAP potential, and the source of its design rows.

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

    kind: ClassVar[str] = "snap"

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

    def for_species(self, species: Sequence[str]) -> Snap:
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
        return 2.0 * self.rcut * max(self.radii)

    @property
    def zbl_range(self) -> tuple[float, float]:
        """Inner and outer cut-off of the ZBL repulsion, Å."""
        return (
            0.3 * self.rcut if self.zbl_inner is None else self.zbl_inner,
            0.45 * self.rcut if self.zbl_outer is None else self.zbl_outer,
        )

    def design(self, frame: Atoms) -> Design:
        """Rows of one frame: see `assay.results.design.Design`. One LAMMPS `run 0`.

        Raises `FrameError` for a species that the potential does not have, atoms that LAMMPS loses, or what else it
        refuses.
        """
        lmp, rotation = self._run(frame, f"compute snap all snap {self.compute_arguments()}")
        n, s, k = len(frame), len(self.species), self.components
        rows = lmp.numpy.extract_compute("snap", 0, 2)[:, :-1]
        per_atom = rows[:n].reshape(n, s, k)

        energy_row = np.concatenate([np.bincount(self._types(frame) - 1, minlength=s), per_atom.sum(0).ravel()])
        force_rows = np.zeros((3 * n, s + s * k))
        _rotated(rows[n : 4 * n], rotation, out=force_rows[:, s:])
        stress_rows = None
        volume = frame.get_volume() if frame.pbc.all() else None
        if volume:
            stress_rows = np.zeros((6, s + s * k))
            # The rows are the virial of the box, Σ r F; the stress is minus that over the volume.
            stress_rows[:, s:] = _rotated_stress(-rows[4 * n :] / volume, rotation)

        reference_forces, reference_stress, reference_energy = np.zeros((n, 3)), np.zeros(6), 0.0
        if self.zbl:
            reference_energy = float(lmp.get_thermo("pe"))
            reference_forces = np.array(lmp.numpy.extract_atom("f")[:n])[np.argsort(_ids(lmp, n))] @ rotation.T
            pressure = [lmp.get_thermo(f"p{ab}") for ab in ("xx", "yy", "zz", "yz", "xz", "xy")]
            bar = 1.0 / lmp.extract_global("nktv2p")  # in eV/Å³, as LAMMPS has it
            reference_stress = _rotated_stress(-bar * np.array(pressure)[:, None], rotation)[:, 0]
        return Design(
            energy_row=energy_row,
            force_rows=force_rows,
            stress_rows=stress_rows,
            features=np.ascontiguousarray(per_atom.sum(axis=1)[:, : self.linear_components]),
            reference_energy=reference_energy,
            reference_forces=reference_forces,
            reference_stress=reference_stress,
        )

    def predictions(self, frame: Atoms, coefficients: Array) -> Predictions:
        """Energies, forces and stresses of N coefficient vectors `(N, P)` from one evaluation of the rows."""
        return self.design(frame).predictions(coefficients)

    def calculator(self, coefficients: Array) -> Calculator:
        """An ASE calculator of one coefficient vector `(P,)`: LAMMPS's `pair_style snap`, several times faster than
        rows."""
        from assay.sources.snap.calculator import SnapCalculator

        return SnapCalculator(self, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """Bispectrum components of every atom, `(A, D)`: those of `design`, without force rows.

        With `first` of the first atoms only, `(first, D)`.
        """
        count = len(frame) if first is None else first
        compute = f"group first id <= {count}\ncompute snap first sna/atom {self.feature_arguments()}"
        lmp, _ = self._run(frame, compute)
        components = np.array(lmp.numpy.extract_compute("snap", 1, 2)[: len(frame)])
        return components[np.argsort(_ids(lmp, len(frame)))[:count]]

    def _types(self, frame: Atoms) -> Any:
        return species_index(frame, self.species) + 1

    def _run(self, frame: Atoms, compute: str) -> tuple[Any, Array]:
        types = self._types(frame)
        box, rotation, positions, boundary = lammps_box(frame)
        lmp = lammps_instance()
        with lammps_errors():
            create_atoms(lmp, box, positions, boundary, types.tolist(), len(self.species), self.cutoff)
            lmp.commands_string(f"{self.pair_commands()}\n{compute}\nrun 0 post no")
        return lmp, rotation

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

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Snap:
        """The source with these settings; lists become tuples. Raises `ValueError` for an unknown setting."""
        return cls(**checked_settings("snap", _KINDS, state))


def _ids(lmp: Any, n: int) -> Any:
    return np.array(lmp.numpy.extract_atom("id")[:n])


def _rotated(rows: Array, rotation: Array, out: Array) -> None:
    """Rows of vectors, `(3A, P)`, from LAMMPS's axes back to the frame's."""
    if np.array_equal(rotation, np.eye(3)):
        out[:] = rows
    else:
        np.matmul(rotation, rows.reshape(-1, 3, rows.shape[1]), out=out.reshape(-1, 3, out.shape[1]))


def _rotated_stress(rows: Array, rotation: Array) -> Array:
    """Rows of a symmetric tensor in Voigt order xx yy zz yz xz xy, `(6, P)`, back to the frame's axes."""
    full = rows[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    turned = np.einsum("ia,jb,abp->ijp", rotation, rotation, full)
    return np.asarray(turned[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])
