"""U of frames from any members file, beside their largest force errors: how many a cut-off keeps, and how U ranks.

    python studies/liu2025.py utable [--members M.npz --frames F.extxyz.gz …] [--rmse R1,R2,… | --rmse labels]
        [--cutoffs 0.1,0.5] [--forces-key KEY] [--json FILE]

M.npz has `models` (M,), `natoms` (F,), `forces` (M, A, 3) in eV/Å of any float type and, if it likes, `hash` (F,), by
which frames are then found in any order; all else in it is left alone. With fewer RMSEs than models the first models
are the ensemble. Frames with a gap in one of its members, without labels, or that can't be used are left out and
counted. Without `--members`, it is the recorded ensemble of tungsten with the published RMSEs on OMat24.
"""

from __future__ import annotations

import argparse
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from assay.ensembles.choice import still_frames
from assay.ensembles.weights import MemberErrors, weights_of_rmse
from assay.frames.frame import FrameError, LabelKeys, Skipped, file_hash
from assay.frames.reading import read_frames
from assay.metrics import FrameBootstrap, interval, spearman
from assay.regions.neighbourhoods import frame_max
from assay.results.arrays import Array
from assay.scores.members.deviations import member_deviations
from assay.sources.recorded.attached import FrameRows, attach

PUBLISHED_RMSE = (
    0.23719, 0.243286, 0.24351, 0.253712, 0.2643, 0.27751, 0.350226, 0.48766, 0.49757, 0.50635, 0.5111,
)  # fmt: skip
"""eV/Å on OMat24, of the first eleven models of the tungsten ensemble."""
OF_LABELS = "labels"
TUNGSTEN = "tungsten/umlip-committee"
SHOWN = 5
"""Reasons for leaving frames out that are told in full."""


@dataclass(frozen=True)
class Members:
    """Forces `(M, A, 3)` of the ensemble, eV/Å, the frames that they belong to, and the models left out."""

    models: tuple[str, ...]
    left_out: tuple[str, ...]
    forces: NDArray[Any]
    rows: FrameRows

    @classmethod
    def read(cls, path: Path, count: int | None) -> Members:
        """The first `count` models of a file; raises `FrameError` for one that can't be used."""
        try:
            with np.load(path, allow_pickle=False) as file:
                if lacking := [key for key in ("models", "natoms", "forces") if key not in file.files]:
                    raise FrameError(f"{path}: no {', '.join(lacking)} in this members file; it has {file.files}")
                models, natoms, forces = (file[key] for key in ("models", "natoms", "forces"))
                hashes = file["hash"] if "hash" in file.files else None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, TypeError) as error:
            if isinstance(error, FrameError):
                raise
            raise FrameError(f"{path}: not a members file (.npz without pickled objects): {error}") from error
        models = tuple(map(str, np.ravel(models)))
        rows = FrameRows.of(
            path, "members", "assay.sources.recorded.members_file.write_members", np.ravel(natoms), hashes
        )
        needed = (len(models), int(rows.starts[-1]), 3)
        if forces.shape != needed or forces.dtype.kind != "f":
            raise FrameError(
                f"{path}: forces of shape {forces.shape} and type {forces.dtype}, needed {needed} "
                f"({len(models)} models, {needed[1]} atoms in {rows.frames} frames) of floats"
            )
        if hashes is not None and len(hashes) != rows.frames:
            raise FrameError(f"{path}: {len(hashes)} hashes for {rows.frames} frames")
        M = len(models) if count is None else count
        if not 2 <= M <= len(models):
            raise ValueError(f"{M} members of {len(models)} models in {path}: between 2 and all are needed")
        return cls(models[:M], models[M:], forces[:M], rows)


@dataclass(frozen=True)
class Labelled:
    """Frames with labels and members: place in the members file, config_type, and labels of the file's atoms."""

    row: NDArray[np.int64]
    config_type: tuple[str, ...]
    forces: Array
    skipped: Skipped


def labelled(members: Members, paths: Sequence[Path], forces_key: str) -> Labelled:
    """Stream the frames and keep their labels, `(A, 3)`; NaN for atoms of the members file that have none."""
    skipped: Skipped = []
    rows, kinds, forces = list[int](), list[str](), np.full((int(members.rows.starts[-1]), 3), np.nan)

    def put(atoms: Atoms, row: int) -> Atoms:
        gaps = ~np.isfinite(members.forces[:, members.rows.atoms(row)]).all(axis=(1, 2))
        if gaps.any():
            raise FrameError(f"a gap in {', '.join(np.array(members.models)[gaps])}")
        marked = atoms.copy()
        marked.info["row"] = row
        return marked

    keys, found = LabelKeys("none", forces_key, "none"), set[str]()
    for frame in attach(read_frames(paths, keys=keys, skipped=skipped), members.rows, put, skipped):
        if frame.forces is None:
            found |= {*frame.atoms.arrays} - {"numbers", "positions"}
            skipped.append((frame.origin, f"no array {forces_key!r} with labels of forces"))
            continue
        row = int(frame.atoms.info["row"])
        rows.append(row)
        kinds.append(frame.config_type)
        forces[members.rows.atoms(row)] = frame.forces
    if len(rows) < 2:
        keyed = f". Arrays of the frames: {', '.join(sorted(found))}; --forces-key KEY names another" if found else ""
        first = f"; the first left out: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise FrameError(f"{len(rows)} frames with members and labels are too few to rank{first}{keyed}")
    return Labelled(np.array(rows), tuple(kinds), forces, skipped)


