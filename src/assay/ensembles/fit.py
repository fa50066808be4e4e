"""What labelled frames say of the members of a committee: energy references, errors, weights, and which to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.ensembles.choice import choose_members
from assay.ensembles.member_check import BROKEN, MemberFold
from assay.ensembles.referenced import Referenced
from assay.ensembles.references import LABELS, EnergyReferences, ReferenceFold
from assay.ensembles.weights import MemberErrors, weights_of_rmse
from assay.execution.progress import Stage
from assay.execution.workers import Failure, Workers, map_frames, processes_of
from assay.frames.frame import Frame, FrameError, Skipped
from assay.results.arrays import Array
from assay.results.label_finding import Findings, LabelFinding, distinct
from assay.results.prediction import Prediction
from assay.results.warning import warn
from assay.sources.capabilities import HasMembers, prepare

NONE = "none"
"""Energies as the members give them."""


@dataclass(frozen=True)
class MemberChoice:
    """How members become one ensemble.

    | field | meaning |
    |---|---|
    | references | onto what energies are shifted: `labels`, the name of a member, or `none`; without it the labels, \
or the first member where training frames have none |
    | rmse | force RMSE of each member, `(M,)` eV/Å, from which weights follow; those that the source gives, or of the \
training frames, without |
    | best | keep so many members of the lowest RMSE; `auto`: as many as rank the largest errors best \
