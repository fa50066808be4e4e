"""Features without predictions: from a function, a file or a column of the frames, to scores and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.lj import LennardJones
from ase.neighborlist import neighbor_list

import assay
from assay.frames.frame import ATTACHED, Frame, FrameError
from assay.frames.reading import read_frames
from assay.gauge.calculator import GaugeCalculator
from assay.gauge.gauge import Gauge
from assay.results.per_quantity import PerQuantity
from assay.results.prediction import Prediction
from assay.sources.features.callable import PythonCallable
from assay.sources.features.file import Features, attach_features, write_features
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings
from assay.verbs.demo import demo_data

HERE = __name__
LABELS = ("REF_energy", "REF_forces", "REF_stress")


def shells(atoms: Atoms) -> np.ndarray:
    """Neighbours counted in five soft shells, `(A, 5)`."""
    i, d = neighbor_list("id", atoms, shells.cutoff)  # type: ignore[attr-defined]
    peaks = np.exp(-(((d[:, None] - np.linspace(2.0, 4.4, 5)) / 0.4) ** 2))
    return np.stack([np.bincount(i, column, len(atoms)) for column in peaks.T], axis=1)


shells.cutoff = 5.0  # type: ignore[attr-defined]


def frames_of(part: str) -> list[Atoms]:
    """Frames of silicon-pbe without labels."""
    frames = ase.io.read(demo_data(part), ":")
    for atoms in frames:
        atoms.calc = None
        for key in LABELS:
            atoms.info.pop(key, None)
            atoms.arrays.pop(key, None)
    return list(frames)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Unlabelled frames: 40 to train on, 15 held out, 12 others."""
    folder = tmp_path_factory.mktemp("silicon")
    chosen = {"train": frames_of("train")[::3], "held": frames_of("calibration")[::3], "pool": frames_of("ood")[::6]}
    paths = {name: folder / f"{name}.extxyz" for name in chosen}
    for name, frames in chosen.items():
        ase.io.write(paths[name], frames)
    return paths


@pytest.fixture(scope="module")
def built(files: dict[str, Path]) -> assay.Built:
    return assay.build(files["train"], source=shells, calibration=files["held"])


@pytest.fixture(scope="module")
def expected(built: assay.Built, files: dict[str, Path]) -> np.ndarray:
    """γ of the pool by the function itself."""
    return built.gauge.assess(read_frames(files["pool"])).scores["gamma", "atom"].values


def gamma(gauge: Gauge, files: dict[str, Path], members: Path | None = None) -> np.ndarray:
    return assay.predict(gauge, files["pool"], members=members).scores["gamma", "atom"].values


def test_a_gauge_of_unlabelled_frames_has_scores_and_thresholds_alone(built: assay.Built):
    gauge = built.gauge
    assert (gauge.bar, gauge.calibrators, gauge.constant) == ("", PerQuantity(), PerQuantity())
    assert gauge.thresholds["gamma", "atom"] == 1.0
    held = built.held_out
    assert held is not None
    for level in ("atom", "neighbourhood", "frame"):
        values = held.scores["leverage", level]
        assert np.mean(values > gauge.thresholds["leverage", level]) <= 0.05 + 1 / len(values)
    assert (held.energy, held.forces, held.labels, held.spreads) == (None, None, None, {})
    assert built.outliers == []
    assert set(gauge.training) == set(gauge.thresholds)


def test_labels_change_nothing(built: assay.Built, files: dict[str, Path], expected: np.ndarray):
    path = files["train"].with_name("labelled.extxyz")
    ase.io.write(path, list(ase.io.read(demo_data("train"), ":"))[::3])
    again = assay.build(path, source=shells, calibration=files["held"])
    assert again.training.labels is not None
    assert again.gauge.provenance["training_hashes"] == built.gauge.provenance["training_hashes"]
    np.testing.assert_array_equal(gamma(again.gauge, files), expected)


