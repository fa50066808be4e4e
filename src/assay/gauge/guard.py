"""Stop molecular dynamics that leaves what the potential knows, and keep the frame for labelling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from assay.frames.writing import append_frame, require_frames_name
from assay.gauge.calculator import GaugeCalculator
from assay.gauge.gauge import Gauge
from assay.results.score import lead
from assay.scores.features.emptiness import EMPTINESS


class GuardStop(RuntimeError):
    """A guard has stopped the run; `atoms` is the frame, `value` the score, `saved` whether it was kept."""

    def __init__(self, message: str, atoms: Atoms, value: float, saved: bool) -> None:
        super().__init__(message)
        self.atoms, self.value, self.saved = atoms, value, saved


class Guard:
    """An observer for `ase` dynamics: `dyn.attach(Guard(atoms, "caught.extxyz"), interval=10)`.

    At each call the largest value over atoms of `score` is compared with `threshold`. Above it the frame is appended
    to `out` with all scores and error bars, and `GuardStop` is raised; above `cap` it is not kept, because an exploded
    frame teaches nothing. Surroundings emptier than any of training stop the run whatever the score: members agree on
    an atom that has none.

    Parameters
    ----------
    atoms
        with a `GaugeCalculator`, or with `gauge` any calculator
    gauge
        scores the frames of a run that another calculator drives; the gauge of the atoms' calculator by default
    score, threshold
        a score of atoms, by default γ, or what else leads those of the gauge; its threshold in the gauge by default
    cap
        1000 times the threshold by default

    Raises
    ------
    TypeError
        another calculator and no `gauge`
    ValueError
        a score that the gauge does not have, no threshold, or one that is not positive or above the cap; a name of
        another format than extended XYZ or LAMMPS dump
    """

    def __init__(
        self,
        atoms: Atoms,
        out: str | Path,
        *,
        gauge: Gauge | None = None,
        score: str | None = None,
        threshold: float | None = None,
        cap: float | None = None,
    ) -> None:
        self._calculator = atoms.calc if gauge is None else GaugeCalculator(gauge)
        if not isinstance(self._calculator, GaugeCalculator):
            raise TypeError(
                f"the guard needs atoms with a calculator of a gauge, not {type(atoms.calc).__name__}, or gauge="
            )
        require_frames_name(out)
        gauge = self._calculator.gauge
        available = {each.name: each.facts for each in gauge.scores if each.home == "atom"}
        score = lead(available) if score is None else score
        if score not in available:
            raise ValueError(f"no score {score!r} of atoms in this gauge; it has {', '.join(available)}")
        if threshold is None and (score, "atom") not in gauge.thresholds:
            raise ValueError(f"this gauge has no threshold for {score}; give one")
        self.atoms, self.out, self.score = atoms, Path(out), score
        self.threshold = gauge.thresholds[score, "atom"] if threshold is None else threshold
        self.cap = 1000.0 * self.threshold if cap is None else cap
        if not 0.0 < self.threshold <= self.cap:
            raise ValueError(f"the guard needs 0 < threshold <= cap, got {self.threshold:g} and {self.cap:g}")

    def __call__(self) -> None:
        """Check the frame; raises `GuardStop`."""
        name, value = self.score, float(np.max(self._calculator.get_property(self.score, self.atoms)))
        threshold = self.threshold
        if value <= threshold:
            name, value = EMPTINESS, float(np.max(self._calculator.results.get(EMPTINESS, 0.0)))
            threshold = 1.0
        if value <= threshold:
            return
        saved = name == EMPTINESS or value <= self.cap
        if saved:
            append_frame(self.out, self._calculator.annotate(self.atoms))
        where = f"the frame is in {self.out}" if saved else f"above the cap {self.cap:g}, the frame is not kept"
        raise GuardStop(f"{name} = {value:.3g} > {threshold:.3g}; {where}", self.atoms.copy(), value, saved)
