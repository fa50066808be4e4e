"""Frames in: reading anything ASE reads, label keys, validation, content hashes, chunks.

A frame is an `ase.Atoms`; `Frame` adds where it came from and its labels. Reading streams: one frame is in memory
at a time.
"""

from __future__ import annotations

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
from assay.results.warning import warn
from assay.storage.bounds import require_bounded

LARGEST = 1e15
"""Of a label, whose square must be a number too."""
ASYMMETRIC = 0.02
"""Of the largest component of a stress, how far rounding may set those across the diagonal apart."""

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
        `"needed"`: a frame without any label is an error; `"both"`: one without energy or without forces
    skipped
        a list that receives `(origin, reason)` of every frame left out; without it the first bad frame raises
    species
        chemical symbols of LAMMPS's atom types, in their order; the file's own elements or masses without

    Raises
    ------
    FrameError
        no such file, no frames, truncated file, NaN or infinite values, labels missing or of the wrong shape,
        atoms closer than 0.1 Å, a periodic cell without volume, a species that is none
    """
    structures = (
        (f"{path}:{index}", structure)
        for path in ([paths] if isinstance(paths, str | Path) else paths)
        for index, structure in _structures(Path(path), skipped, species)
    )
    yield from checked_frames(structures, keys=keys, labels=labels, skipped=skipped)


def checked_frames(
    structures: Iterable[tuple[str, Atoms | Frame | str | ValueError]],
    *,
    keys: LabelKeys | None = None,
    labels: Labelled = "if present",
    skipped: Skipped | None = None,
) -> Iterator[Frame]:
    """Frames of structures with their origins, checked as `read_frames` does; a text is a frame of extended XYZ.

    A `Frame` keeps its origin and labels. Raises `FrameError` as `read_frames` does.
    """
    keys = keys or LabelKeys()
    for origin, structure in structures:
        try:
            frame = _frame(_parsed(structure, origin), origin, keys, labels)
        except FrameError as error:
            if skipped is None:
                raise
            skipped.append((origin, str(error)))
            continue
        yield frame


def require_labels(frames: Iterable[Frame], keys: LabelKeys) -> Iterator[Frame]:
    """The frames; raises `FrameError` at their end where none had an energy, or none forces.

    A key that no frame has is a mistake, one that some lack is not. Forces may be ignored (`none`), energies not.
    """
    first: Frame | None = None
    lacking = [(keys.energy, "energy"), *([(keys.forces, "forces")] if keys.forces != "none" else [])]
    for frame in frames:
        first = first or frame
        lacking = [(key, name) for key, name in lacking if getattr(frame, name) is None]
        yield frame
    if first is not None and lacking:
        key, name = lacking[0]
        raise FrameError(
            f"{_place(first.origin)}: no label {key!r}, nor in any other frame. The frame has "
            f"{', '.join(sorted({*first.atoms.info, *first.atoms.arrays}))}. Name the right one with --{name}-key"
            + (", or say that there are none with --forces-key none" if name == "forces" else "")
        )


def read_structures(
    paths: Sequence[str | Path], origins: Collection[str], species: Sequence[str] | None = None
) -> Iterator[tuple[str, Atoms]]:
    """The frames of these origins as they stand in their files, with all that they have."""
    for path in paths:
        for index, structure in enumerate(_read(Path(path), species)):
            if (origin := f"{path}:{index}") in origins:
                found = _parsed(structure, origin)
                assert isinstance(found, Atoms)
                yield origin, found


def _structures(
    path: Path, skipped: Skipped | None, species: Sequence[str] | None
) -> Iterator[tuple[int, Atoms | str | ValueError]]:
    """Frames as ASE reads them, as texts from extended XYZ files, or the error of one that can't be read."""
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


def _read(path: Path, species: Sequence[str] | None) -> Iterator[Atoms | str | ValueError]:
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

    require_bounded(path)
    try:
        yield from ase.io.iread(path, ":")
    except UnknownFileTypeError as error:
        raise FrameError(f"{path}: ASE does not know this file type; extended XYZ (.extxyz) always works") from error


def _parsed(structure: Atoms | Frame | str | ValueError, origin: str) -> Atoms | Frame:
    if isinstance(structure, Atoms | Frame):
        return structure
    try:
        if isinstance(structure, ValueError):
            raise structure
        return parse(structure)
    except Exception as error:  # ASE's reader raises anything
        raise FrameError(f"{_place(origin)}: cannot be read ({type(error).__name__}: {error})") from error


def _frame(structure: Atoms | Frame, origin: str, keys: LabelKeys, labels: Labelled) -> Frame:
    atoms = structure.atoms if isinstance(structure, Frame) else structure
    check_structure(atoms, origin)
    frame = structure if isinstance(structure, Frame) else _with_labels(atoms, origin, keys)
    there = {"energy": frame.energy, "forces": frame.forces, "stress": frame.stress}
    lacking = [name for name, value in there.items() if value is None and (labels == "needed" or name != "stress")]
    if (labels == "needed" and len(lacking) == 3) or (labels == "both" and lacking):
        raise FrameError(f"{_place(origin)}: {_without(lacking, structure, atoms, keys)}")
    return frame


def _without(lacking: Sequence[str], structure: Atoms | Frame, atoms: Atoms, keys: LabelKeys) -> str:
    """What to say of a frame that lacks these labels."""
    if isinstance(structure, Frame):
        return f"a Frame without {' or '.join(lacking)}"
    found = sorted({*atoms.info, *atoms.arrays, *_results(atoms)})
    named = [(getattr(keys, name), f"--{name}-key") for name in lacking]
    wanted, options = (", ".join(each) for each in zip(*((repr(key), option) for key, option in named), strict=True))
    return f"no label {wanted}. The frame has {', '.join(found)}. Name the right one with {options}"


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
        warn(
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
        if np.asarray(value).dtype.kind == "b":
            raise ValueError("neither true nor false is a number")
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FrameError(f"{_place(origin)}: label {key!r} is not a number: {str(value)[:100]!r}") from error
    if shape == (6,) and array.size == 9:
        array = _voigt(array.reshape(3, 3), f"{_place(origin)}: label {key!r}")
    if shape == () and array.size == 1:
        array = array.reshape(())
    if array.shape != shape:
        raise FrameError(f"{_place(origin)}: label {key!r} has shape {array.shape}, needed {shape}")
    _finite(array, f"label {key!r}", origin)
    if (largest := np.abs(array).max(initial=0.0)) > LARGEST:
        raise FrameError(f"{_place(origin)}: label {key!r} is {largest:.3g} in size, and no energy, force or stress is")
    return array


def _voigt(stress: Array, what: str) -> Array:
    """Of a 3 x 3 stress, xx yy zz yz xz xy; raises `FrameError` where it is not symmetric."""
    if np.abs(stress - stress.T).max() > ASYMMETRIC * np.abs(stress).max():
        raise FrameError(f"{what} is not symmetric: {stress.tolist()}")
    return np.asarray(stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])
