"""Gauges fitted to copper, once a session."""

from __future__ import annotations

import ase.io
import pytest
from ase import Atoms
from ase.build import bulk
from copper import COMMITTEE, KINDS, SOURCE, Files, copper, frames

from assay import Built, Gauge, LinearFit, build


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("copper")
    paths = {}
    for seed, (name, count) in enumerate((("train", 30), ("held_out", 12), ("test", 9))):
        paths[name] = folder / f"{name}.extxyz"
        ase.io.write(paths[name], frames(count, 1000 * seed))
    return Files(folder, **paths)


@pytest.fixture(scope="session")
def built(files: Files) -> Built:
    """SNAP with all scores, on the given held-out frames."""
    return build(files.train, source=SOURCE, calibration=files.held_out, linear_fit=LinearFit(ensemble_size=8))


@pytest.fixture(scope="session")
def gauge(built: Built) -> Gauge:
    return built.gauge


@pytest.fixture(scope="session")
def committee(files: Files) -> Gauge:
    """Four Lennard-Jones potentials: a gauge that needs nothing beyond the core."""
    return build(files.train, source=COMMITTEE, calibration=files.held_out).gauge


@pytest.fixture
def new() -> list[Atoms]:
    """Structures that nothing was fitted to, of different sizes, with and without periodicity."""
    cluster = bulk("Cu", cubic=True)
    cluster.pbc, cluster.cell[:] = False, 0.0
    slab = bulk("Cu", cubic=True) * (2, 1, 1)
    slab.pbc = (True, True, False)
    structures = [copper(kind, 77) for kind in KINDS] + [cluster, slab]
    for atoms in structures[3:]:
        atoms.rattle(0.1, seed=5)
    return structures


@pytest.fixture(params=[pytest.param("gauge", marks=pytest.mark.snap), "committee"])
def any_gauge(request: pytest.FixtureRequest) -> Gauge:
    found: Gauge = request.getfixturevalue(request.param)
    return found
