"""Members computed elsewhere, read off the frames.

On a frame, the member of model `m` is `info["m_energy"]` (eV), `arrays["m_forces"]` (eV/Å) and, if it has one,
`info["m_stress"]` (eV/Å³; NaN throughout is none). `assay.sources.recorded.members_file` puts those of an `.npz` file
there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from assay.frames.frame import FrameError, LabelKeys
from assay.results.arrays import Array
from assay.results.prediction import Prediction


@dataclass(frozen=True)
class Recorded:
    """M recorded members as a source, for frames that carry them: `E = Σ_k E_k / M`, forces and stress likewise.

    | field | meaning |
    |---|---|
    | models | their names; `()`: those of the first frame |
    | rmse | force RMSE of each, eV/Å, as the user gives it; never saved |
    """

    kind: ClassVar[str] = "recorded"

    models: tuple[str, ...]
    rmse: tuple[float, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"recorded: needs models of different names, got {list(self.models)}")

    @property
    def member_names(self) -> tuple[str, ...]:
        return self.models

    @property
    def member_rmse(self) -> tuple[float | None, ...]:
        return self.rmse

    @property
    def featured(self) -> str:
        """No member: features are not recorded."""
        return ""

    def only(self, names: Sequence[str]) -> Recorded:
        """Some of the members, in the order of `names`."""
        rmse = dict(zip(self.models, self.rmse, strict=False))
        return Recorded(tuple(names), tuple(rmse[name] for name in names if name in rmse))

    def for_frame(self, frame: Atoms, keys: LabelKeys) -> Recorded:
        """These members, or where there are none those of a frame: see `from_frame`."""
        return self if self.models else replace(self, models=Recorded.from_frame(frame, keys).models)

    def is_read(self, frame: Atoms) -> bool:
        """Always."""
        return True

    @classmethod
    def from_frame(cls, atoms: Atoms, keys: LabelKeys | None = None) -> Recorded:
        """The models whose `<model>_energy` and `<model>_forces` a frame carries, in its order, without the labels.

        Labels are those of `keys` and, whatever `keys` says, `REF_…`. Raises `FrameError` if no model is left.
        """
        keys, usual = keys or LabelKeys(), LabelKeys()
        labels = {keys.energy, keys.forces, usual.energy, usual.forces}
        named = [key.removesuffix("_energy") for key in atoms.info if key.endswith("_energy")]
        pairs = [(m, {f"{m}_energy", f"{m}_forces"}) for m in named if m and f"{m}_forces" in atoms.arrays]
        models = tuple(m for m, pair in pairs if not pair & labels)
        if not models:
            raise FrameError(
                f"no recorded members: needed <model>_energy and <model>_forces beside the labels, the frame has "
                f"{', '.join(sorted({*atoms.info, *atoms.arrays}))}. Give a members file with --members"
            )
        return cls(models)

    @property
    def label(self) -> str:
        return f"{len(self.models)} recorded members: {', '.join(self.models)}"

    def predict(self, frame: Atoms) -> Prediction:
        """The members of a frame of A atoms: `(M,)` eV, `(M, A, 3)` eV/Å, `(M, 6)` eV/Å³.

        Stress is there if the frame is periodic in all directions and has it from every model.
        Raises `FrameError` if the frame lacks a member, or one is not finite or of the wrong shape, `ValueError` where
        the members are not known yet.
        """
        if not self.models:
            raise ValueError("recorded: which members? They are those of the first frame once it is known")
        lacking = [m for m in self.models if f"{m}_energy" not in frame.info or f"{m}_forces" not in frame.arrays]
        if lacking:
            raise FrameError(
                f"no recorded energy and forces of {', '.join(lacking)}. Recorded members can't predict other frames; "
                f"compute them with the potentials that made the others, or give --members FILE.npz"
            )
        energy = np.array([_checked(m, "energy", frame.info[f"{m}_energy"], ()) for m in self.models])
        forces = np.array([_checked(m, "forces", frame.arrays[f"{m}_forces"], (len(frame), 3)) for m in self.models])
        stress = None
        if frame.pbc.all() and all(_has_stress(frame, m) for m in self.models):
            stress = np.array([_checked(m, "stress", frame.info[f"{m}_stress"], (6,)) for m in self.models])
        return Prediction(
            energy=float(energy.mean()),
            forces=forces.mean(axis=0),
            stress=None if stress is None else stress.mean(axis=0),
            energy_members=energy,
            forces_members=forces,
            stress_members=stress,
        )

    def state(self) -> dict[str, Any]:
        return {"models": list(self.models)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Recorded:
        """Members by name, `models=[…]`, or those of the first frame; `rmse=[…]`."""
        if "models" in settings and not settings["models"]:
            raise ValueError("recorded: needs one model or more, or none named for those of the first frame")
        return cls(tuple(settings.get("models", ())), tuple(settings.get("rmse", ())))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> Recorded:
        if not state["models"]:
            raise ValueError("recorded: needs one model or more")
        return cls(tuple(state["models"]))


def _has_stress(frame: Atoms, model: str) -> bool:
    stress = frame.info.get(f"{model}_stress")
    return stress is not None and not np.isnan(np.asarray(stress, dtype=np.float64)).all()


def _checked(model: str, what: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = np.array(value, dtype=np.float64)
    if shape == (6,) and array.size == 9:
        array = full_3x3_to_voigt_6_stress(array.reshape(3, 3))
    if shape == ():
        array = array.squeeze()
    if array.shape != shape:
        raise FrameError(f"recorded {what} of {model} has shape {array.shape}, needed {shape}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        atom = f", atom {bad[0][0]}" if what == "forces" else ""
        raise FrameError(f"recorded {what} of {model} is not finite{atom}: {array[tuple(bad[0])]}")
    return array
