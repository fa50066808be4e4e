"""What is kept of evaluations: damaged ones are computed anew, killed runs lose none, processes share the work."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from assay.frames.frame import Frame
from assay.results.prediction import Prediction
from assay.sources.committees.cache import EvaluationCache, frame_key
from assay.sources.committees.calculators import Member
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.recording import record

OLD_TABLE = """
CREATE TABLE evaluations (
    model TEXT, frame TEXT, energy REAL NOT NULL, forces BLOB NOT NULL, stress BLOB, features BLOB,
    PRIMARY KEY (model, frame)
)
"""
TOLD = {
    str(i): Prediction(0.5 + i, np.arange(6.0).reshape(2, 3) + i, np.arange(6.0) * i, features=np.eye(2) * i)
    for i in range(5)
}
MEMBER = Member("m", "ase.calculators.lj.LennardJones", {"sigma": 2.3, "rc": 6.0})
LENNARD_JONES = AseCommittee((MEMBER,))
ASSAY = str(Path(sys.executable).with_name("assay"))


def kept(folder: Path) -> Path:
    """The file of a cache with what `TOLD` has of the model m."""
    cache = EvaluationCache(folder)
    for frame, said in TOLD.items():
        cache.put("m", frame, said)
    cache.close()
    return folder / "evaluations.sqlite"


def same(found: Prediction, frame: str) -> bool:
    told = TOLD[frame]
    names = ("energy", "forces", "stress", "features")
    return all(np.array_equal(getattr(found, name), getattr(told, name)) for name in names)


def changed(file: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(file) as opened:
        opened.execute(sql, values)
    opened.close()


@pytest.mark.parametrize(
    "change",
    [
        "energy = energy + 1",
        "forces = substr(forces, 1, length(forces) - 1) || x'00'",
        "forces = x'00'",
        "forces = 'text'",
        "stress = NULL",
        "stress = features",
        "features = NULL",
        "digest = NULL",
        "digest = CAST(x'ff' AS TEXT)",
        "frame = '9'",
    ],
)
def test_a_row_that_does_not_match_its_digest_is_not_there(tmp_path: Path, change: str) -> None:
    file = kept(tmp_path)
    changed(file, f"UPDATE evaluations SET {change} WHERE frame = '3'")
    cache, asked = EvaluationCache(tmp_path), "9" if "frame" in change else "3"
    with pytest.warns(UserWarning, match=r"evaluations\.sqlite: .*frame [39] is damaged .*computed anew"):
        assert cache.get("m", asked) is None
    with pytest.warns(UserWarning, match="damaged"):
        assert not cache.has("m", asked)
    assert all(same(found, frame) for frame in "0124" if (found := cache.get("m", frame)))
    cache.put("m", "3", TOLD["3"])
    found = cache.get("m", "3", features=True)
    assert found is not None
    assert same(found, "3")


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_no_changed_bit_gives_other_numbers(tmp_path: Path) -> None:
    file = kept(tmp_path)
    whole, rng, found_all = file.read_bytes(), np.random.default_rng(0), 0
    for at in rng.integers(len(whole), size=150):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            cache = EvaluationCache(tmp_path)
            found = {frame: cache.get("m", frame) for frame in TOLD}
            cache.close()
        except (sqlite3.Error, OSError):
            continue
        assert all(each is None or same(each, frame) for frame, each in found.items())
        found_all += all(found.values())
    assert 20 < found_all < 150


def test_a_file_without_digests_gets_them_once(tmp_path: Path) -> None:
    rows = [
        (b["model"], b["frame"], b["energy"], b["forces"], b["stress"], b["features"])
        for b in _rows(kept(tmp_path / "new"))
    ]
    (tmp_path / "old").mkdir()
    old = sqlite3.connect(tmp_path / "old/evaluations.sqlite")
    old.execute(OLD_TABLE)
    old.executemany("INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)", rows)
    old.commit()
    old.close()
    for _ in range(2):
        cache = EvaluationCache(tmp_path / "old")
        assert all(same(found, frame) for frame in TOLD if (found := cache.get("m", frame)))
        assert cache.count(["m"]) == len(TOLD)
        cache.close()
    changed(tmp_path / "old/evaluations.sqlite", "UPDATE evaluations SET energy = 0.0 WHERE frame = '1'")
    with pytest.warns(UserWarning, match="frame 1 is damaged"):
        assert EvaluationCache(tmp_path / "old").get("m", "1") is None


def _rows(file: Path) -> list[Any]:
    opened = sqlite3.connect(file)
    opened.row_factory = sqlite3.Row
    found = opened.execute("SELECT * FROM evaluations").fetchall()
    opened.close()
    return found


def test_a_file_that_is_damaged_as_a_whole_is_named(tmp_path: Path) -> None:
    file = kept(tmp_path)
    size = file.stat().st_size
    cache = EvaluationCache(tmp_path)
    file.write_bytes(file.read_bytes()[:100] + bytes(size - 100))
    with pytest.raises(OSError, match=r"evaluations\.sqlite is damaged .*move it away"):
        record(LENNARD_JONES, lambda: frames(2), cache=cache, identities=("m",))


DEADLY = """
import os, signal, sys
from ase.calculators.lj import LennardJones

class Deadly(LennardJones):
    def __init__(self, how, log):
        super().__init__(sigma=2.3, epsilon=0.4, rc=6.0)
        self.how, self.log = how, log

    def calculate(self, atoms, *rest):
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} ")
        if len(atoms) == 8 and self.how == "kill the parent":
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()
        if len(atoms) == 8 and self.how != "fine":
            os.kill(os.getpid(), getattr(signal, self.how))
        super().calculate(atoms, *rest)
