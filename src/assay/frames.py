"""Frames in: reading anything ASE reads, label keys, validation, content hashes, chunks.

A frame is an `ase.Atoms`; `Frame` adds where it came from and its labels. Reading streams: one frame is in memory
at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms

from assay.extxyz import frame_texts, is_extxyz, parse
from assay.lammps_data import is_data, read_data
from assay.lammps_dump import is_dump, read_dump
from assay.neighbours import close_pairs
from assay.prediction import Array

CLOSEST = 0.1
"""Å: atoms nearer than this are on top of each other."""


class FrameError(ValueError):
    """A frame (or file) that can't be used: says which file, frame and atom, what came and what was needed."""


@dataclass(frozen=True)
class LabelKeys:
    """Where labels are found: a key of `info` (energy in eV, stress in eV/Å³) or `arrays` (forces in eV/Å).

    A calculator's own results count when asked for by their ASE names (`energy`, `forces`, `stress`).
    The key `none` means: ignore this label.
    """

    energy: str = "REF_energy"
    forces: str = "REF_forces"
    stress: str = "REF_stress"


@dataclass(frozen=True)
class Frame:
    """One structure with its origin and labels.

    | field | meaning | shape, unit |
    |---|---|---|
    | atoms | the structure, without calculator | |
    | origin | `file:index` | |
    | config_type | `info["config_type"]`, `""` if absent | |
    | energy, forces, stress | labels, `None` where absent | eV; `(A, 3)` eV/Å; `(6,)` eV/Å³ |
    """

    atoms: Atoms
    origin: str
    config_type: str = ""
    energy: float | None = None
    forces: Array | None = None
    stress: Array | None = None


Labelled = Literal["needed", "if present"]
Skipped = list[tuple[str, str]]


def read_frames(
    paths: str | Path | Sequence[str | Path],
    *,
    keys: LabelKeys | None = None,
    labels: Labelled = "if present",
    skipped: Skipped | None = None,
    species: Sequence[str] | None = None,
) -> Iterator[Frame]:
    """Stream the validated frames of one or more files.

    Parameters
    ----------
    paths
        LAMMPS dumps and data files, and anything `ase.io.iread` reads, compressed or not
    keys
        names of the labels; the defaults are those of `LabelKeys`
    labels
        `"needed"`: a frame without energy and forces is an error
    skipped
        a list that receives `(origin, reason)` of every frame left out; without it the first bad frame raises
    species
        chemical symbols of LAMMPS's atom types, in their order; the file's own elements or masses without

    Raises
    ------
    FrameError
        no such file, no frames, truncated file, NaN or infinite values, labels missing or of the wrong shape,
        atoms closer than 0.1 Å, a periodic cell without volume, stress on some frames and not on others
    """
    keys = keys or LabelKeys()
    has_stress: bool | None = None
    for path in [paths] if isinstance(paths, str | Path) else paths:
        for index, structure in _structures(Path(path), skipped, species):
            origin = f"{path}:{index}"
            try:
                frame = _frame(_parsed(structure, origin), origin, keys, labels)
                if labels == "needed":
                    has_stress = (frame.stress is not None) if has_stress is None else has_stress
                    if has_stress != (frame.stress is not None):
                        raise FrameError(
                            f"{_place(origin)}: {'no ' if has_stress else 'has '}stress under {keys.stress!r}, "
                            f"unlike the frames before it. Give stress for all frames or for none, or ignore it "
                            f"with stress key 'none'"
                        )
            except FrameError as error:
                if skipped is None:
                    raise
                skipped.append((origin, str(error)))
                continue
            yield frame


def _structures(
    path: Path, skipped: Skipped | None, species: Sequence[str] | None
) -> Iterator[tuple[int, Atoms | str]]:
    """Frames as ASE reads them, or as texts from extended XYZ files."""
    if not path.is_file():
        raise FrameError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise FrameError(f"{path}: no frames in this file")
    index = -1
    try:
        for index, structure in enumerate(_read(path, species)):
            yield index, structure
    except FrameError:
        raise
    except Exception as error:  # readers raise anything
        message = f"{path}, frame {index + 1}: cannot be read ({type(error).__name__}: {error})"
        if index >= 0:
            message += f". The file may be truncated; what follows the {index + 1} frames before is lost"
        if skipped is None or index < 0:
            raise FrameError(message) from error
        skipped.append((f"{path}:{index + 1}", message))
    if index < 0:
        raise FrameError(f"{path}: no frames in this file")


def _read(path: Path, species: Sequence[str] | None) -> Iterator[Atoms | str]:
    if is_extxyz(path):
        return frame_texts(path)
    if is_dump(path):
        return read_dump(path, species)
    if is_data(path):
        return iter([read_data(path, species)])
    return _any_format(path)


def _any_format(path: Path) -> Iterator[Atoms]:
    import ase.io  # slow to import: half of `import assay`
    from ase.io.formats import UnknownFileTypeError

    try:
        yield from ase.io.iread(path, ":")
    except UnknownFileTypeError as error:
        raise FrameError(f"{path}: ASE does not know this file type; extended XYZ (.extxyz) always works") from error


