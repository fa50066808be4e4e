"""Features of the last layers of universal potentials, on real weights: symmetries, linearity, derivatives."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from assay.sources.committees import models

CHGNET = pytest.param("chgnet", {"what": "0.3.0"}, 64, marks=pytest.mark.chgnet, id="chgnet")
SEVENNET = pytest.param("sevennet", {"what": "7net-0"}, 64, marks=pytest.mark.sevennet, id="sevennet")
MODAL = pytest.param(
    "sevennet", {"what": "7net-mf-0", "modal": "PBE"}, 64, marks=pytest.mark.sevennet, id="sevennet-modal"
)
M3GNET = pytest.param(
    "matgl", {"what": "M3GNet-MP-2021.2.8-PES"}, 64, marks=[pytest.mark.matgl, pytest.mark.models], id="m3gnet"
)
TENSORNET = pytest.param(
    "matgl",
    {"what": "TensorNet-MatPES-PBE-v2025.1-PES", "incompatible": True},
    128,
    marks=[pytest.mark.matgl, pytest.mark.models],
    id="tensornet",
)
every_family = pytest.mark.parametrize(("family", "arguments", "columns"), [CHGNET, SEVENNET, MODAL, M3GNET, TENSORNET])


def rattled(frame: Atoms, seed: int = 0) -> Atoms:
    frame.rattle(0.05, seed=seed)
    return frame


SILICON = rattled(bulk("Si", cubic=True))
OXIDE = rattled(bulk("MgO", "rocksalt", a=4.2, cubic=True), 1)
SILICA = rattled(Atoms("SiO2", positions=[(0, 0, 0), (1.6, 0.3, 0), (-1.2, 1.1, 0.2)], cell=[5, 5.5, 6], pbc=True), 2)
FRAMES = [SILICON, OXIDE, SILICA]


@pytest.fixture(scope="session")
def potential(request: pytest.FixtureRequest) -> Any:
    """A function that loads the weights of a family once."""
    loaded: dict[str, Any] = {}

    def load(family: str, arguments: dict[str, str]) -> Any:
        key = json.dumps([family, arguments])
        if key not in loaded:
            if family == "matgl":
                arguments = {**arguments, "what": str(request.getfixturevalue("models") / arguments["what"])}
            module = pytest.importorskip(f"{models.__name__}.{family}")
            loaded[key] = module.Potential(**arguments)
        return loaded[key]

    return load


def features(model: Any, frame: Atoms) -> np.ndarray:
    return np.asarray(model.predict([frame], features=True)[0]["features"])


@every_family
def test_one_row_for_each_atom_and_the_prediction_stays(potential: Any, family: str, arguments: Any, columns: int):
    model = potential(family, arguments)
    for frame, plain, found in zip(FRAMES, model.predict(FRAMES), model.predict(FRAMES, features=True), strict=True):
        assert found["features"].shape == (len(frame), columns)
        assert "features" not in plain
        assert np.ptp(found["features"], axis=0).max() > 1e-3
        assert found["energy"] == pytest.approx(plain["energy"], abs=1e-5)
        np.testing.assert_allclose(found["forces"], plain["forces"], atol=1e-5)


@every_family
def test_a_batch_says_what_each_frame_says_alone(potential: Any, family: str, arguments: Any, columns: int):
    model = potential(family, arguments)
    for frame, found in zip(FRAMES, model.predict(FRAMES, features=True), strict=True):
        np.testing.assert_allclose(found["features"], features(model, frame), atol=2e-5)


@every_family
def test_rotation_order_and_periodic_images(potential: Any, family: str, arguments: Any, columns: int):
    model = potential(family, arguments)
    for frame in FRAMES:
        before = features(model, frame)
        scale = np.abs(before).max()
        turned = frame.copy()
        turned.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
        np.testing.assert_allclose(features(model, turned), before, atol=1e-4 * scale)
        order = np.random.default_rng(0).permutation(len(frame))
        np.testing.assert_allclose(features(model, frame[order]), before[order], atol=1e-4 * scale)
        moved = frame.copy()
        moved.positions += frame.cell[0] - 2.0 * frame.cell[2] + [0.3, 0.7, -0.2]
        moved.positions[0] += frame.cell[1]
        np.testing.assert_allclose(features(model, moved), before, atol=1e-4 * scale)
        np.testing.assert_allclose(features(model, frame * (1, 1, 2))[: len(frame)], before, atol=1e-4 * scale)


@every_family
def test_derivatives_by_finite_differences(potential: Any, family: str, arguments: Any, columns: int):
    model, step = potential(family, arguments), 5e-3
    frame = SILICA
    found = model.predict([SILICON, frame], feature_forces=True)[1]["feature_forces"]
    assert found.shape == (columns, len(frame), 3)
    for atom, axis in ((0, 0), (1, 2)):
        sums = []
        for sign in (1.0, -1.0):
            moved = frame.copy()
            moved.positions[atom, axis] += sign * step
            sums.append(features(model, moved).sum(axis=0))
        expected = -(sums[0] - sums[1]) / (2 * step)
        np.testing.assert_allclose(found[:, atom, axis], expected, atol=1e-2 * np.abs(found).max())
    np.testing.assert_allclose(found.sum(axis=1), 0.0, atol=1e-3 * np.abs(found).max())  # no net force


def weights(family: str, model: Any) -> np.ndarray:
    """Of the last layer, `(D,)`, in eV."""
    if family == "chgnet":
        return np.asarray(model.model.mlp.layers[-1].weight.detach().numpy()[0], dtype=np.float64)
    last = model.model._modules["reduce_hidden_to_energy"].linear
    scale = model.model._modules["rescale_atomic_energy"].scale.detach().numpy()
    assert np.ptp(scale) == 0.0
    return np.asarray(last.weight.detach().numpy(), dtype=np.float64) / np.sqrt(64) * scale.flat[0]


@pytest.mark.parametrize(("family", "arguments", "columns"), [CHGNET, SEVENNET])
def test_energies_and_forces_are_linear_in_the_features(potential: Any, family: str, arguments: Any, columns: int):
    """Energies but for constants of the species, and so forces."""
    model = potential(family, arguments)
    w = weights(family, model)
    frames = [rattled(SILICA.copy(), seed) for seed in range(4)] + [SILICA * (2, 1, 1)]
    found = model.predict(frames, feature_forces=True)
    left = [(one["energy"] - w @ one["features"].sum(axis=0)) / len(f) for one, f in zip(found, frames, strict=True)]
    assert np.std([one["energy"] / len(f) for one, f in zip(found, frames, strict=True)]) > 1e-3
    np.testing.assert_allclose(left, left[0], atol=1e-5)
    for one in found:
        np.testing.assert_allclose(np.tensordot(w, one["feature_forces"], 1), one["forces"], atol=2e-4)


@every_family
def test_an_atom_alone_and_a_molecule(potential: Any, family: str, arguments: Any, columns: int):
    model = potential(family, arguments)
    for frame in (bulk("Cu"), molecule("H2O", vacuum=6.0, pbc=True)):
        found = model.predict([frame], feature_forces=True)[0]
        assert found["features"].shape == (len(frame), columns)
        assert np.isfinite(found["features"]).all()
        assert np.isfinite(found["feature_forces"]).all()


MACE = """
import json, sys
import numpy as np
from ase.build import bulk
sys.path.insert(0, sys.argv[1])
import mace_file
model = mace_file.Potential(sys.argv[3], device="cpu")
frame = bulk("Si", cubic=True)
frame.rattle(0.05, seed=0)
turned = frame[::-1]
turned.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
moved, back = frame.copy(), frame.copy()
moved.positions[3, 1] += 1e-4
back.positions[3, 1] -= 1e-4
found = model.predict([frame, turned, moved, back], feature_forces=True)
named = {f"{key}{i}": one[key] for i, one in enumerate(found) for key in ("features", "feature_forces", "energy")}
peer = model.calculator.get_descriptors(frame, invariants_only=True)
np.savez(sys.argv[2], peer=peer, plain=model.predict([frame])[0]["energy"], **named)
"""


@pytest.mark.mace
def test_mace_in_its_own_environment(mace_python: Path, mace_model: Path, tmp_path: Path):
    """As its own `get_descriptors`; invariant, and differentiable."""
    source = Path(models.__file__).with_name("mace.py")
    (tmp_path / "mace_file.py").write_bytes(source.read_bytes())  # not beside itself, where it would hide the package
    script = [str(mace_python), "-c", MACE, str(tmp_path), str(tmp_path / "found.npz"), str(mace_model)]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    assert found["features0"].shape == (8, 32)  # 2 interactions of 16 channels
    np.testing.assert_allclose(found["features0"], found["peer"], atol=1e-10)
    np.testing.assert_allclose(found["features1"][::-1], found["features0"], atol=1e-8)
    expected = -(found["features2"] - found["features3"]).sum(axis=0) / 2e-4
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found["feature_forces0"][:, 3, 1], expected, atol=1e-5 * scale)
    assert found["energy0"] == pytest.approx(float(found["plain"]), abs=1e-10)