"""


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `members` on five frames, of which the fourth is deadly."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    write(tmp_path / "five.extxyz", [frame.atoms for frame in frames(3)] + [bulk("Cu", cubic=True) * (2, 1, 1)] * 2)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))

    def run(how: str, *more: str) -> subprocess.CompletedProcess[str]:
        table = f'[[member]]\nlabel = "odd"\ncalculator = "deadly.Deadly"\n[member.arguments]\nhow = "{how}"\n'
        (tmp_path / "c.toml").write_text(
            f'source = "ase_committee"\nallow = ["deadly"]\n{table}log = "{tmp_path / "log"}"\n'
        )
        command = [ASSAY, "members", "c.toml", "five.extxyz", "-o", "m.npz", *more]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in the background
        )  # fmt: skip

    return run


def frames(count: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    cells = [bulk("Cu", cubic=True) for _ in range(count)]
    for cell in cells:
        cell.positions += 0.1 * rng.normal(size=cell.positions.shape)
    return [Frame(cell, f"made:{i}") for i, cell in enumerate(cells)]


@pytest.mark.parametrize(("how", "code"), [("SIGKILL", -signal.SIGKILL), ("SIGTERM", 1), ("SIGINT", 1), ("SIGHUP", 1)])
def test_a_run_that_is_ended_keeps_every_evaluation_that_was_finished(
    deadly: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, how: str, code: int
) -> None:
    ended = deadly(how)
    assert ended.returncode == code, ended.stderr
    assert EvaluationCache(tmp_path / "cache").count(models(tmp_path)) == 3
    if code == 1:
        assert "3 evaluations of this run are kept" in ended.stderr
    assert not (tmp_path / "m.npz").exists()
    assert not list(tmp_path.glob(".m.npz*"))


def models(folder: Path) -> list[str]:
    return sorted({row["model"] for row in _rows(folder / "cache/evaluations.sqlite")})


def test_workers_end_with_a_run_that_is_killed(
    deadly: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The pipes to it are closed by then, so that waiting for the output of all is waiting for the workers."""
    ended = deadly("kill the parent", "-j", "2")
    assert ended.returncode == -signal.SIGKILL
    ended_by_now((tmp_path / "log").read_text().split())


def ended_by_now(pids: list[str], limit: float = 60.0) -> None:
    """Wait until no such process runs."""
    until = time.monotonic() + limit
    while running := [pid for pid in set(pids) if runs(pid)]:
        assert time.monotonic() < until, f"still there: {running}"
        time.sleep(0.05)


def runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


OTHER = """
import sys
from pathlib import Path
import numpy as np
from assay.results.prediction import Prediction
from assay.sources.committees.cache import EvaluationCache

folder, key, natoms = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
cache = EvaluationCache(folder)
assert cache.claim("m", key)
print("claimed", flush=True)
input()
cache.put("m", key, Prediction(-7.0, np.zeros((natoms, 3))))
cache.commit()
cache.release("m", key)
print("kept", flush=True)
input()
"""


@pytest.mark.parametrize("ends", ["as it should", "killed"])
def test_what_another_process_is_at_is_left_to_it_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """If that is killed, its claim ends with it."""
    given = frames(4)
    cache, key = EvaluationCache(tmp_path), frame_key(given[1].atoms)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path), key, "4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "claimed\n"
    computed: list[Atoms] = []

    class Computes(AseCommittee):
        def compute(self, index: int, frames: list[Atoms], feature_forces: bool = False) -> Any:
            computed.extend(frames)
            return super().compute(index, frames, feature_forces)

    waited: list[str] = []
    wait_for = EvaluationCache.wait_for

    def then(self: EvaluationCache, model: str, frame: str) -> None:
        waited.append(frame)
        if ends == "killed":
            other.kill()
        else:
            print("go on", file=other.stdin, flush=True)
        wait_for(self, model, frame)

    monkeypatch.setattr(EvaluationCache, "wait_for", then)
    potential = Computes((MEMBER,))
    told: list[tuple[int, int]] = []
    gaps = record(
        potential, lambda: given, cache=cache, identities=("m",), stage=lambda *_: lambda *counts: told.append(counts)
    )
    other.communicate("end\n" if ends != "killed" else None)
    assert gaps == []
    assert waited == [key]
    assert [given.index(next(f for f in given if f.atoms is atoms)) for atoms in computed] == (
        [0, 2, 3, 1] if ends == "killed" else [0, 2, 3]
    )
    found = cache.get("m", key)
    assert found is not None
    assert (found.energy == -7.0) == (ends != "killed")
    assert told[-1] == (4, 16)


def test_a_cache_that_can_not_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path).chmod(0o444)
    (tmp_path / "evaluations.lock").unlink()

    def refused(*_: object) -> int:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("assay.storage.locks.os.open", refused)
    cache = EvaluationCache(tmp_path)
    found = cache.get("m", "3")
    assert found is not None
    assert same(found, "3")
    assert cache.claim("m", "3")


def test_many_open_a_new_cache_at_once(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from assay.sources.committees.cache import EvaluationCache as C\n"
    script += "input(); c = C(Path(sys.argv[1])); print(c.count(['m']))"
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for each in crowd:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    assert [each.communicate()[0] for each in crowd] == ["0\n"] * 4
