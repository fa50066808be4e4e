"""Correlation of errors and spreads of neighbourhoods against their radius."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from assay.regions.neighbourhoods import neighbourhood_mean
from assay.regions.neighbours import close_pairs

sys.path.insert(0, str(Path(__file__).parent.parent / "studies"))

from heid_radius import _smallest_as_good, neighbourhood_sums, radius_curve


def rattled(seed: int, repeat: int = 4) -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat(repeat)
    atoms.rattle(0.1, seed=seed)
    return atoms


@pytest.mark.parametrize(
    "atoms", [rattled(0, 2), molecule("CH3CH2OH"), bulk("W"), Atoms("H"), Atoms("H2", [(0, 0, 0), (4, 0, 0)])]
)
def test_sums_of_every_radius_are_those_of_its_own_neighbour_list(atoms: Atoms) -> None:
    rng, radii = np.random.default_rng(1), np.array([0.0, 1.2, 2.9, 4.0, 6.5])
    values = np.stack([rng.normal(size=len(atoms)), np.ones(len(atoms))], axis=1)
    sums = neighbourhood_sums(values, atoms, radii)
    for r, each in zip(radii, sums, strict=True):
        expected = neighbourhood_mean(values[:, 0], atoms, r) if r > 0 else values[:, 0]
        assert each[:, 0] / each[:, 1] == pytest.approx(expected)


def field_of_sigma(atoms: Atoms, length: float, rng: np.random.Generator) -> np.ndarray:
    """A positive field of random waves of one wavelength (Å)."""
    directions = rng.normal(size=(30, 3))
    waves = 2 * np.pi / length * directions / np.linalg.norm(directions, axis=1)[:, None]
    phases = rng.uniform(0, 2 * np.pi, size=30)
    return np.exp(np.cos(atoms.positions @ waves.T + phases).sum(axis=1) / np.sqrt(15))


def committee(length: float | None, seed: int, frames: int = 12) -> tuple[list[Atoms], np.ndarray, np.ndarray]:
    rng, found = np.random.default_rng(seed), []
    structures = [rattled(f) for f in range(frames)]
    for atoms in structures:
        sigma = np.ones(len(atoms)) if length is None else field_of_sigma(atoms, length, rng)
        drawn = sigma[:, None] * rng.normal(size=(5, len(atoms), 3))
        found.append((np.abs(drawn.mean(axis=0)).mean(axis=1), drawn.std(axis=0, ddof=1).mean(axis=1)))
    error, spread = (np.concatenate(each) for each in zip(*found, strict=True))
    return structures, error, spread


def test_the_radius_follows_the_length_over_which_uncertainty_changes() -> None:
    short, long = (radius_curve(*committee(length, seed=2), radii=range(8)) for length in (8.0, 40.0))
    assert 2 < short.chosen < long.chosen
    for curve in (short, long):  # single atoms say less than their surroundings
        chosen = list(curve.radii).index(curve.chosen)
        assert curve.within[0] < curve.within_interval[chosen, 0]
        assert curve.within_interval[chosen, 0] < curve.within[chosen] < curve.within_interval[chosen, 1]
    assert (np.diff(short.neighbours) >= 0).all()


def test_the_smallest_radius_within_one_standard_error_of_the_largest_correlation_is_chosen() -> None:
    drawn = np.full((4, 3), np.nan)
    drawn[2] = 0.57, 0.60, 0.63  # standard deviation 0.03
    for correlation, chosen in (
        ([0.52, 0.58, 0.60, 0.59], 3.0),
        ([0.58, 0.52, 0.60, 0.59], 0.0),
        ([0.52, 0.56, 0.60, 0.59], 5.0),
        ([np.nan, 0.58, 0.60, 0.59], 3.0),
    ):
        assert _smallest_as_good(np.array([0.0, 3.0, 5.0, 7.0]), np.array(correlation), drawn, "within") == chosen
    alone = np.full((4, 3), np.nan)
    assert _smallest_as_good(np.array([0.0, 3.0, 5.0, 7.0]), np.array([0.52, 0.58, 0.6, 0.59]), alone, "within") == 5


def test_where_nothing_differs_no_radius_gives_a_correlation() -> None:
    curve = radius_curve(*committee(None, seed=3), radii=[0, 3, 5])
    assert np.abs(curve.within).max() < 0.15
    assert (curve.within_interval[:, 0] < 0.1).all()


def test_frames_in_another_order_change_nothing() -> None:
    structures, error, spread = committee(12.0, seed=4, frames=4)
    n = len(structures[0])
    curve = radius_curve(structures, error, spread, radii=[0, 3])
    turned = radius_curve(
        structures[::-1], error.reshape(4, n)[::-1].ravel(), spread.reshape(4, n)[::-1].ravel(), radii=[3, 0]
    )
    for field in ("radii", "neighbours", "pooled", "within"):
        assert getattr(curve, field) == pytest.approx(getattr(turned, field))


def test_frames_of_one_atom_have_no_inside() -> None:
    rng, frames = np.random.default_rng(5), [bulk("W") for _ in range(20)]
    spread = rng.uniform(1, 9, size=20)
    with pytest.raises(ValueError, match="by='pooled'"):
        radius_curve(frames, spread, spread)
    curve = radius_curve(frames, spread, spread, radii=[0, 4], by="pooled")
    assert curve.chosen == 0
    assert curve.pooled == pytest.approx([1, 1])
    pairs, _ = close_pairs(frames[0], 4.0)
    assert curve.neighbours == pytest.approx([1, 1 + 2 * len(pairs)])


@pytest.mark.parametrize(
    ("radii", "values", "message"), [([], 20, "at least one"), ([-1], 20, "negative"), ([1], 3, "shape")]
)
def test_what_does_not_fit_is_refused(radii: list[float], values: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        radius_curve([bulk("W")] * 20, np.ones(values), np.ones(20), radii)
