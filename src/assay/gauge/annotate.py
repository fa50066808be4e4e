"""A frame with what a gauge says of it, as arrays and `info` of `ase.Atoms`."""

from __future__ import annotations

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from assay.frames.frame import Frame
from assay.gauge.batch import Batch, Scored
from assay.gauge.gauge import Gauge
from assay.results.error_bars import ONE_SIGMA
from assay.sources.features.file import ATTACHED


def annotated(gauge: Gauge, frame: Frame, scored: Scored) -> Atoms:
    """The frame with everything the gauge says, in keys that extended XYZ keeps."""
    one = gauge.assessment(Batch.collect([(frame, scored)]))
    atoms: Atoms = frame.atoms.copy()
    atoms.arrays.pop(ATTACHED, None)
    evaluation = scored.evaluation
    if evaluation.forces is not None:
        results = {"energy": evaluation.energy, "forces": evaluation.forces, "stress": evaluation.stress}
        atoms.calc = SinglePointCalculator(atoms, **{k: v for k, v in results.items() if v is not None})
    if one.energy_bar is not None:
        atoms.info["energy_uncertainty"] = float(one.energy_bar.half_width(ONE_SIGMA)[0] * len(atoms))
    if one.force_bar is not None:
        atoms.arrays["forces_uncertainty"] = one.force_bar.half_width(ONE_SIGMA)
    if one.stress_bar is not None:
        atoms.info["stress_uncertainty"] = one.stress_bar.half_width(ONE_SIGMA)[0]
    for (name, level), score in one.scores.items():
        if level == "frame":
            atoms.info[f"max_{name}" if (name, "atom") in one.scores else name] = float(score.values[0])
        else:
            atoms.arrays[name if level == "atom" else f"{name}_neighbourhood"] = score.values
    atoms.arrays |= one.companions
    for name, envelope in one.envelopes.items():
        columns = envelope.columns(name)
        if name == "forces":
            atoms.arrays |= columns
        else:
            atoms.info |= {key: value[0] for key, value in columns.items()}
    return atoms
