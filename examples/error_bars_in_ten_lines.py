"""Fit, calibrate, and read error bars: forces on a rattled diamond cell. Writes silicon.gauge."""

from ase.build import bulk

import assay
from assay.verbs.demo import demo_data

gauge = assay.build(demo_data("train"), calibration=demo_data("calibration"), source="snap:twojmax=6").gauge
gauge.save("silicon.gauge")

atoms = bulk("Si", "diamond", a=5.47, cubic=True)
atoms.rattle(0.1, seed=1)
atoms.calc = assay.calculator(gauge)
for force, bar in zip(atoms.get_forces(), atoms.calc.results["forces_uncertainty"], strict=True):
    print("   ".join(f"{f:6.2f} ± {b:.2f}" for f, b in zip(force, bar, strict=True)), "eV/Å")