def utable(
    members: Members, frames: Labelled, rmse: Sequence[float] | None, cutoffs: Sequence[float]
) -> dict[str, Any]:
    """The figures, JSON-ready; `rmse` of the members, or of the labels with `None`."""
    starts = members.rows.starts
    if rmse is None:
        errors = MemberErrors()
        for row in frames.row:
            here = members.rows.atoms(row)
            errors.update(members.forces[:, here], frames.forces[here])
        rmse = errors.rmse.tolist()
    weights = weights_of_rmse(rmse)
    deviations = member_deviations(members.forces, starts, weights, with_mean=True)
    assert deviations.mean is not None
    every_error = frame_max(np.linalg.norm(deviations.mean - frames.forces, axis=1), starts)
    every_still = still_frames(members.forces, frames.forces, starts)
    row, natoms = frames.row, np.diff(starts)[frames.row]
    U, error, still = deviations.frames(weights)[row], every_error[row], every_still[row]
    kinds = np.array(frames.config_type)
    parts = {"": np.ones(len(row), dtype=bool)}
    if len(np.unique(kinds)) > 1:
        parts |= {str(kind): kinds == kind for kind in np.unique(kinds)}
    told = {kind: _figures(U[p], error[p], natoms[p], still[p], cutoffs) for kind, p in parts.items()}
    return {
        "models": list(members.models),
        "models_left_out": list(members.left_out),
        "rmse": list(rmse),
        "weights": list(weights),
        "frames_left_out": len(frames.skipped),
        "reasons": [f"{origin}: {reason}" for origin, reason in frames.skipped[:SHOWN]],
        **told.pop(""),
        "by_config_type": told,
    }


def _figures(
    U: Array, error: Array, natoms: NDArray[np.int64], still: NDArray[np.bool_], cutoffs: Sequence[float]
) -> dict[str, Any]:
    figures: dict[str, Any] = {"frames": len(U), "atoms": int(natoms.sum()), "median_U": float(np.median(U))}
    figures["cutoffs"] = [
        {
            "cutoff": cutoff,
            "frames_below": int(kept.sum()),
            "frames_below_share": float(kept.mean()),
            "atoms_left_to_dft_share": float(natoms[~kept].sum() / natoms.sum()),
            "largest_error_below": float(error[kept].max()) if kept.any() else None,
        }
        for cutoff, kept in ((each, np.less(U, each)) for each in cutoffs)
    ]
    for name, here in (("", np.ones(len(U), dtype=bool)), ("_without_symmetry_zeros", ~still)):
        samples = FrameBootstrap(np.arange(int(here.sum()))).spearman(U[here], error[here])
        figures[f"spearman{name}"] = _number(spearman(U[here], error[here]))
        figures[f"spearman{name}_95"] = [_number(end) for end in interval(samples)]
    return figures | {"symmetry_zero_frames": int(still.sum())}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--members", type=Path, metavar="M.npz", help="members file; the tungsten ensemble by default")
    parser.add_argument("--frames", type=Path, nargs="+", metavar="F.extxyz.gz", help="its frames with DFT forces")
    parser.add_argument("--rmse", metavar="R1,R2,…", help="of the first models, or labels: of these frames (default)")
    parser.add_argument("--cutoffs", type=_numbers, default=(0.1, 0.2, 0.3, 0.5), metavar="0.1,0.5", help="eV/Å")
    parser.add_argument("--forces-key", default=LabelKeys.forces, help="array of the DFT forces, %(default)s")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print the table, and give its figures."""
    if (args.members is None) != (args.frames is None):
        raise ValueError("give --members and --frames, or neither for the tungsten ensemble")
    path, frames, given = args.members, args.frames, args.rmse
    if path is None:
        path, frames = Path(args.data) / f"{TUNGSTEN}.npz", [Path(args.data) / f"{TUNGSTEN}.extxyz.gz"]
        given = given or ",".join(map(str, PUBLISHED_RMSE))
    rmse = None if given in (None, OF_LABELS) else _numbers(given)
    members = Members.read(path, None if rmse is None else len(rmse))
    result = utable(members, labelled(members, frames, args.forces_key), rmse, args.cutoffs)
    made_of = {
        "rmse_of": "labels" if rmse is None else "given",
        "data": {p.name: file_hash(p) for p in (path, *frames)},
    }
    print(_table(result))
    return made_of | result


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split(","))


def _table(result: dict[str, Any]) -> str:
    lines = [f"{len(result['models'])} members: {', '.join(result['models'])}"]
    if result["models_left_out"]:
        lines.append(f"not in the ensemble: {', '.join(result['models_left_out'])}")
    if result["frames_left_out"]:
        lines += [f"{result['frames_left_out']} frames left out, the first of them:", *result["reasons"]]
    for kind, part in {"all": result, **result["by_config_type"]}.items():
        lines.append(
            f"{kind}: {part['frames']} frames, {part['atoms']} atoms, median U {part['median_U']:.4f} eV/Å; Spearman "
            f"with the largest force error {_shown(part['spearman'])}, without {part['symmetry_zero_frames']} frames "
            f"whose forces vanish by symmetry {_shown(part['spearman_without_symmetry_zeros'])}"
        )
        for each in part["cutoffs"]:
            worst = "–" if each["largest_error_below"] is None else f"{each['largest_error_below']:.3f}"
            lines.append(
                f"  U < {each['cutoff']:g}: {each['frames_below']} frames ({each['frames_below_share']:.1%}), "
                f"{each['atoms_left_to_dft_share']:.1%} of the atoms left to DFT; largest error below {worst} eV/Å"
            )
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
