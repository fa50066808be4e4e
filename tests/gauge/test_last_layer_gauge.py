"""Gauges of one potential that runs, or of several, by the last-layer features of one of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

import assay
from assay.scores.rigidity.last_layer import LastLayerForce, LastLayerRigidity, chosen_ratio
from assay.sources.committees import worker

DECAYS = np.array([0.5, 0.8, 1.3])


class Pairs:
    """`f_ik = Σ_j exp(−r_ij / η_k)`, `E = Σ_i w·f_i`: a last layer that is known."""

    def __init__(self, what: str, weight: float = 1.0) -> None:
        self.weights = weight * np.array([3.0, -2.0, 0.7])

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        return [self._one(frame, features, feature_forces) for frame in frames]

    def _one(self, frame: Atoms, features: bool, feature_forces: bool) -> dict[str, Any]:
        i, r, vector = neighbor_list("idD", frame, 4.0)
        decayed = np.exp(-r[:, None] / DECAYS)
        f, g = np.zeros((len(frame), 3)), np.zeros((3, len(frame), 3))
        np.add.at(f, i, decayed)
        for k, decay in enumerate(DECAYS):
            np.add.at(g[k], i, -2.0 * (decayed[:, k] / decay)[:, None] * vector / r[:, None])
        found = {"energy": float(f.sum(axis=0) @ self.weights), "forces": np.tensordot(self.weights, g, 1)}
        asked = {"features": features or feature_forces, "feature_forces": feature_forces}
        return {**found, **{key: {"features": f, "feature_forces": g}[key] for key, is_so in asked.items() if is_so}}


def labelled(count: int, seed: int, spread: float) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    truth, frames = Pairs("truth"), []
    truth.weights = np.array([3.3, -2.1, 0.72])
    for _ in range(count):
        frame = bulk("Cu", cubic=True) * (1, 1, 2)
        frame.positions += rng.normal(scale=spread * rng.uniform(0.2, 1.0), size=(8, 3))
        told = truth._one(frame, False, False)
        frame.info["REF_energy"] = told["energy"] + 8 * 2.5  # another zero
        frame.arrays["REF_forces"] = told["forces"]
        frames.append(frame)
    return frames


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("ASSAY_CACHE", "off")
    monkeypatch.setattr(worker, "load", lambda family, arguments: Pairs(**arguments))
    train, held_out = tmp_path / "train.extxyz", tmp_path / "held-out.extxyz"
    ase.io.write(train, labelled(16, 0, 0.2))
    ase.io.write(held_out, labelled(12, 1, 0.3))
    return train, held_out


def test_one_potential_has_scores_of_its_own_features_and_error_bars(files: tuple[Path, Path], tmp_path: Path):
    train, held_out = files
    built = assay.build(train, calibration=held_out, source="ase_committee:chgnet:0.3.0", out=tmp_path / "gauge.assay")
    gauge = assay.Gauge.load(tmp_path / "gauge.assay")
    assert gauge.bar == "leverage:scale"
    names = [score.name for score in gauge.scores]
    assert names == ["gamma", "leverage", "gamma_local", "frame_outlier_factor", "last_layer_prediction_rigidity"]
    found = gauge.assess(labelled(5, 2, 0.3))
    assert found.bars.energy is not None
    assert found.bars.force is not None
    for score, before in zip(gauge.scores, built.gauge.scores, strict=True):
        frame = labelled(1, 3, 0.3)[0]
        values = score.values(gauge.source.predict(frame), frame.numbers)
        np.testing.assert_array_equal(values, before.values(built.gauge.source.predict(frame), frame.numbers))


def test_errors_of_the_training_frames_choose_the_regulariser(files: tuple[Path, Path]):
    """After the shift of the zeros, which is no error."""
    train, held_out = files
    built = assay.build(train, calibration=held_out, source="ase_committee:chgnet:0.3.0")
    (score,) = (each for each in built.gauge.scores if isinstance(each, LastLayerRigidity))
    frames, potential = ase.io.read(train, ":"), Pairs("")
    errors = [(potential._one(f, False, False)["energy"] - f.info["REF_energy"]) / 8 for f in frames]
    rows = np.array([potential._one(f, True, False)["features"].mean(axis=0) for f in frames])
    assert score.ratio == chosen_ratio(rows, np.array(errors) - np.mean(errors))
    assert score.ratio != chosen_ratio(rows, np.array(errors))


def test_error_bars_of_forces_from_the_derivatives_of_the_features(files: tuple[Path, Path], tmp_path: Path):
    train, held_out = files
    source = "ase_committee:chgnet:0.3.0,features=chgnet-0.3.0"
    assay.build(
        train, calibration=held_out, source=source, error_bar="last_layer_force:scale",
        scores=["last_layer_force"], out=tmp_path / "gauge.assay",
    )  # fmt: skip
    gauge = assay.Gauge.load(tmp_path / "gauge.assay")
    (score,) = gauge.scores
    assert isinstance(score, LastLayerForce)
    frame = labelled(1, 5, 0.3)[0]
    told = Pairs("")._one(frame, True, True)
    found = gauge.assess([frame])
    variance = np.einsum("dac,ed,eb,bac->a", told["feature_forces"], score.energy.root, score.energy.root,
                         told["feature_forces"])  # fmt: skip
    np.testing.assert_allclose(found.scores["last_layer_force", "atom"].values, variance, rtol=1e-6)
    assert found.bars.energy is not None
    alpha = gauge.calibrators["energy"].alpha
    x = told["features"].mean(axis=0)
    expected = alpha * np.linalg.norm(score.energy.root @ x)
    np.testing.assert_allclose(found.bars.energy.std, expected, rtol=1e-6)


def test_several_potentials_with_the_features_of_one(files: tuple[Path, Path]):
    train, held_out = files
    source = {
        "source": "ase_committee",
        "features": "b",
        "member": [
            {"label": label, "model": "chgnet:0.3.0", "arguments": {"weight": weight}}
            for label, weight in (("a", 0.9), ("b", 1.0), ("c", 1.2), ("d", 1.1))
        ],
    }
    built = assay.build(train, calibration=held_out, source=source)
    names = {score.name for score in built.gauge.scores}
    assert {"committee_force", "heterogeneous", "gamma", "leverage", "last_layer_prediction_rigidity"} <= names
    without = {key: value for key, value in source.items() if key != "features"}
    assert "gamma" not in {
        score.name for score in assay.build(train, calibration=held_out, source=without).gauge.scores
    }
    with pytest.raises(ValueError, match=r"gamma needs features, which .* does not have; name a member"):
        assay.build(train, calibration=held_out, source=without, scores=["gamma"])


def test_the_member_with_features_is_kept_for_them(files: tuple[Path, Path]):
    train, held_out = files
    source = {
        "source": "ase_committee",
        "features": "worst",
        "member": [
            {"label": label, "model": "chgnet:0.3.0", "arguments": {"weight": weight}}
            for label, weight in (("a", 0.8), ("b", 1.2), ("c", 1.3), ("worst", 1.5))
        ],
    }
    with pytest.warns(UserWarning, match="member worst is not among the best and is kept for its features"):
        built = assay.build(train, calibration=held_out, source=source, members=assay.MemberChoice(best=3))
    assert built.gauge.source.references.members == ("a", "b", "c", "worst")


def test_derivatives_of_what_has_none_are_refused(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    train, held_out = files
    with pytest.raises(ValueError, match="last_layer_force needs derivatives of last-layer features"):
        assay.build(train, calibration=held_out, source="soap", scores=["last_layer_force"])
    plain = Pairs._one
    monkeypatch.setattr(Pairs, "_one", lambda self, frame, features, feature_forces: plain(self, frame, False, False))
    with pytest.raises(ValueError, match="gives none"):
        assay.build(train, calibration=held_out, source="ase_committee:chgnet:0.3.0")


def test_atoms_with_large_force_errors_are_left_out_on_request(files: tuple[Path, Path]):
    train, held_out = files
    frames = ase.io.read(train, ":")
    frames[3].arrays["REF_forces"][2] += 50.0
    ase.io.write(train, frames)
    counts = []
    for without in (False, True):
        built = assay.build(
            train,
            calibration=held_out,
            source="ase_committee:chgnet:0.3.0",
            scores=["leverage"],
            score_fit=assay.ScoreFit(without_outliers=without),
        )
        counts.append(built.gauge.scores[0])
    wild = frames[3]
    evaluation = built.gauge.source.predict(wild)
    kept, left_out = (score.values(evaluation, wild.numbers)[2] for score in counts)
    assert left_out > kept


def test_compare_judges_the_bars_that_build_makes(files: tuple[Path, Path], tmp_path: Path):
    train, held_out = files
    ase.io.write(tmp_path / "test.extxyz", labelled(8, 4, 0.3))
    source = "ase_committee:chgnet:0.3.0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few frames
        result = assay.compare(
            train, tmp_path / "test.extxyz", source=source, calibration=held_out,
            scores=["leverage", "last_layer_prediction_rigidity", "last_layer_force"], calibrators=["scale"],
            resamples=20,
        )  # fmt: skip
        for score in ("leverage", "last_layer_prediction_rigidity", "last_layer_force"):
            gauge = assay.build(train, calibration=held_out, source=source, error_bar=f"{score}:scale").gauge
            expected = assay.evaluate(gauge, tmp_path / "test.extxyz").bars
            for quantity in ("force", "energy"):
                found = result.bars["test"][quantity][score]["scale"].coverage[0.68].value
                assert found == pytest.approx(expected[quantity].figures.coverage[0.68]), (score, quantity)
