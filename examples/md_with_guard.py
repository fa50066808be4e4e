"""Heat diamond until its environments leave the training set; the frame that did is in caught.extxyz."""

import numpy as np
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin

import assay
from assay.verbs.demo import demo_data

gauge = assay.build(demo_data("train"), calibration=demo_data("calibration"), source="snap:twojmax=4").gauge

atoms = bulk("Si", "diamond", a=5.47, cubic=True)
atoms.calc = assay.calculator(gauge)
rng = np.random.default_rng(0)
dynamics = Langevin(atoms, 1.0 * units.fs, temperature_K=300, friction=0.02, fixcm=False, rng=rng)


def heat() -> None:
    dynamics.set_temperature(temperature_K=300 + 20 * dynamics.nsteps)


def report() -> None:
    bars = atoms.calc.results["forces_uncertainty"]
    print(f"step {dynamics.nsteps:4d}: {atoms.get_temperature():5.0f} K, largest force error bar {bars.max():.2f} eV/Å")


dynamics.attach(heat)
dynamics.attach(report, interval=50)
dynamics.attach(assay.Guard(atoms, "caught.extxyz"), interval=10)
try:
    dynamics.run(5000)
except assay.GuardStop as stop:
    print(f"step {dynamics.nsteps:4d}: {stop}")
