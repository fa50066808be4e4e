"""A frame with what a gauge says of it, as arrays and `info` of `ase.Atoms`."""

from __future__ import annotations

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from assay.frames.frame import ATTACHED, Frame
from assay.gauge.batch import Scored, collect
from assay.gauge.gauge import Gauge
from assay.results.error_bars import ONE_SIGMA


def annotated(gauge: Gauge, frame: Frame, scored: Scored) -> Atoms:
    """The frame with everything the gauge says, in keys that extended XYZ keeps."""
    one = gauge.assessment(collect([(frame, scored)]))
    atoms: Atoms = frame.atoms.copy()
    atoms.arrays.pop(ATTACHED, None)
    prediction = scored.prediction
    if prediction.forces is not None:
        results = {"energy": prediction.energy, "forces": prediction.forces, "stress": prediction.stress}
        atoms.calc = SinglePointCalculator(atoms, **{k: v for k, v in results.items() if v is not None})
    if one.bars.energy is not None:
        atoms.info["energy_uncertainty"] = float(one.bars.energy.half_width(ONE_SIGMA)[0] * len(atoms))
    if one.bars.force is not None:
        atoms.arrays["forces_uncertainty"] = one.bars.force.half_width(ONE_SIGMA)
    if one.bars.stress is not None:
        atoms.info["stress_uncertainty"] = one.bars.stress.half_width(ONE_SIGMA)[0]
    for (name, level), score in one.scores.items():
        if level == "frame":
            atoms.info[f"max_{name}" if (name, "atom") in one.scores else name] = float(score.values[0])
        else:
            atoms.arrays[name if level == "atom" else f"{name}_neighbourhood"] = score.values
    atoms.arrays |= one.batch.companions
    for quantity, envelope in one.batch.envelopes.items():
        columns = envelope.columns(quantity)
        if quantity == "force":
            atoms.arrays |= columns
        else:
            atoms.info |= {key: value[0] for key, value in columns.items()}
    return atoms
