"""Assessments whose truth is known: errors drawn from the very normal distributions that the bars state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.build import bulk

from assay.evaluation.evaluate import evaluated
from assay.evaluation.result import EvaluationResult
from assay.report.evaluation.quantities import atom_force_bar, riskiest_frame
from assay.results.assessment import Assessment
from assay.results.batch import Batch, Labels
from assay.results.envelope import Envelope
from assay.results.error_bars import ErrorBar, Gaussian, Interval
from assay.results.per_quantity import PerQuantity, together
from assay.results.score import Score

GROUPS = {"bulk": 0.03, "surface": 0.08, "liquid": 0.2}
"""Typical force error of each group of frames, eV/Å."""


def make(
    frames: int = 60,
    atoms: int = 40,
    bars: Literal["gaussian", "interval", "none"] = "gaussian",
    stress: bool = True,
    names: tuple[str, ...] | None = None,
    failed: tuple[tuple[str, str], ...] = (),
    seed: int = 0,
) -> tuple[Assessment, Labels]:
    """Frames of SiO₂-like numbers in three groups with heteroscedastic normal errors, and their labels."""
    rng = np.random.default_rng(seed)
    groups = tuple(list(GROUPS)[f % 3] for f in range(frames))
    scale = np.repeat([GROUPS[group] for group in groups], atoms)
    sigma = scale * rng.lognormal(0.0, 0.35, frames * atoms)
    numbers = np.tile(np.resize([14, 8, 8], atoms), frames)
    forces = rng.normal(size=(frames * atoms, 3))
    energy = rng.normal(-5.0, 0.3, frames) * atoms
    sigma_e = np.array([GROUPS[group] for group in groups]) / 20 * rng.lognormal(0.0, 0.3, frames)
    stresses = rng.normal(0.0, 0.01, (frames, 6))
    labels = Labels(
        energy + atoms * sigma_e * rng.normal(size=frames),
        forces + sigma[:, None] * rng.normal(size=forces.shape),
        stresses + 1e-3 * rng.normal(size=(frames, 6)) if stress else None,
    )
    gamma = 9.0 * sigma * rng.lognormal(0.0, 0.25, len(sigma))
    per_frame = gamma.reshape(frames, atoms).max(axis=1)

    scores = [
        Score("gamma", "atom", gamma, 1.5),
        Score("committee_force", "atom", 0.4 * sigma),
        Score("gamma", "frame", per_frame, 1.5),
    ]

    def bar(mean: np.ndarray, std: np.ndarray, unit: str) -> ErrorBar | None:
        if bars == "none":
            return None
        if bars == "gaussian":
            return Gaussian(mean, std, unit)
        return Interval(mean, std, np.sort(np.abs(np.random.default_rng(1).normal(size=400))), unit)

    batch = Batch(
        names=names or tuple(f"validation/{group}.extxyz:{f}" for f, group in enumerate(groups)),
        config_types=groups,
        offsets=np.arange(frames + 1) * atoms,
        numbers=numbers,
        energy=energy,
        forces=forces,
        stress=stresses if stress else None,
        scores={(score.name, score.level): score.values for score in scores},
        spreads={},
        still=np.zeros((frames * atoms, 3), dtype=bool),
    )
    assessment = Assessment(
        batch=batch,
        scores={(score.name, score.level): score for score in scores},
        bar="committee_force:scale" if bars != "none" else "",
        bars=PerQuantity(
            energy=bar(energy / atoms, sigma_e, "eV/atom"),
            force=bar(forces, np.repeat(sigma[:, None], 3, axis=1), "eV/Å"),
            stress=bar(stresses, np.full((frames, 6), 1e-3), "eV/Å³") if stress else None,
        ),
        failed=failed,
    )
    return assessment, labels


def with_members(assessment: Assessment, members: int = 50, seed: int = 3) -> Assessment:
    """The assessment with members drawn from its own Gaussian bars, but a third as wide."""
    rng = np.random.default_rng(seed)
    batch = assessment.batch
    best = PerQuantity(batch.energy, batch.forces, batch.stress)
    envelopes = {}
    for quantity, bar, predicted in together(assessment.bars, best):
        if isinstance(bar, Gaussian):
            drawn = bar.mean + bar.std / 3 * rng.normal(size=(members, *bar.mean.shape))
            envelopes[quantity] = Envelope.of(batch.natoms * drawn if quantity == "energy" else drawn, predicted)
    return changed(assessment, envelopes=PerQuantity.of(envelopes), members=members)


def changed(assessment: Assessment, **columns: Any) -> Assessment:
    """The assessment with other columns of its frames, such as `still=…`."""
    return replace(assessment, batch=replace(assessment.batch, **columns))


def with_bars(assessment: Assessment, **bars: ErrorBar | None) -> Assessment:
    """The assessment with other error bars of some quantities, such as `force=…`."""
    return replace(assessment, bars=replace(assessment.bars, **bars))


def training(seed: int = 5) -> dict[Any, np.ndarray]:
    """Scores of a sample of training frames."""
    rng = np.random.default_rng(seed)
    gamma = np.minimum(0.45 * rng.lognormal(0.0, 0.45, 2000), 1.5)
    return {
        ("gamma", "atom"): gamma,
        ("committee_force", "atom"): 0.02 * rng.lognormal(0.0, 0.5, 2000),
        ("gamma", "frame"): gamma.reshape(-1, 40).max(axis=1),
    }


def evaluate(assessment: Assessment, labels: Labels) -> EvaluationResult:
    """What `assay.evaluate` gives for these frames."""

    def constant(quantity: str, mean: np.ndarray) -> ErrorBar:
        width = {"energy": 5e-3, "force": 0.1, "stress": 1e-3}[quantity]
        return Gaussian(mean, np.full(mean.shape, width), "")

    return evaluated(changed(assessment, labels=labels), constant)


def structure(assessment: Assessment) -> Atoms:
    """A structure with the atoms and bars of the riskiest frame."""
    frame = riskiest_frame(assessment)
    bar = atom_force_bar(assessment)
    assert frame is not None
    assert bar is not None
    span = slice(*assessment.batch.offsets[frame : frame + 2])
    crystal = bulk("Si", cubic=True).repeat(int(np.ceil(np.cbrt((span.stop - span.start) / 8))))[
        : span.stop - span.start
    ]
    crystal.rattle(0.2, seed=0)
    atoms = Atoms(
        assessment.batch.numbers[span],
        crystal.positions,
        cell=np.diag(np.ptp(crystal.positions, axis=0) + 1.0),
        pbc=True,
    )
    atoms.info["origin"] = assessment.batch.names[frame]
    atoms.arrays["force_error_bar"] = bar[span]
    return atoms
