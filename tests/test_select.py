"""`assay select` and the techniques under it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from numpy.typing import NDArray

import assay
from assay.frames.frame import FrameError, content_hash
from assay.scores.d_optimality.maxvol import active_set, grades
from assay.selection.by_score import Points
from assay.selection.by_volume import Environments, exchange, extended, maxvol
from assay.selection.candidates import Candidates, Extends, unspanned
from assay.selection.diversity import Standard, farthest
from assay.selection.pool import Pool
from assay.sources.features.callable import PythonCallable
from assay.sources.frame_files import FrameObjects
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings
from assay.verbs.demo import demo_data

Z = 14


def distances(atoms: Atoms) -> NDArray[np.float64]:
    """Eight sums of Gaussians of distances: smooth, cheap, and different for different environments."""
    d = atoms.get_all_distances(mic=True)
    return np.exp(-((d[:, :, None] - np.linspace(1.5, 5.0, 8)) ** 2)).sum(axis=1)


def rattled(n: int, *, scale: float = 0.05, seed: int = 0, symbol: str = "Si") -> list[Atoms]:
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk(symbol, "diamond", a=5.43, cubic=True)
        atoms.positions += scale * rng.normal(size=(len(atoms), 3))
        frames.append(atoms)
    return frames


def files(folder: Path, **frames: list[Atoms]) -> dict[str, Path]:
    paths = {name: folder / f"{name}.extxyz" for name in frames}
    for name, path in paths.items():
        write(path, frames[name])
    return paths


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Ten training frames, and a pool of ten like them and six that are more distorted."""
    pool = rattled(10, seed=1) + rattled(6, scale=0.4, seed=2)
    return files(tmp_path_factory.mktemp("frames"), train=rattled(10), pool=pool)


def select(paths: dict[str, Path], n: int, **more: Any) -> assay.Selection:
    return assay.select(None, paths["pool"], n, source=distances, **{"train": paths["train"], **more})


# The algebra of exchanges


def test_rows_in_their_places_give_the_inverse_and_the_volume_of_the_new_set() -> None:
    rng = np.random.default_rng(0)
    a, f = rng.normal(size=(6, 6)), 3 * rng.normal(size=(20, 6))
    _, rows, places = exchange(f @ np.linalg.inv(a), 1.01)
    after = a.copy()
    after[places] = f[rows]
    assert len(rows) > 1
    sets, gain = extended({Z: np.linalg.inv(a)}, {Z: Environments(f, np.arange(20))})
    np.testing.assert_allclose(sets[Z], np.linalg.inv(after), rtol=1e-9, atol=1e-12)
    assert gain == pytest.approx(np.linalg.slogdet(after)[1] - np.linalg.slogdet(a)[1], rel=1e-10)
    assert grades(f, [sets[Z]]).max() <= 1.01


def test_the_first_choice_adds_most_of_all_groups_and_the_gains_add_up() -> None:
    rng = np.random.default_rng(1)
    start = np.linalg.inv(rng.normal(size=(5, 5)))
    pool = {Z: Environments(rng.normal(size=(60, 5)), np.repeat(np.arange(20), 3))}
    alone = [extended({Z: start}, pool, [group])[1] for group in range(20)]
    chosen, sets = maxvol(pool, {Z: start}, 20)
    assert chosen[0].group == int(np.argmax(alone))
    assert chosen[0].gain == pytest.approx(max(alone))
    assert 1 < len(chosen) < 20
    assert len({each.group for each in chosen}) == len(chosen)
    volumes = [-np.linalg.slogdet(each)[1] for each in (start, sets[Z])]
    assert sum(each.gain for each in chosen) == pytest.approx(volumes[1] - volumes[0])
    assert all(each.grade > 1.01 and each.gain > 0 for each in chosen)


