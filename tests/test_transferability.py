"""Group × group: members recorded in the frames, whose errors are known multiples of their spread in each group."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

import assay
from assay.evaluation.transfer_cell import TransferCell
from assay.evaluation.transferability import group_of
from assay.evaluation.transferability_result import EVERYTHING, TABLES

pytestmark = pytest.mark.filterwarnings("ignore:error bar of the energy. it rests on")
"""Of groups of few frames."""

FACTOR = {"hot": 2.0, "cold": 0.5}
"""Error over spread of the members, of each group."""
ATOMS, EACH = 8, 40


def frame(rng: np.random.Generator, kind: str, symbol: str = "Si", noise: float = 1.0) -> Atoms:
    """Members around a prediction of zero whose spread varies tenfold, and labels that are off by a multiple of it."""
    atoms = Atoms(f"{symbol}{ATOMS}", 3.0 * np.arange(ATOMS)[:, None] * [1.0, 0, 0] + rng.random((ATOMS, 3)))
    spread = rng.uniform(0.1, 1.0, (ATOMS, 1)) * noise
    members = rng.standard_normal((20, ATOMS, 3))
    members = spread * (members - members.mean(axis=0)) / members.std(axis=0, ddof=1)
    energies = rng.standard_normal(20)
    width = rng.uniform(0.05, 0.2)
    energies = width * (energies - energies.mean()) / energies.std(ddof=1)
    atoms.info = {"config_type": kind, "temperature": 300, "REF_energy": width * FACTOR[kind] * rng.standard_normal()}
    atoms.arrays["REF_forces"] = FACTOR[kind] * spread * rng.standard_normal((ATOMS, 3))
    for k in range(20):
        atoms.info[f"m{k}_energy"] = energies[k]
        atoms.arrays[f"m{k}_forces"] = members[k]
    return atoms


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Forty frames of either group, one after the other."""
    rng = np.random.default_rng(0)
    write(tmp_path / "frames.extxyz", [frame(rng, kind) for kind in FACTOR for _ in range(EACH)])
    return tmp_path / "frames.extxyz"


def test_structures_are_judged_as_their_file(frames: Path) -> None:
    found, again = (
        assay.transferability(given, source="recorded", scores=["committee_force"]).summary()
        for given in (frames, read(frames, ":"))
    )
    assert found == again


def test_bars_transfer_by_the_ratio_of_the_factors(frames: Path, tmp_path: Path) -> None:
    """⟨z²⟩ is (factor judged / factor fitted)²; of 8 frames with 24 components each it is within 4 √(2/192)."""
    found = assay.transferability(frames, source="recorded", scores=["committee_force"], json_file=tmp_path / "t.json")
    assert found.rows == ("cold", "hot", EVERYTHING)
    assert found.columns == ("cold", "hot")
    assert found.frames == {"cold": (24, 8, 8), "hot": (24, 8, 8), EVERYTHING: (48, 16, 0)}
    z2 = found.tables["force_z_mean_square"]
    assert z2[:2] == pytest.approx(np.array([[1.0, 16.0], [1 / 16, 1.0]]), rel=8 * np.sqrt(2 / 192))
    covered = found.tables["force_coverage_95"]
    assert covered[0, 0] == pytest.approx(0.95, abs=4 * np.sqrt(0.0475 / 192))
    assert covered[0, 1] < 0.5
    assert covered[1, 0] == 1.0
    rmse = found.tables["force_rmse_eV_per_A"]
    assert rmse[0] == pytest.approx(rmse[1]), "recorded members are the same whatever they are calibrated on"
    assert np.all(found.tables["force_spearman"] > 0.5)
    assert np.all(found.tables["failed"] == 0)
    saved = json.loads((tmp_path / "t.json").read_text())
    assert saved == {**found.summary(), "warnings": []}
    assert set(saved["tables"]) == set(TABLES)


def test_a_cell_has_a_figure_for_each_table() -> None:
    assert {each.name for each in fields(TransferCell)} == set(TABLES)


