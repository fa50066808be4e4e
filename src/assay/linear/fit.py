"""Fit a linear potential and its ensemble in one pass over the training frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from assay.execution.workers import Failure, Progress, Workers, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, Skipped
from assay.frames.splits import contiguous_blocks
from assay.linear.normal_equations import NormalEquations
from assay.linear.posteriors.protocol import Posterior
from assay.linear.potential import LinearPotential
from assay.linear.rows_file import RowsFile
from assay.linear.weights import Weights
from assay.results.arrays import Array
from assay.results.design import Design
from assay.sources.capabilities import Corrects, LinearSource

GRAM_MEMORY = 6e8
"""Bytes that the groups' Gram matrices may take together."""


@dataclass(frozen=True)
class _Rows:
    source: LinearSource

    def __call__(self, frame: Frame) -> Design:
        return self.source.design(frame.atoms)


def fit_linear(
    frames: Iterable[Frame],
    survey: Survey,
    source: LinearSource,
    *,
    chosen: NDArray[np.bool_],
    posterior: Posterior,
    residual: Survey | None = None,
    weights: Weights | None = None,
    groups: int = 20,
    seed: int = 0,
    workers: Workers = 1,
    progress: Progress | None = None,
    on_design: Callable[[Frame, Design], None] | None = None,
    failed: Skipped | None = None,
) -> LinearPotential:
    """Weighted regularised least squares of energies per atom, forces and stresses, and an ensemble of coefficients.

    Frames are divided into groups (contiguous blocks of each config_type), for cross-validation and the bootstrap.

    Parameters
    ----------
    frames
        the frames that `survey` has seen, in the same order
    chosen
        which of them to fit, `(F,)`; the others are passed over
    posterior
        of the coefficients, with its number of members
    residual
        the survey of what a potential leaves of the labels, where a corrector of it is fitted: it needs no reference
        energies, and constants of species are shrunk with the other coefficients
    on_design
        called with every fitted frame and its rows, for other fits on the same pass
    failed
        receives `(origin, reason)` of frames that could not be evaluated; without it they raise `FrameError`
    """
    if isinstance(source, Corrects) and residual is None:
        raise ValueError(
            f"{source.label}: only assay build and compare fit correctors, which learn the axes of features before"
        )
    weights = weights or Weights()
    p = source.coefficients
    group_of = groups_of_frames(survey, chosen, p, groups)

    frame_weight = weights.frame(survey, chosen)
    if frame_weight.sum() <= 0:
        raise ValueError("weights: every training frame has weight zero")
    references = survey.reference_energies(frame_weight) if residual is None else np.zeros(len(survey.species))
    scales, force_total = _normalisation(residual or survey, chosen, weights, frame_weight, references)
    energy_weight, stress_weight = (_shares(frame_weight, has) for has in _energies_and_stresses(survey))
    equations = NormalEquations(p, int(group_of.max()) + 1)
    kept = RowsFile(p) if posterior.needs_rows else None
    selected = (frame for frame, use in zip(frames, chosen, strict=True) if use)
    evaluated = map_frames(_Rows(source), selected, workers=workers, progress=progress)
    for i, (frame, design) in zip(np.flatnonzero(chosen), evaluated, strict=True):
        if isinstance(design, Failure):
            if failed is None:
                raise FrameError(f"{design.origin}: {design.reason}")
            failed.append((design.origin, design.reason))
            continue
        rows, targets = _weighted(
            frame,
            design,
            survey.counts[i] @ references,
            scales,
            {"energy": energy_weight[i], "stress": stress_weight[i]},
            weights.atoms(frame) / force_total,
        )
        equations.update(int(group_of[i]), rows, targets)
        if kept:
            kept.append(rows, targets)
        if on_design:
            on_design(frame, design)

    if not equations.rows:
        raise FrameError("no training frame could be evaluated")
    fit = posterior.fit(equations, kept, seed)
    constants = np.zeros(p)
    for species, energy in zip(survey.species, references, strict=True):
        if species in source.species:  # in the order of the source, which may know more of them, or fewer
            constants[source.species.index(species)] = energy
    return LinearPotential(source, fit.theta + constants, fit.members + constants, fit.ridge, posterior.name)