def test_without_held_out_frames_a_tenth_is_kept_out(files: dict[str, Path]):
    built = assay.build(files["train"], source=shells)
    assert built.held_out is not None
    assert len(built.held_out.names) == pytest.approx(0.1 * len(frames_of("train")[::3]), abs=1)


def test_one_frame_is_enough(tmp_path: Path):
    ase.io.write(tmp_path / "one.extxyz", frames_of("train")[0])
    built = assay.build(tmp_path / "one.extxyz", source=shells, out=tmp_path / "one.gauge")
    gauge = Gauge.load(tmp_path / "one.gauge", allow_import=(HERE,))
    assert built.held_out is None
    assert set(gauge.thresholds) == {
        (name, level) for name in ("gamma", "gamma_local") for level in ("atom", "frame")
    }, "nothing sets the others"
    found = assay.predict(gauge, demo_data("ood"))
    assert found.scores["gamma", "frame"].flagged.mean() > 0.9
    assert not found.scores["leverage", "frame"].flagged.any()


def test_predict_writes_scores_and_nothing_else(built: assay.Built, files: dict[str, Path], tmp_path: Path):
    out, summary, report = tmp_path / "out.extxyz", tmp_path / "out.json", tmp_path / "out.html"
    pytest.importorskip("jinja2")
    assessment = assay.predict(built.gauge, files["pool"], out=out, json_file=summary, report=report)
    frames = ase.io.read(out, ":")
    assert all(atoms.calc is None for atoms in frames)
    names = ("gamma", "leverage", "gamma_local")
    arrays = {"numbers", "positions", *(f"{name}{end}" for name in names for end in ("", "_neighbourhood"))}
    arrays |= {"gamma_cluster", "emptiness"}
    assert set(frames[0].arrays) == arrays
    assert not {key for atoms in frames for key in atoms.info if "energy" in key or "stress" in key}
    gammas = np.concatenate([atoms.arrays["gamma"] for atoms in frames])
    np.testing.assert_allclose(gammas, assessment.scores["gamma", "atom"].values, atol=1e-8)
    content = json.loads(summary.read_text())
    rows = content["by_risk"]
    assert content["error_bar"] == ""
    assert [row["gamma"] for row in rows] == sorted((row["gamma"] for row in rows), reverse=True)
    scores = {*names, "frame_outlier_factor"}
    assert set(rows[0]) == {"frame", "config_type", "atoms", "riskiest_atom", *scores, "flagged_by"}
    riskiest = frames[int(rows[0]["frame"].rpartition(":")[2])]
    assert riskiest.arrays["gamma"].argmax() == rows[0]["riskiest_atom"]
    page = report.read_text()
    assert "There are scores only" in page
    assert "coloured by their gamma" in page
    assert "scores and no predictions" in page


@pytest.mark.parametrize("bar", ["committee_force:scale", "gamma:scale"])
def test_what_needs_predictions_is_refused_before_anything_is_read(
    built: assay.Built, files: dict[str, Path], bar: str
):
    with pytest.raises(ValueError, match=r"features and no predictions.*source that predicts energies and forces"):
        assay.build("nowhere.xyz", source=shells, error_bar=bar)
    with pytest.raises(ValueError, match="features and no predictions"):
        assay.evaluate(built.gauge, "nowhere.xyz")
    with pytest.raises(ValueError, match="features and no predictions"):
        assay.calibrate(built.gauge, "nowhere.xyz", error_bar=bar)
    with pytest.raises(ValueError, match="committee_force needs predictions of members; callable gives features alone"):
        assay.build(files["train"], source=shells, scores=["gamma", "committee_force"])


def test_labels_beside_features_give_no_errors(built: assay.Built):
    assessment = built.gauge.assess(read_frames(demo_data("test")))
    assert assessment.batch.labels is not None
    for error in (assessment.batch.energy_error, assessment.batch.force_error):
        with pytest.raises(ValueError, match="no predictions, so there are no errors"):
            error(assessment.batch.labels)
    assert assessment.batch.neighbourhood_error is None