@pytest.mark.parametrize("seed", range(5))
def test_no_environment_of_a_chosen_group_is_outside_afterwards(seed: int) -> None:
    """Whatever the swaps of later groups did to those of the groups before them."""
    rng = np.random.default_rng(seed)
    features, groups = rng.normal(size=(200, 8)), np.repeat(np.arange(20), 10)
    chosen, sets = maxvol({Z: Environments(features, groups)}, {Z: np.linalg.inv(rng.normal(size=(8, 8)))}, 10)
    inside = np.isin(groups, [each.group for each in chosen])
    assert grades(features[inside], [sets[Z]]).max() < 1.01 + 1e-9


def test_groups_with_two_species_add_the_gains_of_both() -> None:
    rows = {1: np.array([[3.0, 0.0], [5.0, 0.0]]), 8: np.array([[4.0, 0.0], [1.0, 0.0]])}
    pool = {z: Environments(features, np.array([0, 1])) for z, features in rows.items()}
    chosen, _ = maxvol(pool, {z: np.eye(2) for z in rows}, 2)
    assert [each.group for each in chosen] == [0, 1]
    assert chosen[0].gain == pytest.approx(np.log(3.0 * 4.0))
    assert chosen[1].gain == pytest.approx(np.log(5.0 / 3.0))
    assert [each.grade for each in chosen] == pytest.approx([4.0, 5.0 / 3.0])


def test_a_pool_too_large_to_keep_loses_no_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    """400 frames of noise in three directions and one frame with a fourth: kept are few, and the one among them."""
    rng = np.random.default_rng(3)
    frames = rng.normal(size=(400, 4, 4)) * [5.0, 5.0, 5.0, 0.1]
    frames[123, 2] = [0.0, 0.0, 0.0, 3.0]
    source = PythonCallable.of(lambda atoms: frames[atoms.info["k"]])
    candidates = Candidates({Z: np.eye(4)}, rows=50)
    most = 0
    for k in range(400):
        frame = assay.Frame(Atoms("Si4", info={"k": k}), f"pool:{k}")
        candidates.update(np.full(4, k), Extends(source, {Z: np.eye(4)})(frame))
        most = max(most, len(candidates.pool()[Z].groups))
    assert most < 70
    chosen, _ = maxvol(candidates.pool(), candidates.inverses, 5)
    assert 123 in [each.group for each in chosen]


def test_an_active_set_of_nothing_makes_every_direction_new() -> None:
    features = np.array([[2.0, 0.0, 1e-30], [4.0, 0.0, 0.0]])
    gamma = grades(features, [unspanned(features)])[0]
    assert gamma[1] == pytest.approx(2 * gamma[0])
    assert gamma[1] > 1e6


# Diversity


def test_farthest_points_of_a_line() -> None:
    points = np.array([[0.0], [1.0], [10.0], [4.0]])
    indices, away = farthest(points, 9)
    assert indices.tolist() == [0, 2, 3, 1]
    assert away.tolist() == [np.inf, 10.0, 4.0, 1.0]
    indices, away = farthest(points, 2, nearest=np.abs(points[:, 0] - 9.0))
    assert indices.tolist() == [0, 3]
    assert away.tolist() == [9.0, 4.0]
    assert sorted(farthest(np.zeros((3, 2)), 3)[0]) == [0, 1, 2]


def test_points_have_unit_spread_whatever_the_units_of_the_features() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 4)) * [1.0, 1e6, 1e-9, 0.0] + [0.0, 0.0, 0.0, 7.3]
    np.testing.assert_allclose(Standard.of(points)(points).std(axis=0), [1.0, 1.0, 1.0, 0.0], atol=1e-9)


def test_points_of_atoms_of_different_species_are_far_apart_and_points_of_frames_are_moments() -> None:
    features, numbers = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 8.0]]), np.array([8, 14, 14])
    of_atoms, of_frame = (
        Points(PythonCallable.of(distances), ("O", "Si"), of_atoms).of(features, numbers) for of_atoms in (True, False)
    )
    assert of_atoms.tolist() == [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 4.0], [0.0, 0.0, 5.0, 8.0]]
    assert of_frame.tolist() == [[1.0, 2.0, 0.0, 0.0, 4.0, 6.0, 1.0, 2.0]]


# The verb, on features alone


