"""Ensembles of universal potentials: what running them costs beside the potentials, and U of large arrays.

    python benchmarks/ensemble.py [--quick] [--json FILE]

CHGNet 0.3.0 and SevenNet-0 on frames of the silicon that ships with Assay, in this process and on one thread:

* the committee, frame by frame and without a cache, against a bare loop over the packages' own ASE calculators;
* `record`, which keeps evaluations and sends frames in batches, against the same loop;
* a second run, which finds everything kept, against the first;
* CHGNet in batches against one frame at a time, on those frames and on small cells.

U of 10⁶ atoms in frames of 100 × 11 members of forces in single precision, from a memory map in the folder of temporary
files. It makes at most 3 passes over the array: what it reads, in bytes, over the size of the array. How long that
takes, in units of a plain pass (the sum over members), is told beside it. Beside its result it holds at most 16 MB,
whatever the size of the array. `--quick` repeats less.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import contextlib
import io
import tempfile
import tracemalloc
import warnings
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from timing import case, limit, main, missing, paired

from assay.ensembles.weights import weights_of_rmse
from assay.frames.frame import Frame
from assay.frames.reading import read_frames
from assay.scores.members.deviations import member_deviations
from assay.sources.committees.cache import EvaluationCache
from assay.sources.committees.committee import AseCommittee
from assay.sources.committees.recording import record

MEMBERS, ATOMS, OF_A_FRAME = 11, 1_000_000, 100
PASSES, MEMORY_GB = 3.0, 0.016
REPEATS = 9
SILICON = Path(__file__).parents[1] / "src/assay/demo_data/silicon-pbe/test.extxyz.gz"
LEAST_SPEED, LEAST_CACHED, LEAST_BATCHED = 1 / 1.03, 100.0, 1.5


class Counted:
    """An array of members that counts the bytes it hands out."""

    def __init__(self, members: np.ndarray) -> None:
        self.members, self.shape, self.ndim, self.dtype, self.read = (
            members,
            members.shape,
            members.ndim,
            members.dtype,
            0,
        )

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: Any) -> np.ndarray:
        found = self.members[index]
        self.read += found.nbytes
        return found


def forces(path: Path) -> np.ndarray:
    """Members `(11, A, 3)` around a common force, in a file, eV/Å."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(ATOMS, 3))
    members = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(MEMBERS, ATOMS, 3))
    for member in members:
        member[:] = common + rng.normal(0, 0.1, (ATOMS, 3))
    members.flush()
    return np.load(path, mmap_mode="r")


def metric_of_members(quick: bool) -> list[dict[str, Any]]:
    offsets, weights = np.arange(0, ATOMS + 1, OF_A_FRAME), weights_of_rmse(np.linspace(0.2, 0.5, MEMBERS))
    with tempfile.TemporaryDirectory() as folder:
        members = forces(Path(folder) / "members.npy")

        def ours() -> np.ndarray:
            return member_deviations(members, offsets, weights).frames(weights)

        counted: Any = Counted(members)
        member_deviations(counted, offsets, weights)
        pairs = paired(ours, lambda: np.add.reduce(members, axis=0), 3 if quick else REPEATS)
        tracemalloc.start()
        result = member_deviations(members, offsets, weights)
        held = tracemalloc.get_traced_memory()[1] - result.largest.nbytes - result.atoms.nbytes
        tracemalloc.stop()
        size = members.nbytes
    facts = {"atoms": ATOMS, "members": MEMBERS, "array_GB": size / 1e9, "threads": 1}
    timed = {
        "U_s": median(one.wall for one, _ in pairs),
        "plain_pass_s": median(other.wall for _, other in pairs),
        "time_in_plain_passes": median(one.wall / other.wall for one, other in pairs),
    }
    name = f"U of {ATOMS} atoms × {MEMBERS} members"
    return [
        limit(f"{name}, passes over the members", counted.read / size, PASSES, "×", **facts, **timed),
        limit(f"{name}, memory beside the result", held / 1e9, MEMORY_GB, "GB", **facts),
    ]


