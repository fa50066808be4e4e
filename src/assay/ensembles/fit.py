"""What labelled frames say of the members of a committee: energy references, errors, weights, and which to use."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.ensembles.choice import choose_members
from assay.ensembles.weights import MemberErrors, weights_of_rmse
from assay.execution.progress import Stage
from assay.execution.workers import Failure, map_frames
from assay.frames.frame import Frame, FrameError, Skipped
from assay.results.arrays import Array
from assay.sources.capabilities import Source
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.recording import record
from assay.sources.energy_references import LABELS, EnergyReferences, ReferenceFold
from assay.sources.recorded.recorded import Recorded
from assay.sources.referenced import Referenced, member_names, only_members

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
    rmse: tuple[float, ...] = ()
    best: int | Literal["auto"] | None = None

    def with_settings(self, settings: Mapping[str, Any]) -> MemberChoice:
        """This choice, with the RMSEs of a recorded source's settings where it has none."""
        return self if self.rmse or "rmse" not in settings else replace(self, rmse=tuple(settings["rmse"]))


OUTLYING = 5.0
"""Times the median force RMSE of the members, from which on one is not like the others."""


@dataclass(frozen=True)
class FittedMembers:
    """A source with shifted energies and the chosen members, and their weights `(M,)`; `()` is equal ones.

    `told`: for people and provenance, what was measured of each member, and of those left out.
    """

    source: AseCommittee | Recorded | Referenced
    weights: tuple[float, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """M."""
        return len(self.source.references.members if isinstance(self.source, Referenced) else member_names(self.source))


def fit_members(
    source: AseCommittee | Recorded,
    frames: Callable[[], Iterator[Frame]],
    choice: MemberChoice,
    *,
    chosen: NDArray[np.bool_],
    workers: int = 1,
    stage: Stage = lambda name, total: None,
    failed: Skipped | None = None,
    on_frame: Callable[[Frame, Predicted], None] | None = None,
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
    names = member_names(source)
    given = _given_rmse(source, choice.rmse, names)
    if isinstance(choice.best, int) and not 2 <= choice.best <= len(names):
        raise ValueError(f"the {choice.best} best of {len(names)} members: give 2 to {len(names)}")

    def selected() -> Iterator[Frame]:
        return (frame for frame, use in zip(frames(), chosen, strict=True) if use)

    first = next(selected(), None)
    labelled = first is not None and first.energy is not None and first.forces is not None
    if choice.best == "auto" and not labelled:
        raise ValueError("how many members are best is found by the errors of labelled frames, and these have none")
    onto = choice.references or (LABELS if labelled else names[0])
    fold = None if onto == NONE else ReferenceFold(names, onto)
    errors, forces, labels = MemberErrors(), list[Array](), list[Array]()
    natoms, kinds = list[int](), list[str]()
    keep_evaluations(source, selected, workers=workers, total=int(chosen.sum()), stage=stage)
    progress = stage("members", int(chosen.sum()))
    for frame, found in map_frames(_Members(source), selected(), workers=workers, progress=progress):
        if isinstance(found, Failure):
            if failed is None:
                raise FrameError(f"{found.origin}: {found.reason}")
            failed.append((found.origin, found.reason))
            continue
        natoms.append(len(frame.atoms))
        if on_frame is not None:
            on_frame(frame, found)
        if fold is not None:
            fold.update(frame.atoms.numbers, found.energies, frame.energy)
        if frame.forces is not None:
            errors.update(found.forces, frame.forces)
            if choice.best == "auto":
                forces.append(found.forces)
                labels.append(frame.forces)
                kinds.append(frame.config_type)
    if not natoms:
        raise FrameError("no training frame on which every member ran")
    references = None if fold is None else fold.result()
    measured = errors.rmse if labelled else None
    if measured is not None:
        _warn_of_outliers(measured, names)
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
    kept = _with_features(source, kept, names)
    weights = _weights(rmse, kept, names)
    kept_names = [names[k] for k in kept]
    restricted = only_members(source, kept_names)
    fitted = restricted if references is None else Referenced(restricted, references.only(kept_names))
    return FittedMembers(fitted, weights, _told(names, kept, weights, references, measured, given, choosing))


def _with_features(source: AseCommittee | Recorded, kept: list[int], names: Sequence[str]) -> list[int]:
    """The kept members, and the one that gives its features if it is not among them."""
    featured = source.features if isinstance(source, AseCommittee) else ""
    if not featured or names.index(featured) in kept:
        return kept
    warnings.warn(f"member {featured} is not among the best and is kept for its features", stacklevel=3)
    return sorted([*kept, names.index(featured)])


def keep_evaluations(
    source: Source, frames: Callable[[], Iterable[Frame]], *, workers: int, total: int | None, stage: Stage | None
) -> None:
    """Let potentials that run see the frames in batches, one potential after the other, before single ones.

    Does nothing for other sources, and where there is no cache; arguments as in
    `assay.sources.committees.recording.record`.
    """
    committee = source.source if isinstance(source, Referenced) else source
    if isinstance(committee, AseCommittee):
        record(committee, frames, workers=workers, total=total, stage=stage)


@dataclass(frozen=True)
class Predicted:
    """What M members say of a frame: `(M,)` eV, `(M, A, 3)` eV/Å, and features `(A, D)` of the one that gives them."""

    energies: Array
    forces: Array
    features: Array | None


def _warn_of_outliers(rmse: Array, names: Sequence[str]) -> None:
    """Of members that are far worse than the others: the mean then errs as they do, and any spread ranks its errors."""
    for name, own in zip(names, rmse, strict=True):
        if len(names) > 2 and own > OUTLYING * (typical := float(np.median(rmse))):
            warnings.warn(
                f"member {name}: its force RMSE is {own:.3g} eV/Å, that of a typical member {typical:.3g}. The mean of "
                "the members errs with it, and its spread ranks those errors well, which says nothing of a good "
                "ensemble. Leave it out",
                stacklevel=3,
            )


@dataclass(frozen=True)
class _Members:
    source: Source

    def __call__(self, frame: Frame) -> Predicted:
        told = self.source.predict(frame.atoms)
        assert told.energy_members is not None
        assert told.forces_members is not None
        return Predicted(told.energy_members, told.forces_members, told.features)


def _given_rmse(source: AseCommittee | Recorded, wanted: Sequence[float], names: Sequence[str]) -> Array | None:
    """RMSEs that the user gives, or the source; raises `ValueError` where they are not one for each member."""
    if not wanted and isinstance(source, AseCommittee):
        of_members = [member.rmse for member in source.members]
        if lacking := [n for n, value in zip(names, of_members, strict=True) if value is None]:
            if len(lacking) < len(names):
                raise ValueError(f"no rmse of {', '.join(lacking)}: give that of every member, or of none")
            return None
        wanted = [value for value in of_members if value is not None]
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
        warnings.warn(
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