(forces of all members on all frames are in memory then) |
    """

    references: str = ""
    rmse: Sequence[float] = ()
    best: int | Literal["auto"] | None = None


OUTLYING = 5.0
"""Times the median force RMSE of the members, from which on one is not like the others."""


@dataclass(frozen=True)
class FittedMembers:
    """Some of the members of a source, made one ensemble.

    | field | meaning |
    |---|---|
    | source | of the M chosen members, with shifted energies |
    | weights | theirs, `(M,)`; `()` is equal ones |
    | references | what their energies are shifted by; `None` where they are as the members give them |
    | told | for people and provenance, what was measured of each member, and of those left out |
    | findings | members that contradict labels or each other |
    """

    source: HasMembers
    weights: tuple[float, ...] = ()
    references: EnergyReferences | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    findings: Findings = ()

    @property
    def count(self) -> int:
        """M."""
        return len(self.source.member_names)


def fit_members(
    source: HasMembers,
    frames: Callable[[], Iterator[Frame]],
    choice: MemberChoice,
    *,
    chosen: NDArray[np.bool_],
    workers: Workers = 1,
    stage: Stage = lambda name, total: None,
    failed: Skipped | None = None,
    on_frame: Callable[[Frame, Prediction], None] | None = None,
) -> FittedMembers:
    """Fit energy references and force RMSEs to the `chosen` frames, and keep the best members if asked to.

    | argument | meaning |
    |---|---|
    | source | the committee of M members |
    | frames | gives the training frames anew |
    | chosen | which of them to fit to, `(F,)` |
    | failed | receives `(origin, reason)` of frames on which a member failed; without it they raise |
    | on_frame | receives every frame with what the members said of it, energies as they give them |

    Raises
    ------
    FrameError
        a frame on which a member failed, or none on which all ran
    ValueError
        a reference or number of members that there can't be, RMSEs that are not of each member; members to choose
        among, and no labels to do it by
    """
    names = source.member_names
    given = _given_rmse(source.member_rmse, choice.rmse, names)
    if isinstance(choice.best, int) and not 2 <= choice.best <= len(names):
        raise ValueError(f"the {choice.best} best of {len(names)} members: give 2 to {len(names)}")

    def selected() -> Iterator[Frame]:
        return (frame for frame, use in zip(frames(), chosen, strict=True) if use)

    have_energy, have_forces = _labelled(selected())
    if choice.best == "auto" and not have_forces:
        raise ValueError("how many members are best is found by the errors of labelled frames, and these have none")
    onto = choice.references or (LABELS if have_energy else names[0])
    fold = None if onto == NONE else ReferenceFold(names, onto)
    errors, forces, labels = MemberErrors(), list[Array](), list[Array]()
    natoms, kinds, seen = list[int](), list[str](), 0
    checked = MemberFold(int(chosen.sum()))
    prepare(source, selected, workers=processes_of(workers), total=int(chosen.sum()), stage=stage)
    progress = stage("members", int(chosen.sum()))
    for frame, said in map_frames(_Members(source), selected(), workers=workers, progress=progress):
        if isinstance(said, Failure):
            if failed is None:
                raise FrameError(f"{said.origin}: {said.reason}")
            failed.append((said.origin, said.reason))
            continue
        assert said.energy_members is not None
        assert said.forces_members is not None
        seen += 1
        checked.update(frame, said)
        if on_frame is not None:
            on_frame(frame, said)
        if fold is not None and (onto != LABELS or not have_energy or frame.energy is not None):
            fold.update(frame.atoms.numbers, said.energy_members, frame.energy)
        if frame.forces is not None:
            errors.update(said.forces_members, frame.forces)
            if choice.best == "auto":
                forces.append(said.forces_members)
                labels.append(frame.forces)
                natoms.append(len(frame.atoms))
                kinds.append(frame.config_type)
    if not seen:
        raise FrameError("no training frame on which every member ran")
    findings = checked.findings(names)
    references = None if fold is None else fold.result()
    measured = errors.rmse if have_forces else None
    findings = _with_outliers(findings, measured, names)
    rmse = measured if given is None else given
    kept, choosing = list(range(len(names))), dict[str, Any]()
    if choice.best == "auto":
        found_best = choose_members(
            np.concatenate(forces, axis=1), np.concatenate(labels), np.cumsum([0, *natoms]),
            config_types=kinds, rmse=given,
        )  # fmt: skip
        kept, choosing = list(found_best.members), {"choice": found_best.told()}
    elif choice.best is not None:
        if rmse is None:
            raise ValueError(f"no RMSEs to tell the {choice.best} best members by: label the frames, or give --rmse")
        kept = sorted(np.argsort(rmse, kind="stable")[: choice.best].tolist())
    kept = _with_features(source.featured, kept, names)
    weights = _weights(rmse, kept, names)
    kept_names = [names[k] for k in kept]
    chosen_ones = source.only(kept_names)
    used = None if references is None else references.only(kept_names)
    fitted = chosen_ones if used is None else Referenced(chosen_ones, used)
    told = _told(names, kept, weights, references, measured, given, choosing)
    return FittedMembers(fitted, weights, used, told, findings)


def _labelled(frames: Iterator[Frame]) -> tuple[bool, bool]:
    """Whether any frame has an energy, and any forces; reads no further than it takes."""
    energy = forces = False
    for frame in frames:
        energy, forces = energy or frame.energy is not None, forces or frame.forces is not None
        if energy and forces:
            break
    return energy, forces


def _with_features(featured: str, kept: list[int], names: Sequence[str]) -> list[int]:
    """The kept members, and the one that gives its features if it is not among them."""
    if not featured or names.index(featured) in kept:
        return kept
    warn(f"member {featured} is not among the best and is kept for its features", stacklevel=3)
    return sorted([*kept, names.index(featured)])


def _with_outliers(found: Findings, rmse: Array | None, names: Sequence[str]) -> Findings:
    """What was found, and members that are far worse than the others though nothing says why: the mean then errs as
    they do, and any spread ranks its errors."""
    said = {each.member for each in found if each.cause != BROKEN}
    far = []
    for name, own in zip(names, () if rmse is None or len(names) < 3 else rmse, strict=False):
        if name not in said and own > OUTLYING * (typical := float(np.median(np.asarray(rmse)))):
            figures = {"rmse": float(own), "rmse_of_others": typical}
            far.append(
                LabelFinding(
                    "force",
                    BROKEN,
                    f"member {name}: its force RMSE is {own:.3g} eV/Å, that of a typical member {typical:.3g}. The "
                    "mean of the members errs with it, and its spread ranks those errors well, which says nothing of a "
                    "good ensemble",
                    "Leave it out",
                    figures,
                    name,
                )
            )
    return distinct((*far, *found))


@dataclass(frozen=True)
class _Members:
    """Members of a frame, and features, without what is not asked for: it would cost a worker process its way back."""

    source: HasMembers

    def __call__(self, frame: Frame) -> Prediction:
        said = self.source.predict(frame.atoms)
        if said.energy_members is None or said.forces_members is None:
            raise FrameError(f"no energies and forces of members: {self.source.label}")
        return Prediction(
            energy_members=said.energy_members, forces_members=said.forces_members, features=said.features
        )


def _given_rmse(own: Sequence[float | None], wanted: Sequence[float], names: Sequence[str]) -> Array | None:
    """RMSEs that the user gives, or the source; raises `ValueError` where they are not one for each member."""
    if not wanted:
        if lacking := [name for name, value in zip(names, own, strict=False) if value is None]:
            if len(lacking) < len(names):
                raise ValueError(f"no rmse of {', '.join(lacking)}: give that of every member, or of none")
            return None
        wanted = [value for value in own if value is not None]
    if not wanted:
        return None
    rmse = np.array(wanted, dtype=np.float64)
    if rmse.shape != (len(names),) or not (np.isfinite(rmse) & (rmse > 0)).all():
        raise ValueError(f"rmse {list(wanted)}: needed one above 0 for each of {', '.join(names)}")
    return rmse


def _weights(rmse: Array | None, kept: Sequence[int], names: Sequence[str]) -> tuple[float, ...]:
    if rmse is None or len(kept) < 2:
        return ()
    if (rmse[kept] == 0).any():
        without = ", ".join(names[k] for k in kept if rmse[k] == 0)
        warn(
            f"{without} predicts the forces of the training frames exactly, so these are its own and tell no weights: "
            "all members have the same. Leave it out, or give --rmse",
            stacklevel=3,
        )
        return ()
    return weights_of_rmse(rmse[kept])


def _told(
    names: Sequence[str],
    kept: Sequence[int],
    weights: Sequence[float],
    references: EnergyReferences | None,
    measured: Array | None,
    given: Array | None,
    choosing: Mapping[str, Any],
) -> dict[str, Any]:
    weight_of = dict(zip(kept, weights or [1 / len(kept)] * len(kept), strict=True))
    shown = None if references is None else references.summary()
    return {
        "references": NONE if shown is None else shown["onto"],
        "frames": 0 if references is None else references.frames,
        "undetermined": [] if shown is None else shown["undetermined"],
        "members": [
            {
                "name": name,
                "used": k in weight_of,
                "weight": weight_of.get(k, 0.0),
                "force_rmse_eV_per_A": None if measured is None else float(measured[k]),
                "given_rmse": None if given is None else float(given[k]),
                **({} if shown is None else shown["members"][name]),
            }
            for k, name in enumerate(names)
        ],
        **choosing,
    }