def test_the_page_has_a_panel_for_each_table(frames: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    assay.transferability(frames, source="recorded", scores=["committee_force"], report=tmp_path / "t.html")
    page = (tmp_path / "t.html").read_text()
    assert all(f'id="{name}-panel"' in page for name in TABLES if name != "failed")


def test_the_diagonal_is_an_evaluation(frames: Path, tmp_path: Path) -> None:
    """The same blocks by hand, with `assay.build` and `assay.evaluate`."""
    from ase.io import read

    every = read(frames, ":")
    for name, blocks in (("train", (0, 2, 4)), ("held-out", (3,)), ("test", (1,))):
        write(tmp_path / f"{name}.extxyz", [every[EACH + i] for i in range(EACH) if i * 5 // EACH in blocks])
    gauge = assay.build(
        tmp_path / "train.extxyz",
        calibration=tmp_path / "held-out.extxyz",
        source="recorded",
        scores=["committee_force"],
    ).gauge
    wanted = assay.evaluate(gauge, tmp_path / "test.extxyz")
    found = assay.transferability(frames, source="recorded", scores=["committee_force"])
    cell = {name: table[0, 0] for name, table in found.tables.items()}
    bar = wanted.bars.force.figures
    assert cell["force_rmse_eV_per_A"] == pytest.approx(wanted.errors.force.rmse, rel=1e-6)
    assert cell["energy_rmse_meV_per_atom"] == pytest.approx(wanted.errors.energy.rmse, rel=1e-6)
    assert cell["force_coverage_68"] == pytest.approx(bar.coverage[0.68])
    assert cell["energy_coverage_95"] == pytest.approx(wanted.bars.energy.figures.coverage[0.95])
    assert cell["force_ence"] == pytest.approx(bar.ence, rel=1e-4)
    assert cell["flagged"] == wanted.scores["committee_force"].frame.flagged


def test_groups_that_are_too_small_are_judged_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    some = [frame(rng, "hot") for _ in range(10)] + [frame(rng, "cold") for _ in range(2)]
    write(tmp_path / "f.extxyz", some)
    found = assay.transferability(tmp_path / "f.extxyz", source="recorded")
    assert (found.rows, found.columns) == (("hot",), ("cold", "hot"))
    assert found.frames == {"cold": (0, 0, 2), "hot": (6, 2, 2)}
    assert found.failed == (("cold", "2 frames; 3 are needed"),)
    assert np.isfinite(found.tables["force_rmse_eV_per_A"]).all()


def test_species_that_were_not_trained_on_fail(tmp_path: Path) -> None:
    """Si and Ge apart: each gauge refuses the other's frames, and the one of both takes all."""
    rng = np.random.default_rng(2)
    write(tmp_path / "f.extxyz", [frame(rng, "hot", symbol) for symbol in ("Si", "Ge") for _ in range(10)])
    found = assay.transferability(tmp_path / "f.extxyz", source="recorded", group_by="composition")
    assert found.columns == ("Ge", "Si")
    assert found.tables["failed"].tolist() == [[0, 1], [1, 0], [0, 0]]
    assert np.isnan(found.tables["force_rmse_eV_per_A"][[0, 1], [1, 0]]).all()
    assert found.summary()["tables"]["force_rmse_eV_per_A"][0][1] is None


def test_copies_of_fitted_frames_are_not_judged(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    hot, cold = ([frame(rng, kind) for _ in range(10)] for kind in FACTOR)
    cold[2].positions = hot[0].positions  # hot[0] is fitted, cold[2] would be judged
    write(tmp_path / "f.extxyz", [*hot, *cold])
    assert assay.transferability(tmp_path / "f.extxyz", source="recorded").frames["cold"] == (6, 2, 1)


def test_of_copies_in_a_group_one_is_used(tmp_path: Path) -> None:
    """Otherwise frame 0 would be fitted and calibrated on, which no gauge takes."""
    rng = np.random.default_rng(3)
    hot, cold = ([frame(rng, kind) for _ in range(10)] for kind in FACTOR)
    found = {}
    for name, frames in (("copies", [*hot[:7], hot[0], *hot[7:], hot[0], *cold]), ("none", [*hot, *cold])):
        write(tmp_path / f"{name}.extxyz", frames)
        found[name] = assay.transferability(tmp_path / f"{name}.extxyz", source="recorded").summary()
    assert found["copies"] == found["none"]
    assert found["none"]["failed"] == []


def test_the_potential_of_all_groups_is_not_calibrated_on_what_it_is_fitted_to(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    hot, cold = ([frame(rng, kind) for _ in range(10)] for kind in FACTOR)
    cold[6].positions = hot[0].positions  # cold[6] is calibrated on
    write(tmp_path / "f.extxyz", [*hot, *cold])
    found = assay.transferability(tmp_path / "f.extxyz", source="recorded")
    assert found.failed == ()
    assert found.frames[EVERYTHING] == (12, 3, 0)


def test_groups_of_frames() -> None:
    atoms = Atoms("Mo2W4", info={"config_type": "md", "temperature": 300})
    assert group_of(atoms, "config_type") == "md"
    assert group_of(atoms, "temperature") == "300"
    assert group_of(atoms, "pressure") == ""
    assert group_of(atoms, "composition") == "MoW2"
    assert group_of(atoms, len) == "6"


def test_one_group(frames: Path) -> None:
    with pytest.raises(ValueError, match="one group, '300'"):
        assay.transferability(frames, source="recorded", group_by="temperature")


def test_settings_that_fit_nothing(frames: Path) -> None:
    with pytest.raises(ValueError, match="unknown source 'no_such_thing'"):
        assay.transferability(frames, source="no_such_thing")
    with pytest.raises(ValueError, match=r"no group could be fitted; the first: cold: .*is not SCORE:CALIBRATOR"):
        assay.transferability(frames, source="recorded", error_bar="committee_force")


def test_forces_that_vanish_by_symmetry_have_an_error_and_no_bar(tmp_path: Path) -> None:
    """Of a group without forces, the RMSE is that of the (zero) predictions, and there is nothing to cover."""
    rng = np.random.default_rng(4)
    hot, cold = ([frame(rng, kind) for _ in range(10)] for kind in FACTOR)
    for atoms in cold:
        atoms.arrays |= {name: 1e-4 * a for name, a in atoms.arrays.items() if name.endswith("forces")}
    write(tmp_path / "f.extxyz", [*hot, *cold])
    with pytest.warns(UserWarning, match="no error bar of the force"):
        found = assay.transferability(tmp_path / "f.extxyz", source="recorded")
    column = {name: table[found.rows.index("hot"), found.columns.index("cold")] for name, table in found.tables.items()}
    assert 0 < column["force_rmse_eV_per_A"] < 1e-3
    assert np.isnan(column["force_coverage_95"])
    assert np.isfinite(column["energy_coverage_95"])


def test_the_heat_map_has_the_numbers() -> None:
    """Every cell is written, in per cent for shares, and a dash where nothing is defined."""
    matplotlib = pytest.importorskip("matplotlib.figure")
    pytest.importorskip("jinja2")
    from assay.report.transferability.page import heat_map

    table = np.array([[0.951, np.nan, 0.12], [0.0, 1.0, 0.5]])
    for name, wanted in (
        ("force_coverage_95", ["95.1", "–", "12.0", "0.0", "100.0", "50.0"]),
        ("force_rmse_eV_per_A", ["0.951", "–", "0.120", "0", "1.00", "0.500"]),
        ("force_spearman", ["0.951", "–", "0.120", "0", "1.00", "0.500"]),
    ):
        ax = heat_map(matplotlib.Figure().subplots(), table, ("a", ""), ("x", "y", "z"), name)
        assert [text.get_text() for text in ax.texts] == wanted
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "no name"]
    for values in (np.full((1, 2), np.nan), np.zeros((1, 2)), np.full((1, 2), 3.0)):
        ax = heat_map(matplotlib.Figure().subplots(), values, ("a",), ("x", "y"), "force_z_mean_square")
        ax.figure.canvas.draw()
