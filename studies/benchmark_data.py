"""Data sets of the benchmark: which frames train, calibrate and test, from `studies/benchmark/datasets/*.toml`.

A data set is one file:

    title = "Silicon"
    about = "What it is, and what the splits are for."
    doi = "10.…"
    new = ["NAME"]                        # tests that are unlike the training frames
    folder = "data"                       # or "shipped": the files within the package

    [[train]]                             # a split is a list of selections, put together
    file = "silicon/training.extxyz.gz"   # below the folder
    config_type = ["AIMD-NVT"]            # all without
    energy = [0.0, 0.8]                   # between these quantiles of the energy per atom; all without
    unit = "block"                        # what is kept whole: "block" (contiguous in the file, of one config_type)
    folds = 10                            #   or "cell" (all frames of the same atoms in the same cell)
    fold = [0, 1, 2, 4]                   # which of the folds; all without
    frames = "::2"                        # of those that are left, as a Python slice; all without
    members = "….npz"                     # of the recorded source: a members file,
    members_of = "….extxyz.gz"            #   and the frames that it is of; `file` without

    [[calibration]] …
    [[tests.NAME]] …

    [sources.NAME]                        # settings of a source, as in docs/sources.md
    [compare]                             # further arguments of `assay.compare`

`block` is for trajectories in order; `cell` for files that mix the frames of several. Predictions of recorded members
are shifted by a constant per species and member, fitted to the training frames: their zeros of energy differ.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from sklearn.model_selection import GroupKFold

from assay.frames.frame import Frame, content_hash, file_hash
from assay.frames.reading import read_frames
from assay.results.prediction import Prediction
from assay.sources.recorded.members_file import write_members
from assay.verbs.demo import demo_data

DATASETS = Path(__file__).parent / "benchmark" / "datasets"
SPLITS = ("train", "calibration", "tests")
SELECTION = {"file", "config_type", "energy", "unit", "folds", "fold", "frames", "members", "members_of"}
KEYS = {"title", "about", "doi", "new", "folder", *SPLITS, "sources", "compare"}


@dataclass(frozen=True)
class Recording:
    """What M recorded models say about the frames of a file: names, energies `(M, F)` and forces `(M, A, 3)`."""

    models: tuple[str, ...]
    starts: np.ndarray
    energy: np.ndarray
    forces: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Recording:
        with np.load(path, allow_pickle=False) as file:
            starts = np.concatenate([[0], np.cumsum(file["natoms"])])
            return cls(tuple(map(str, file["models"])), starts, file["energy"], file["forces"])

    def of(self, row: int, keep: Sequence[int]) -> Prediction:
        forces = self.forces[keep, self.starts[row] : self.starts[row + 1]]
        return Prediction(energy_members=self.energy[keep, row], forces_members=forces)


@dataclass(frozen=True)
class Chosen:
    """A frame of a split; `recorded` where its selection names members."""

    frame: Frame
    recorded: Prediction | None = None


@dataclass(frozen=True)
class Dataset:
    """One data set of the benchmark, as its file describes it."""

    name: str
    description: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Dataset:
        """Raises `ValueError` for a file with keys that mean nothing, or without a split."""
        description = tomllib.loads(path.read_text(encoding="utf-8"))
        needed, tests = {"title", "about", "new", *SPLITS, "sources"}, description.get("tests", {})
        selections = _selections(description)
        unknown = description.keys() - KEYS | {key for s in selections for key in s.keys() - SELECTION}
        unknown |= set(description.get("new", ())) - tests.keys()
        lacking = needed - description.keys() | {"file" for s in selections if "file" not in s}
        if unknown or lacking:
            raise ValueError(f"{path}: unknown {sorted(unknown)}, lacking {sorted(lacking)}")
        return cls(path.stem, description)

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        return dict(self.description["sources"])

    def path(self, file: str, data: Path | None) -> Path:
        """Where a file of this data set is."""
        if self.description.get("folder", "data") == "shipped":
            return demo_data("train").parent / file
        if data is None:
            raise ValueError(f"{self.name}: needs the folder of the real data (--data, or the variable ASSAY_DATA)")
        return data / file

    def files(self, data: Path | None) -> dict[str, str]:
        """SHA-256 of each file that the splits are taken from."""
        named = {s[key] for s in _selections(self.description) for key in ("file", "members", "members_of") if key in s}
        return {file: file_hash(self.path(file, data)) for file in sorted(named)}

    def splits(self, data: Path | None, models: Sequence[str] = ()) -> dict[str, list[Chosen]]:
        """`train`, `calibration` and the tests by name; raises `ValueError` where two of them share a structure.

        `models`: which of the recorded ones, in this order; all without.
        """
        named = {split: self.description[split] for split in ("train", "calibration")} | self.description["tests"]
        splits = {name: [c for s in each for c in self._selected(s, data, models)] for name, each in named.items()}
        if splits["train"][0].recorded is not None:
            splits = aligned(splits)
        home: dict[str, str] = {}
        for name, chosen in splits.items():
            if not chosen:
                raise ValueError(f"{self.name}: no frame in {name}")
            for each in chosen:
                other = home.setdefault(content_hash(each.frame.atoms), name)
                if other != name:
                    raise ValueError(f"{self.name}: {each.frame.origin} is in {other} and in {name}")
        return splits

    def _selected(self, selection: Mapping[str, Any], data: Path | None, models: Sequence[str]) -> Iterable[Chosen]:
        frames = _frames(self.path(selection["file"], data))
        rows = chosen_rows(frames, selection)
        if "members" not in selection:
            return [Chosen(frames[row]) for row in rows]
        recording = _recording(self.path(selection["members"], data))
        keep = [recording.models.index(model) for model in models or recording.models]
        where = _places(self.path(selection.get("members_of", selection["file"]), data))
        if len(where) != len(recording.starts) - 1:
            raise ValueError(
                f"{self.name}: {selection['members']} is of {len(recording.starts) - 1} frames, not {len(where)}"
            )
        return [Chosen(frames[row], recording.of(where[content_hash(frames[row].atoms)], keep)) for row in rows]

    def write(self, folder: Path, data: Path | None) -> dict[str, dict[str, Path]]:
        """Files of the splits in `folder`: name of the split → `frames` and, with recorded members, `members`."""
        recorded = next((own for own in self.sources.values() if own["source"] == "recorded"), {})
        models = recorded.get("models", ())
        written: dict[str, dict[str, Path]] = {}
        for name, chosen in self.splits(data, models).items():
            frames = [_labelled(each.frame) for each in chosen]
            written[name] = {"frames": folder / f"{name}.extxyz"}
            ase.io.write(written[name]["frames"], frames, format="extxyz")
            evaluations = [each.recorded for each in chosen if each.recorded is not None]
            if evaluations:
                names = models or _recording(self.path(self.description["train"][0]["members"], data)).models
                written[name]["members"] = folder / f"{name}.npz"
                write_members(written[name]["members"], names, frames, evaluations)
        return written


def _selections(description: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of all splits."""
    splits = [description.get("train", []), description.get("calibration", []), *description.get("tests", {}).values()]
    return [selection for split in splits for selection in split]


