"""Energies of several potentials on one scale: a shift for each member and species, by least squares.

Potentials count energies from other zeros: free atoms, other pseudopotentials, corrections of a database. Forces and
stress don't know of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from assay.frames.compositions import ALONE, FAIR_SHARE, _rms, _zero, told_by_others
from assay.frames.frame import FrameError
from assay.results.arrays import Array
from assay.results.warning import warn

LABELS = "labels"
"""What members are shifted onto, where it is not one of them."""

WILD = 5.0
"""Robust standard deviations beyond which an energy pulls no harder (Huber's k): far out, so that it is the least
squares of all frames unless some are wild."""
NEGLIGIBLE = 1e-6
"""eV/atom: no residual below this is wild."""
ITERATIONS = 100
SHOWN = 10
"""Species that a message names."""
FEW_SPECIES = 4
"""Up to so many species are shifted though no frame judges it: zeros are then a few numbers, learnt from few frames."""
FAR = 1.0
"""eV/atom: a median difference beyond which zeros are others, and energies that are left as they are surely wrong."""


@dataclass(frozen=True)
class EnergyReferences:
    """What is added to the energies of M members: `E'_k = E_k + Σ_s n_s δ_ks` for a frame with `n_s` atoms of s.

    | field | symbol | meaning | shape, unit |
    |---|---|---|---|
    | members | k | names of the members | `(M,)` |
    | species | s | chemical symbols, by atomic number | `(S,)` |
    | shifts | δ | of an atom | `(M, S)` eV |
    | onto | | `labels`, or the member that the others are shifted onto | |
    | frames | | how many frames they were fitted to | |
    | before, after | | RMSE over those frames | `(M,)` eV/atom |
    | left_out | | median residual of frames by shifts of all others; NaN if none can be judged | `(M,)` eV/atom |
    | judged | | how many frames can be: others have all their species, in other compositions | `(M,)` |
    | undetermined | | species whose own shift the compositions of the frames don't tell | |
    """

    members: tuple[str, ...]
    species: tuple[str, ...]
    shifts: Array
    onto: str
    frames: int
    before: Array
    after: Array
    left_out: Array
    judged: NDArray[np.int64]
    undetermined: tuple[str, ...] = ()

    def of(self, numbers: NDArray[Any]) -> Array:
        """`Σ_s n_s δ_ks` of a frame with these atomic numbers, `(M,)` eV.

        Raises `FrameError` for another species, unless all members keep their energies anyway.
        """
        counts = np.bincount(numbers, minlength=len(chemical_symbols))
        known = [atomic_numbers[symbol] for symbol in self.species]
        if self.shifts.any() and counts.sum() > counts[known].sum():
            new = [chemical_symbols[z] for z in np.flatnonzero(counts) if z not in known]
            raise FrameError(
                f"no reference energy of {', '.join(new)}: the references were fitted to {_some(self.species)}. "
                "Fit them to frames that have it too, or build with --references none, where forces are all you need"
            )
        return np.asarray(self.shifts @ counts[known])

    def only(self, members: Sequence[str]) -> Self:
        """Those of some members, in their order."""
        where = [self.members.index(each) for each in members]
        return replace(
            self,
            members=tuple(members),
            shifts=self.shifts[where],
            before=self.before[where],
            after=self.after[where],
            left_out=self.left_out[where],
            judged=self.judged[where],
        )

    def with_species(self, numbers: Sequence[int]) -> Self:
        """With these atomic numbers as well: those that no frame had have a shift of 0, and are `undetermined`."""
        new = tuple(chemical_symbols[z] for z in numbers if chemical_symbols[z] not in self.species)
        return replace(
            self,
            species=(*self.species, *new),
            shifts=np.hstack([self.shifts, np.zeros((len(self.members), len(new)))]),
            undetermined=(*self.undetermined, *new),
        )

    def summary(self) -> dict[str, Any]:
        """For people and provenance: residuals in meV/atom, shifts in eV."""
        return {
            "onto": self.onto,
            "frames": self.frames,
            "undetermined": list(self.undetermined),
            "members": {
                name: {
                    "before_meV_per_atom": 1000 * float(before),
                    "after_meV_per_atom": 1000 * float(after),
                    "left_out_meV_per_atom": None if np.isnan(left_out) else 1000 * float(left_out),
                    "judged_frames": int(judged),
                    "shift_eV": dict(zip(self.species, map(float, shifts), strict=True)),
                }
                for name, before, after, left_out, judged, shifts in zip(
                    self.members, self.before, self.after, self.left_out, self.judged, self.shifts, strict=True
                )
            },
        }

    def state(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        names = {key: tuple(state[key]) for key in ("members", "species", "undetermined")}
        return cls(**{**state, **names})


class ReferenceFold:
    """Fits `EnergyReferences`: `min_δ Σ_f ρ((E_f - E_kf - Σ_s n_fs δ_ks) / n_f)` for each member k over frames f.

    ρ is a square, with Huber's straight arms beyond `WILD` robust standard deviations (1.4826 median |residual|): a
    member that falls apart on a few frames, or a few wrong labels, would else move its energies of all others, and
    leaving frames out instead could leave out the only ones with some species. Of the shifts that fit as well, the
    smallest (minimum norm).

    A member keeps its energies where shifts of the other frames bring those of a frame no closer, neither in the mean
    square nor in the median: with few frames of many species, shifts of a member that has the right zeros already would
    only learn its errors. With more than `FEW_SPECIES` it takes both, or half the median (the mean square may be that
    of frames with a species that hardly any other has, and a median that is a little lower, chance), and at least half
    of the frames must be judged: the others are fitted exactly, whatever their energies. In memory are S + M numbers of
    each frame.
    """

    def __init__(self, members: Sequence[str], onto: str = LABELS) -> None:
        """Raises `ValueError` where `onto` is neither `labels` nor a member."""
        if onto != LABELS and onto not in members:
            raise ValueError(f"references onto {onto!r}: there are {LABELS} and {', '.join(members)}, and none")
        self.members, self.onto = tuple(members), onto
        self._counts: list[NDArray[np.int64]] = []
        self._differences: list[Array] = []

    def update(self, numbers: NDArray[Any], energies: Array, label: float | None = None) -> None:
        """Add one frame: its atomic numbers, its energies by the members `(M,)` and by its label, eV.

        Raises `FrameError` without a label, where they are shifted onto those, and for energies that are not finite.
        """
        target = label if self.onto == LABELS else float(energies[self.members.index(self.onto)])
        if target is None:
            raise FrameError("no label of the energy to shift members onto; shift them onto one member, or not at all")
        if not np.isfinite([target, *energies]).all():
            raise FrameError("energies of members are not finite")
        self._counts.append(np.bincount(numbers, minlength=len(chemical_symbols)))
        self._differences.append((target - np.asarray(energies)) / len(numbers))

    def merge(self, other: ReferenceFold) -> None:
        self._counts += other._counts
        self._differences += other._differences

    def result(self) -> EnergyReferences:
        """Warns of species whose shift the compositions don't determine, and of members that are not shifted for that.

        Raises `FrameError` without frames.
        """
        if not self._counts:
            raise FrameError("no frame to fit energy references to")
        counts = np.array(self._counts)
        numbers = np.flatnonzero(counts.any(axis=0))
        fractions = counts[:, numbers] / counts.sum(axis=1, keepdims=True)
        differences = np.array(self._differences)
        shifts, left_out, judged = map(np.array, zip(*(_fitted(fractions, one) for one in differences.T), strict=True))
        species = tuple(chemical_symbols[z] for z in numbers)
        undetermined = tuple(s for s, free in zip(species, _free(fractions), strict=True) if free)
        apart = _rms(differences) > NEGLIGIBLE
        if kept := [name for name, n, own in zip(self.members, judged, apart, strict=True) if own
                    and _too_few(n, len(counts), len(species))]:  # fmt: skip
            warn(
                f"energy references: {judged.min()} of {len(counts)} frames have other frames that tell the shifts of "
                f"all their species, too few to judge shifts of {len(species)} elements by: energies of "
                f"{', '.join(kept)} stay as they are. If their zeros are not those of the {self.onto}, energies and "
                "their bars mean nothing; add frames of other compositions of the same elements",
                stacklevel=2,
            )
        if undetermined and shifts.any():
            which = (
                ", ".join(undetermined)
                if len(undetermined) <= SHOWN
                else f"{len(undetermined)} of {len(species)} elements"
            )
            warn(
                f"energy references: the compositions of {len(counts)} frames don't determine the shift of "
                f"{which}; of those that fit as well, the smallest are taken, and energies of frames "
                "of other compositions will be off. Add frames of other compositions",
                stacklevel=2,
            )
        return EnergyReferences(
            members=self.members,
            species=species,
            shifts=shifts,
            onto=self.onto,
            frames=len(counts),
            before=_rms(differences),
            after=_rms(differences - fractions @ shifts.T),
            left_out=left_out,
            judged=judged,
            undetermined=undetermined,
        )


def _too_few(judged: int, frames: int, species: int) -> bool:
    return species > FEW_SPECIES and judged < FAIR_SHARE * frames


def _some(species: Sequence[str]) -> str:
    return ", ".join(species) if len(species) <= SHOWN else f"{len(species)} elements"


def _fitted(fractions: Array, differences: Array) -> tuple[Array, float, int]:
    """δ of one member, `(S,)`, its median residual of frames left out, how many could be; weighted till settled."""
    weights = np.ones(len(differences))
    for _ in range(ITERATIONS):
        root = np.sqrt(weights)
        shifts = np.linalg.lstsq(fractions * root[:, None], differences * root)[0]
        residuals = differences - fractions @ shifts
        limit = max(WILD * 1.4826 * float(np.median(np.abs(residuals))), NEGLIGIBLE)
        before, weights = weights, limit / np.maximum(np.abs(residuals), limit)
        if np.allclose(weights, before, rtol=1e-6, atol=0.0):
            break
    others = told_by_others(fractions * root[:, None])
    judged = others > ALONE
    count, too_few = int(judged.sum()), _too_few(int(judged.sum()), *fractions.shape)
    far = bool(np.median(np.abs(differences)) > FAR)
    if not count:
        return np.zeros(len(shifts)) if too_few and not far else np.asarray(shifts), np.nan, 0
    errors, before = np.abs(residuals[judged] / others[judged]), np.abs(differences[judged])
    left_out = np.median(errors)
    nearer, nearer_in_square = left_out < np.median(before), _rms(errors) < _rms(before)
    if fractions.shape[1] <= FEW_SPECIES:
        better = nearer or nearer_in_square
    else:
        better = not too_few and ((nearer and nearer_in_square) or left_out < np.median(before) / 2)
    return np.asarray(shifts if better or far else np.zeros(len(shifts))), float(left_out), count


def _free(fractions: Array) -> NDArray[np.bool_]:
    """Whether some change of the shifts that no frame notices moves that of a species, `(S,)`."""
    _, singular, rows = np.linalg.svd(np.linalg.qr(fractions, mode="r"), full_matrices=True)
    rank = int((singular > _zero(singular, fractions)).sum())
    return np.asarray(np.linalg.norm(rows[rank:], axis=0) > 1e-8)