def test_the_calculator_has_scores_and_says_that_it_has_no_energy(built: assay.Built, expected: np.ndarray):
    atoms = frames_of("ood")[0]
    atoms.calc = GaugeCalculator(built.gauge)
    for ask in (atoms.get_potential_energy, atoms.get_forces, atoms.get_stress):
        with pytest.raises(PropertyNotImplementedError, match="features and no predictions"):
            ask()
    values = atoms.calc.get_property("gamma", atoms)
    np.testing.assert_array_equal(values, expected[: len(atoms)])
    annotated = atoms.calc.annotate(atoms)
    assert annotated.info["max_gamma"] == values.max()
    assert "energy" not in annotated.info
    assert "forces" not in annotated.arrays


def test_a_guard_watches_a_run_that_another_calculator_drives(built: assay.Built, tmp_path: Path):
    atoms = frames_of("train")[0]
    atoms.calc = LennardJones(sigma=2.1, epsilon=0.1, rc=5.0)
    with pytest.raises(TypeError, match="or gauge="):
        assay.Guard(atoms, tmp_path / "caught.extxyz")
    guard = assay.Guard(atoms, tmp_path / "caught.extxyz", gauge=built.gauge)
    guard()
    atoms.set_cell(0.8 * atoms.cell[:], scale_atoms=True)
    with pytest.raises(assay.GuardStop):
        guard()
    assert ase.io.read(tmp_path / "caught.extxyz").info["max_gamma"] > 1


class TestCallable:
    def test_a_saved_gauge_imports_only_what_is_allowed(
        self, built: assay.Built, files: dict[str, Path], expected: np.ndarray, tmp_path: Path
    ):
        built.gauge.save(tmp_path / "g.gauge")
        with pytest.raises(PermissionError, match=f"--allow-import {HERE}"):
            assay.predict(Gauge.load(tmp_path / "g.gauge"), files["pool"])
        gauge = Gauge.load(tmp_path / "g.gauge", allow_import=(HERE,))
        assert isinstance(gauge.source, PythonCallable)
        assert (gauge.source.function, gauge.source.cutoff, gauge.source.columns) == (f"{HERE}:shells", 5.0, 5)
        np.testing.assert_array_equal(gamma(gauge, files), expected)

    def test_by_name(self, files: dict[str, Path], expected: np.ndarray):
        spec = f"callable:function={HERE}:shells"
        gauge = assay.build(
            files["train"], source=spec, calibration=files["held"], run=assay.Run(allow_import=(HERE,))
        ).gauge
        np.testing.assert_array_equal(gamma(gauge, files), expected)
        with pytest.raises(PermissionError, match="--allow-import"):
            assay.build(files["train"], source=spec)

    def test_what_an_allowed_module_merely_imported_is_refused(self):
        with pytest.raises(PermissionError, match=r"code of ase\.neighborlist"):
            PythonCallable(f"{HERE}:neighbor_list", allow_import=(HERE,)).predict(Atoms("Si"))

    def test_what_is_not_there(self):
        with pytest.raises(ValueError, match="nothing"):
            PythonCallable(f"{HERE}:nothing", allow_import=(HERE,)).predict(Atoms("Si"))
        with pytest.raises(ModuleNotFoundError, match="not on PYTHONPATH"):
            PythonCallable("no_such:f", allow_import=("no_such",)).predict(Atoms("Si"))
        with pytest.raises(ValueError, match="give function="):
            assay.build("nowhere.xyz", source="callable:cutoff=5.0")
        with pytest.raises(ValueError, match=r"package\.module:name"):
            assay.build("nowhere.xyz", source="callable:function=shells")

    def test_a_function_without_a_name_lives_in_the_session(
        self, files: dict[str, Path], expected: np.ndarray, tmp_path: Path
    ):
        nameless: Callable[[Atoms], np.ndarray] = lambda atoms: shells(atoms)  # noqa: E731
        gauge = assay.build(files["train"], source=nameless, calibration=files["held"]).gauge
        np.testing.assert_array_equal(gamma(gauge, files), expected)
        with pytest.raises(ValueError, match="put it in a module"):
            gauge.save(tmp_path / "g.gauge")
        with pytest.raises(ValueError, match="put it in a module"):
            assay.build("nowhere.xyz", source=nameless, out=tmp_path / "g.gauge")
        with pytest.raises(ValueError, match="workers=1"):
            assay.predict(gauge, files["pool"], run=assay.Run("local:2"))

    def test_in_worker_processes(self, built: assay.Built, files: dict[str, Path], expected: np.ndarray):
        found = assay.predict(built.gauge, files["pool"], run=assay.Run("local:2")).scores["gamma", "atom"].values
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            (lambda atoms: np.ones((3, 2)), r"features of shape \(3, 2\) and type float64, needed numbers \(\d+, D\)"),
            (lambda atoms: np.full((len(atoms), 2), "x"), "type <U1"),
            (lambda atoms: np.full((len(atoms), 2), np.nan), "atom 0: feature 0 is not finite: nan"),
            (lambda atoms: np.ones((len(atoms), len(atoms))), r"features per atom, but \d+ in frames before it"),
        ],
    )
    def test_features_that_can_not_be(self, files: dict[str, Path], function: Callable[[Atoms], object], message: str):
        with pytest.raises(FrameError, match=message):
            assay.build(files["train"], source=function)

    def test_other_columns_than_in_training(self, built: assay.Built):
        wide = PythonCallable.of(lambda atoms: np.ones((len(atoms), 7)))
        with pytest.raises(FrameError, match="7 features per atom, but 5 in the training frames"):
            PythonCallable("", columns=5, given=wide.given).predict(Atoms("Si"))


