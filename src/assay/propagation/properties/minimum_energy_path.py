"""The minimum energy path between two minima, and its highest saddle point, with any ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep import NEB
from ase.mep.neb import NEBOptimizer
from ase.utils.forcecurve import ForceFit, fit_raw
from scipy.interpolate import CubicSpline

from assay.propagation.properties.relaxation import relaxed
from assay.propagation.property import NotConverged, Quantity, State
from assay.results.arrays import Array

PATH_FMAX = 0.02
"""eV/Å: largest force across the path on an image that counts as on the minimum energy path."""
PATH_STEPS = 400
SAME = 0.1
"""Å: ends between which no atom moves further are the same."""
CURVATURE_STEP = 0.01
"""Å, of all atoms together along the path."""
DIP = 0.01
"""eV: a descent on the way up that is no error of the images' (see `PATH_FMAX`)."""
GRID = np.linspace(0, 1, 51)


@dataclass(frozen=True)
class MinimumEnergyPath:
    """Structures from the initial to the final state, the refined saddle point among them, and their energies (eV)."""

    path: list[Atoms]
    energies: Array
    forces: list[Array]
    top: int

    @property
    def saddle(self) -> State:
        return self.state(self.top)

    def state(self, index: int) -> State:
        return State(self.path[index], float(self.energies[index]))

    def curve(self) -> Quantity:
        """On a grid that all potentials share, above the initial state."""
        fit = _fit(self.path, self.energies, self.forces)
        energies = np.interp(GRID, fit.fit_path / fit.fit_path[-1], fit.fit_energies)
        return Quantity(energies, "eV", GRID, "reaction coordinate (share of the path)")


def one_barrier(curve: Array) -> bool:
    """Whether energies (eV) along a path climb to their maximum and descend from there, without a dip of `DIP`."""
    top = int(np.argmax(curve))
    ways = (curve[: top + 1], curve[top:][::-1])
    return max(float((np.maximum.accumulate(way) - way).max()) for way in ways) < DIP


def minimum_energy_path(path: Sequence[Atoms], calculator: Calculator) -> MinimumEnergyPath:
    """Relax the images between the two ends (minima) onto the path, and the highest one onto the saddle point.

    Raises `NotConverged` for ends that are the same, a band that does not converge, and where no saddle is between.
    """
    images = [image.copy() for image in path]
    if np.abs(images[-1].positions - images[0].positions).max() < SAME:
        raise NotConverged("the initial and the final state relax into the same structure")
    for end in (images[0], images[-1]):  # evaluated once, not with every step of the band
        energy, forces = calculator.get_potential_energy(end), calculator.get_forces(end)
        end.calc = SinglePointCalculator(end, energy=energy, forces=forces)
    for image in images[1:-1]:
        image.calc = calculator
    band = NEB(images, climb=True, method="improvedtangent", allow_shared_calculator=True)
    if not NEBOptimizer(band, logfile=None).run(fmax=PATH_FMAX, steps=PATH_STEPS):
        raise NotConverged(f"the path is not converged to {PATH_FMAX:g} eV/Å after {PATH_STEPS} steps")
    energies, forces = _evaluated(images)
    fit = _fit(images, energies, forces)
    summit = fit.fit_path[np.argmax(fit.fit_energies)]  # between images, where the top one slid into a dip
    along = CubicSpline(fit.path, [image.positions for image in images])
    top = 1 + int(np.abs(np.array(fit.path[1:-1]) - summit).argmin())
    images[top].positions = along(summit)
    images[top].positions = saddle_point(images[top], along(summit, 1), calculator).positions
    energies, forces = _evaluated(images)
    for image in images:
        image.calc = None
    return MinimumEnergyPath(images, energies, forces, top)


def _evaluated(images: Sequence[Atoms]) -> tuple[Array, list[Array]]:
    """Energies and forces, image by image: they share a calculator."""
    pairs = [(float(image.get_potential_energy()), image.get_forces()) for image in images]
    return np.array([energy for energy, _ in pairs]), [forces for _, forces in pairs]


def _fit(images: Sequence[Atoms], energies: Array, forces: Sequence[Array]) -> ForceFit:
    """A cubic through energies and slopes of the images, over the length of the path."""
    return fit_raw(energies, forces, [image.positions for image in images], images[0].cell, images[0].pbc)


def saddle_point(near: Atoms, tangent: Array, calculator: Calculator) -> Atoms:
    """The saddle point near a structure, where the path climbs along `tangent`.

    The zero of F − 2 (F·t) t, which is that of the forces F, but attracts where the curvature is negative along t only.
    Raises `NotConverged` where it finds none, or a stationary point that is no maximum along t.
    """
    climbing = near.copy()
    uphill = _Uphill(tangent / np.linalg.norm(tangent))
    climbing.set_constraint(uphill)
    found = relaxed(climbing, calculator, "positions").atoms
    found.set_constraint()
    step = CURVATURE_STEP * uphill.tangent
    along = [np.vdot(calculator.get_forces(_moved(found, sign * step)), uphill.tangent) for sign in (1, -1)]
    if along[0] <= along[1]:  # −2h times the curvature
        raise NotConverged("the top of the path relaxes into a structure that is no saddle point")
    return found


@dataclass(frozen=True)
class _Uphill:
    """ASE's constraint that turns the forces around along one direction."""

    tangent: Array

    def adjust_positions(self, atoms: Atoms, new: Array) -> None:
        """Nothing is held."""

    def adjust_forces(self, atoms: Atoms, forces: Array) -> None:
        forces -= 2 * np.vdot(forces, self.tangent) * self.tangent

    def get_removed_dof(self, atoms: Atoms) -> int:
        return 0


def _moved(atoms: Atoms, step: Array) -> Atoms:
    moved = atoms.copy()
    moved.positions += step
    return moved
