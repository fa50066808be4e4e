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
from assay.sources.committees.calculators import Member
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.model_names import identity
from assay.sources.committees.worker_process import WorkerProcess
from assay.sources.registry import parse_spec

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


ANSWERS = {
    "a banner": ('echo Welcome to module 3.2\nexec {python} "$@"', "says 'Welcome to module 3.2' where its answer"),
    "no Python": ("echo hello; read x", "says 'hello' where its answer"),
    "nothing": ("", "ended with exit code 0"),
    "an end": ("echo no licence >&2; exit 3", "ended with exit code 3: no licence"),
    "an echo": ("cat", 'says \'{"calculator"'),
    "a list": ("while read x; do echo '[]'; done", "says '[]' where"),
    "null": ("while read x; do echo null; done", "says 'null' where"),
    "no JSON": ("while read x; do echo '{{a'; done", "says '{a' where"),
    "no line": ("tr '\\0' 'a' < /dev/zero", "says 'aaaa"),
    "bytes": ("read x; printf '\\377\\376\\n'; read x", "says '"),
    "no results": ("while read x; do echo '{{\"ready\": true}}'; done", "says 'None in place of results' where"),
    "too few": (
        "read x; echo '{{\"ready\": true}}'; while read x; do echo '{{\"results\": []}}'; done",
        "says '0 results for 1 frames' where",
    ),
    "texts": (
        'read x; echo \'{{"ready": true}}\'; read x; echo \'{{"results": [{{"energy": "x", "forces": []}}]}}\'',
        "an answer that is no numbers",
    ),
    "an energy alone": (
        'read x; echo \'{{"ready": true}}\'; read x; echo \'{{"results": [{{"energy": 1.0}}]}}\'',
        "an answer without forces",
    ),
    "half an answer": (
        'read x; echo \'{{"ready": true}}\'; read x; printf \'{{"results": [{{"ener\'',
        "ended with exit code 0",
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_is_no_answer_is_told_with_the_member_and_the_interpreter(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_CACHE", "off")
    does, told = ANSWERS[what]
    script = tmp_path / "interpreter"
    script.write_text("#!/bin/sh\n" + does.format(python=sys.executable) + "\n")
    script.chmod(0o755)
    member = {"label": "odd", "calculator": EMT_PATH, "python": str(script)}
    committee = AseCommittee.from_toml({"member": [member]})
    with pytest.raises(ValueError, match=r"member 'odd'") as caught:
        committee.predict(frames()[0])
    assert told in str(caught.value)
    assert len(str(caught.value)) < 1000


EXITS = """
import sys
from ase.calculators.emt import EMT

class Exits(EMT):
    def calculate(self, atoms=None, *args, **kwargs):
        if len(atoms) == 2:
            sys.exit("no licence")
        super().calculate(atoms, *args, **kwargs)

class Never(EMT):
    def __init__(self):
        raise SystemExit(0)

class Odd(EMT):
    def calculate(self, *args, **kwargs):
        raise BaseException("odd")
"""


@pytest.mark.parametrize("python", ["", sys.executable])
def test_a_member_that_exits_fails_as_one_that_raises(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exits.py").write_text(EXITS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ASSAY_CACHE", "off")

    def committee(name: str) -> AseCommittee:
        return AseCommittee((Member("m", f"exits.{name}", python=python),), ("exits", python))

    exits = committee("Exits")
    with pytest.raises(FrameError, match=r"member 'm' failed: SystemExit: no licence"):
        exits.predict(molecule("CO"))
    assert exits.predict(bulk("Cu")).energy is not None
    with pytest.raises(FrameError, match=r"member 'm' failed: BaseException: odd"):
        committee("Odd").predict(bulk("Cu"))
    with pytest.raises(ValueError, match=r"member 'm': .*exits.Never can't be made .*SystemExit: 0"):
        committee("Never").predict(bulk("Cu"))


HANGS = """
import os, sys, time
from ase.calculators.emt import EMT

class Hangs(EMT):
    def calculate(self, atoms=None, *args, **kwargs):
        if len(atoms) == 1:
            time.sleep(10**6)
        super().calculate(atoms, *args, **kwargs)

class Noisy(EMT):
    def calculate(self, *args, **kwargs):
        for _ in range(5):
            print("y" * (1 << 20))
        sys.stdin.read()
        super().calculate(*args, **kwargs)

class Closes(EMT):
    def calculate(self, *args, **kwargs):
        for number in (0, 1):
            os.closerange(number, number + 1)
        super().calculate(*args, **kwargs)
"""


@pytest.fixture
def hangs(tmp_path: Path) -> str:
    (tmp_path / "hangs.py").write_text(HANGS)
    return interpreter(tmp_path, f"PYTHONPATH={tmp_path}")


def test_a_frame_has_a_time_limit(hangs: str) -> None:
    process = WorkerProcess(hangs, "hangs.Hangs", {})
    assert process.time_limit == 3600
    assert process.predict(frames()[:1])
    process.time_limit = 0.1  # from here on, as the potential has been made
    with pytest.raises(FrameError, match=r"worker process of .* did not answer within its time_limit, 0\.1 s$"):
        process.predict([Atoms("Cu")])
    assert process._process.returncode == -9


def test_a_potential_that_is_never_made_has_one_too(tmp_path: Path) -> None:
    script = tmp_path / "waits"
    script.write_text("#!/bin/sh\nsleep 1000000 &\nwait\n")  # a script whose child has the pipes as well
    script.chmod(0o755)
    with pytest.raises(ValueError, match=r"member 'm': the worker process .* within its time_limit, 0\.2 s"):
        WorkerProcess(str(script), EMT_PATH, {}, member="m", time_limit=0.2)


def test_a_time_limit_is_a_setting_of_a_member_of_all_and_of_the_command(hangs: str) -> None:
    members = [{"label": "a", "calculator": EMT_PATH, "time_limit": 5}, {"label": "b", "calculator": EMT_PATH}]
    committee = AseCommittee.from_toml({"member": members, "time_limit": 7.5})
    assert [member.time_limit for member in committee.members] == [5.0, 7.5]
    assert AseCommittee.from_state(committee.state()).members == committee.members
    assert "time_limit" not in AseCommittee.from_toml({"member": members[1:]}).state()["members"][0]
    spec = AseCommittee.from_settings(parse_spec(f"ase_committee:{EMT_PATH},time_limit=9"))
    assert [member.time_limit for member in spec.members] == [9.0]
    for wrong in (0, -1, "long", True, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="time_limit is a positive number of seconds, got"):
            AseCommittee.from_toml({"member": members, "time_limit": wrong})


@pytest.mark.parametrize("name", ["Noisy", "Closes"])
def test_noise_and_closed_files_are_nobodys_business(hangs: str, name: str) -> None:
    """What is printed is not kept for ever, and there is nothing to read."""
    process = WorkerProcess(hangs, f"hangs.{name}", {})
    for _ in range(2):
        (told,) = process.predict(frames()[:1])
        assert "energy" in told
        assert os.fstat(process._printed.fileno()).st_size < 1 << 20
    process.close()
    assert process._process.returncode == 0


def test_an_interpreter_that_never_ends_what_it_says_of_its_version_has_no_identity(tmp_path: Path) -> None:
    script = tmp_path / "endless"
    script.write_text("#!/bin/sh\nyes\n")
    script.chmod(0o755)
    assert identity(Member("m", EMT_PATH, python=str(script))) is None
