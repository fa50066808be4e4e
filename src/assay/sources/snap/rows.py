"""SNAP and quadratic SNAP: design rows and per-atom features through LAMMPS's `compute snap`.

`E = Σ_i [ β⁰_s(i) + Σ_k β_s(i),k B_k(i) ]`, where the B_k are the bispectrum components of the neighbourhood of
atom i and, with `quadratic`, their products. Thompson et al. 2015 (doi:10.1016/j.jcp.2014.12.018), Wood and Thompson
2018 (doi:10.1063/1.5017641), explicit elements: Cusentino et al. 2020 (doi:10.1021/acs.jpca.0c02450).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.frames.species import species_index
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.prediction import Prediction
from assay.sources.lammps import create_atoms, lammps_box, lammps_errors, lammps_instance
from assay.sources.settings import checked_settings
from assay.sources.snap.calculator import SnapCalculator
from assay.sources.snap.files import guard_texts, potential_texts
from assay.sources.snap.settings import KINDS, SnapSettings


@dataclass(frozen=True)
class Snap:
    """The design rows of a SNAP potential: P = S (1 + K) coefficients, first the S constants, then K per species.

    Features are the bispectrum components without their products, D of them.
    """

    kind: ClassVar[str] = "snap"
    changes_forces: ClassVar[bool] = True
    export_format: ClassVar[str] = "snap"

    settings: SnapSettings

    @property
    def species(self) -> tuple[str, ...]:
        return self.settings.species

    @property
    def label(self) -> str:
        return self.settings.label

    @property
    def coefficients(self) -> int:
        """P."""
        return self.settings.coefficients

    @property
    def cutoff(self) -> float:
        """The largest distance at which any two species see each other, Å."""
        return self.settings.cutoff

    def for_species(self, species: Sequence[str]) -> Snap:
        """The same settings for given species, unless they name their own."""
        return self if self.species else Snap(self.settings.for_species(species))

    def design(self, frame: Atoms) -> Design:
        """Rows of one frame: see `assay.results.design.Design`. One LAMMPS `run 0`.

        Raises `FrameError` for a species that the potential does not have, atoms that LAMMPS loses, or what else it
        refuses.
        """
        lmp, rotation = self._run(frame, f"compute snap all snap {self.settings.compute_arguments()}")
        n, s, k = len(frame), len(self.species), self.settings.components
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
        if self.settings.zbl:
            reference_energy = float(lmp.get_thermo("pe"))
            reference_forces = np.array(lmp.numpy.extract_atom("f")[:n])[np.argsort(_ids(lmp, n))] @ rotation.T
            pressure = [lmp.get_thermo(f"p{ab}") for ab in ("xx", "yy", "zz", "yz", "xz", "xy")]
            bar = 1.0 / lmp.extract_global("nktv2p")  # in eV/Å³, as LAMMPS has it
            reference_stress = _rotated_stress(-bar * np.array(pressure)[:, None], rotation)[:, 0]
        return Design(
            energy_row=energy_row,
            force_rows=force_rows,
            stress_rows=stress_rows,
            features=np.ascontiguousarray(per_atom.sum(axis=1)[:, : self.settings.linear_components]),
            reference_energy=reference_energy,
            reference_forces=reference_forces,
            reference_stress=reference_stress,
        )

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        """What N coefficient vectors `(N, P)` say, as members, from one evaluation of the rows."""
        return self.design(frame).predictions(coefficients)

    def calculator(self, coefficients: Array) -> Calculator:
        """An ASE calculator of one coefficient vector `(P,)`: LAMMPS's `pair_style snap`, several times faster than
        rows."""
        return SnapCalculator(self.settings, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """Bispectrum components of every atom, `(A, D)`: those of `design`, without force rows.

        With `first` of the first atoms only, `(first, D)`.
        """
        count = len(frame) if first is None else first
        compute = f"group first id <= {count}\ncompute snap first sna/atom {self.settings.feature_arguments()}"
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
            lmp.commands_string(f"{self.settings.pair_commands()}\n{compute}\nrun 0 post no")
        return lmp, rotation

    def potential_files(self, coefficients: Array, name: str) -> Mapping[str, bytes]:
        """`.snapcoeff`, `.snapparam` and `.snap`: see `assay.sources.snap.files.potential_texts`."""
        return {suffix: text.encode() for suffix, text in potential_texts(self.settings, coefficients, name).items()}

    def grade_files(
        self, inverses: Mapping[int, Array], name: str, emptiness: Mapping[int, Array]
    ) -> Mapping[str, bytes]:
        """`.guard` and `.guard-after`: see `assay.sources.snap.files.guard_texts`."""
        return {suffix: text.encode() for suffix, text in guard_texts(self.settings, inverses, name, emptiness).items()}

    def state(self) -> dict[str, Any]:
        return asdict(self.settings)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Snap:
        """Lists become tuples. Raises `ValueError` for an unknown setting."""
        return cls(SnapSettings(**checked_settings(cls.kind, KINDS, settings)))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Snap:
        return cls.from_settings(state)


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
