"""The benchmark study: splits share nothing, others can add a file, and the page says what the results say."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from assay.frames.frame import Frame, content_hash
from assay.results.prediction import Prediction
from assay.scores.features.training import TrainingFeatures

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "studies"
RESULTS = STUDIES / "results" / "benchmark.json"
DATASETS = sorted((STUDIES / "benchmark" / "datasets").glob("*.toml"))


@pytest.fixture(scope="module", autouse=True)
def studies() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STUDIES))
        yield


@pytest.fixture
def data() -> ModuleType:
    return importlib.import_module("benchmark_data")


def frames(*kinds: str, cells: tuple[float, ...] = ()) -> list[Frame]:
    sizes = cells or tuple(4.0 + 0.01 * k for k in range(len(kinds)))
    return [
        Frame(bulk("Cu", a=a), f"file:{k}", kind, float(k), np.zeros((1, 3)))
        for k, (kind, a) in enumerate(zip(kinds, sizes, strict=True))
    ]


def test_blocks_are_contiguous_within_each_config_type(data: ModuleType):
    mixed = frames(*"aaaaaabbb")
    taken = [data.chosen_rows(mixed, {"folds": 3, "fold": [fold]}) for fold in range(3)]
    assert taken == [[0, 1, 6], [2, 3, 7], [4, 5, 8]]
    assert data.chosen_rows(mixed, {"config_type": "b", "folds": 3, "fold": [0, 2]}) == [6, 8]


def test_frames_in_the_same_cell_stay_together(data: ModuleType):
    cells = (3.6, 3.7, 3.6, 3.8, 3.7, 3.6, 3.8, 3.9)
    mixed = frames(*"aaaaaaaa", cells=cells)
    folds = [data.chosen_rows(mixed, {"unit": "cell", "folds": 3, "fold": [fold]}) for fold in range(3)]
    assert sorted(row for fold in folds for row in fold) == list(range(8))
    homes = {cell: {k for k, fold in enumerate(folds) if cell in {cells[row] for row in fold}} for cell in set(cells)}
    assert all(len(home) == 1 for home in homes.values())


def test_the_energy_of_a_selection_is_a_range_of_quantiles(data: ModuleType):
    mixed = frames(*"aaaaaaaaaa")  # energies 0 … 9
    assert data.chosen_rows(mixed, {"energy": [0.8, 1.0]}) == [8, 9]
    assert data.chosen_rows(mixed, {"energy": [0.0, 0.8], "frames": "1::3"}) == [1, 4, 7]


SHIPPED = """title = "x"
about = "x"
new = []
folder = "shipped"
train = [{ file = "train.extxyz.gz" }]
calibration = [{ file = "calibration.extxyz.gz" }]
tests.same = [{ file = "%s" }]
[sources.SNAP]
source = "snap"
"""


def test_splits_that_share_a_structure_are_refused(data: ModuleType, tmp_path: Path):
    file = tmp_path / "own.toml"
    file.write_text(SHIPPED % "train.extxyz.gz")
    with pytest.raises(ValueError, match=r"own: .*train\.extxyz\.gz:0 is in train and in same"):
        data.Dataset.load(file).splits(None)
    file.write_text(SHIPPED % "test.extxyz.gz")
    assert [*data.Dataset.load(file).splits(None)] == ["train", "calibration", "same"]


@pytest.mark.parametrize(
    ("change", "told"),
    [(("new = []", 'new = ["other"]'), "other"), (("file =", "fiel ="), "fiel"), (('about = "x"\n', ""), "about")],
)
def test_a_data_set_with_a_slip_is_refused(data: ModuleType, tmp_path: Path, change: tuple[str, str], told: str):
    file = tmp_path / "own.toml"
    file.write_text(SHIPPED.replace(*change) % "test.extxyz.gz")
    with pytest.raises(ValueError, match=told):
        data.Dataset.load(file)


@pytest.mark.data
@pytest.mark.parametrize("path", DATASETS, ids=lambda path: path.stem)
def test_no_split_shares_a_structure_with_another(data: ModuleType, path: Path, real_data: Path):
    splits = data.Dataset.load(path).splits(real_data)
    seen = [{content_hash(each.frame.atoms) for each in split} for split in splits.values()]
    assert len(set().union(*seen)) == sum(map(len, seen))


@pytest.mark.data
def test_recorded_members_are_of_their_frames(data: ModuleType, real_data: Path):
    universal = data.Dataset.load(STUDIES / "benchmark" / "datasets" / "tungsten-universal.toml")
    for name, split in universal.splits(real_data, ["esen-omat"]).items():
        away = np.concatenate([each.recorded.forces_members[0] - each.frame.forces for each in split])
        assert np.sqrt((away**2).mean()) < 0.1, name  # their spread is 0.87 eV/Å


def test_zeros_of_energy_of_members_are_those_of_the_training_labels(data: ModuleType):
    def chosen(symbols: str, energy: float) -> Any:
        atoms = Atoms(symbols)
        zeros = np.array([[3.0, -1.0], [0.5, 0.0]]) @ [symbols.count("H"), symbols.count("O")]
        members = Prediction(energy_members=energy + zeros, forces_members=np.zeros((2, len(atoms), 3)))
        return data.Chosen(Frame(atoms, "file:0", "", energy), members)

    splits = {"train": [chosen("HHO", -9.0), chosen("HO", -5.0), chosen("OO", -4.0)], "test": [chosen("HHHO", -12.0)]}
    for split in data.aligned(splits).values():
        for each in split:
            assert each.recorded.energy_members == pytest.approx([each.frame.energy] * 2)


def test_an_own_method_tells_outside_from_inside():
    (isolation_forest,) = importlib.import_module("benchmark").extra_methods()
    rng, training = np.random.default_rng(0), TrainingFeatures()
    for _ in range(20):
        inside = np.hstack([rng.normal(size=(16, 3)), np.ones((16, 1))])  # and a constant column
        training.append(inside, np.full(16, 14))
    score = isolation_forest.fit(training)
    rows = np.vstack([np.r_[np.zeros(3), 1.0], np.full(4, 6.0), np.r_[np.zeros(3), 1.0]])
    values = score.values(Prediction(features=rows), np.array([14, 14, 6]))
    assert values[1] > values[0]
    assert values[2] == np.inf
    order = np.array([2, 0, 1])
    assert (score.values(Prediction(features=rows[order]), np.array([6, 14, 14])) == values[order]).all()


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("benchmark") / "benchmark.json"
    command = [sys.executable, str(STUDIES / "benchmark.py"), "--quick", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.snap
def test_a_quick_run_has_every_method_and_the_controls(quick: dict[str, Any]):
    (run,) = quick["runs"]
    assert (run["dataset"], run["source"]) == ("silicon-pbe", "SNAP")
    assert {"isolation_forest", "gamma", "committee_force[pops]", "random", "constant"} <= run["methods"].keys()
    columns = importlib.import_module("benchmark_page").RANKING
    frames = run["ranking"]["unseen"]["force_frame"]
    rho = {name: row[columns.index("spearman/value")] for name, row in frames.items()}
    assert rho["committee_force[pops]"] > 0.7 > 0.4 > abs(rho["random"])
    assert all(len(row) == len(columns) + 1 for row in frames.values())


@pytest.mark.snap
def test_the_tables_and_the_picture_of_a_run(quick: dict[str, Any], tmp_path: Path):
    pytest.importorskip("matplotlib")
    pages = importlib.import_module("benchmark_page")
    for name in pages.PAGES:
        (tmp_path / name).write_text((ROOT / "docs" / name).read_text(encoding="utf-8"), encoding="utf-8")
    pages.write_pages(tmp_path, quick["runs"])
    importlib.import_module("benchmark_figure").draw(tmp_path / "benchmark.svg", quick["runs"])
    (row,) = [
        line
        for line in (tmp_path / "benchmark.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| silicon-pbe") and "unseen" in line
    ]
    assert row.split(" | ")[3:6] == ["new", "74", "765"]
    assert "committee_force[pops]" in (tmp_path / "benchmark.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["benchmark.md", "benchmark-runs.md"])
def test_the_tables_of_the_pages_are_those_of_the_committed_results(name: str):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    runs = json.loads(RESULTS.read_text(encoding="utf-8"))["runs"]
    assert importlib.import_module("benchmark_page").filled(text, runs) == text


def test_the_committed_results_are_of_all_data_sets(data: ModuleType):
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert RESULTS.stat().st_size < 1e6
    loaded = [data.Dataset.load(path) for path in DATASETS]
    assert [(r["dataset"], r["source"]) for r in results["runs"]] == [(d.name, s) for d in loaded for s in d.sources]
    assert [run["settings"] for run in results["runs"]] == [own for d in loaded for own in d.sources.values()]
    assert not any("failed" in run for run in results["runs"])