@pytest.fixture(scope="module")
def hashed(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of all frames, in another order than theirs."""
    path = tmp_path_factory.mktemp("features") / "all.npz"
    frames = [atoms for name in ("pool", "train", "held") for atoms in reversed(ase.io.read(files[name], ":"))]
    write_features(path, frames, map(shells, frames))
    return path


class TestFile:
    def plain(self, path: Path, frames: list[Atoms], compressed: bool = False) -> Path:
        """A features file without hashes."""
        save = np.savez_compressed if compressed else np.savez
        natoms = np.array([len(atoms) for atoms in frames])
        save(path, features=np.concatenate([shells(atoms) for atoms in frames]), natoms=natoms)
        return path

    def test_with_hashes_one_file_serves_all(
        self, hashed: Path, files: dict[str, Path], expected: np.ndarray, tmp_path: Path
    ):
        spec = f"features:{hashed}"
        built = assay.build(files["train"], source=spec, calibration=files["held"], out=tmp_path / "g.gauge")
        gauge = Gauge.load(tmp_path / "g.gauge")
        assert gauge.source == built.gauge.source == Features(str(hashed), columns=5)
        np.testing.assert_array_equal(gamma(gauge, files), expected)
        found = assay.predict(gauge, files["pool"], run=assay.Run("local:2")).scores["gamma", "atom"].values
        np.testing.assert_array_equal(found, expected)

    def test_frames_that_it_does_not_have_bring_their_own(
        self, hashed: Path, files: dict[str, Path], expected: np.ndarray, tmp_path: Path
    ):
        frames = [atoms for name in ("train", "held") for atoms in ase.io.read(files[name], ":")]
        write_features(tmp_path / "part.npz", frames, map(shells, frames))
        gauge = assay.build(files["train"], source=f"features:{tmp_path / 'part.npz'}", calibration=files["held"]).gauge
        with pytest.raises(
            FrameError, match=r"none of the \d+ frames in .*part.npz has this structure. Give a features"
        ):
            gamma(gauge, files)
        np.testing.assert_array_equal(gamma(gauge, files, hashed), expected)

    @pytest.mark.parametrize("compressed", [False, True])
    def test_without_hashes_by_order(
        self, files: dict[str, Path], expected: np.ndarray, tmp_path: Path, compressed: bool
    ):
        made = {n: self.plain(tmp_path / f"{n}.npz", ase.io.read(files[n], ":"), compressed) for n in files}
        out = tmp_path / "out.extxyz"
        gauge = assay.build(
            files["train"],
            source=f"features:{made['train']}",
            calibration=assay.FrameFiles(files["held"], made["held"]),
        ).gauge
        assert gauge.source == Features(columns=5)
        np.testing.assert_array_equal(gamma(gauge, files, made["pool"]), expected)
        assay.predict(gauge, files["pool"], members=made["pool"], out=out)
        assert not [key for key in ase.io.read(out).arrays if "feature" in key], "not 1000 columns in every frame"
        same = assay.build(
            assay.FrameFiles(files["train"], made["train"]), source="features:",
            calibration=assay.FrameFiles(files["held"], made["held"]),
        ).gauge  # fmt: skip
        np.testing.assert_array_equal(gamma(same, files, made["pool"]), expected)
        with pytest.raises(FrameError, match="no features of this frame"):
            gamma(gauge, files)
        with pytest.raises(FrameError, match="no features of this frame"):
            assay.build(files["train"], source=f"features:{made['train']}", calibration=files["held"])

    def test_frames_and_rows_that_do_not_belong_together(self, files: dict[str, Path], tmp_path: Path):
        frames = ase.io.read(files["train"], ":")
        swapped = self.plain(tmp_path / "swapped.npz", frames[1:] + frames[:1])
        different = next(f for f in range(len(frames) - 1) if len(frames[f]) != len(frames[f + 1]))
        sizes = f"{len(frames[different])} atoms, but features of {len(frames[different + 1])} atoms"
        with pytest.raises(
            FrameError, match=rf"train.extxyz, frame {different}: {sizes} in .*swapped.npz, frame {different}"
        ):
            assay.build(files["train"], source=f"features:{swapped}")
        short = self.plain(tmp_path / "short.npz", frames[:-1])
        with pytest.raises(
            FrameError, match=f"frame {len(frames) - 1}: .*short.npz has features of {len(frames) - 1} frames"
        ):
            assay.build(files["train"], source=f"features:{short}")
        long = self.plain(tmp_path / "long.npz", [*frames, frames[0]])
        with pytest.raises(FrameError, match=f"features of {len(frames) + 1} frames, but .* has {len(frames)} frames"):
            assay.build(files["train"], source=f"features:{long}")

    def test_files_that_can_not_be_used(self, files: dict[str, Path], tmp_path: Path):
        path = tmp_path / "bad.npz"
        for arrays, message in (
            (
                {"features": np.ones((5, 2)), "natoms": [2, 2]},
                r"\(5, 2\).*needed numbers \(4, D\), .* 2 frames of 4 atoms",
            ),
            ({"features": np.ones(4), "natoms": [4]}, r"shape \(4,\)"),
            ({"features": np.ones((4, 2)), "natoms": [4.0]}, "natoms must be whole numbers"),
            ({"features": np.ones((4, 2))}, "no natoms in this features file; it has features"),
            ({"features": np.ones((4, 2)), "natoms": [4], "hashes": ["a", "b"]}, r"\(2,\) hashes"),
            ({"features": np.array([[{}]]), "natoms": [1]}, "pickled objects"),
        ):
            np.savez(path, **{key: np.asarray(value) for key, value in arrays.items()})
            with pytest.raises(FrameError, match=message):
                assay.build(files["train"], source=f"features:{path}")
        path.write_text("nonsense")
        with pytest.raises(FrameError, match="not a features file"):
            assay.build(files["train"], source=f"features:{path}")
        with pytest.raises(FrameError, match="no such file"):
            assay.build(files["train"], source="features:nowhere.npz")
        with pytest.raises(ValueError, match="either a file or array=KEY"):
            assay.build(files["train"], source="features:a.npz,array=b")

    def test_what_is_written(self, tmp_path: Path):
        """Rows of the first frame's type; an independent reader, NumPy, agrees."""
        frames = frames_of("train")[:3]
        path = tmp_path / "f.npz"
        write_features(path, frames, (shells(atoms).astype(np.float32) for atoms in frames))
        with np.load(path, allow_pickle=False) as file:
            assert file["features"].dtype == np.float32
            expected = np.concatenate([shells(atoms) for atoms in frames]).astype(np.float32)
            np.testing.assert_array_equal(file["features"], expected)
            assert file["natoms"].tolist() == [len(atoms) for atoms in frames]
        assert Features(str(path)).predict(frames[2]).features.dtype == np.float64
        with pytest.raises(ValueError, match=r"frame 1: features of shape \(1, 5\), needed \(\d+, 5\)"):
            write_features(path, frames, [shells(frames[0]), np.ones((1, 5))])
        with pytest.raises(ValueError, match="no frames"):
            write_features(path, [], [])
        assert Features(str(path)).predict(frames[0]).features is not None, "a failed write leaves the old file"

    def test_a_file_that_changes_is_read_again(self, tmp_path: Path):
        atoms, path = frames_of("train")[0], tmp_path / "f.npz"
        for columns in (2, 3):
            write_features(path, [atoms], [np.ones((len(atoms), columns))])
            assert Features(str(path)).predict(atoms).features.shape == (len(atoms), columns)

    @pytest.mark.parametrize("compressed", [False, True])
    def test_rows_stay_on_disk(self, tmp_path: Path, compressed: bool):
        """Two frames of a 16 MB file take less than 1 MB of memory."""
        save = np.savez_compressed if compressed else np.savez
        save(tmp_path / "large.npz", features=np.ones((2000, 1000)), natoms=np.ones(2000, dtype=int))
        frames = [Frame(Atoms("Si"), f"x:{f}") for f in range(2)]
        tracemalloc.start()
        attached = attach_features(frames, tmp_path / "large.npz")
        rows = [next(attached).atoms.arrays[ATTACHED] for _ in frames]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [row.shape for row in rows] == [(1, 1000)] * 2
        assert peak < 1e6

    def test_a_column_of_the_frames(self, files: dict[str, Path], expected: np.ndarray, tmp_path: Path):
        for name, path in files.items():
            frames = ase.io.read(path, ":")
            for atoms in frames:
                atoms.arrays["mine"] = shells(atoms)
            ase.io.write(tmp_path / f"{name}.extxyz", frames)
        with_columns = {name: tmp_path / f"{name}.extxyz" for name in files}
        gauge = assay.build(with_columns["train"], source="features:array=mine", calibration=with_columns["held"]).gauge
        np.testing.assert_allclose(gamma(gauge, with_columns), expected, rtol=1e-4)  # 8 decimals in the file
        with pytest.raises(FrameError, match=r"no array 'mine' for its features; the frame has numbers, positions"):
            gamma(gauge, files)
        atoms = frames[0].copy()
        atoms.arrays["mine"] = np.ones((len(atoms), 4))
        with pytest.raises(FrameError, match="4 features per atom, but 5 in the training frames"):
            gauge.source.predict(atoms)

    def test_bad_frames_are_skipped_where_they_stand(self, files: dict[str, Path], tmp_path: Path):
        frames = ase.io.read(files["pool"], ":4")
        frames[1].positions[0] = np.nan
        path = self.plain(tmp_path / "f.npz", frames[:1] + frames[:1] + frames[2:])
        ase.io.write(tmp_path / "f.extxyz", frames)
        natoms = [len(atoms) for atoms in frames]
        assert len(frames[0]) == natoms[1], "as long as the bad one"
        skipped: list[tuple[str, str]] = []
        read = read_frames(tmp_path / "f.extxyz", skipped=skipped)
        kept: list[Frame] = list(attach_features(read, path, skipped=skipped))
        assert len(skipped) == 1
        for frame in kept:
            evaluation: Prediction = Features().predict(frame.atoms)
            np.testing.assert_allclose(evaluation.features, shells(frame.atoms))


@pytest.mark.snap
def test_grades_of_snap_features_from_a_file_are_those_of_the_snap_gauge(tmp_path: Path):
    train, held, test = (demo_data(part) for part in ("train", "calibration", "test"))
    snap = assay.build(
        train, source="snap:twojmax=4", calibration=held, linear_fit=assay.LinearFit(ensemble_size=4)
    ).gauge
    rows = Snap(SnapSettings(("Si",), twojmax=4))
    frames = [atoms for path in (train, held, test) for atoms in ase.io.read(path, ":")]
    write_features(tmp_path / "snap.npz", frames, (rows.design(atoms).features for atoms in frames))
    other = assay.build(train, source=f"features:{tmp_path / 'snap.npz'}", calibration=held).gauge
    ours, theirs = (assay.predict(gauge, test).scores for gauge in (other, snap))
    for name in ("gamma", "leverage"):
        np.testing.assert_allclose(ours[name, "atom"].values, theirs[name, "atom"].values, rtol=1e-9)
        assert other.thresholds[name, "frame"] == pytest.approx(snap.thresholds[name, "frame"], rel=1e-9)


class TestCommandLine:
    def assay(self, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        code = "from assay.cli.main import main; main()"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)

    def test_from_unlabelled_frames_to_flags(self, files: dict[str, Path], tmp_path: Path):
        (tmp_path / "my_features.py").write_text(
            "import numpy as np\n\ndef heights(a):\n    return a.positions[:, 2:]\n"
        )
        gauge, out = tmp_path / "g.gauge", tmp_path / "out.extxyz"
        build = ("build", "-t", files["train"], "--source", "callable:function=my_features:heights", "-o", gauge)
        refused = self.assay(tmp_path, *build)
        assert refused.returncode == 1
        assert "--allow-import my_features" in refused.stderr
        done = self.assay(tmp_path, *build, "--allow-import", "my_features")
        assert done.returncode == 0, done.stderr
        assert "of held-out" in done.stdout
        predicted = self.assay(tmp_path, "predict", gauge, files["pool"], "-o", out, "--allow-import", "my_features")
        assert predicted.returncode == 0, predicted.stderr
        assert "leverage" in predicted.stdout
        assert "force bar" not in predicted.stdout
        assert "nan" not in predicted.stdout + out.read_text().lower()
        limit = ("predict", gauge, files["pool"], "--allow-import", "my_features", "--fail-above")
        assert self.assay(tmp_path, *limit, "gamma=0.0").returncode == 3
        assert "no calibrated force error bar; name a score" in self.assay(tmp_path, *limit, "0.1").stderr
        judged = self.assay(tmp_path, "evaluate", gauge, files["pool"])
        assert judged.returncode == 1
        assert "Build one with a source that predicts" in judged.stderr
        assert "Traceback" not in judged.stderr + refused.stderr

    def test_soap_without_featomic_says_what_to_install(self, files: dict[str, Path], tmp_path: Path):
        code = "import sys; sys.modules['featomic'] = None; from assay.cli.main import main; main()"
        words = ("build", "-t", files["train"], "--source", "soap:", "-o", tmp_path / "si.gauge")
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 1
        assert 'pip install "assay[soap]"' in done.stderr
        assert "Traceback" not in done.stderr