def test_maxvol_takes_the_distorted_frames(paths: dict[str, Path]) -> None:
    found = select(paths, 3)
    assert all(int(origin.rsplit(":")[-1]) >= 10 for origin in found.origins)
    assert found.extending == 3
    assert found.pool == 16
    assert found.frames[0].grade > 10


@pytest.mark.parametrize("by", ["maxvol", "score", "random"])
def test_every_structure_is_selected_once(paths: dict[str, Path], by: Any) -> None:
    """The pool twice over, and a training frame."""
    found = assay.select(
        None, [paths["pool"], paths["train"], paths["pool"]], 99, source=distances, train=paths["train"], by=by
    )
    assert sorted(found.origins) == sorted(f"{paths['pool']}:{i}" for i in range(16))
    assert len(found.repeated) == 26
    assert (f"{paths['train']}:3", f"{paths['train']}:3") in found.repeated
    assert (f"{paths['pool']}:7", f"{paths['pool']}:7") in found.repeated


def test_frames_that_add_nothing_come_last_by_their_grade(paths: dict[str, Path]) -> None:
    found = select(paths, 16)
    extending = [frame.gain > 0 for frame in found.frames]
    assert 1 < found.extending < 16
    assert extending == [True] * found.extending + [False] * (16 - found.extending)
    rest = [frame.grade for frame in found.frames[found.extending :]]
    assert rest == sorted(rest, reverse=True)
    assert rest[0] <= 1.01


def test_after_selection_no_environment_of_the_pool_extends(paths: dict[str, Path]) -> None:
    """Closed form: the active set of training and selected frames, found by another code path."""
    found = select(paths, 16)
    pool = read(paths["pool"], ":")
    chosen = [pool[int(frame.origin.rsplit(":")[-1])] for frame in found.frames if frame.gain > 0]
    home = active_set(np.concatenate([distances(atoms) for atoms in [*read(paths["train"], ":"), *chosen]]))
    assert grades(np.concatenate([distances(atoms) for atoms in pool]), [home.inverse]).max() < 1.2


def test_a_second_reading_selects_nothing_again(tmp_path: Path) -> None:
    """Environments of selected frames that were not kept in the first reading extend the set in the second."""
    paths = files(tmp_path, train=rattled(10), pool=rattled(40, scale=0.4, seed=0))
    found = select(paths, 40)
    assert len(set(found.origins)) == 40
    assert found.extending < 40


def test_the_distance_counts_training_frames(paths: dict[str, Path]) -> None:
    found = select(paths, 1, by="score").frames[0]
    pool, train = (read(paths[name], ":") for name in ("pool", "train"))
    points, home = (
        np.array([np.concatenate([f(distances(atoms), axis=0) for f in (np.mean, np.std)]) for atoms in frames])
        for frames in (pool, train)
    )
    gamma = active_set(np.concatenate([distances(atoms) for atoms in train])).inverse
    top = np.argsort([-grades(distances(atoms), [gamma]).max() for atoms in pool])[:4]  # a quarter of 16
    spread = points[top].std(axis=0)
    away = [np.linalg.norm((point - home) / spread, axis=1).min() for point in points[top]]
    assert found.distance == pytest.approx(max(away), rel=1e-9)
    assert found.origin == f"{paths['pool']}:{top[int(np.argmax(away))]}"


def test_atoms(paths: dict[str, Path], tmp_path: Path) -> None:
    found = select(paths, 7, atoms=True, out=tmp_path / "atoms.extxyz")
    ranks = [rank for frame in found.frames for rank in frame.ranks]
    assert sorted(ranks) == list(range(1, 8))
    assert [frame.ranks[0] for frame in found.frames] == sorted(frame.ranks[0] for frame in found.frames)
    for atoms, frame in zip(read(tmp_path / "atoms.extxyz", ":"), found.frames, strict=True):
        marked = atoms.arrays["selection_rank_of_atom"]
        assert marked[list(frame.atoms)].tolist() == list(frame.ranks)
        assert np.count_nonzero(marked) == len(frame.atoms)
    first = read(paths["pool"], int(found.origins[0].rsplit(":")[-1]))
    home = active_set(np.concatenate([distances(atoms) for atoms in read(paths["train"], ":")]))
    assert grades(distances(first), [home.inverse])[0].argmax() == found.frames[0].atoms[0]


