"""Every verb takes structures, iterables of them and paths, and says the same of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from copper import SOURCE, Files, columns

import assay
from assay import Frame, FrameError, Gauge, Run
from assay.frames.reading import read_frames
from assay.sources import frame_files

Forms = dict[str, Callable[[Path], Any]]
FORMS: Forms = {
    "list": lambda path: ase.io.read(path, ":"),
    "generator": lambda path: (atoms for atoms in ase.io.read(path, ":")),
    "frames": read_frames,
}
form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that the reader went through, one entry each time."""
    opened: list[str] = []

    def counting(paths: Any, **options: Any) -> Iterator[Frame]:
        opened.extend(Path(path).name for path in ([paths] if isinstance(paths, str | Path) else paths))
        return read_frames(paths, **options)

    monkeypatch.setattr(frame_files, "read_frames", counting)
    return opened


def same(one: assay.Assessment, other: assay.Assessment) -> None:
    expected = columns(other)
    assert columns(one).keys() == expected.keys()
    for name, column in columns(one).items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


@form
def test_predict(committee: Gauge, files: Files, form: str, tmp_path: Path) -> None:
    by_path = assay.predict(committee, files.test, out=tmp_path / "path.extxyz")
    same(assay.predict(committee, FORMS[form](files.test), out=tmp_path / "objects.extxyz"), by_path)
    written, expected = (ase.io.read(tmp_path / f"{name}.extxyz", ":") for name in ("objects", "path"))
    assert [atoms.info["energy_uncertainty"] for atoms in written] == [a.info["energy_uncertainty"] for a in expected]


def test_predict_one_structure(committee: Gauge, files: Files) -> None:
    atoms = ase.io.read(files.test, 0)
    before = atoms.copy()
    found = assay.predict(committee, atoms)
    assert found.batch.names == ("atoms:0",)
    assert found.batch.energy[0] == assay.predict(committee, files.test).batch.energy[0]
    assert atoms == before


def test_predict_lists_objects_that_can_not_be_used(committee: Gauge, files: Files) -> None:
    structures = ase.io.read(files.test, ":")
    structures[3].positions[:] = 0.0
    found = assay.predict(committee, structures)
    assert len(found.batch.names) == 8
    assert [origin for origin, _ in found.failed] == ["atoms:3"]


@form
def test_evaluate(committee: Gauge, files: Files, form: str) -> None:
    by_path = assay.evaluate(committee, files.test).summary()
    assert assay.evaluate(committee, FORMS[form](files.test)).summary() == by_path
    assert assay.evaluate(committee, FORMS[form](files.train)).training_overlap == 30


@form
def test_calibrate(committee: Gauge, files: Files, form: str) -> None:
    by_path = assay.calibrate(committee, files.test)
    found = assay.calibrate(committee, FORMS[form](files.test))
    alphas = [{q: c.state() for q, c in gauge.calibrators.items()} for gauge in (found, by_path)]
    assert alphas[0] == alphas[1]
    assert found.provenance["held_out_hashes"] == by_path.provenance["held_out_hashes"]
    assert by_path.provenance["files"].keys() - found.provenance["files"].keys() == {str(files.test)}
    with pytest.raises(FrameError, match="30 of 30 frames were trained on"):
        assay.calibrate(committee, FORMS[form](files.train))


def features(atoms: Atoms) -> Any:
    d = atoms.get_all_distances(mic=True)
    return np.exp(-((d[:, :, None] - np.linspace(2, 5, 4)) ** 2)).sum(axis=1)


@form
def test_select(files: Files, form: str, parsed: list[str], tmp_path: Path) -> None:
    by_path = assay.select(None, files.test, 4, source=features, train=files.train, out=tmp_path / "path.extxyz")
    assert parsed == ["train.extxyz", "test.extxyz"]
    found = assay.select(
        None, FORMS[form](files.test), 4, source=features, train=FORMS[form](files.train), out=tmp_path / "o.extxyz"
    )
    assert [frame.measures for frame in found.frames] == [frame.measures for frame in by_path.frames]
    written, expected = (ase.io.read(tmp_path / f"{name}.extxyz", ":") for name in ("o", "path"))
    assert [atoms.positions.tolist() for atoms in written] == [atoms.positions.tolist() for atoms in expected]
    assert [atoms.info["REF_energy"] for atoms in written] == [atoms.info["REF_energy"] for atoms in expected]
    assert [atoms.info["selection_gain"] for atoms in written] == [frame.gain for frame in found.frames]


@form
def test_members(files: Files, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    models = ["ase.calculators.emt.EMT", "ase.calculators.lj.LennardJones(sigma=2.3,epsilon=0.4,rc=3.6)"]
    by_path = assay.members(models, files.test, tmp_path / "m.npz")
    found = assay.members(models, FORMS[form](files.test))
    assert (found.models, found.frames, found.atoms) == (by_path.models, 9, 45)
    for one, other in zip(found.predictions, by_path.predictions, strict=True):
        np.testing.assert_array_equal(one.forces_members, other.forces_members)
    with np.load(tmp_path / "m.npz") as file:
        np.testing.assert_array_equal(file["energy"].T, [each.energy_members for each in found.predictions])


@pytest.mark.snap
@form
def test_cross_conformal(files: Files, form: str, parsed: list[str]) -> None:
    options = {"source": SOURCE, "level": 0.8, "folds": 5}
    by_path = assay.cross_conformal(files.train, files.test, **options)
    assert parsed == ["train.extxyz", "test.extxyz"]  # gone through three times
    found = assay.cross_conformal(FORMS[form](files.train), FORMS[form](files.test), **options)
    np.testing.assert_array_equal(found.energy_low, by_path.energy_low)
    np.testing.assert_array_equal(found.forces_high, by_path.forces_high)


def test_an_executor_of_the_user_gives_the_same(committee: Gauge, files: Files) -> None:
    with ThreadPoolExecutor(1) as pool:
        same(assay.predict(committee, files.test, run=Run(pool)), assay.predict(committee, files.test))
