"""Potentials in worker processes: the same numbers as here, and every way in which a process can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT

from assay.frames.frame import FrameError
from assay.sources.committees import worker
from assay.sources.committees.worker_process import WorkerProcess

EMT_PATH = "ase.calculators.emt.EMT"
ODD = """
import os
from ase.calculators.emt import EMT

print("imported", flush=True)
os.write(1, b"from below Python\\n")

class Loud(EMT):
    def calculate(self, *args, **kwargs):
        print('{"results": []}', flush=True)
        os.write(1, b"more\\n")
        super().calculate(*args, **kwargs)

class Fails(EMT):
    def calculate(self, atoms=None, *args, **kwargs):
        if len(atoms) == 2:
            raise RuntimeError("no pairs")
        super().calculate(atoms, *args, **kwargs)

class Dies(EMT):
    def calculate(self, atoms=None, *args, **kwargs):
        os._exit(7)

class Broken(EMT):
    def __init__(self, wanted):
        raise ValueError(f"no {wanted} here")

class Lacks(EMT):
    def __init__(self):
        import no_such_package
"""


@pytest.fixture
def other_python(tmp_path: Path) -> str:
    """An interpreter that has the module `odd`, as another environment would."""
    (tmp_path / "odd.py").write_text(ODD)
    return interpreter(tmp_path, f"PYTHONPATH={tmp_path}")


def interpreter(folder: Path, variables: str = "", options: str = "") -> str:
    script = folder / "python"
    script.write_text(f'#!/bin/sh\n{variables} exec {sys.executable} {options} "$@"\n')
    script.chmod(0o755)
    return str(script)


def frames() -> list[Atoms]:
    found = [bulk("Cu", cubic=True) * (2, 1, 1), fcc111("Cu", (2, 2, 2), vacuum=6.0), Atoms("Cu"), molecule("CO")]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.05, seed=seed)
    return found


def test_the_numbers_are_those_of_this_process_to_the_last_bit() -> None:
    process = WorkerProcess(sys.executable, EMT_PATH, {})
    for frame, told in zip(frames(), process.predict(frames()), strict=True):
        frame.calc = EMT()
        assert told["energy"] == frame.get_potential_energy()
        np.testing.assert_array_equal(told["forces"], frame.get_forces())
        assert ("stress" in told) == bool(frame.pbc.all())
        if frame.pbc.all():
            np.testing.assert_array_equal(told["stress"], frame.get_stress())
    process.close()


def test_a_frame_arrives_whole() -> None:
    frame = fcc111("Cu", (1, 1, 2), vacuum=5.0)
    frame.set_initial_charges([0.25, -0.25])
    frame.set_initial_magnetic_moments([1.5, -0.5])
    frame.info |= {"charge": -1, "spin": 2, "name": "not sent"}
    got = worker.read(json.loads(json.dumps(worker.written(frame))))
    assert got == frame
    assert got.info == {"charge": -1, "spin": 2}
    np.testing.assert_array_equal(got.get_initial_charges(), [0.25, -0.25])
    np.testing.assert_array_equal(got.get_initial_magnetic_moments(), [1.5, -0.5])


def test_what_is_printed_does_not_get_between_the_answers(other_python: str, capfd: pytest.CaptureFixture[str]) -> None:
    process = WorkerProcess(other_python, "odd.Loud", {})
    told, expected = process.predict(frames()[:1]), WorkerProcess(sys.executable, EMT_PATH, {}).predict(frames()[:1])
    assert told[0]["energy"] == expected[0]["energy"]
    process.close()
    assert capfd.readouterr() == ("", "")


def test_one_bad_frame_costs_itself_alone(other_python: str) -> None:
    told = WorkerProcess(other_python, "odd.Fails", {}).predict(frames())
    assert ["error" in each for each in told] == [False, False, False, True]
    assert "no pairs" in told[3]["error"]


def test_a_process_that_dies_is_told_with_its_exit_code(other_python: str) -> None:
    with pytest.raises(FrameError, match=r"worker process .* ended with exit code 7: imported; from below Python$"):
        WorkerProcess(other_python, "odd.Dies", {}).predict(frames()[:1])


def test_a_process_that_was_killed_between_frames_is_noticed() -> None:
    process = WorkerProcess(sys.executable, EMT_PATH, {})
    process.predict(frames()[:1])
    process._process.kill()
    process._process.wait()
    with pytest.raises(FrameError, match="ended with exit code -9"):
        process.predict(frames()[:1])


def test_closing_ends_the_process() -> None:
    process = WorkerProcess(sys.executable, EMT_PATH, {})
    process.close()
    assert process._process.returncode == 0


@pytest.mark.parametrize(
    ("calculator", "arguments", "error", "told"),
    [
        ("no_such_package.Calculator", {}, ModuleNotFoundError, "no_such_package, which the environment of"),
        ("odd.Lacks", {}, ModuleNotFoundError, "no_such_package, which the environment of"),
        ("odd.Broken", {"wanted": "weights"}, ValueError, "no weights here"),
        ("odd.Absent", {}, ValueError, "Absent"),
    ],
)
def test_a_potential_that_can_not_be_made(
    calculator: str, arguments: dict[str, Any], error: type[Exception], told: str, other_python: str
) -> None:
    with pytest.raises(error, match=told):
        WorkerProcess(other_python, calculator, arguments)


def test_an_interpreter_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-python can't be run"):
        WorkerProcess(str(tmp_path / "no-python"), EMT_PATH, {})


@pytest.mark.parametrize("written", ["~/python", "./python"])
def test_an_interpreter_s_path_may_be_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    interpreter(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    process = WorkerProcess(written, EMT_PATH, {})
    assert process.python == str(tmp_path / "python")
    assert "energy" in process.predict(frames()[:1])[0]


def test_an_environment_without_numpy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"No module named 'numpy'. It needs numpy and ase"):
        WorkerProcess(interpreter(tmp_path, options="-I -S"), EMT_PATH, {})
    assert capfd.readouterr().err == ""


def test_the_other_environment_does_not_see_the_modules_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="odd"):
        WorkerProcess(interpreter(tmp_path), "odd.Loud", {})


def test_the_worker_needs_nothing_of_assay(tmp_path: Path) -> None:
    """Alone in a folder, with the files of the families, in a process that can't import Assay."""
    home = Path(worker.__file__).parent
    (tmp_path / "models").mkdir()
    for path in (home / "worker.py", *home.glob("models/*.py")):
        (tmp_path / path.relative_to(home)).write_bytes(path.read_bytes())
    alone = str(tmp_path / "worker.py")
    start = f"import sys, runpy; sys.modules['assay'] = None; runpy.run_path({alone!r}, run_name='__main__')"
    messages = [{"calculator": EMT_PATH, "arguments": {}}, {"frames": [worker.written(frames()[0])]}]
    done = subprocess.run(
        [sys.executable, "-c", start], input="\n".join(map(json.dumps, messages)), capture_output=True, text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )  # fmt: skip
    ready, told = map(json.loads, done.stdout.splitlines())
    assert ready["ready"]
    assert (
        told["results"][0]["energy"] == WorkerProcess(sys.executable, EMT_PATH, {}).predict(frames()[:1])[0]["energy"]
    )
