"""A linear potential with every posterior, from rows that are evaluated once; and what they say of frames.

| posterior | members |
|---|---|
| pops | uniform in the box around all corrections, as Assay draws them by default |
| pops-published | the same with the defaults of the published implementation: rows of the upper half of leverages, axes
  orthonormal in the coefficients |
| pops-corrections | corrections of single labels, drawn from all |
| pops-all-rows | the default box, but with rows that vanish by symmetry |
| bayesian | of Bayesian ridge regression |
| bootstrap | fits to groups of frames drawn with replacement |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from assay.execution.workers import Failure, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, content_hash
from assay.linear.fit import fit_linear
from assay.linear.normal_equations import NormalEquations, choose_ridge
from assay.linear.posteriors.bayesian_ridge import BayesianRidge
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.linear.posteriors.pops import Corrections, Hypercube
from assay.linear.posteriors.protocol import Fit
from assay.linear.potential import LinearPotential
from assay.linear.rows_file import RowsFile
from assay.linear.weights import Weights
from assay.metrics import envelope_violation, envelope_violation_interval
from assay.metrics.envelope import error_ratio_histogram, error_ratio_quantiles, error_ratios
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.envelope import Envelope
from assay.sources.snap.rows import Snap

DEFAULTS = ("pops", "pops-published", "pops-corrections", "bayesian", "bootstrap")
ALL_ROWS = "pops-all-rows"
QUANTILES = (0.5, 0.683, 0.954, 0.99)
EDGES = np.linspace(-6, 6, 25)
VANISHING = (1e-2, 1e-3)
"""eV/Å: a force component with a label and a prediction below these vanishes by symmetry."""
SAMPLED = 20
"""Members whose deviations from the best fit are pooled."""


@dataclass(frozen=True)
class Rows:
    """The rows of a frame, evaluated."""

    source: Snap

    def __call__(self, frame: Frame) -> Design:
        return self.source.design(frame.atoms)


def designs(source: Snap, frames: Sequence[Frame], workers: int) -> dict[str, Design]:
    """Rows by content hash."""
    found = {}
    for frame, design in map_frames(Rows(source), frames, workers=workers):
        if isinstance(design, Failure):
            raise RuntimeError(f"{design.origin}: {design.reason}")
        found[content_hash(frame.atoms)] = design
    return found


@dataclass(frozen=True)
class Stored:
    """A source whose rows are at hand."""

    kind: ClassVar[str] = "stored"

    source: Snap
    rows: dict[str, Design]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def design(self, frame: Atoms) -> Design:
        return self.rows[content_hash(frame)]


@dataclass(frozen=True)
class Several:
    """Best fit and members of several posteriors, one after the other, as the members of one."""

    name: ClassVar[str] = "several"
    needs_rows: ClassVar[bool] = True

    names: tuple[str, ...]
    members: int
    resampled: int

    def fit(self, equations: NormalEquations, rows: RowsFile | None, seed: int) -> Fit:
        assert rows is not None
        ridge, system = choose_ridge(equations), equations.system()
        factor = system.stable_factor(ridge)
        theta = factor.solve(system.moment)

        def corrections(**settings: float) -> Corrections:
            return Corrections.fit(rows.rows, rows.targets, factor, theta, **settings)

        every = corrections()
        found = []
        for name in self.names:
            if name == "pops":
                fit = Fit(theta, theta + Hypercube.fit(every).draw(self.members, seed), ridge)
            elif name == "pops-published":
                box = Hypercube.fit(corrections(leverage_percentile=50.0), metric="coefficients")
                fit = Fit(theta, theta + box.draw(self.members, seed), ridge)
            elif name == "pops-corrections":
                fit = Fit(theta, theta + every.drawn(self.members, seed), ridge)
            elif name == ALL_ROWS:
                fit = Fit(theta, theta + Hypercube.fit(corrections(negligible=0.0)).draw(self.members, seed), ridge)
            elif name == "bayesian":
                fit = BayesianRidge(self.members).fit(equations, None, seed)
            else:
                fit = Bootstrap(self.resampled).fit(equations, None, seed)
            found.append(np.vstack([fit.theta, fit.members]))
        return Fit(theta, np.concatenate(found), ridge)


def fitted(
    source: Snap,
    rows: dict[str, Design],
    frames: Sequence[Frame],
    *,
    members: int,
    resampled: int,
    names: Sequence[str] = DEFAULTS,
) -> dict[str, LinearPotential]:
    """The potential with M members of each posterior (of the bootstrap `resampled`), with the weights of Eq. 9."""
    together = fit_linear(
        frames,
        Survey.fit(frames),
        Stored(source, rows),
        chosen=np.ones(len(frames), dtype=bool),
        weights=Weights("exponential"),
        posterior=Several(tuple(names), members, resampled),
    )
    counts = [1 + (resampled if name == "bootstrap" else members) for name in names]
    parts = np.split(together.members, np.cumsum(counts)[:-1])
    return {
        name: LinearPotential(source, part[0], part[1:], together.ridge, name)
        for name, part in zip(names, parts, strict=True)
    }


def save(path: Path, potentials: Mapping[str, LinearPotential]) -> None:
    """Coefficients of every posterior, to take up again."""
    arrays = {f"{name} {of}": getattr(p, of) for name, p in potentials.items() for of in ("theta", "members", "ridge")}
    np.savez(path, **arrays)


def load(path: Path, source: Snap, names: Sequence[str]) -> dict[str, LinearPotential]:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {
            name: LinearPotential(
                source, file[f"{name} theta"], file[f"{name} members"], float(file[f"{name} ridge"]), name
            )
            for name in names
        }


@dataclass(frozen=True)
class Told:
    """Labels of n values and what one posterior says of them.

    | field | meaning | shape |
    |---|---|---|
    | label, best | DFT, and best fit | `(n,)` |
    | envelope | of members and best fit | `(n,)` |
    | deviations | of a few members from the best fit | `(SAMPLED, n)` |
    | frame | of each value | `(n,)` |
    """

    label: Array
    best: Array
    envelope: Envelope
    deviations: Array
    frame: Array

    @classmethod
    def of(cls, label: Array, told: Array, frame: int) -> Told:
        """From predictions of best fit and members, `(1 + M, n)`."""
        best, members = told[0], told[1:]
        envelope = Envelope.of(members, best)
        return cls(label, best, envelope, members[:SAMPLED] - best, np.full(len(label), frame))

    @classmethod
    def joined(cls, parts: Sequence[Told]) -> Told:
        def column(of: Any) -> Array:
            return np.concatenate([of(each) for each in parts], axis=-1)

        ends = (lambda t: t.envelope.std, lambda t: t.envelope.low, lambda t: t.envelope.high)
        return cls(
            column(lambda t: t.label),
            column(lambda t: t.best),
            Envelope(*map(column, ends)),
            column(lambda t: t.deviations),
            column(lambda t: t.frame),
        )

    def __getitem__(self, kept: Any) -> Told:
        e = self.envelope
        return Told(
            self.label[kept],
            self.best[kept],
            Envelope(e.std[kept], e.low[kept], e.high[kept]),
            self.deviations[:, kept],
            self.frame[kept],
        )

    @property
    def vanishing(self) -> Array:
        """Which force components symmetry sets to zero, `(n,)`."""
        return (np.abs(self.label) < VANISHING[0]) & (np.abs(self.best) < VANISHING[1])

    def figures(self) -> dict[str, Any]:
        """Errors, envelope violation with its interval, and errors beside the spread."""
        error, e = self.best - self.label, self.envelope
        quantiles = error_ratio_quantiles(error, e.std, QUANTILES)
        shares, _ = error_ratio_histogram(error, e.std, EDGES)
        ratios = np.abs(error_ratios(error, e.std))
        return {
            "values": len(error),
            "frames": len(np.unique(self.frame)),
            "mae": float(np.abs(error).mean()),
            "rmse": float(np.sqrt((error**2).mean())),
            "largest_error": float(np.abs(error).max()),
            "envelope_violation": envelope_violation(self.label, e.low, e.high),
            "interval_95": envelope_violation_interval(self.label, e.low, e.high, self.frame),
            "mean_std": float(e.std.mean()),
            "mean_width": float((e.high - e.low).mean()),
            "mean_error_over_std": float(ratios[np.isfinite(ratios)].mean()),
            "error_over_std": {f"{level:g}": ratio for level, ratio in quantiles.items()},
            "error": [float(q) for q in np.quantile(np.abs(error), QUANTILES)],
            "member_deviation": [float(q) for q in np.quantile(np.abs(self.deviations), QUANTILES)],
            "histogram": {"first": EDGES[0], "last": EDGES[-1], "shares": shares.tolist()},
        }


Parts = dict[str, tuple[Told, Told]]
"""Posterior → energies per atom (eV) and force components (eV/Å)."""


def told(
    potentials: dict[str, LinearPotential],
    rows: dict[str, Design],
    frames: Sequence[Frame],
    chosen: Sequence[int] | None = None,
) -> Parts:
    """What potentials say of the chosen frames, by default all."""
    found: dict[str, tuple[list[Told], list[Told]]] = {name: ([], []) for name in potentials}
    everyone = np.concatenate([np.vstack([p.theta, p.members]) for p in potentials.values()])
    ends = np.cumsum([1 + len(p.members) for p in potentials.values()])[:-1]
    for index in range(len(frames)) if chosen is None else chosen:
        frame = frames[index]
        assert frame.energy is not None
        assert frame.forces is not None
        n, design = len(frame.atoms), rows[content_hash(frame.atoms)]
        said = design.predictions(everyone)
        assert said.energy_members is not None
        assert said.forces_members is not None
        forces = np.split(said.forces_members.reshape(len(everyone), -1), ends)
        for name, e, f in zip(potentials, np.split(said.energy_members, ends), forces, strict=True):
            found[name][0].append(Told.of(np.array([frame.energy / n]), e[:, None] / n, index))
            found[name][1].append(Told.of(frame.forces.ravel(), f, index))
    return {name: (Told.joined(energies), Told.joined(forces)) for name, (energies, forces) in found.items()}


def judged(parts: Parts) -> dict[str, Any]:
    """Figures of energies and of force components, with and without those that vanish by symmetry."""
    return {
        name: {
            "energy": energies.figures(),
            "force": forces[~forces.vanishing].figures() | {"vanishing_left_out": int(forces.vanishing.sum())},
            "force_with_vanishing": forces.figures(),
        }
        for name, (energies, forces) in parts.items()
    }


def crossed(
    source: Snap, rows: dict[str, Design], frames: Sequence[Frame], folds: int = 5, seed: int = 0, **fit: Any
) -> Parts:
    """Every frame as potentials see it that were fitted to the other folds; folds at random."""
    order = np.random.default_rng(seed).permutation(len(frames))
    parts = []
    for fold in range(folds):
        held = np.sort(order[fold::folds])
        potentials = fitted(source, rows, [frames[i] for i in np.setdiff1d(order, held)], **fit)
        parts.append(told(potentials, rows, frames, held.tolist()))
    return {name: tuple(Told.joined([p[name][k] for p in parts]) for k in (0, 1)) for name in parts[0]}  # type: ignore[misc]