@pytest.mark.parametrize("by", ["score", "random"])
def test_atoms_by_other_techniques(paths: dict[str, Path], by: Any) -> None:
    found = select(paths, 5, atoms=True, by=by)
    assert sum(len(frame.atoms) for frame in found.frames) == 5
    assert len({(frame.origin, i) for frame in found.frames for i in frame.atoms}) == 5


def test_a_frame_with_a_new_species_comes_first_where_the_source_knows_it(tmp_path: Path) -> None:
    germanium = rattled(1, symbol="Ge")[0]
    paths = files(tmp_path, train=rattled(4), pool=[*rattled(3, scale=0.4, seed=5), germanium])
    found = select(paths, 2)
    assert found.origins[0] == f"{paths['pool']}:3"
    by_score = select(paths, 2, by="score")
    assert by_score.failed == ((f"{paths['pool']}:3", "atom 0 is Ge, which was not in the training frames (Si)"),)
    assert len(by_score.frames) == 2


def test_one_frame(tmp_path: Path) -> None:
    paths = files(tmp_path, train=rattled(3), pool=rattled(1, seed=9))
    for by in ("maxvol", "score", "random"):
        assert select(paths, 3, by=by).origins == (f"{paths['pool']}:0",)


def test_a_pool_without_a_training_set(paths: dict[str, Path]) -> None:
    found = select(paths, 2, train=None)
    assert found.extending == 2
    assert found.frames[0].gain > 50


def test_bad_frames_cost_no_others(paths: dict[str, Path], tmp_path: Path) -> None:
    bad = rattled(2, seed=7)
    bad[0].positions[3] = np.nan
    bad[1].info["fails"] = True

    def features(atoms: Atoms) -> Any:
        if "fails" in atoms.info:
            raise RuntimeError("no such thing")
        return distances(atoms)

    pool = files(tmp_path, pool=[bad[0], *read(paths["pool"], ":"), bad[1]])["pool"]
    for n in (3, 99):
        found = assay.select(None, pool, n, source=features, train=paths["train"])
        assert [origin for origin, _ in found.failed] == [f"{pool}:0", f"{pool}:17"]
        assert "no such thing" in found.failed[1][1]
        assert len(found.frames) == min(n, 16)
        assert found.pool == 16


def test_nothing_to_select_says_why(paths: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="10 equal training frames"):
        select({**paths, "pool": paths["train"]}, 1)
    (tmp_path / "empty.extxyz").touch()
    with pytest.raises(FrameError, match="no frames in this file"):
        select({**paths, "pool": tmp_path / "empty.extxyz"}, 1)


def test_the_written_frames_are_those_of_the_pool(paths: dict[str, Path], tmp_path: Path) -> None:
    frames = read(paths["pool"], ":")
    for k, atoms in enumerate(frames):
        atoms.info |= {"config_type": f"kind {k}", "REF_energy": -1.5 * k, "REF_forces": "not a number"}
        atoms.arrays["colour"] = np.arange(8) / 4
    pool = files(tmp_path, pool=frames)["pool"]
    out = tmp_path / "selected.extxyz.gz"
    found = assay.select(None, pool, 3, source=distances, train=paths["train"], out=out)
    for rank, (atoms, frame) in enumerate(zip(read(out, ":"), found.frames, strict=True), 1):
        original = frames[int(frame.origin.rsplit(":")[-1])]
        assert content_hash(atoms) == content_hash(original)
        assert atoms.info["selection_rank"] == rank
        assert atoms.info["selected_by"] == "maxvol"
        assert atoms.info["selection_gain"] == pytest.approx(frame.gain)
        added = {"selected_by", "selection_rank", "selection_gain", "selection_grade"}
        assert {k: v for k, v in atoms.info.items() if k not in added} == original.info
        np.testing.assert_array_equal(atoms.arrays["colour"], original.arrays["colour"])
        assert frame.config_type == original.info["config_type"]


