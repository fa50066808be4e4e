"""Energy bars that are calibrated on small cells and asked for large ones: do they still hold?

    python studies/extensivity.py [--data DIR] [--json FILE] [--quick]

Linear SNAP potentials (twojmax 6) with 16 members of POPS and of the bootstrap, and eleven universal potentials, whose
energies per atom are shifted to the calibration frames. All errors and bars are of the energy per atom.

| bar | σ per atom |
|---|---|
| constant | one number: errors grow as N |
| root | c/√N: errors grow as √N |
| size | √(a/N + b) |
| scale | α s, s the spread of the ensemble's energies per atom |
| extensive | √(α² s² + a/N + b) |

| part | calibrated on | judged on |
|---|---|---|
| sizes | small frames that were not trained on | large frames |
| cells | single frames | k frames as one (energies of cells that don't meet add up), and k copies of one |
| growth | | exponents of bias and residual, correlation of the energies of two cells |
| atoms | | correlation of members' atomic energies against distance, and the spread that it would be without any |

Sizes are judged twice: trained on half of the small frames (`small`), and on half of the large ones too (`all`).

The published findings are for bulk water (Kellner and Ceriotti 2024): bias ∝ N, residual ∝ √N. Every number is a mean
over five random divisions. `--quick`: silicon-pbe and universal.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from perez_fits import Stored, designs
from result import write_result

from assay.calibration.extensive import Extensive
from assay.frames.dataset import Survey
from assay.frames.frame import Frame, content_hash, file_hash
from assay.frames.reading import read_frames
from assay.linear.fit import fit_linear
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.linear.posteriors.pops_posterior import Pops
from assay.metrics import coverage, gaussian_nll
from assay.metrics.extensivity import ensemble_growth, error_growth, size_growth
from assay.regions.neighbours import close_pairs
from assay.results.arrays import Array
from assay.results.error_bars import Gaussian
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

DIVISIONS = 5
MEMBERS = 16
SOME = (1, 4, 16)
ASSEMBLED = 400
MODELS = 11
JUDGED = 40
EDGES = (0.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0)
TUNGSTEN = ("tungsten/A-elastic", "tungsten/B-bulk-and-defects")
MOW = "molybdenum-tungsten/molybdenum-tungsten"
UNIVERSAL = "tungsten/umlip-committee"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Energies:
    """Energies of F frames, eV: signed errors `(F,)`, members' energies `(M, F)`, atoms `(F,)`."""

    error: Array
    members: Array
    natoms: Array

    def at(self, index: Any) -> Energies:
        return Energies(self.error[index], self.members[:, index], self.natoms[index])

    def together(self, groups: NDArray[np.int64]) -> Energies:
        """Rows of `groups` `(U, k)` as one cell each."""
        return Energies(self.error[groups].sum(1), self.members[:, groups].sum(2), self.natoms[groups].sum(1))

    def copied(self, k: int) -> Energies:
        return Energies(k * self.error, k * self.members, k * self.natoms)

    @property
    def per_atom(self) -> tuple[Array, Array, Array]:
        """Errors, spreads and N."""
        return self.error / self.natoms, self.members.std(axis=0, ddof=1) / self.natoms, self.natoms


Predict = Callable[[Mask, Mask], Energies]
"""(trained on, calibrated on) → energies of all frames."""
AtomicEnergies = Callable[[Mask, NDArray[np.int64]], list[Array]]
"""(trained on, frames) → deviations of members' atomic energies from their mean, `(M, N)` eV each."""


@dataclass(frozen=True)
class Case:
    """Frames, which of them are small or large, and what predicts them."""

    name: str
    natoms: Array
    kinds: NDArray[np.str_]
    small: int
    large: int
    predict: Predict
    frames: Sequence[Frame]
    atomic: AtomicEnergies | None = None


def bars(known: Energies, new: Energies) -> dict[str, Gaussian]:
    """Every bar, calibrated on `known`, of the energies per atom of `new`."""
    e, s, N = known.per_atom
    _, s_new, N_new = new.per_atom
    zero = np.zeros(len(N_new))
    size, extensive = Extensive.fit(e, N), Extensive.fit(e, N, s)
    return {
        "constant": Gaussian(zero, np.full(len(zero), np.sqrt(np.mean(e**2))), "eV"),
        "root": Gaussian(zero, np.sqrt(np.mean(e**2 * N) / N_new), "eV"),
        "size": size.bar(zero, N_new),
        "scale": Gaussian(zero, np.sqrt(np.mean((e / s) ** 2)) * s_new, "eV"),
        "extensive": extensive.bar(zero, N_new, s_new),
    }


def held(known: Energies, new: Energies) -> dict[str, dict[str, float]]:
    """Coverage, width and likelihood of every bar."""
    e = new.per_atom[0]
    return {
        name: {
            "coverage_68": coverage(e, bar.half_width(0.68)),
            "coverage_95": coverage(e, bar.half_width(0.95)),
            "width_meV": 1e3 * float(np.sqrt(np.mean(bar.std**2))),
            "nll": gaussian_nll(e, bar.std),
        }
        for name, bar in bars(known, new).items()
    }