def groups_of_frames(
    survey: Survey, chosen: NDArray[np.bool_], coefficients: int, groups: int = 20
) -> NDArray[np.int64]:
    """The group of each frame, `(F,)`: contiguous blocks of each config_type, fewer where memory asks so.

    Frames that are not `chosen` count as of group 0.
    """
    most = min(groups, max(1, int(chosen.sum())))
    group_of = np.zeros(len(survey), dtype=np.int64)
    fit_in_memory = int(np.clip(GRAM_MEMORY // (8 * coefficients**2), min(4, most), most))
    group_of[chosen] = contiguous_blocks(np.array(survey.config_types)[chosen], fit_in_memory)
    return group_of


def _energies_and_stresses(survey: Survey) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames have a label of the energy, and which one of the stress, `(F,)` each."""
    return ~np.isnan(survey.energy), ~np.isnan(survey.stress_square)


def _shares(weight: Array, there: NDArray[np.bool_]) -> Array:
    """Of the frames with such a label, 1 in all, `(F,)`."""
    own = np.where(there, weight, 0.0)
    return np.asarray(own / (own.sum() or 1.0))


def _normalisation(
    survey: Survey, chosen: NDArray[np.bool_], weights: Weights, frame_weight: Array, references: Array
) -> tuple[dict[str, float], float]:
    """Scales of the three kinds of labels, and the total of the force weights, over the frames that have them."""
    n, has_forces = survey.natoms, ~np.isnan(survey.force_square)
    if weights.scheme == "exponential":
        here = chosen & has_forces
        return {"energy": 1.0, "force": 1.0, "stress": 1.0}, float(3 * n[here] @ survey.force_decay[here]) or 1.0
    has_energy, has_stress = _energies_and_stresses(survey)
    above = (survey.energy - survey.counts @ references) / n
    squares = {
        "energy": _mean(above**2, frame_weight, has_energy),
        "force": _mean(survey.force_square, n * frame_weight, has_forces),
        "stress": _mean(survey.stress_square, frame_weight, has_stress),
    }
    total = float(3 * n[has_forces] @ frame_weight[has_forces])
    return {kind: sqrt(square) or 1.0 for kind, square in squares.items()}, total or 1.0


def _mean(values: Array, weights: Array, there: NDArray[np.bool_]) -> float:
    """Weighted mean of those that are there; 0 without any."""
    own = weights[there]
    return float(np.average(values[there], weights=own)) if own.any() else 0.0


def _weighted(
    frame: Frame,
    design: Design,
    reference: float,
    scales: dict[str, float],
    frame_weight: dict[str, float],
    atom_weight: Array,
) -> tuple[Array, Array]:
    """Weighted rows `(n, P)` and targets `(n,)`: energy per atom, forces and stress, each where it is labelled."""
    n = len(frame.atoms)
    rows, targets = [np.empty((0, design.energy_row.size))], [np.empty(0)]
    if frame.energy is not None:
        energy_weight = np.sqrt(frame_weight["energy"]) / scales["energy"] / n
        rows.append(energy_weight * design.energy_row[None])
        targets.append(energy_weight * np.array([frame.energy - design.reference_energy - reference]))
    if frame.forces is not None and design.force_rows is not None:
        force_weight = np.repeat(np.sqrt(atom_weight), 3) / scales["force"]
        rows.append(force_weight[:, None] * design.force_rows)
        targets.append(force_weight * (frame.forces - design.reference_forces).ravel())
    if frame.stress is not None and design.stress_rows is not None:
        stress_weight = np.sqrt(frame_weight["stress"] / 6) / scales["stress"]
        rows.append(stress_weight * design.stress_rows)
        targets.append(stress_weight * (frame.stress - design.reference_stress))
    return np.concatenate(rows), np.concatenate(targets)