def test_results_of_a_calculator_stay_with_the_frame(tmp_path: Path) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator

    frames = rattled(2, seed=4)
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=-7.25, forces=np.full((8, 3), 0.5))
    paths = files(tmp_path, train=rattled(3), pool=frames)
    select(paths, 1, out=tmp_path / "out.extxyz")
    assert read(tmp_path / "out.extxyz").get_potential_energy() == -7.25


def test_workers_and_seeds_change_nothing_that_they_should_not(paths: dict[str, Path], tmp_path: Path) -> None:
    rows = [distances(atoms) for name in ("train", "pool") for atoms in read(paths[name], ":")]
    from assay.sources.features.file import write_features

    write_features(tmp_path / "f.npz", [*read(paths["train"], ":"), *read(paths["pool"], ":")], rows)
    found = [
        assay.select(None, paths["pool"], 5, source=f"features:{tmp_path / 'f.npz'}", train=paths["train"], run=run)
        for run in (assay.Run(), assay.Run("local:2"))
    ]
    assert found[0] == found[1]
    assert found[0].frames == select(paths, 5).frames
    first, again, other = (select(paths, 5, by="random", seed=seed).origins for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n": 0}, "at least one"),
        ({"by": "best"}, "unknown technique 'best'; there are maxvol, score, random"),
        ({"score": "gamma"}, "for selection by score, not by maxvol"),
        ({"by": "score", "score": "committee_force"}, "needs a gauge; from features alone there are gamma"),
        ({"by": "score", "train": None}, "needs a gauge, or training frames"),
        ({"source": None}, "either a gauge or a source"),
        ({"source": "recorded"}, "'recorded' has no features; build a gauge"),
    ],
)
def test_settings_that_do_not_fit(paths: dict[str, Path], more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        assay.select(None, paths["pool"], **{"n": 2, "source": distances, "train": paths["train"], **more})


def test_a_pool_is_numbered_the_same_at_each_reading() -> None:
    frames = [assay.Frame(atoms, f"p:{k}") for k, atoms in enumerate([*rattled(3), *rattled(2)])]
    pool = Pool(FrameObjects(tuple(frames)), {})
    first, second = ([number for number, _ in pool.map(lambda frame: 0)] for _ in range(2))
    assert first == second == [0, 1, 2]
    assert pool.starts == [0, 8, 16, 24]
    assert pool.repeated == [("p:3", "p:0"), ("p:4", "p:1")]


# On silicon-pbe, with a gauge


@pytest.fixture(scope="module")
def gauge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gauge") / "si.gauge"
    assay.build(demo_data("train"), source="snap:twojmax=6,rcut=5.0", calibration=demo_data("calibration"), out=path)
    return path


@pytest.fixture(scope="module")
def features() -> dict[str, list[NDArray[np.float64]]]:
    source = Snap(SnapSettings(species=("Si",), twojmax=6, rcut=5.0))
    return {
        name: [source.features(frame.atoms) for frame in assay.read_frames(demo_data(name))]
        for name in ("train", "ood", "test")
    }


@pytest.mark.snap
@pytest.mark.parametrize("n", [3, 6, 12])
def test_maxvol_leaves_a_lower_grade_in_the_pool_than_random(
    n: int, gauge: Path, features: dict[str, list[NDArray[np.float64]]]
) -> None:
    """Largest γ of the frames that are left, against training and selected frames; random: mean of 10 seeds."""
    names = [demo_data("ood"), demo_data("test")]
    parts = zip(names, (features["ood"], features["test"]), strict=True)
    pool = {f"{path}:{i}": rows for path, part in parts for i, rows in enumerate(part)}

    def left(origins: tuple[str, ...]) -> float:
        home = active_set(np.concatenate([*features["train"], *(pool[origin] for origin in origins)]))
        rest = np.concatenate([f for origin, f in pool.items() if origin not in origins])
        return float(grades(rest, [home.inverse]).max())

    by_maxvol = left(assay.select(gauge, names, n).origins)
    at_random = [left(assay.select(gauge, names, n, by="random", seed=seed).origins) for seed in range(10)]
    assert by_maxvol < 0.6 * np.mean(at_random)
    assert by_maxvol < min(at_random) * 1.05


@pytest.mark.snap
def test_a_gauge_and_its_training_frames_start_from_the_same_active_set(gauge: Path) -> None:
    pool = demo_data("ood")
    of_gauge = assay.select(gauge, pool, 4)
    of_files = assay.select(None, pool, 4, source="snap:twojmax=6,rcut=5.0", train=demo_data("train"))
    assert of_gauge.origins == of_files.origins
    assert [f.gain for f in of_gauge.frames] == pytest.approx([f.gain for f in of_files.frames], rel=1e-6)


@pytest.mark.snap
def test_training_frames_beside_a_gauge_extend_its_active_set(gauge: Path, tmp_path: Path) -> None:
    """As if the gauge had been fitted to all of them."""
    frames = read(demo_data("ood"), ":")
    paths = files(tmp_path, more=frames[::2], pool=frames[1::2])
    before = assay.select(gauge, paths["pool"], 6)
    after = assay.select(gauge, paths["pool"], 6, train=paths["more"])
    everything = [demo_data("train"), paths["more"]]
    of_files = assay.select(None, paths["pool"], 6, source="snap:twojmax=6,rcut=5.0", train=everything)
    gains = [sum(frame.gain for frame in found.frames) for found in (before, after, of_files)]
    assert gains[1] < 0.6 * gains[0]
    assert gains[1] == pytest.approx(gains[2], rel=0.2)


@pytest.mark.snap
def test_scores_of_a_gauge(gauge: Path) -> None:
    """Every choice is among the highest quarter, and the first has the highest score."""
    pool = demo_data("ood")
    assessed = assay.Gauge.load(gauge).assess(assay.read_frames(pool))
    for name in ("gamma", "committee_force", "committee_energy", "leverage"):
        values = assessed.scores[name, "frame"].values
        found = assay.select(gauge, pool, 6, by="score", score=name)
        assert found.by == f"score:{name}"
        indices = [int(origin.rsplit(":")[-1]) for origin in found.origins]
        assert indices[0] == values.argmax()
        assert [frame.score for frame in found.frames] == pytest.approx(values[indices], rel=1e-9)
        assert np.argsort(np.argsort(-values))[indices].max() < round(len(values) / 4)
        away = [frame.distance for frame in found.frames[1:]]
        assert away == sorted(away, reverse=True)
    assert assay.select(gauge, pool, 1, by="score").by == "score:gamma"
    with pytest.raises(ValueError, match="it can't select atoms"):
        assay.select(gauge, pool, 2, by="score", score="committee_energy", atoms=True)
    with pytest.raises(ValueError, match="no score 'mood' in this gauge; it has"):
        assay.select(gauge, pool, 2, by="score", score="mood")


@pytest.mark.snap
def test_a_species_that_the_potential_lacks_is_listed(gauge: Path, tmp_path: Path) -> None:
    pool = files(tmp_path, pool=[*rattled(2, scale=0.3), *rattled(1, symbol="Ge")])["pool"]
    found = assay.select(gauge, pool, 3)
    assert len(found.frames) == 2
    assert [origin for origin, _ in found.failed] == [f"{pool}:2"]


@pytest.mark.filterwarnings("ignore:error bar of the energy. it rests on")  # of few frames
def test_a_source_without_features_selects_by_score_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rattled(12)
    for k, atoms in enumerate(frames):
        atoms.info |= {"REF_energy": 0.0} | {f"m{i}_energy": float(rng.normal()) for i in range(4)}
        atoms.arrays["REF_forces"] = np.zeros((8, 3))
        for i in range(4):
            atoms.arrays[f"m{i}_forces"] = (1 + k) * rng.normal(size=(8, 3))
    paths = files(tmp_path, train=frames[:8], pool=frames[8:])
    gauge = assay.build(paths["train"], source="recorded").gauge
    found = assay.select(gauge, paths["pool"], 2, by="score")
    assert found.by == "score:committee_force"
    assert [frame.distance for frame in found.frames] == [None, None]
    values = gauge.assess(assay.read_frames(paths["pool"])).scores["committee_force", "frame"].values
    assert [frame.score for frame in found.frames] == pytest.approx(np.sort(values)[::-1][:2])
    with pytest.raises(ValueError, match=r"no active set .*select by score"):
        assay.select(gauge, paths["pool"], 2)
    with pytest.raises(FrameError, match="no features of atoms"):
        assay.select(gauge, paths["pool"], 2, train=paths["train"])


# The command line


def command(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "from assay.cli.main import main; main()",
            "select",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.snap
def test_the_command(gauge: Path, tmp_path: Path) -> None:
    out, summary = tmp_path / "selected.extxyz", tmp_path / "selected.json"
    done = command(gauge, demo_data("ood"), demo_data("test"), "-n", 3, "-o", out, "--json", summary)
    table = json.loads(summary.read_text())
    assert [Path(row["frame"]).name in done.stdout for row in table["frames"]] == [True] * 3
    assert [atoms.info["selection_rank"] for atoms in read(out, ":")] == [1, 2, 3]
    assert table["extending"] == 3
    printed = json.loads(command(gauge, demo_data("ood"), "-n", 2, "--by", "random", "--json", "-").stdout)
    assert len(printed["frames"]) == 2
    assert printed["extending"] is None


@pytest.mark.snap
def test_the_command_without_a_gauge(tmp_path: Path) -> None:
    arguments = ["--source", "snap:twojmax=4", "-t", demo_data("train"), demo_data("ood"), "-n", 99]
    done = command(*arguments)
    assert "74 of the 99 frames asked for: the pool has no more" in done.stderr
    assert "frames extend the active set; the other" in done.stderr
    done = command(*arguments[:-1], 3, "--atoms")
    assert "selected atoms" in done.stdout


def test_usage(tmp_path: Path) -> None:
    pool = files(tmp_path, pool=rattled(1))["pool"]
    assert "give NAME.gauge and the frames" in command(pool, "-n", 1, code=2).stderr
    assert "not a gauge" in command(pool, pool, "-n", 1, code=1).stderr


@pytest.mark.snap
def test_bad_frames_are_the_users_to_accept(gauge: Path, tmp_path: Path) -> None:
    bad = rattled(3, scale=0.3)
    bad[1].positions[0] = np.inf
    pool = files(tmp_path, pool=bad)["pool"]
    out = tmp_path / "out.extxyz"
    assert "--skip-bad accepts that" in command(gauge, pool, "-n", 1, "-o", out, code=1).stderr
    assert len(read(out, ":")) == 1
    command(gauge, pool, "-n", 1, "--skip-bad")


def test_a_pool_of_lammps_dumps_with_types_alone(paths: dict[str, Path], tmp_path: Path) -> None:
    """`species` names the types; the frame that is distorted is taken."""
    atoms = [*rattled(1, seed=3), *rattled(1, scale=0.4, seed=4)]
    length = atoms[0].cell[0, 0]
    with (tmp_path / "pool.dump").open("w") as dump:
        for step, each in enumerate(atoms):
            dump.write(f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(each)}\nITEM: BOX BOUNDS pp pp pp\n")
            dump.write(f"0 {length}\n" * 3 + "ITEM: ATOMS id type xu yu zu\n")
            dump.writelines(f"{i} 1 {x} {y} {z}\n" for i, (x, y, z) in enumerate(each.positions, 1))
    options: dict[str, Any] = {"source": distances, "train": paths["train"]}
    with pytest.raises(FrameError, match="species"):
        assay.select(None, tmp_path / "pool.dump", 1, **options)
    chosen = assay.select(None, tmp_path / "pool.dump", 1, species=["Si"], **options)
    assert [frame.origin.rpartition(":")[2] for frame in chosen.frames] == ["1"]
