"""Frames in: reading anything ASE reads, label keys, validation, content hashes, chunks.

A frame is an `ase.Atoms`; `Frame` adds where it came from and its labels. Reading streams: one frame is in memory
at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.checks import _finite, _place, check_structure
from assay.frames.formats.extxyz import frame_texts, is_extxyz, parse
from assay.frames.formats.lammps_data import is_data, read_data
from assay.frames.formats.lammps_dump import is_dump, read_dump
from assay.frames.frame import Frame, FrameError, LabelKeys, Labelled, Skipped
from assay.results.arrays import Array

UNUSED = ("stress", "virial", "virials")
"""Names under which files have stresses, beside that of the label."""


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
    structures = (
        (f"{path}:{index}", structure)
        for path in ([paths] if isinstance(paths, str | Path) else paths)
        for index, structure in _structures(Path(path), skipped, species)
    )
    yield from checked_frames(structures, keys=keys, labels=labels, skipped=skipped)


def checked_frames(
    structures: Iterable[tuple[str, Atoms | Frame | str]],
    *,
    keys: LabelKeys | None = None,
    labels: Labelled = "if present",
    skipped: Skipped | None = None,
) -> Iterator[Frame]:
    """Frames of structures with their origins, checked as `read_frames` does; a text is a frame of extended XYZ.

    A `Frame` keeps its origin and labels. Raises `FrameError` as `read_frames` does.
    """
    keys = keys or LabelKeys()
    has_stress: bool | None = None
    for origin, structure in structures:
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


def read_structures(
    paths: Sequence[str | Path], origins: Collection[str], species: Sequence[str] | None = None
) -> Iterator[tuple[str, Atoms]]:
    """The frames of these origins as they stand in their files, with all that they have."""
    for path in paths:
        for index, structure in enumerate(_read(Path(path), species)):
            if (origin := f"{path}:{index}") in origins:
                yield origin, parse(structure) if isinstance(structure, str) else structure


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


def _parsed(structure: Atoms | Frame | str, origin: str) -> Atoms | Frame:
    if not isinstance(structure, str):
        return structure
    try:
        return parse(structure)
    except Exception as error:  # ASE's reader raises anything
        raise FrameError(f"{_place(origin)}: cannot be read ({type(error).__name__}: {error})") from error


def _frame(structure: Atoms | Frame, origin: str, keys: LabelKeys, labels: Labelled) -> Frame:
    atoms = structure.atoms if isinstance(structure, Frame) else structure
    check_structure(atoms, origin)
    frame = structure if isinstance(structure, Frame) else _with_labels(atoms, origin, keys)
    if labels == "needed":
        if isinstance(structure, Frame) and (frame.energy is None or frame.forces is None):
            raise FrameError(f"{_place(origin)}: a Frame without energy or forces; both are needed")
        for key, value, option in ((keys.energy, frame.energy, "energy"), (keys.forces, frame.forces, "forces")):
            if value is None:
                found = sorted({*atoms.info, *atoms.arrays, *_results(atoms)})
                raise FrameError(
                    f"{_place(origin)}: no label {key!r}. The frame has {', '.join(found)}. "
                    f"Name the right one with --{option}-key"
                )
    return frame


def _with_labels(atoms: Atoms, origin: str, keys: LabelKeys) -> Frame:
    energy = _label(atoms, origin, keys.energy, ())
    forces = _label(atoms, origin, keys.forces, (len(atoms), 3))
    stress = _label(atoms, origin, keys.stress, (6,))
    if stress is None:
        _warn_of_unused_stress(atoms, keys)
    config_type = str(atoms.info.get("config_type", ""))
    bare = atoms.copy()
    bare.calc = None
    return Frame(bare, origin, config_type, None if energy is None else float(energy), forces, stress)


def _warn_of_unused_stress(atoms: Atoms, keys: LabelKeys) -> None:
    """Where labels have names of the user's and the stress that stands beside them was not asked for."""
    usual = LabelKeys()
    if (keys.energy, keys.forces) == (usual.energy, usual.forces) or keys.stress != usual.stress:
        return
    if found := [key for key in UNUSED if key in atoms.info or _results(atoms).get(key) is not None]:
        warnings.warn(
            f"frames have a stress under {', '.join(map(repr, found))} that is not used: name it with --stress-key, or "
            "say --stress-key none",
            stacklevel=2,
        )


def _results(atoms: Atoms) -> dict[str, Any]:
    """What a calculator has said already; foreign ones may keep it elsewhere."""
    return getattr(atoms.calc, "results", {})


def _label(atoms: Atoms, origin: str, key: str, shape: tuple[int, ...]) -> Array | None:
    if key == "none":
        return None
    stores: list[dict[str, Any]] = [atoms.info, atoms.arrays, _results(atoms)]
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
