"""The mean over neighbourhoods of 10⁶ atoms beside the fastest neighbour list: at most 1.5 times as long.

    python benchmarks/aggregate.py [--quick] [--json FILE]

Rattled bcc tungsten, cut-off 5 Å. `neighbourhood_mean` is timed whole, its own neighbour list included. Each
library's list is timed once or twice; the fastest that hands over arrays of pairs is the peer of the paired repeats,
on one thread as ours is. A second case takes LAMMPS's own list, which stays inside LAMMPS (it builds half lists of
32-bit indices from bins of half the cut-off, and gives them away one atom at a time only). `matscipy`,
`matscipy-neighbours` and `pymatgen-core` are timed where installed. `--quick` takes 10⁵ atoms.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from timing import case, main, missing, paired, peak_memory, timed

from assay.regions.neighbourhoods import neighbourhood_mean

LIMIT = 1.5
R_CUT = 5.0


def tungsten(quick: bool) -> Atoms:
    atoms = bulk("W", "bcc", a=3.165, cubic=True).repeat(37 if quick else 80)
    atoms.rattle(0.1, seed=0)
    atoms.wrap()
    return atoms


def with_vesin(atoms: Atoms) -> Callable[[], object]:
    from vesin import NeighborList

    def build() -> None:
        NeighborList(cutoff=R_CUT, full_list=False).compute(atoms.positions, atoms.cell.array, True, "ij", copy=False)

    return build


def with_matscipy(atoms: Atoms) -> Callable[[], object]:
    from matscipy.neighbours import neighbour_list

    return lambda: neighbour_list("ij", atoms, R_CUT)


def with_matscipy_neighbours(atoms: Atoms) -> Callable[[], object]:
    from matscipy_neighbours import neighbour_list

    return lambda: neighbour_list("ij", atoms, R_CUT)


def with_pymatgen(atoms: Atoms) -> Callable[[], object]:
    from pymatgen.optimization.neighbors import find_points_in_spheres

    x, periodic = atoms.positions, np.ones(3, dtype=np.int64)
    return lambda: find_points_in_spheres(x, x, R_CUT, periodic, atoms.cell.array, 1e-8)


def with_scipy(atoms: Atoms) -> Callable[[], object]:
    from scipy.spatial import cKDTree

    lengths = atoms.cell.lengths()
    x = atoms.positions % lengths
    return lambda: cKDTree(x, boxsize=lengths).query_pairs(R_CUT, output_type="ndarray")


def with_lammps(atoms: Atoms) -> Callable[[], object]:
    """From arrays of positions to LAMMPS's half list, which is left where it is."""
    from assay.sources.lammps import import_lammps

    lmp = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    x, y, z = atoms.cell.lengths().tolist()
    types, positions = [1] * len(atoms), atoms.positions.ravel().tolist()

    def build() -> None:
        lmp.commands_string(
            f"""clear
            units metal
            atom_modify sort 0 0
            region box block 0 {x!r} 0 {y!r} 0 {z!r}
            create_box 1 box"""
        )
        lmp.create_atoms(len(atoms), None, types, positions)
        lmp.commands_string(
            f"""mass * 1.0
            neighbor 0.0 bin
            pair_style zero {R_CUT}
            pair_coeff * *
            run 0 post no"""
        )

    return build


PAIRS = {
    "vesin": with_vesin,
    "matscipy": with_matscipy,
    "matscipy-neighbours": with_matscipy_neighbours,
    "pymatgen": with_pymatgen,
    "scipy": with_scipy,
}
SIDES: dict[str, Callable[[Atoms], Callable[[], object]]] = {
    "assay": lambda atoms: partial(neighbourhood_mean, np.random.default_rng(0).random(len(atoms)), atoms, R_CUT),
    **PAIRS,
    "LAMMPS": with_lammps,
}


def alone(side: str, quick: bool) -> dict[str, float] | None:
    """Time and memory of one side in a process of its own, the better of two; `None` where it is not installed."""
    command = [sys.executable, __file__, "--alone", side, *(["--quick"] if quick else [])]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, float] | None = json.loads(answer)
    return found


def measure(side: str, quick: bool) -> dict[str, float] | None:
    atoms = tungsten(quick)
    try:
        build = SIDES[side](atoms)
    except ModuleNotFoundError:
        return None
    before = peak_memory()
    best = min((timed(build) for _ in range(2)), key=lambda seconds: seconds.cpu)
    return {"seconds": best.wall, "cpu_seconds": best.cpu, "peak_GB": peak_memory(), "peak_GB_before": before}


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    atoms = tungsten(quick)
    each = {side: alone(side, quick) for side in SIDES}
    rivals = {side: found["cpu_seconds"] for side, found in each.items() if side in PAIRS and found}
    fastest = min(rivals, key=lambda side: rivals[side])
    facts = {"atoms": len(atoms), "r_cut": R_CUT, "threads": 1, "alone": each}
    ours, repeats = SIDES["assay"](atoms), 9
    name = f"neighbourhood mean of {len(atoms)} atoms"
    cases = [
        case(f"{name}, list by {fastest}", paired(ours, PAIRS[fastest](atoms), repeats), 1 / LIMIT, **facts),
    ]
    inside = f"{name}, list left inside LAMMPS"
    if each["LAMMPS"] is None:
        cases.append(missing(inside, 1 / LIMIT, "lammps"))
    else:
        cases.append(case(inside, paired(ours, with_lammps(atoms), repeats), 1 / LIMIT, **facts))
    return cases, {}


if __name__ == "__main__":
    if "--alone" in sys.argv:
        print(json.dumps(measure(sys.argv[sys.argv.index("--alone") + 1], "--quick" in sys.argv)))
    else:
        main(__doc__, run)