def bare_loop(calculators: list[Any], frames: list[Frame]) -> None:
    for calculator in calculators:
        for frame in frames:
            atoms = frame.atoms.copy()
            atoms.calc = calculator
            atoms.get_forces(), atoms.get_potential_energy(), atoms.get_stress()


def running(quick: bool) -> list[dict[str, Any]]:
    names = ("committee", "committee, kept and in batches", "kept, second run", "CHGNet in batches", "small cells")
    bounds = (LEAST_SPEED, LEAST_SPEED, LEAST_CACHED, LEAST_BATCHED, LEAST_BATCHED)
    if lacking := [name for name in ("chgnet", "sevenn") if find_spec(name) is None]:
        return [missing(name, bound, ", ".join(lacking)) for name, bound in zip(names, bounds, strict=True)]
    from chgnet.model import CHGNet, CHGNetCalculator
    from sevenn.calculator import SevenNetCalculator

    frames = list(read_frames(SILICON))[: 8 if quick else None]
    facts = {"frames": len(frames), "atoms": sum(len(frame.atoms) for frame in frames), "threads": 1}
    calculators = [CHGNetCalculator(CHGNet.load(verbose=False)), SevenNetCalculator("7net-0")]
    committee = AseCommittee.from_toml({"member": [{"model": "chgnet:0.3.0"}, {"model": "sevennet:7net-0"}]})
    repeats = 3 if quick else 7

    def one_by_one() -> None:
        for frame in frames:
            committee.predict(frame.atoms)

    def kept(folder: str) -> None:
        potentials = dict(committee._running)  # `record` lets go of them; loading is not what is measured
        record(committee, lambda: frames, cache=EvaluationCache(Path(folder)))
        committee._running.update(potentials)

    one_by_one()
    bare_loop(calculators, frames[:2])
    plain = paired(one_by_one, lambda: bare_loop(calculators, frames), repeats)
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(repeats)]
        left = iter(folders)
        batched = paired(lambda: kept(next(left)), lambda: bare_loop(calculators, frames), repeats)
        second = [(again, first) for folder, (first, _) in zip(folders, batched, strict=True)
                  for again, _ in paired(lambda folder=folder: kept(folder), lambda: None, 1)]  # fmt: skip
    chgnet = committee._potential(0)
    cells = [bulk("W", cubic=False, a=3.1 + 0.005 * i) * (2, 1, 1) for i in range(32 if quick else 64)]

    def together(structures: list[Atoms], size: int) -> None:
        for start in range(0, len(structures), size):
            chgnet.predict(structures[start : start + size])

    silicon = [frame.atoms for frame in frames]
    of_batch = chgnet.batch_atoms * len(silicon) // facts["atoms"]
    grouped = paired(lambda: together(silicon, of_batch), lambda: together(silicon, 1), repeats)
    small = paired(lambda: together(cells, chgnet.batch_atoms // 2), lambda: together(cells, 1), repeats)
    cell_facts = {"frames": len(cells), "atoms": 2 * len(cells), "threads": 1}
    return [
        case(f"{names[0]} of two: bare loop over ours", plain, bounds[0], **facts),
        case(f"{names[1]}: bare loop over ours", batched, bounds[1], **facts),
        case(f"{names[2]}: first over second", second, bounds[2], **facts),
        case(f"{names[3]} of {of_batch}, silicon: one by one over batches", grouped, bounds[3], **facts),
        case(f"{names[3]} of {chgnet.batch_atoms // 2}, {names[4]}: one by one over batches", small, bounds[4],
             **cell_facts),
    ]  # fmt: skip


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the packages, on import
        ran = running(quick)
    return [*ran, *metric_of_members(quick)], {}


if __name__ == "__main__":
    main(__doc__, run)