def _parsed(structure: Atoms | str, origin: str) -> Atoms:
    if isinstance(structure, Atoms):
        return structure
    try:
        return parse(structure)
    except Exception as error:  # ASE's reader raises anything
        raise FrameError(f"{_place(origin)}: cannot be read ({type(error).__name__}: {error})") from error


def _frame(atoms: Atoms, origin: str, keys: LabelKeys, labels: Labelled) -> Frame:
    check_structure(atoms, origin)
    energy = _label(atoms, origin, keys.energy, ())
    forces = _label(atoms, origin, keys.forces, (len(atoms), 3))
    stress = _label(atoms, origin, keys.stress, (6,))
    if labels == "needed":
        for key, value, option in ((keys.energy, energy, "energy"), (keys.forces, forces, "forces")):
            if value is None:
                found = sorted({*atoms.info, *atoms.arrays, *(atoms.calc.results if atoms.calc else ())})
                raise FrameError(
                    f"{_place(origin)}: no label {key!r}. The frame has {', '.join(found)}. "
                    f"Name the right one with --{option}-key"
                )
    config_type = str(atoms.info.get("config_type", ""))
    bare = atoms.copy()
    bare.calc = None
    return Frame(bare, origin, config_type, None if energy is None else float(energy), forces, stress)


def _label(atoms: Atoms, origin: str, key: str, shape: tuple[int, ...]) -> Array | None:
    if key == "none":
        return None
    stores: list[dict[str, Any]] = [atoms.info, atoms.arrays, atoms.calc.results if atoms.calc else {}]
    value = next((store[key] for store in stores if key in store), None)
    if value is None:
        return None
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FrameError(f"{_place(origin)}: label {key!r} is not a number: {value!r}") from error
    if shape == (6,) and array.size == 9:
        array = array.reshape(3, 3)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    if shape == () and array.size == 1:
        array = array.reshape(())
    if array.shape != shape:
        raise FrameError(f"{_place(origin)}: label {key!r} has shape {array.shape}, needed {shape}")
    _finite(array, f"label {key!r}", origin)
    return array


def check_structure(atoms: Atoms, origin: str) -> None:
    """Raise `FrameError` if the structure can't be one: see `read_frames`."""
    if len(atoms) == 0:
        raise FrameError(f"{_place(origin)}: no atoms")
    _finite(atoms.positions, "position", origin)
    _finite(atoms.cell.array, "cell", origin, per_atom=False)
    periodic = atoms.cell.array[atoms.pbc]
    if len(periodic) and np.sqrt(max(0.0, np.linalg.det(periodic @ periodic.T))) < 1e-6:
        raise FrameError(
            f"{_place(origin)}: periodic along {_axes(atoms.pbc)}, but those cell vectors span no volume: "
            f"{atoms.cell.array.tolist()}"
        )
    try:
        pairs, distances = close_pairs(atoms, 1.0)  # far smaller cut-offs are slower
    except ValueError as error:
        raise FrameError(f"{_place(origin)}: {error}") from error
    if len(pairs) and distances.min() < CLOSEST:
        (i, j), worst = pairs[np.argmin(distances)], distances.min()
        raise FrameError(f"{_place(origin)}, atoms {i} and {j}: {worst:.3g} Å apart (less than {CLOSEST} Å)")


def _finite(array: Array, what: str, origin: str, per_atom: bool = True) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        atom = f", atom {bad[0][0]}" if per_atom and array.ndim == 2 else ""
        raise FrameError(f"{_place(origin)}{atom}: {what} is not finite: {array[tuple(bad[0])]}")


def _axes(pbc: Any) -> str:
    return " ".join(axis for axis, periodic in zip("xyz", pbc, strict=True) if periodic)


def _place(origin: str) -> str:
    path, _, index = origin.rpartition(":")
    return f"{path}, frame {index}" if path else f"frame {origin}"


def content_hash(atoms: Atoms) -> str:
    """16 hex digits that are equal for equal species, periodicity, cell and positions (to 1e-6 Å)."""
    digest = hashlib.sha256()
    digest.update(np.asarray(atoms.numbers, dtype="<i8").tobytes())
    digest.update(np.asarray(atoms.pbc, dtype=bool).tobytes())
    for array in (atoms.cell.array, atoms.positions):
        # First to the 8 decimals of extended XYZ, so that writing and reading a frame does not change its hash.
        digest.update((np.round(np.round(array, 8), 6) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chunks(frames: Iterable[Frame], atoms: int = 256) -> Iterator[list[Frame]]:
    """Consecutive frames in lists of at most about `atoms` atoms (a single larger frame is a list of its own)."""
    chunk: list[Frame] = []
    size = 0
    for frame in frames:
        if chunk and size + len(frame.atoms) > atoms:
            yield chunk
            chunk, size = [], 0
        chunk.append(frame)
        size += len(frame.atoms)
    if chunk:
        yield chunk