@cache
def _frames(path: Path) -> list[Frame]:
    return list(read_frames(path, labels="needed"))


@cache
def _places(path: Path) -> dict[str, int]:
    """Structure → its place in a file."""
    return {content_hash(frame.atoms): place for place, frame in enumerate(_frames(path))}


@cache
def _recording(path: Path) -> Recording:
    return Recording.read(path)


def _labelled(frame: Frame) -> Atoms:
    atoms = frame.atoms.copy()
    atoms.info = {"config_type": frame.config_type or "all", "REF_energy": frame.energy}
    for name in set(atoms.arrays) - {"numbers", "positions"}:
        del atoms.arrays[name]
    atoms.arrays["REF_forces"] = frame.forces
    if frame.stress is not None:
        atoms.info["REF_stress"] = frame.stress
    return atoms


def chosen_rows(frames: Sequence[Frame], selection: Mapping[str, Any]) -> list[int]:
    """Which frames of a file a selection takes, in file order."""
    kinds = np.array([frame.config_type for frame in frames])
    rows = np.arange(len(frames))
    if "config_type" in selection:
        wanted = np.atleast_1d(selection["config_type"])
        if lacking := sorted(set(wanted) - set(kinds)):
            raise ValueError(f"{selection['file']}: no config_type {', '.join(lacking)}; there are {set(kinds)}")
        rows = rows[np.isin(kinds, wanted)]
    if "energy" in selection:
        energies = np.array([frames[row].energy / len(frames[row].atoms) for row in rows])  # type: ignore[operator]
        rank = np.argsort(np.argsort(energies, kind="stable")) / len(rows)
        low, high = selection["energy"]
        rows = rows[(rank >= low) & (rank < high)]
    if "folds" in selection:
        fold = _folds([frames[row] for row in rows], kinds[rows], selection["folds"], selection.get("unit", "block"))
        rows = rows[np.isin(fold, selection["fold"])]
    start, stop, step = (int(part) if part else None for part in f"{selection.get('frames', '')}::".split(":")[:3])
    return [int(row) for row in rows[start:stop:step]]


def _folds(frames: Sequence[Frame], kinds: np.ndarray, folds: int, unit: str) -> np.ndarray:
    """Which fold each frame is in, `(F,)`."""
    if unit == "block":
        fold = np.empty(len(frames), dtype=int)
        for kind in np.unique(kinds):
            where = np.flatnonzero(kinds == kind)
            fold[where] = np.arange(len(where)) * folds // len(where)
        return fold
    if unit != "cell":
        raise ValueError(f'a unit is "block" or "cell", got {unit!r}')
    cells: dict[tuple[Any, ...], int] = {}
    group = [cells.setdefault(_cell(frame.atoms), len(cells)) for frame in frames]
    fold = np.empty(len(frames), dtype=int)
    for k, (_, members) in enumerate(GroupKFold(folds).split(group, groups=group)):
        fold[members] = k
    return fold


def _cell(atoms: Atoms) -> tuple[Any, ...]:
    return (atoms.get_chemical_formula(), *np.round(atoms.cell.array, 3).ravel())


def aligned(splits: Mapping[str, list[Chosen]]) -> dict[str, list[Chosen]]:
    """Energies of members plus `Σ_s n_s c_s`, c by least squares of label minus member per atom on training frames."""
    train = splits["train"]
    species = sorted({int(z) for each in train for z in each.frame.atoms.numbers})

    def counts(chosen: Chosen) -> np.ndarray:
        return np.array([(chosen.frame.atoms.numbers == z).sum() for z in species], dtype=float)

    rows = np.array([counts(each) for each in train])
    away = np.array([each.frame.energy - each.recorded.energy_members for each in train])  # type: ignore[operator, union-attr]
    natoms = rows.sum(axis=1, keepdims=True)
    shift = np.linalg.lstsq(rows / natoms, away / natoms)[0]

    def put(chosen: Chosen) -> Chosen:
        assert chosen.recorded is not None
        energies = chosen.recorded.energy_members + counts(chosen) @ shift
        return Chosen(chosen.frame, Prediction(energy_members=energies, forces_members=chosen.recorded.forces_members))

    return {name: [put(each) for each in split] for name, split in splits.items()}
