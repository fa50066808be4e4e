"""Design rows beside LAMMPS itself: at most 1.15 times as long on one worker, and 1.8 times as fast on two.

    python benchmarks/snap_rows.py [--quick] [--json FILE]

Quadratic SNAP, 2J = 8, on tungsten/B-bulk-and-defects of `$ASSAY_DATA`, else on the silicon that ships with Assay
(`--quick`: every tenth frame, and every fourth of these beside LAMMPS).

The peer is a bare loop over the same frames with the same settings: boxes and positions made beforehand, then `clear`,
atoms, `compute snap`, `run 0` and a copy of the array. Ours is `map_frames` from `ase.Atoms` to `Design`. Each pair of
repeats takes other frames.

Two workers are compared end to end with one, the start of the processes included; `start_up` is the time from there
to the first result, of a frame of one atom. On a machine with other work the wall times say little; twice the
`cpu_ratio` is then the most that two free cores could give.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase import Atoms
from timing import case, main, missing, paired, timed

import assay
from assay.execution.workers import Failure, map_frames
from assay.frames.frame import Frame, file_hash
from assay.frames.reading import read_frames
from assay.results.design import Design
from assay.sources.lammps import import_lammps, lammps_box
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

LIMIT = 1.15
SPEED_UP = 1.8


@dataclass(frozen=True)
class Rows:
    source: Snap

    def __call__(self, frame: Frame) -> Design:
        return self.source.design(frame.atoms)


def ours(source: Snap, frames: list[Frame], workers: int = 1) -> None:
    for frame, design in map_frames(Rows(source), frames, workers=workers):
        assert not isinstance(design, Failure), (frame.origin, design)


class Bare:
    """The rows of frames by LAMMPS alone; the last array is kept."""

    def __init__(self, source: Snap) -> None:
        self.source = source
        self.lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
        self.rows = np.empty((0, 0))

    def prepared(self, frames: list[Frame]) -> list[tuple[Any, ...]]:
        return [self._input(frame.atoms) for frame in frames]

    def _input(self, atoms: Atoms) -> tuple[Any, ...]:
        box, _, positions, boundary = lammps_box(atoms)
        (xx, _, _), (xy, yy, _), (xz, yz, zz) = box.tolist()
        types = [self.source.species.index(symbol) + 1 for symbol in atoms.symbols]
        setup = f"""clear
            units metal
            boundary {boundary}
            atom_modify map array sort 0 0
            box tilt large
            region box prism 0 {xx!r} 0 {yy!r} 0 {zz!r} {xy!r} {xz!r} {yz!r}
            create_box {len(self.source.species)} box"""
        run = f"""mass * 1.0
            neighbor 0.0 bin
            neigh_modify one 20000 page 400000
            pair_style zero {self.source.settings.rcut}
            pair_coeff * *
            compute snap all snap {self.source.settings.compute_arguments()}
            run 0 post no"""
        return setup, len(atoms), list(range(1, len(atoms) + 1)), types, positions.ravel().tolist(), run

    def __call__(self, inputs: list[tuple[Any, ...]]) -> None:
        for setup, n, ids, types, positions, run in inputs:
            self.lmp.commands_string(setup)
            self.lmp.create_atoms(n, ids, types, positions)
            self.lmp.commands_string(run)
            self.rows = np.array(self.lmp.numpy.extract_compute("snap", 0, 2))


def labelled(quick: bool) -> tuple[list[Frame], dict[str, str]]:
    data = os.environ.get("ASSAY_DATA")
    if data:
        name = "tungsten/B-bulk-and-defects.extxyz.gz"
        path = Path(data) / name
    else:
        name = "demo_data/silicon-pbe/train.extxyz.gz"
        path = Path(assay.__file__).parent / name
    return list(islice(read_frames(path), 0, None, 10 if quick else 1)), {name: file_hash(path)}


def agreement(source: Snap, bare: Bare, frame: Frame) -> float:
    """Largest difference of energy rows, relative to the largest entry: both sides did the same work."""
    bare(bare.prepared([frame]))
    row = source.design(frame.atoms).energy_row[len(source.species) :]
    theirs = bare.rows[: len(frame.atoms), :-1].sum(axis=0)
    return float(np.abs(row - theirs).max() / np.abs(row).max())


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    frames, data = labelled(quick)
    species = sorted({symbol for frame in frames for symbol in frame.atoms.symbols})
    source = Snap(SnapSettings(species=tuple(species), twojmax=8, rcut=5.0, quadratic=True))
    some = frames[:: 4 if quick else 1]
    names = (
        f"rows, one worker: {described(source, some)}",
        f"rows, two workers beside one: {described(source, frames)}",
    )
    try:
        bare = Bare(source)
    except ModuleNotFoundError:
        return [missing(names[0], 1 / LIMIT, "lammps"), missing(names[1], SPEED_UP, "lammps")], data

    difference = agreement(source, bare, frames[0])
    repeats = 3 if quick else 8
    pairs = []
    for k in range(repeats):
        part = some[k::repeats]
        inputs = bare.prepared(part)
        pairs += paired(lambda part=part: ours(source, part), lambda inputs=inputs: bare(inputs), 1)
    one = case(names[0], pairs, 1 / LIMIT, threads=1, largest_relative_difference=difference)

    tiny = [Frame(Atoms(species[:1], positions=[[0, 0, 0]], cell=[3, 3, 3], pbc=True), "tiny:0")]
    start_up = timed(lambda: ours(source, tiny, workers=2))
    pairs = paired(lambda: ours(source, frames, workers=2), lambda: ours(source, frames), 1 if quick else 3)
    two = case(names[1], pairs, SPEED_UP, start_up=start_up.wall)
    return [one, two], data


def described(source: Snap, frames: list[Frame]) -> str:
    return f"{source.label}; {len(frames)} frames, {sum(len(frame.atoms) for frame in frames)} atoms"


if __name__ == "__main__":
    main(__doc__, run)
