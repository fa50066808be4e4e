"""Linear correctors of a universal potential: rows, what is learnt before the fit, and the way from build to evaluate.

The potential is `toy_model.py`, run as a family by name, so that members, worker and cache are those of real ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from toy_model import READOUT, evaluated

import assay
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError
from assay.linear.fit import fit_linear
from assay.linear.posteriors.bayesian_ridge import BayesianRidge
from assay.linear.posteriors.pops_posterior import Pops
from assay.linear.potential import LinearPotential
from assay.linear.residual import residual_of
from assay.sources.committees import model_names, worker
from assay.sources.committees.cache import opened_cache
from assay.sources.corrector import Corrector
from assay.sources.features.axes import FeatureMoments
from assay.sources.registry import source_from_settings, source_from_state

THETA = np.array([0.2, -0.1, 0.3, 0.05, -0.4])
"""What labels have beside the potential, in its features, but for the constant one."""
SHIFT = {"Mo": 3.0, "W": -7.0}
"""eV: another reference scheme of the labels."""
MODEL = "toy_model:99"


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(worker, "MODELS", Path(__file__).parent)
    monkeypatch.setitem(model_names.PACKAGES, "toy_model", "numpy")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def atoms(seed: int, natoms: int = 6, species: tuple[str, ...] = ("Mo", "W")) -> Atoms:
    rng = np.random.default_rng(seed)
    symbols = rng.choice(list(species), natoms)
    grid = np.array([[x, y, z] for x in range(3) for y in range(2) for z in range(2)])[:natoms] * 2.7
    return Atoms(symbols, positions=grid + rng.normal(scale=0.25, size=grid.shape), cell=[9.0, 8.0, 8.5], pbc=True)


def labelled(
    count: int, noise: float = 0.0, shift: dict[str, float] | None = None, natoms: Callable[[int], int] | None = None
) -> list[Frame]:
    """Frames whose labels are those of the potential, a linear function of its features and a shift."""
    frames = []
    for seed in range(count):
        one = atoms(seed, 4 + seed % 5 if natoms is None else natoms(seed))
        features, gradients = evaluated(one)
        beside = np.append(THETA, 0.0)
        energy = features.sum(axis=0) @ (READOUT + beside) + sum((shift or {}).get(s, 0.0) for s in one.symbols)
        energy += noise * len(one) * np.sin(7.0 * seed)
        forces = np.einsum("d,dai->ai", READOUT + beside, gradients)
        frames.append(Frame(one, f"made:{seed}", "", float(energy), forces))
    return frames


def fitted(frames: list[Frame], source: Corrector, posterior: Any = None, **options: Any) -> LinearPotential:
    survey = Survey.fit(frames)
    every = np.ones(len(frames), dtype=bool)
    rows, residual = residual_of(source.for_species(survey.species), lambda: frames, survey, chosen=every)
    return fit_linear(frames, survey, rows, chosen=every, posterior=posterior or Pops(8), residual=residual, **options)


def write_frames(path: Path, frames: list[Frame]) -> Path:
    out = []
    for frame in frames:
        one = frame.atoms.copy()
        one.info["REF_energy"], one.arrays["REF_forces"] = frame.energy, frame.forces
        out.append(one)
    write(path, out, format="extxyz")
    return path


# -- principal axes ---------------------------------------------------------------------------------------------------


def several_species(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    species = rng.integers(0, 3, 200)
    features = rng.normal(size=(200, 4)) @ np.diag([3.0, 1.0, 0.3, 0.1]) + 1e3 * np.eye(4)[species]
    return features, species


def test_axes_are_those_of_the_scatter_within_species() -> None:
    features, species = several_species()
    moments = FeatureMoments(3, 4)
    moments.update(features, species)
    found = moments.axes(4)
    centres = np.array([features[species == s].mean(axis=0) for s in range(3)])
    _, _, vectors = np.linalg.svd(features - centres[species], full_matrices=False)
    assert found.centres == pytest.approx(centres)
    assert np.abs(np.sum(found.axes * vectors, axis=1)) == pytest.approx(1.0)


def test_axes_are_not_centred_without_constants() -> None:
    features, species = several_species()
    moments = FeatureMoments(0, 4, centred=False)
    moments.update(features, species)
    _, _, vectors = np.linalg.svd(features, full_matrices=False)
    found = moments.axes(2)
    assert np.abs(np.sum(found.axes * vectors[:2], axis=1)) == pytest.approx(1.0)
    assert found.components(features, species) == pytest.approx(features @ found.axes.T)


@pytest.mark.parametrize("centred", [True, False])
def test_folds_of_parts_are_the_fold_of_all(centred: bool) -> None:
    features, species = several_species()
    whole, first, second = (FeatureMoments(3, 4, centred=centred) for _ in range(3))
    whole.update(features, species)
    first.update(features[:30], species[:30])
    second.update(features[30:31], species[30:31])
    second.update(features[31:], species[31:])
    first.merge(second)
    assert first.scatter == pytest.approx(whole.scatter)
    assert first.means == pytest.approx(whole.means)


def test_features_that_do_not_vary_have_no_axis() -> None:
    moments = FeatureMoments(1, 5)
    moments.update(np.hstack([np.ones((9, 3)), np.outer(np.arange(9.0), [1.0, 2.0])]), np.zeros(9, dtype=np.int64))
    assert len(moments.axes(5).axes) == 1


def test_a_single_atom_has_no_axis() -> None:
    moments = FeatureMoments(2, 3)
    moments.update(np.ones((1, 3)), np.zeros(1, dtype=np.int64))
    assert moments.axes(3).axes.shape == (0, 3)


# -- the fit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [None, SHIFT])
def test_finds_a_linear_correction_and_another_reference_scheme(shift: dict[str, float] | None) -> None:
    frames = labelled(60, noise=1e-5, shift=shift)
    potential = fitted(frames[:40], Corrector(MODEL, components=5))
    for frame in frames[40:]:
        found = potential.predict(frame.atoms)
        assert found.energy == pytest.approx(frame.energy, abs=2e-3)
        assert found.energy_members is not None
        assert found.energy_members.shape == (8,)


def test_equation_10_without_constants() -> None:
    frames = labelled(60, noise=1e-5)
    potential = fitted(frames[:40], Corrector(MODEL, components=6, constants=False))
    assert potential.rows.species == ()
    assert potential.rows.coefficients == len(potential.theta) == 6
    for frame in frames[40:]:
        assert potential.predict(frame.atoms).energy == pytest.approx(frame.energy, abs=2e-3)


def test_a_right_potential_is_left_alone() -> None:
    frames = labelled(30)
    right = [
        replace(f, energy=float(evaluated(f.atoms)[0].sum(axis=0) @ READOUT) + 1e-6 * i) for i, f in enumerate(frames)
    ]
    potential = fitted(right, Corrector(MODEL), BayesianRidge(4))
    for frame in right:
        assert potential.predict(frame.atoms).energy == pytest.approx(frame.energy, abs=1e-4)
    assert np.abs(potential.theta).max() < 0.01


def test_forces_and_stress_are_those_of_the_potential_and_have_no_members() -> None:
    frames = labelled(40, noise=1e-4)
    found = fitted(frames, Corrector(MODEL)).predict(frames[0].atoms)
    assert found.forces == pytest.approx(np.einsum("d,dai->ai", READOUT, evaluated(frames[0].atoms)[1]))
    assert found.stress is not None
    assert found.forces_members is None
    assert found.stress_members is None
    assert found.features is not None
    assert found.features.shape == (len(frames[0].atoms), 6)


def test_forces_do_not_change_the_fit_of_energies() -> None:
    frames = labelled(40, noise=1e-3)
    wild = [replace(frame, forces=np.full_like(frame.forces, 100.0)) for frame in frames]
    for posterior in (Pops(4), BayesianRidge(4)):
        first, second = (fitted(some, Corrector(MODEL), posterior) for some in (frames, wild))
        assert second.theta.tolist() == first.theta.tolist()
        assert second.members.tolist() == first.members.tolist()


def test_members_bound_what_no_coefficients_match() -> None:
    frames = labelled(300, noise=3e-3)
    potential = fitted(frames[:200], Corrector(MODEL, components=2), Pops(100))
    outside = []
    for frame in frames[200:]:
        found = potential.predict(frame.atoms)
        assert found.energy_members is not None
        outside.append(not found.energy_members.min() <= frame.energy <= found.energy_members.max())
    assert np.mean(outside) < 0.1


def test_frames_that_the_potential_fails_on() -> None:
    frames = labelled(30, noise=1e-4)
    with pytest.raises(FrameError, match=r"made:0: .*ValueError: the graph has no edges"):
        fitted(frames, Corrector("toy_model:4"))
    failed: list[tuple[str, str]] = []
    potential = fitted(frames, Corrector("toy_model:4"), failed=failed)
    assert len(failed) == 6
    others = fitted([f for f in frames if len(f.atoms) != 4], Corrector(MODEL))
    assert potential.rows.axes.axes == pytest.approx(others.rows.axes.axes)  # type: ignore[attr-defined]


def test_a_potential_that_fails_on_every_frame() -> None:
    with pytest.raises(FrameError, match="no training frame could be evaluated; the last: made:4"):
        fitted(labelled(5, natoms=lambda seed: 4), Corrector("toy_model:4"))


def test_every_frame_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    predict = worker.predict
    monkeypatch.setattr(
        worker, "predict", lambda p, frames, *rest: (calls.append(len(frames)), predict(p, frames, *rest))[1]
    )
    assert opened_cache() is not None
    frames = labelled(20, noise=1e-4)
    fitted(frames, Corrector(MODEL))
    assert sum(calls) == 20


# -- forces -----------------------------------------------------------------------------------------------------------


def test_forces_are_the_derivative_of_the_energy_of_every_member() -> None:
    frames = labelled(30, noise=1e-3)
    potential = fitted(frames, Corrector(MODEL, forces=True), Pops(4))
    one = frames[0].atoms
    found, step = potential.predict(one), 1e-5
    assert found.energy_members is not None
    assert found.forces_members is not None
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        ends = []
        for sign in (1, -1):
            moved = one.copy()
            moved.positions[atom, axis] += sign * step
            told = potential.predict(moved)
            assert told.energy_members is not None
            ends.append(np.append(told.energy_members, told.energy))
        slope = -(ends[0] - ends[1]) / (2 * step)
        assert slope == pytest.approx(
            np.append(found.forces_members[:, atom, axis], found.forces[atom, axis]),  # type: ignore[index]
            abs=1e-5,
        )
    assert found.stress is None  # it would not be corrected
    forces = potential.rows.calculator(potential.theta).get_forces(one)
    assert forces == pytest.approx(found.forces)


def test_forces_tell_the_correction_where_energies_are_few() -> None:
    frames = labelled(12, noise=1e-6, shift=SHIFT)
    potential = fitted(frames[:3], Corrector(MODEL, components=5, forces=True))
    errors = [np.abs(potential.predict(f.atoms).forces - f.forces).max() for f in frames[3:]]
    before = [np.abs(f.forces - np.einsum("d,dai->ai", READOUT, evaluated(f.atoms)[1])).max() for f in frames[3:]]
    assert max(errors) < 0.02 * max(before)


# -- settings and files -----------------------------------------------------------------------------------------------


def test_state_is_data_and_gives_the_same_source_again() -> None:
    frames = labelled(30, noise=1e-4)
    potential = fitted(frames, Corrector(MODEL, components=3))
    state = potential.state()
    json.dumps({k: v for k, v in state["rows"].items() if not isinstance(v, np.ndarray)})
    again = LinearPotential.from_state(state, source_from_state(state["rows"]))
    assert again.predict(frames[3].atoms).energy == potential.predict(frames[3].atoms).energy
    assert again.label == potential.label


def test_what_a_file_names_runs_only_with_permission() -> None:
    elsewhere = f"{MODEL}@/no/such/python"
    by_user = source_from_settings({"source": "corrector", "model": elsewhere})
    assert by_user.allow_import == ("/no/such/python",)  # type: ignore[attr-defined]
    by_file = source_from_state({"kind": "corrector", "model": elsewhere})
    with pytest.raises(PermissionError, match="/no/such/python"):
        by_file.features(atoms(0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "which universal potential"),
        ({"model": MODEL, "axis": 3}, "unknown setting axis"),
        ({"model": MODEL, "components": -1}, "nothing to fit"),
        ({"model": MODEL, "components": 0, "constants": False}, "nothing to fit"),
        ({"model": MODEL, "forces": 1}, "must be true or false"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Corrector.from_state(settings)


def test_a_species_without_a_constant_is_refused() -> None:
    potential = fitted(labelled(20, noise=1e-4), Corrector(MODEL))
    with pytest.raises(FrameError, match="atom 0 is Ta"):
        potential.predict(atoms(0, species=("Ta",)))


def test_a_fit_without_what_is_learnt_before_is_refused() -> None:
    frames = labelled(5)
    with pytest.raises(ValueError, match="only assay build and compare fit correctors"):
        fit_linear(frames, Survey.fit(frames), Corrector(MODEL), chosen=np.ones(5, dtype=bool), posterior=Pops(2))


def test_no_property_follows_from_energies_alone() -> None:
    potential = fitted(labelled(20, noise=1e-4), Corrector(MODEL))
    with pytest.raises(ValueError, match="forces=true"):
        potential.rows.calculator(potential.theta)


# -- build, predict, evaluate -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:forces of the training frames contradict")  # the toy leaves forces as they are
def test_from_build_to_evaluate(tmp_path: Path) -> None:
    frames = labelled(150, noise=2e-3, shift=SHIFT)
    train, test = write_frames(tmp_path / "train.xyz", frames[:100]), write_frames(tmp_path / "test.xyz", frames[100:])
    built = assay.build(train, source=f"corrector:model={MODEL},components=3", out=tmp_path / "c.gauge")
    assert built.gauge.bar == "committee_energy:scale"
    assert built.gauge.provenance["labels"] == 90
    assert built.gauge.provenance["coefficients"] == 5
    assert not {name for name, _ in built.training.scores if name.startswith("committee_force")}
    found = assay.evaluate(tmp_path / "c.gauge", test)
    assert found.errors.energy.rmse < 5
    assert found.members == 100
    assert found.envelopes.force is None
    assert found.envelopes.energy.violation < 0.2
    assert found.bars.energy.figures.coverage[0.95] > 0.8
    predicted = assay.predict(tmp_path / "c.gauge", test, out=tmp_path / "out.xyz")
    assert predicted.bars.energy is not None
    assert predicted.batch.energy == pytest.approx([f.energy for f in frames[100:]], abs=0.1)


@pytest.mark.parametrize("forces", [False, True])
@pytest.mark.filterwarnings("ignore:error bar of the:UserWarning")  # of few calibration frames
@pytest.mark.filterwarnings("ignore:forces of the training frames contradict")  # the toy leaves forces as they are
def test_compare_judges_the_bars_of_build(tmp_path: Path, forces: bool) -> None:
    frames = labelled(100, noise=2e-3, shift=SHIFT)
    train, apart, test = (
        write_frames(tmp_path / f"{name}.xyz", part)
        for name, part in (("train", frames[:50]), ("apart", frames[50:75]), ("test", frames[75:]))
    )
    source = {"source": "corrector", "model": MODEL, "components": 3, "forces": forces}
    fit = assay.LinearFit(ensemble_size=12, seed=2)
    result = assay.compare(
        train, test, source=source, calibration=apart, posteriors=["pops"], calibrators=["scale"], linear_fit=fit,
        resamples=20,
    )  # fmt: skip
    names = ["committee_energy", *(["committee_force"] if forces else [])]
    assert {f"{name}[pops]" for name in names} | {"gamma", "leverage"} <= result.methods.keys()
    assert forces or not any(name.startswith("committee_force") for name in result.methods)
    assert not any(each.failed for each in result.splits)
    for name in (*names, "leverage"):
        gauge = assay.build(train, source=source, calibration=apart, error_bar=f"{name}:scale", linear_fit=fit).gauge
        expected = assay.evaluate(gauge, test)
        assert result.splits[2].errors.energy_rmse == pytest.approx(expected.errors.energy.rmse)
        method = name if name == "leverage" else f"{name}[pops]"
        found = result.bar("test", "energy", method, "scale")
        assert found is not None
        assert found.mean_width == pytest.approx(expected.bars.energy.figures.mean_width)
        assert found.nll == pytest.approx(expected.bars.energy.figures.nll)


def test_spreads_of_forces_are_refused_where_there_are_none(tmp_path: Path) -> None:
    train = write_frames(tmp_path / "train.xyz", labelled(20, noise=1e-4))
    with pytest.raises(ValueError, match="leaves forces as they are"):
        assay.build(train, source=f"corrector:model={MODEL}", error_bar="committee_force:scale")
