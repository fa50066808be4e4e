"""Which scores notice new kinds of structures when the training set is made of very different ones?

    python studies/shuang2025.py heterogeneity [--train F … --ood F … --control F …] [--source SPEC] [--json FILE]

Every training file is one kind, every control file holds further frames of a kind that was trained on, and every frame
of an `--ood` file is new by design. Without files: tungsten, 30 strained unit cells (A) and 20 spheres (D) to train on,
the other 91 and 11 as controls, bulk and defects (B) and periodic defects (C) as new; three random choices of the
training frames. A method's threshold passes at most 5 % of each kind in one half of the controls (one frame where the
half has fewer than 20); false alarms are measured on the other half, over 20 random halves. A frame's score is the
largest of its atoms; "by cluster" sets a threshold for each training kind, which a frame belongs to whose training
atoms or frames it is nearest to.

AUROC: scores of all atoms (frames) of the new files against being in the worst tenth of force errors of a potential
that was fitted to the training frames. Published (trained on 30 A + 30 D, one threshold of γ > 1, 945 functions): 75 %
of the frames and 10 % of the atoms flagged by γ; by a committee 0.076 % and 0.27 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase.io import read, write
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from assay.execution.workers import Failure, map_frames
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, file_hash
from assay.frames.reading import read_frames
from assay.linear.fit import fit_linear
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.metrics import roc_auc, worst_decile
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.scores.d_optimality.local import LocalGrade
from assay.scores.d_optimality.maxvol import active_set, grades
from assay.scores.density.outlier_factor import FrameOutlierFactor, OutlierFactor, distances
from assay.scores.features.training import TrainingFeatures, signature
from assay.scores.protocol import FitOptions
from assay.scores.rigidity.leverage import LeverageFold
from assay.selection.starting_set import source_of_features
from assay.sources.capabilities import LinearSource, Source
from assay.sources.registry import given_source

SOURCE = (
    "ace:number_of_functions_per_element=945,nradmax_by_orders=[15,6,4,3,2,2],lmax_by_orders=[0,4,3,2,1,0],"
    "radbase=SBessel,rcut=6.0"
)
SHARE = 0.05
FEW = 20
SPLITS = 20
MEMBERS = 10
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Evaluated:
    """Features, and forces of best fit and members of a linear potential, `(N, A, 3)`, where there is one."""

    source: Source
    coefficients: Array | None

    def __call__(self, frame: Frame) -> tuple[Array, Array | None]:
        if self.coefficients is None:
            features = self.source.predict(frame.atoms).features
            assert features is not None
            return features, None
        told = self.source.rows.predictions(frame.atoms, self.coefficients)  # type: ignore[attr-defined]
        return told.features, told.forces_members


@dataclass(frozen=True)
class Pool:
    """Atoms of all frames, concatenated; `kind` is the index of the file of each frame."""

    features: Array
    numbers: NDArray[np.int64]
    frame: NDArray[np.int64]
    kind: NDArray[np.int64]
    error: Array | None
    spread: Array | None

    def largest(self, of_atoms: Array) -> Array:
        """`(F,)` from `(A,)`."""
        out = np.full(len(self.kind), -np.inf)
        np.maximum.at(out, self.frame, of_atoms)
        return out


@dataclass(frozen=True)
class Scored:
    """Scores of atoms and frames, and the training kind that each frame is nearest to, where the method knows it."""

    atoms: Array | None
    frames: Array
    nearest: NDArray[np.int64] | None = None


def pool_of(evaluated: _Evaluated, files: list[Path], workers: int) -> Pool:
    """Everything that is needed of the frames of these files; frames that fail are left out and told of."""
    rows, numbers, frame, kind, errors, spreads = [], [], [], [], [], []
    count = 0
    for index, path in enumerate(files):
        for item, found in map_frames(evaluated, read_frames(path), workers=workers):
            if isinstance(found, Failure):
                print(f"{found.origin}: {found.reason}", file=sys.stderr)
                continue
            features, forces = found
            rows.append(features)
            numbers.append(item.atoms.numbers)
            frame.append(np.full(len(features), count))
            kind.append(index)
            count += 1
            if forces is not None and item.forces is not None:
                errors.append(np.linalg.norm(forces[0] - item.forces, axis=1))
                spreads.append(np.sqrt(forces[1:].var(axis=0, ddof=1).sum(axis=1)))
    return Pool(
        np.concatenate(rows),
        np.concatenate(numbers),
        np.concatenate(frame),
        np.array(kind),
        np.concatenate(errors) if len(errors) == count else None,
        np.concatenate(spreads) if len(spreads) == count else None,
    )


def trained(pool: Pool, kinds: list[str]) -> TrainingFeatures:
    training = TrainingFeatures()
    for f, kind in enumerate(pool.kind):
        here = pool.frame == f
        training.append(pool.features[here], pool.numbers[here], kinds[kind])
    return training


def by_species(pool: Pool, training: TrainingFeatures, score: Callable[[Array, Array, Array], Array]) -> Array:
    """`score(training rows, their frames, rows)` for each species, `(A,)`; infinite for species without training."""
    out = np.full(len(pool.features), np.inf)
    for z in training.species:
        here = pool.numbers == z
        if here.any():
            out[here] = score(np.asarray(training.rows(z)), training.frames_of(z), pool.features[here])
    return out


def components(rows: Array, features: Array) -> tuple[Array, Array]:
    """Both on 100 principal components of the training rows, columns divided by their largest training values."""
    scale = np.abs(rows).max(axis=0)
    scale = np.where(scale > 1e-10 * scale.max(), scale, scale.max())
    pca = PCA(min(100, *rows.shape), random_state=0).fit(rows / scale)
    return pca.transform(rows / scale), pca.transform(features / scale)


def nearest_distance(rows: Array, frames: Array, features: Array) -> Array:
    known, new = components(rows, features)
    return NearestNeighbors(n_neighbors=1).fit(known).kneighbors(new)[0][:, 0]


def local_outlier_factor(rows: Array, frames: Array, features: Array) -> Array:
    known, new = components(rows, features)
    # equal training atoms have no spacing; the smallest that differ stands in
    known = known + 1e-9 * known.std() * np.random.default_rng(0).normal(size=known.shape)
    return -LocalOutlierFactor(n_neighbors=min(5, len(known) - 1), novelty=True).fit(known).score_samples(new)


def by_kind(training: TrainingFeatures, rows: Array, frames: Array) -> dict[int, Array]:
    names = sorted(set(training.kinds))
    of_frame = np.array([names.index(kind) for kind in training.kinds])
    return {k: rows[of_frame[frames] == k] for k in range(len(names)) if (of_frame[frames] == k).any()}


def methods(pool: Pool, training: TrainingFeatures) -> dict[str, Scored]:
    """All scores of all atoms and frames."""

    def atoms(values: Array) -> Scored:
        return Scored(values, pool.largest(values))

    def leverage(rows: Array, features: Array) -> Array:
        fold = LeverageFold()
        fold.update(rows, np.zeros(len(rows), int))
        return fold.result().of(features, np.zeros(len(features), int))

    found = {
        "γ, one active set": atoms(
            by_species(pool, training, lambda rows, _, f: grades(f, [active_set(rows).inverse])[0])
        ),
        "leverage, one Gram matrix": atoms(by_species(pool, training, lambda rows, _, f: leverage(rows, f))),
        "leverage, least over kinds": atoms(
            by_species(
                pool,
                training,
                lambda rows, fr, f: np.min([leverage(r, f) for r in by_kind(training, rows, fr).values()], axis=0),
            )
        ),
        "distance to the nearest atom, 100 components": atoms(by_species(pool, training, nearest_distance)),
        "local outlier factor of atoms, k = 5, 100 components": atoms(by_species(pool, training, local_outlier_factor)),
        "γ, least over kinds, identity 1e-6": atoms(
            by_species(
                pool,
                training,
                lambda rows, fr, f: grades(
                    f, [active_set(r, floor=1e-6).inverse for r in by_kind(training, rows, fr).values()]
                ).min(axis=0),
            )
        ),
    }
    for how in ("config_type", "kmeans", "kmeans:atoms", "birch:atoms"):
        local = LocalGrade.fit(training, FitOptions(how))
        gamma, cluster = local.grades(pool.features, pool.numbers)
        majority = np.array([np.bincount(cluster[pool.frame == f] + 1).argmax() for f in range(len(pool.kind))])
        found[f"gamma_local, {how} (K = {len(local.names)})"] = Scored(gamma, pool.largest(gamma), majority)
    found["outlier_factor"] = atoms(
        OutlierFactor.fit(training).values(Prediction(features=pool.features), pool.numbers)
    )
    factor = FrameOutlierFactor.fit(training)
    points = np.array(
        [
            signature(pool.features[pool.frame == f], pool.numbers[pool.frame == f], factor.species)
            for f in range(len(pool.kind))
        ]
    )
    kinds = np.unique(np.array(training.kinds), return_inverse=True)[1]
    reference = factor.reference
    apart = distances(points / reference.scale, reference.points) / reference.spacing
    found["frame_outlier_factor"] = Scored(None, reference.factor(points), kinds[apart.argmin(axis=1)])
    if pool.spread is not None:
        found["committee_force"] = atoms(pool.spread)
    return found


def threshold(scores: Array, kinds: NDArray[np.int64]) -> float:
    """The smallest value that passes at most `SHARE` of each kind, or one frame of a kind with fewer than `FEW`."""
    found = -np.inf
    for kind in np.unique(kinds):
        values = np.sort(scores[kinds == kind])
        allowed = max(int(SHARE * len(values)), int(len(values) < FEW))
        found = max(found, float(values[-1 - min(allowed, len(values) - 1)]))
    return found


def thresholds(
    scores: Array, kinds: NDArray[np.int64], nearest: NDArray[np.int64] | None, of: NDArray[np.int64] | None
) -> Array:
    """For each frame of `of` (nearest kinds) the threshold of its kind, from the controls; one for all without."""
    everything = threshold(scores, kinds)
    if nearest is None or of is None:
        return np.array(everything)
    table = {
        k: threshold(scores[nearest == k], kinds[nearest == k]) for k in np.unique(nearest) if (nearest == k).sum() >= 5
    }
    return np.array([table.get(k, everything) for k in of])


def judged(scored: Scored, controls: Mask, pool: Pool, files: list[Path], by_cluster: bool) -> dict[str, Any]:
    """Flagged shares over random halves of the controls."""
    where = np.flatnonzero(controls)
    shares: dict[str, list[float]] = {path.stem: [] for path in files}
    atom_shares: dict[str, list[float]] = {path.stem: [] for path in files}
    levels = []
    nearest = scored.nearest if by_cluster else None
    for split in range(SPLITS):
        rng = np.random.default_rng(split)
        half = np.concatenate(
            [rng.permutation(where[pool.kind[where] == k])[: (pool.kind[where] == k).sum() // 2]
             for k in np.unique(pool.kind[where])]
        ).astype(int)  # fmt: skip
        limit = thresholds(scored.frames[half], pool.kind[half], None if nearest is None else nearest[half], nearest)
        limit = np.broadcast_to(limit, scored.frames.shape)
        levels.append(float(np.median(limit)))
        judged_frames = np.ones(len(pool.kind), bool)
        judged_frames[half] = False
        for k, path in enumerate(files):
            here = judged_frames & (pool.kind == k)
            shares[path.stem].append(float((scored.frames > limit)[here].mean()))
            if scored.atoms is not None:
                of_atoms = here[pool.frame]
                atom_shares[path.stem].append(float((scored.atoms > limit[pool.frame])[of_atoms].mean()))

    def spread(values: list[float]) -> dict[str, float]:
        return {"median": float(np.median(values)), "min": min(values), "max": max(values)}

    return {
        "threshold": spread(levels),
        "frames_flagged": {name: spread(values) for name, values in shares.items()},
        "atoms_flagged": {name: spread(values) for name, values in atom_shares.items() if values},
    }


def run_case(
    train: list[Path], ood: list[Path], control: list[Path], spec: str, workers: int, seed: int = 0
) -> dict[str, Any]:
    """One training set: every method's thresholds, flagged shares and AUROC."""
    survey = Survey.fit(read_frames(train))
    given, _ = given_source(spec)
    coefficients = None
    source = source_of_features(given, survey.species)
    if isinstance(given, LinearSource) and np.isfinite(survey.energy).all():
        rows = given.for_species(survey.species)
        chosen = np.ones(len(survey), bool)
        potential = fit_linear(
            read_frames(train, labels="needed"),
            survey,
            rows,
            chosen=chosen,
            posterior=Bootstrap(MEMBERS),
            seed=seed,
            workers=workers,
        )
        coefficients = np.vstack([potential.theta, potential.members])
    files = [*control, *ood]
    training = trained(pool_of(_Evaluated(source, None), train, workers), [path.stem for path in train])
    pool = pool_of(_Evaluated(source, coefficients), files, workers)
    controls = pool.kind < len(control)
    new = ~controls[pool.frame]
    found = {}
    for name, scored in methods(pool, training).items():
        for by_cluster in (False, True) if scored.nearest is not None else (False,):
            result = judged(scored, controls, pool, files, by_cluster)
            if pool.error is not None:
                worst = worst_decile(pool.error[new])
                frames = worst_decile(pool.largest(pool.error)[~controls])
                result["auroc_atoms"] = None if scored.atoms is None else _auroc(scored.atoms[new], worst)
                result["auroc_frames"] = _auroc(scored.frames[~controls], frames)
            found[name + ", threshold by cluster" * by_cluster] = result
    error = None if pool.error is None else float(np.sqrt(np.mean(pool.error[new] ** 2) / 3))
    return {
        "source": spec,
        "train": {path.stem: int(n) for path, n in zip(train, np.bincount(_kinds(train)), strict=True)},
        "force_rmse_of_new_frames_eV_per_A": error,
        "methods": found,
    }


