"""A frame in blocks is the frame whole: neighbourhoods, grades, forces, and each atom once."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from click.testing import CliRunner

from assay.calibration import Residuals, fit_calibrator
from assay.cli.main import cli
from assay.execution.run import Run
from assay.execution.workers import Failure
from assay.frames.frame import Frame
from assay.frames.reading import read_frames
from assay.frames.writing import frames_out
from assay.gauge.gauge import Gauge
from assay.gauge.risk import risks
from assay.gauge.scorer import FrameScorer
from assay.gauge.tiled_scorer import Blocks, score_in_blocks
from assay.linear.potential import LinearPotential
from assay.regions.neighbours import neighbour_images
from assay.regions.tiles import blocks, surroundings
from assay.results.per_quantity import PerQuantity
from assay.scores.d_optimality.grade import ExtrapolationGrade
from assay.scores.features.training import TrainingFeatures
from assay.scores.members.committee import CommitteeEnergy, CommitteeForce
from assay.scores.rigidity.leverage import Leverage
from assay.sources.features.callable import PythonCallable
from assay.sources.features.soap import Soap
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings
from assay.verbs.predict import predict

CUTOFF = 4.0


def cubic() -> Atoms:
    atoms = bulk("W", "bcc", a=3.2, cubic=True).repeat((4, 3, 3))
    atoms.numbers[::3] = 42
    return atoms


def slab() -> Atoms:
    atoms = cubic()
    atoms.pbc = (True, True, False)
    atoms.set_cell(atoms.cell.array * [[1.0], [1.0], [0.0]])
    return atoms


def wire() -> Atoms:
    atoms = cubic()
    atoms.pbc = (False, True, False)
    return atoms


def cluster() -> Atoms:
    atoms = cubic()
    atoms.pbc = False
    return atoms


def triclinic() -> Atoms:
    atoms = cubic()
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, -0.2], [0.5, 1.0, 0.0], [-0.4, 0.3, 1.0]], scale_atoms=True)
    return atoms


def left_handed() -> Atoms:
    atoms = triclinic()
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return atoms


def narrow() -> Atoms:
    """Shorter than the cut-off in one direction."""
    atoms = bulk("W", "bcc", a=3.2, cubic=True).repeat((6, 1, 4))
    atoms.numbers[::3] = 42
    return atoms


FRAMES = [cubic, slab, wire, cluster, triclinic, left_handed, narrow]


def rattled(make) -> Atoms:
    """Some atoms are outside the cell."""
    atoms = make()
    atoms.rattle(0.15, seed=3)
    atoms.positions += [1.3, -40.7, 0.2]
    return atoms


def radial(atoms: Atoms) -> np.ndarray:
    """Smooth features of each atom: Σ_j over species and powers of `(1 - (r_ij / CUTOFF)²)²`, `(A, 6)`."""
    pairs, shifts, box = neighbour_images(atoms, CUTOFF)
    i, j = pairs.T
    r = np.linalg.norm(atoms.positions[j] + shifts @ box - atoms.positions[i], axis=1)
    smooth = np.clip(1.0 - (r / CUTOFF) ** 2, 0.0, None) ** 2
    weights = [smooth**power * (atoms.numbers[j] == z) for power in (1, 2, 3) for z in (42, 74)]
    return np.stack([np.bincount(i, weight, minlength=len(atoms)) for weight in weights], axis=1)


@pytest.fixture(scope="module")
def scorer() -> FrameScorer:
    frame = rattled(cubic)
    grade = ExtrapolationGrade.fit(TrainingFeatures.of([(radial(frame), frame.numbers)]))
    return FrameScorer(PythonCallable("test_blocks:radial", CUTOFF, given=radial), (grade,), 5.0, (), ("Mo", "W"))


@pytest.mark.parametrize("make", FRAMES)
@pytest.mark.parametrize("most", [1000, 37, 12, 1])
def test_every_atom_is_in_the_core_of_one_block_of_at_most_so_many(make, most: int):
    frame = rattled(make)
    found = list(blocks(frame, most, CUTOFF))
    assert sorted(np.concatenate([block.index[: block.core] for block in found])) == list(range(len(frame)))
    assert len(found) == -(-len(frame) // most)
    assert {block.core for block in found} <= {len(frame) // len(found), -(-len(frame) // len(found))}
    for block in found:
        assert not block.atoms.pbc.any()
        assert (block.atoms.numbers == frame.numbers[block.index]).all()


def test_atoms_on_the_borders_of_blocks_are_in_one_of_them():
    """In a crystal every cut runs through atoms, and every atom lies on a border of the cell or of a block."""
    frame = bulk("W", "sc", a=2.0).repeat((4, 4, 4))
    cores = [block.index[: block.core] for block in blocks(frame, 8, 2.0)]
    assert sorted(np.concatenate(cores)) == list(range(64))


@pytest.mark.parametrize("make", FRAMES)
@pytest.mark.parametrize("most", [1000, 36, 12, 1])
def test_an_atom_of_a_core_has_the_neighbours_that_it_has_in_the_frame(make, most: int):
    frame = rattled(make)
    pairs, shifts, box = neighbour_images(frame, CUTOFF)
    vectors = frame.positions[pairs[:, 1]] + shifts @ box - frame.positions[pairs[:, 0]]
    whole = [vectors[pairs[:, 0] == i] for i in range(len(frame))]
    for block in blocks(frame, most, CUTOFF):
        positions = block.atoms.positions
        for i in range(block.core):
            away = positions - positions[i]
            r = np.linalg.norm(away, axis=1)
            near = (r > 0) & (r < CUTOFF)
            expected = whole[block.index[i]]
            assert len(away[near]) == len(expected)
            apart = np.linalg.norm(away[near][:, None] - expected, axis=2)
            np.testing.assert_allclose(apart.min(axis=0), 0.0, atol=1e-10)
            np.testing.assert_allclose(apart.min(axis=1), 0.0, atol=1e-10)
            of_frame = pairs[pairs[:, 0] == block.index[i], 1]
            assert (block.index[near] == of_frame[apart.argmin(axis=1)]).all()


@pytest.mark.parametrize("make", FRAMES)
@pytest.mark.parametrize("most", [1000, 36, 24, 12, 5])
def test_scores_in_blocks_are_those_of_the_whole_frame(scorer: FrameScorer, make, most: int):
    frame = Frame(rattled(make), "f:0")
    whole, parts = scorer(frame), score_in_blocks(scorer, frame, Blocks(most))
    assert not isinstance(parts, Failure)
    assert parts.scores.keys() == whole.scores.keys()
    for key, values in whole.scores.items():
        np.testing.assert_allclose(parts.scores[key], values, rtol=1e-9, err_msg=str(key))


def test_two_workers_give_what_one_gives(scorer: FrameScorer):
    frame = Frame(rattled(cubic), "f:0")
    seen: list[int] = []
    one = score_in_blocks(scorer, frame, Blocks(12))
    two = score_in_blocks(scorer, frame, Blocks(12), workers=2, progress=seen.append)
    assert seen == [12, 24, 36, 48, 60, 72]
    assert (two.scores["gamma", "atom"] == one.scores["gamma", "atom"]).all()


def failing(atoms: Atoms) -> np.ndarray:
    features = radial(atoms)
    features[atoms.numbers == 42, 0] = np.nan
    return features


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": PythonCallable("", None, given=radial)}, "72 atoms, more than the 20 .* it is not known how far"),
        ({"scores": (CommitteeForce(),)}, "none of the gauge's scores comes from features alone"),
        ({"species": ("W",)}, "atom 0 is Mo, which was not in the training frames"),
        ({"source": PythonCallable("", CUTOFF, given=failing)}, r"in the block of \d+ atoms .* features not finite"),
    ],
)
def test_a_frame_that_blocks_cannot_do_is_a_failure_that_says_why(scorer: FrameScorer, change: dict, message: str):
    result = score_in_blocks(replace(scorer, **change), Frame(rattled(cubic), "f:3"), Blocks(20))
    assert isinstance(result, Failure)
    assert result.origin == "f:3"
    assert re.search(message, result.reason), result.reason


def test_forces_in_blocks_need_a_linear_potential(scorer: FrameScorer):
    result = score_in_blocks(scorer, Frame(rattled(cubic), "f:0"), Blocks(20, forces=True))
    assert isinstance(result, Failure)
    assert "forces in blocks need a linear potential" in result.reason


def test_surroundings_are_the_nearest_images():
    frame = rattled(triclinic)
    found, index = surroundings(frame, 5, 3.5)
    assert index[0] == 5
    distance = frame.get_distances(5, range(len(frame)), mic=True)
    assert set(index) == set(np.flatnonzero(distance <= 3.5))
    np.testing.assert_allclose(np.linalg.norm(found.positions, axis=1), distance[index], atol=1e-10)


@pytest.fixture(scope="module")
def gauge() -> Gauge:
    """A linear potential with random coefficients, members, γ and a calibrated error bar."""
    rows = Snap(SnapSettings(species=("Mo", "W"), twojmax=2, rcut=CUTOFF, quadratic=True, chem=False))
    rng = np.random.default_rng(1)
    theta = rng.normal(size=rows.coefficients)
    potential = LinearPotential(rows, theta, theta + 0.1 * rng.normal(size=(3, len(theta))), 1e-6)
    frame = rattled(cubic)
    scores = (
        CommitteeForce(),
        CommitteeEnergy(),
        ExtrapolationGrade.fit(TrainingFeatures.of([(potential.features(frame), frame.numbers)])),
    )
    force = fit_calibrator("scale", Residuals(rng.normal(size=60), np.ones(60), np.arange(60)))
    thresholds = {("gamma", "atom"): 1.0, ("gamma", "frame"): 1.0}
    return Gauge(potential, scores, 5.0, "committee_force:scale", ("Mo", "W"), thresholds, PerQuantity(force=force))


@pytest.mark.snap
@pytest.mark.parametrize("make", FRAMES)
def test_forces_and_all_scores_of_atoms_in_blocks_are_those_of_the_whole_frame(gauge: Gauge, make):
    frame = Frame(rattled(make), "f:0")
    whole, parts = gauge.scorer(frame), score_in_blocks(gauge.scorer, frame, Blocks(60, forces=True))
    assert not isinstance(parts, Failure)
    largest = np.abs(whole.prediction.forces).max()
    np.testing.assert_allclose(parts.prediction.forces, whole.prediction.forces, atol=1e-10 * largest)
    np.testing.assert_allclose(*(each.spreads["committee_force"].force for each in (parts, whole)), rtol=1e-8)
    assert [quantity for quantity, _ in parts.envelopes.items()] == ["force"]
    for name, values in parts.envelopes.force.columns("force").items():
        np.testing.assert_allclose(values, whole.envelopes.force.columns("force")[name], atol=1e-9 * largest)
    assert parts.scores.keys() == {key for key in whole.scores if key[0] != "committee_energy"}
    for key, values in parts.scores.items():
        np.testing.assert_allclose(values, whole.scores[key], rtol=1e-8, err_msg=str(key))
    assert parts.prediction.energy is None
    features_only = score_in_blocks(gauge.scorer, frame, Blocks(20))
    assert {name for name, _ in features_only.scores} == {"gamma"}
    np.testing.assert_allclose(features_only.scores["gamma", "atom"], whole.scores["gamma", "atom"], rtol=1e-9)


def of_ace():
    from assay.sources.ace.basis import AceBasis
    from assay.sources.ace.rows import Ace

    return Ace(AceBasis(species=("Mo", "W"), rcut=CUTOFF, nradmax_by_orders=(3, 2), lmax_by_orders=(0, 2)))


SOURCES = [
    pytest.param(
        lambda: Snap(SnapSettings(species=("Mo", "W"), twojmax=4, rcut=CUTOFF)), marks=pytest.mark.snap, id="snap"
    ),
    pytest.param(of_ace, marks=pytest.mark.ace, id="ace"),
]


@pytest.mark.parametrize("make_source", SOURCES)
def test_features_of_the_first_atoms_are_theirs_among_all(make_source):
    source, frame = make_source(), rattled(cluster)
    every = source.features(frame)
    for first in (1, 17, len(frame)):
        np.testing.assert_allclose(source.features(frame, first), every[:first], rtol=1e-12, atol=1e-12)


@pytest.mark.soap
@pytest.mark.parametrize("make", FRAMES)
def test_soap_in_blocks(make):
    source = Soap(cutoff=CUTOFF, max_radial=2, max_angular=2).for_species(("Mo", "W"))
    frame = Frame(rattled(make), "f:0")
    features = source.predict(frame.atoms).features
    scorer = FrameScorer(
        source, (Leverage.fit(TrainingFeatures.of([(features, frame.atoms.numbers)])),), 5.0, (), ("Mo", "W")
    )
    whole, parts = scorer(frame), score_in_blocks(scorer, frame, Blocks(20))
    np.testing.assert_allclose(parts.scores["leverage", "atom"], whole.scores["leverage", "atom"], rtol=1e-6)


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """A small frame, a larger one, and a small one."""
    with frames_out(tmp_path / "in.dump") as write:
        for make in (narrow, cubic, narrow):
            write(rattled(make))
    return tmp_path / "in.dump"


@pytest.mark.snap
@pytest.mark.parametrize("forces", [False, True])
def test_large_frames_among_small_ones(gauge: Gauge, dump: Path, tmp_path: Path, forces: bool):
    whole = predict(gauge, dump, out=tmp_path / "whole.extxyz")
    seen: list[tuple[int, int]] = []
    assessment = predict(
        gauge, dump, out=tmp_path / "parts.extxyz", block_atoms=50, forces=forces,
        run=Run(progress=lambda name, total: lambda *done: seen.append(done)),
    )  # fmt: skip
    assert assessment.failed == ()
    assert seen[0] == (1, 48)
    assert seen[-1] == (3, 168)
    assert seen == sorted(seen)
    gamma, expected_gamma = (each.scores["gamma", "atom"].values for each in (assessment, whole))
    np.testing.assert_allclose(gamma, expected_gamma, rtol=1e-9)
    assert assessment.batch.energy is None
    assert (assessment.bars.force is not None) == forces
    assert [*read(tmp_path / "parts.extxyz", "0").arrays] == [*read(tmp_path / "whole.extxyz", "0").arrays]
    expected, found = (read(tmp_path / f"{name}.extxyz", "1") for name in ("whole", "parts"))
    columns = {"gamma", "gamma_neighbourhood"}
    if forces:
        columns |= {"forces_uncertainty", "committee_force", "committee_force_neighbourhood"}
        columns |= {"forces_std", "forces_min", "forces_max"}
        np.testing.assert_allclose(found.get_forces(), expected.get_forces(), atol=2e-8)
    assert {"numbers", "positions", "id", "type"} | columns == set(found.arrays)
    for name in columns:
        np.testing.assert_allclose(found.arrays[name], expected.arrays[name], rtol=1e-6, atol=1e-8)
    riskiest = risks(assessment).by_risk[0]
    risk = np.linalg.norm(assessment.bars.force.half_width(0.68), axis=1) if forces else gamma
    assert riskiest.frame == assessment.batch.names[assessment.batch.frame_of_atom[risk.argmax()]]


@pytest.mark.snap
def test_predict_on_the_command_line(gauge: Gauge, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A dump without elements, a report and a table of quantiles as for 10⁶ atoms."""
    for module in ("assess", "risk"):
        monkeypatch.setattr(f"assay.gauge.{module}.MANY", 60)
    gauge.save(tmp_path / "g.gauge")
    bare = tmp_path / "bare.dump"
    bare.write_text(dump.read_text().replace("element", "name"))
    words = ["predict", str(tmp_path / "g.gauge"), str(bare), "--block-atoms", "50", "-o", str(tmp_path / "out.dump")]
    refused = CliRunner().invoke(cli, words)
    assert refused.exit_code != 0
    words += ["--species", "Mo,W", "--json", str(tmp_path / "s.json"), "--report", str(tmp_path / "r.html")]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "Atoms of large frames" in done.stdout
    assert "168 atoms in" in done.stderr
    assert "around atom" in (tmp_path / "r.html").read_text(encoding="utf-8")
    *_, frame = read_frames(tmp_path / "out.dump")
    assert frame.atoms.get_chemical_symbols() == rattled(narrow).get_chemical_symbols()
    rows = {row["frame"][-1]: row for row in json.loads((tmp_path / "s.json").read_text())["by_risk"]}
    assert "over_atoms" not in rows["0"]
    over = rows["1"]["over_atoms"]["gamma"]
    whole = gauge.assess([next(f.atoms for f in read_frames(dump) if f.origin.endswith(":1"))])
    gamma = np.sort(whole.scores["gamma", "atom"].values)
    assert over["largest"] == pytest.approx(gamma[-1], rel=1e-6)
    assert over["0.9"] == pytest.approx(gamma[int(np.ceil(0.9 * 72)) - 1], rel=1e-6)
    assert over["flagged"] == (gamma > 1.0).sum()
