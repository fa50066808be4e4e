"""Which atoms scores are fitted to, and thresholds by cluster."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from copper import COMMITTEE, SOURCE, Files

from assay import Built, Gauge, LinearFit, ScoreFit, build, predict
from assay.frames.frame import FrameError, LabelKeys
from assay.gauge.thresholds import tukey_fence
from assay.scores.d_optimality.cluster_wise import ClusterWiseForce, ClusterWiseGrade
from assay.scores.protocol import majority


def edge(atoms: Atoms) -> np.ndarray:
    """Two features by which an atom shows the shell that it belongs to, `(A, 2)`."""
    return np.stack([np.ones(len(atoms)), atoms.arrays["shell"]], axis=1)


@pytest.fixture
def clusters(tmp_path: Path) -> Path:
    """A cluster of 13 atoms whose outer 12 are a shell; its core is the one in the middle."""
    atoms = Atoms("Cu13", positions=np.random.default_rng(0).normal(scale=3.0, size=(13, 3)))
    atoms.arrays["shell"] = np.r_[0.1, np.ones(12)]
    atoms.arrays["core"] = np.arange(13) == 0
    ase.io.write(tmp_path / "clusters.extxyz", [atoms, atoms])
    return tmp_path / "clusters.extxyz"


def test_scores_of_the_core_find_the_shell_foreign(clusters: Path):
    everything = build(clusters, source=edge, scores=["gamma"]).training.scores["gamma", "atom"]
    core = build(clusters, source=edge, scores=["gamma"], score_fit=ScoreFit(core="core")).training.scores[
        "gamma", "atom"
    ]
    assert everything.max() <= 1.01
    assert core[0] <= 1.01
    assert core[1:13].min() > 100


def test_a_core_that_no_frame_has_is_an_error(clusters: Path):
    with pytest.raises(FrameError, match=r"clusters.extxyz:0: no array 'inside'.*it has .*shell"):
        build(clusters, source=edge, score_fit=ScoreFit(core="inside"))
    with pytest.raises(FrameError, match=r"clusters.extxyz:0: array 'positions' of shape \(13, 3\), needed one value"):
        build(clusters, source=edge, score_fit=ScoreFit(core="positions"))


@pytest.mark.snap
def test_atoms_with_outlying_forces_are_left_out_of_the_scores(files: Files, tmp_path: Path):
    """One atom with a wrong label and a place of its own: with it γ knows the place, without it not."""
    frames = ase.io.read(files.train, ":")
    odd = frames[3].copy()
    odd.info, odd.arrays = dict(frames[3].info), {k: v.copy() for k, v in frames[3].arrays.items()}
    odd.positions[0] += (0.9, 0.0, 0.0)
    forces = next(key for key in (LabelKeys.forces, "forces") if key in odd.arrays)
    odd.arrays[forces][0] += 50.0
    ase.io.write(tmp_path / "train.extxyz", [*frames, odd])
    built = {
        out: build(
            tmp_path / "train.extxyz",
            source=SOURCE,
            calibration=files.held_out,
            linear_fit=LinearFit(ensemble_size=4),
            score_fit=ScoreFit(without_outliers=out),
        )
        for out in (False, True)
    }
    ase.io.write(tmp_path / "odd.extxyz", odd)
    gamma = {out: predict(each.gauge, tmp_path / "odd.extxyz").scores["gamma", "atom"] for out, each in built.items()}
    assert gamma[False].values[0] <= 1.01
    assert gamma[True].values[0] > 1.5


@pytest.mark.snap
def test_thresholds_by_cluster_are_fences_of_its_training_errors(files: Files, built: Built, tmp_path: Path):
    local = build(
        files.train,
        source=SOURCE,
        calibration=files.held_out,
        linear_fit=LinearFit(ensemble_size=8),
        score_fit=ScoreFit(cluster_thresholds=True),
        out=tmp_path / "local.gauge",
    )
    training, score = local.training, local.gauge.scores[-2]
    assert isinstance(score, ClusterWiseForce)
    assert training.labels is not None
    errors = np.linalg.norm(training.forces - training.labels.forces, axis=1)
    cluster = training.companions["gamma_cluster"]
    for k, fence in enumerate(score.fences):
        here = errors[cluster == k]
        assert fence == pytest.approx(tukey_fence(here if len(here) >= 20 else errors))
    assert len(set(score.fences.tolist())) > 1
    np.testing.assert_allclose(
        training.scores["committee_force_clusterwise", "atom"] * score.fences[cluster],
        built.training.scores["committee_force", "atom"],
        rtol=1e-9,
    )
    again = predict(Gauge.load(tmp_path / "local.gauge"), files.test)
    assert again.scores["committee_force_clusterwise", "frame"].threshold == 1.0


def test_a_threshold_by_cluster_passes_its_held_out_frames(tmp_path: Path):
    """Two kinds, wide and narrow: γ_local of each is judged by held-out frames of its own."""
    rng = np.random.default_rng(1)

    def frames(count: int, spread: float, middle: float, kind: str) -> list[Atoms]:
        made = []
        for _ in range(count):
            atoms = Atoms("Cu6", positions=rng.normal(scale=4.0, size=(6, 3)), info={"config_type": kind})
            atoms.arrays["x"] = middle + spread * rng.normal(size=(6, 2))
            made.append(atoms)
        return made

    kinds = {"wide": (3.0, 0.0), "narrow": (0.01, 50.0)}
    for part, count in (("train", 12), ("held", 20)):
        every = [atoms for kind, how in kinds.items() for atoms in frames(count, *how, kind)]
        ase.io.write(tmp_path / f"{part}.extxyz", every)

    built = build(
        tmp_path / "train.extxyz",
        source="features:array=x",
        calibration=tmp_path / "held.extxyz",
        scores=["gamma_local"],
        score_fit=ScoreFit(cluster_thresholds=True),
        out=tmp_path / "x.gauge",
    )
    score = built.gauge.scores[-1]
    assert isinstance(score, ClusterWiseGrade)
    held = built.held_out
    assert held is not None
    of_frame = [majority(held.companions["gamma_cluster"][a:b]) for a, b in pairwise(held.offsets)]
    flagged = held.scores["gamma_local_clusterwise", "frame"] > 1
    for k in (0, 1):
        assert flagged[np.array(of_frame) == k].mean() <= 0.1
    off = frames(1, 0.0, 0.0, "new")[0]
    off.arrays["x"][:] = (50.0, 57.0)
    ase.io.write(tmp_path / "off.extxyz", off)
    found = predict(Gauge.load(tmp_path / "x.gauge"), tmp_path / "off.extxyz")
    assert found.scores["gamma_local_clusterwise", "frame"].flagged.all()


def test_thresholds_by_cluster_need_something_to_set_them(clusters: Path):
    with pytest.raises(ValueError, match="need the score gamma_local, and members or held-out frames"):
        build(clusters, source=edge, scores=["gamma"], score_fit=ScoreFit(cluster_thresholds=True))
    with pytest.raises(ValueError, match="need the score gamma_local, and members or held-out frames"):
        build(clusters, source=edge, score_fit=ScoreFit(cluster_thresholds=True))


@pytest.mark.parametrize("name", ["gamma", "leverage", "gamma_local", "outlier_factor", "frame_outlier_factor"])
def test_a_species_of_which_no_atom_is_kept_is_unknown_to_scores_of_atoms(name: str, tmp_path: Path):
    """Aluminium is outside of every core; frames are still described by all of their atoms."""
    rng = np.random.default_rng(2)
    frames = []
    for _ in range(8):
        atoms = Atoms("Cu4Al2", positions=rng.normal(scale=4.0, size=(6, 3)))
        atoms.arrays["x"], atoms.arrays["core"] = rng.normal(size=(6, 3)), atoms.numbers == 29
        frames.append(atoms)
    ase.io.write(tmp_path / "train.extxyz", frames)
    built = build(tmp_path / "train.extxyz", source="features:array=x", scores=[name], score_fit=ScoreFit(core="core"))
    values = (
        predict(built.gauge, tmp_path / "train.extxyz")
        .scores[name, "frame" if name == "frame_outlier_factor" else "atom"]
        .values
    )
    if name == "frame_outlier_factor":
        assert np.isfinite(values).all()
        assert values.max() < 3
    else:
        assert np.array_equal(np.isinf(values), np.tile([False] * 4 + [True] * 2, 8))


def test_clusters_without_a_score_that_has_any_are_refused(clusters: Path):
    with pytest.raises(ValueError, match="clusters 'kmeans' are of gamma_local, which is not asked for"):
        build(clusters, source=edge, scores=["gamma"], score_fit=ScoreFit(clusters="kmeans"))


def test_a_gauge_says_what_its_scores_were_fitted_to(clusters: Path):
    built = build(clusters, source=edge, score_fit=ScoreFit(core="core", clusters="kmeans:1"))
    assert built.gauge.provenance["fitted_to"] == {"clusters": ["0"], "core": "core", "without_outliers": False}


@pytest.mark.parametrize("option", [ScoreFit(core="core"), ScoreFit(without_outliers=True), ScoreFit("kmeans")])
def test_a_choice_that_no_score_could_follow_is_refused(files: Files, option: ScoreFit):
    with pytest.raises(ValueError, match=r"no atoms to choose|are of gamma_local"):
        build(files.train, source=COMMITTEE, calibration=files.held_out, score_fit=option)


def test_atoms_without_a_cluster_do_not_name_that_of_their_frame():
    assert majority(np.array([-1, -1, -1, 2, 2, 0])) == 2
    assert majority(np.array([-1, -1])) == 0


def test_frames_that_are_infinitely_far_set_no_threshold_by_cluster(tmp_path: Path):
    """Held-out frames with aluminium, of which no atom is in a core."""
    rng = np.random.default_rng(3)
    frames = []
    for number in (29, 29, 29, 13):
        for _ in range(8):
            atoms = Atoms(numbers=[29, 29, 29, number], positions=rng.normal(scale=4.0, size=(4, 3)))
            atoms.arrays["x"], atoms.arrays["core"] = rng.normal(size=(4, 2)), atoms.numbers == 29
            frames.append(atoms)
    ase.io.write(tmp_path / "train.extxyz", frames[::2])
    ase.io.write(tmp_path / "held.extxyz", frames[1::2])
    built = build(tmp_path / "train.extxyz", source="features:array=x", calibration=tmp_path / "held.extxyz",
                  scores=["gamma_local"], score_fit=ScoreFit(core="core", cluster_thresholds=True))  # fmt: skip
    score = built.gauge.scores[-1]
    assert isinstance(score, ClusterWiseGrade)
    assert np.isfinite(score.levels).all()
    assert built.held_out is not None
    assert not np.isnan(built.held_out.scores["gamma_local_clusterwise", "atom"]).any()