def sizes(case: Case, trained: str, rng: np.random.Generator) -> dict[str, Any]:
    """Calibrate on small frames, judge on large ones."""
    small, large = case.natoms <= case.small, case.natoms >= case.large
    half = rng.random(len(case.natoms)) < 0.5
    train = half & (small | (large if trained == "all" else False))
    calibrate, test = small & ~half, large & ~half
    told = case.predict(train, calibrate)
    found = held(told.at(calibrate), told.at(test))
    return {"calibrated_on": int(calibrate.sum()), "judged_on": int(test.sum()), **found}


def cells(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    """Calibrate on frames of all sizes, judge on several of them as one cell, and on copies of one."""
    part = rng.choice(4, size=len(case.natoms))
    train, calibrate, pool = part < 2, part == 2, part == 3
    told = case.predict(train, calibrate)
    known, one = told.at(calibrate), told.at(pool)
    found = {}
    for k in SOME:
        drawn = np.array([rng.choice(int(pool.sum()), size=k, replace=False) for _ in range(ASSEMBLED)])
        found[f"{k} cells"] = held(known, one.together(drawn))
    found[f"{SOME[-1]} copies"] = held(known, one.copied(SOME[-1]))
    return found


def growth(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    """Exponents over all sizes, and the correlation of two cells of the most frequent kind and size."""
    half = rng.random(len(case.natoms)) < 0.5
    told = case.predict(half, ~half)
    new = told.at(~half)
    by_size = size_growth(new.error, new.natoms, resamples=100)
    spread = new.members.std(axis=0, ddof=1)
    labels = np.array([f"{kind} {n:.0f}" for kind, n in zip(case.kinds[~half], new.natoms, strict=True)])
    names, counts = np.unique(labels, return_counts=True)
    alike = new.at(labels == names[np.argmax(counts)])
    errors, members = error_growth(alike.error), ensemble_growth(alike.members)
    return {
        "bias_exponent": by_size.bias_exponent,
        "bias_95": by_size.bias_interval,
        "residual_exponent": by_size.residual_exponent,
        "residual_95": by_size.residual_interval,
        "spread_exponent": float(np.polyfit(np.log(new.natoms), np.log(spread), 1)[0]),
        "alike": str(names[np.argmax(counts)]),
        "cells": int(counts.max()),
        "error_correlation": errors.correlation,
        "spread_correlation": members.correlation,
    }


def atoms(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    """Can a bar be put together from atoms or regions? Frames that were not trained on, of the larger sizes."""
    assert case.atomic is not None
    half = rng.random(len(case.natoms)) < 0.5
    large = np.flatnonzero(~half & (case.natoms >= case.large))
    chosen = rng.permutation(large)[:JUDGED]
    shells = len(EDGES) - 1
    together, pairs, variance, alone = np.zeros(shells), np.zeros(shells), [], []
    for f, deviations in zip(chosen, case.atomic(half, chosen), strict=True):
        covariance = deviations.T @ deviations / (len(deviations) - 1)
        pair, distances = close_pairs(case.frames[f].atoms, EDGES[-1])
        i, j = pair.T
        shell = np.digitize(distances, EDGES) - 1
        together += np.bincount(shell, covariance[i, j], shells)
        pairs += np.bincount(shell, minlength=shells)
        variance.append(np.diag(covariance))
        alone.append(np.sqrt(np.trace(covariance) / covariance.sum()))
    correlation = np.divide(together, pairs, out=np.zeros(shells), where=pairs > 0) / np.concatenate(variance).mean()
    return {
        "edges": tuple(EDGES),
        "correlation": tuple(correlation),
        "independent_over_true_5_50_95": tuple(np.quantile(alone, (0.05, 0.5, 0.95))),
    }


def universal(data: Path) -> Case:
    frames = list(read_frames([data / f"{UNIVERSAL}.extxyz.gz"]))
    natoms = np.array([len(frame.atoms) for frame in frames], dtype=float)
    label = np.array([frame.energy for frame in frames])
    with np.load(data / f"{UNIVERSAL}.npz", allow_pickle=False) as file:
        raw = file["energy"][:MODELS].astype(np.float64)

    def predict(train: Mask, calibrate: Mask) -> Energies:
        shift = ((label - raw) / natoms)[:, calibrate].mean(axis=1)
        members = raw + shift[:, None] * natoms
        return Energies(members.mean(axis=0) - label, members, natoms)

    kinds = np.array([frame.config_type for frame in frames])
    return Case("tungsten, universal", natoms, kinds, 54, 80, predict, frames)


def linear(name: str, source: Snap, frames: Sequence[Frame], small: int, large: int) -> Iterator[Case]:
    """The same fits with members of two posteriors."""
    source = source.for_species(sorted({symbol for frame in frames for symbol in frame.atoms.symbols}))
    rows = designs(source, frames, 1)
    stored, survey = Stored(source, rows), Survey.fit(frames)
    natoms = np.array([len(frame.atoms) for frame in frames], dtype=float)
    label = np.array([frame.energy for frame in frames])
    energy_rows = np.array([rows[content_hash(frame.atoms)].energy_row for frame in frames])
    components = (source.coefficients - len(source.species)) // len(source.species)
    reference = np.array([rows[content_hash(frame.atoms)].reference_energy for frame in frames])
    for posterior in (Pops(MEMBERS), Bootstrap(MEMBERS)):

        def predict(train: Mask, calibrate: Mask, posterior: Any = posterior) -> Energies:
            fit = fit_linear(frames, survey, stored, chosen=train, posterior=posterior)
            told = np.vstack([fit.theta, fit.members]) @ energy_rows.T + reference
            return Energies(told[0] - label, told[1:], natoms)

        def atomic(train: Mask, which: NDArray[np.int64], posterior: Any = posterior) -> list[Array]:
            fit = fit_linear(frames, survey, stored, chosen=train, posterior=posterior)
            deviations = fit.members - fit.members.mean(axis=0)
            ends = len(source.species) + components * np.arange(len(source.species))
            constants, *of_species = np.split(deviations, ends, axis=1)
            found = []
            for f in which:
                species = [source.species.index(symbol) for symbol in frames[f].atoms.symbols]
                features = rows[content_hash(frames[f].atoms)].features
                each = [constants[:, s] + of_species[s] @ x for s, x in zip(species, features, strict=True)]
                found.append(np.stack(each, axis=1))
                np.testing.assert_allclose(found[-1].sum(axis=1), deviations @ energy_rows[f], rtol=1e-6, atol=1e-8)
            return found

        kinds = np.array([frame.config_type for frame in frames])
        yield Case(f"{name}, {posterior.name}", natoms, kinds, small, large, predict, frames, atomic)


def cases(data: Path, quick: bool) -> Iterator[Case]:
    shipped = files("assay") / "demo_data" / "silicon-pbe"
    parts = [Path(str(shipped / f"{part}.extxyz.gz")) for part in ("train", "calibration", "test", "ood")]
    yield from linear("silicon-pbe", Snap(SnapSettings(twojmax=6, rcut=5.0)), list(read_frames(parts)), 8, 12)
    yield universal(data)
    if quick:
        return
    alloy = list(read_frames([data / f"{MOW}.extxyz.gz"]))
    yield from linear("Mo–W", Snap(SnapSettings(twojmax=6, rcut=4.7)), alloy, 16, 34)
    tungsten = list(read_frames([data / f"{name}.extxyz.gz" for name in TUNGSTEN]))
    yield from linear("tungsten", Snap(SnapSettings(twojmax=6, rcut=4.7)), tungsten, 54, 80)


def averaged(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over divisions, entry by entry; the first of what is no number."""
    return {
        key: averaged([row[key] for row in rows]) if isinstance(value, dict)
        else float(np.mean([row[key] for row in rows])) if isinstance(value, int | float)
        else np.mean([row[key] for row in rows], axis=0).tolist() if isinstance(value, tuple)
        else value
        for key, value in rows[0].items()
    }  # fmt: skip


def line(found: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {each['coverage_68']:.2f}/{each['coverage_95']:.2f} ({each['width_meV']:.1f}, {each['nll']:.2f})"
        for name, each in found.items()
        if isinstance(each, dict)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ASSAY_DATA"), required="ASSAY_DATA" not in os.environ
    )
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    data, started = Path(arguments.data), time.perf_counter()
    divisions = 2 if arguments.quick else DIVISIONS
    found = []
    print("coverage of 68 and 95 % intervals (width in meV/atom, negative log-likelihood)", file=sys.stderr)
    for case in cases(data, arguments.quick):

        def mean(part: Callable[..., dict[str, Any]], *settings: Any, case: Case = case) -> dict[str, Any]:
            return averaged([part(case, *settings, np.random.default_rng(seed)) for seed in range(divisions)])

        row: dict[str, Any] = {"case": case.name, "small": case.small, "large": case.large}
        row["sizes"] = {which: mean(sizes, which) for which in (("small", "all") if case.atomic else ("small",))}
        row["cells"], row["growth"] = mean(cells), mean(growth)
        if case.atomic:
            row["atoms"] = mean(atoms)
        found.append(row)
        print(f"{case.name}, {time.perf_counter() - started:.0f} s", file=sys.stderr)
        for which, each in [*row["sizes"].items(), *row["cells"].items()]:
            print(f"  {which:10s} {line(each)}", file=sys.stderr)
        told = {key: np.round(v, 2).tolist() if not isinstance(v, str) else v for key, v in row["growth"].items()}
        print(f"  {told}", file=sys.stderr, flush=True)
        for key, value in row.get("atoms", {}).items():
            print(f"  {key} {np.round(value, 2).tolist()}", file=sys.stderr)
    names = [UNIVERSAL] if arguments.quick else [UNIVERSAL, MOW, *TUNGSTEN]
    result = {
        "data": {name: file_hash(data / f"{name}.extxyz.gz") for name in names},
        "seconds": round(time.perf_counter() - started, 1),
        "published": "bulk water: bias ∝ N, residual ∝ √N",
        "cases": found,
    }
    write_result(arguments.json, ["studies/extensivity.py", *("--quick" for _ in range(arguments.quick))], result)


if __name__ == "__main__":
    main()