def _kinds(files: list[Path]) -> NDArray[np.int64]:
    return np.concatenate([np.full(sum(1 for _ in read_frames(p)), i)
                           for i, p in enumerate(files)])  # fmt: skip


def _auroc(scores: Array, positive: Mask) -> float:
    finite = np.where(np.isfinite(scores), scores, np.nanmax(np.where(np.isfinite(scores), scores, np.nan)))
    return float(roc_auc(finite, positive))


def tungsten(data: Path, folder: Path, seed: int, quick: bool) -> tuple[list[Path], list[Path], list[Path]]:
    """Training, new and control files of the hard case, frames drawn with `seed`."""
    rng = np.random.default_rng(seed)
    every = 10 if quick else 1
    train, control, ood = [], [], []
    for name, count in (("A-elastic", 30), ("D-spheres", 20)):
        frames = read(data / "tungsten" / f"{name}.extxyz.gz", ":")
        order = rng.permutation(len(frames))
        for kind, indices, into in ((f"{name}-train", order[:count], train), (name, order[count:], control)):
            into.append(folder / f"{kind}.extxyz")
            write(into[-1], [frames[i] for i in sorted(indices)], format="extxyz")
    for name in ("B-bulk-and-defects", "C-periodic-defects"):
        ood.append(folder / f"{name}.extxyz")
        write(ood[-1], read(data / "tungsten" / f"{name}.extxyz.gz", f"::{every}"), format="extxyz")
    return train, ood, control


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments beside `--data`, `--json`, `--quick` and `--workers`, which all studies have."""
    for name, text in (("train", "files of training frames, each one kind"), ("ood", "files of new frames"),
                       ("control", "files of further frames of the trained kinds, each one kind")):  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[], help=text)
    parser.add_argument("--source", default=SOURCE, help="SPEC of a source with features")
    parser.add_argument("--seeds", type=int, default=3, help="random choices of tungsten's training frames")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """The study; prints a table for each training set."""
    started = time.perf_counter()
    given = [arguments.train, arguments.ood, arguments.control]
    if any(given) and not all(given):
        raise SystemExit("give --train, --ood and --control, or none of them")
    cases: list[dict[str, Any]] = []
    if all(given):
        cases.append(run_case(*given, arguments.source, arguments.workers))
        hashes: Mapping[str, str] = {str(p): file_hash(p) for files in given for p in files}
    else:
        source = "ace:number_of_functions_per_element=50,rcut=6.0" if arguments.quick else arguments.source
        for seed in range(1 if arguments.quick else arguments.seeds):
            with TemporaryDirectory() as folder:
                files = tungsten(arguments.data, Path(folder), seed, arguments.quick)
                cases.append({"seed": seed, **run_case(*files, source, arguments.workers, seed)})
            print(table(cases[-1]), file=sys.stderr, flush=True)
        hashes = {str(p.name): file_hash(p) for p in sorted((arguments.data / "tungsten").glob("*.extxyz.gz"))}
    if all(given):
        print(table(cases[-1]), file=sys.stderr)
    return {
        "study": "heterogeneity",
        "published": {"γ > 1": {"frames": 0.754, "atoms": 0.10}, "committee": {"frames": 0.00076, "atoms": 0.00265}},
        "cases": cases,
        "data": hashes,
        "seconds": round(time.perf_counter() - started, 1),
    }


def table(case: Mapping[str, Any]) -> str:
    """One line per method: medians over the splits."""
    first = next(iter(case["methods"].values()))
    files = list(first["frames_flagged"])
    lines = [f"{'method':58s}" + "".join(f"{name[:12]:>13s}" for name in files) + "   AUROC atoms, frames"]
    for name, result in case["methods"].items():
        shares = "".join(f"{100 * result['frames_flagged'][f]['median']:12.0f}%" for f in files)
        aurocs = ", ".join(
            f"{a:.2f}" if a is not None else "—" for a in (result.get("auroc_atoms"), result.get("auroc_frames"))
        )
        lines.append(f"{name:58s}{shares}   {aurocs}")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    print(json.dumps(run(parser.parse_args()), ensure_ascii=False, indent=1))
