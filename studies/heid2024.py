"""Errors and deviations of committees, averaged over atoms: the claims of Heid et al. (2024) beside ours.

    python studies/heid2024.py [--data DIR] [--json FILE] [--quick]

The data of the paper (Transition1x, SrTiO₃ and water, committees of five MACE potentials, doi:10.5281/zenodo.11086346)
are not at hand: its claims are tested on other committees. Its Monte Carlo experiment needs no data.

| committee | members | trained on, judged on |
|---|---|---|
| universal | 11 universal potentials, of other architectures and other DFT | –, frames of A and B (tungsten) |
| bootstrap, pops | 10 members of a linear SNAP potential around its best fit, whose error is meant | below |
| disjoint | 5 such potentials, each fitted to a fifth of the frames; the error is that of their mean | below |

Tungsten: two thirds of A + B, the rest and C. Silicon: its training and test file. Mo–W: two thirds of all but surfaces
(and the test kind), the rest and those. Ethanol: half, half. Frames are drawn at random, so that those of a trajectory
have neighbours on both sides; kinds that were not trained on are `new`. Errors and spreads are means over the three
components (Eqs. 7-10), and what symmetry sets to zero is left in, as in the paper. Intervals: 95 %, frames drawn with
replacement. `--quick`: silicon and ethanol.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from heid_radius import radius_curve
from heid_ratios import error_ratio, labels_needed, ratio_curve, split_error
from perez_fits import Stored, designs
from result import write_result

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, content_hash, file_hash
from assay.frames.reading import read_frames
from assay.linear.fit import fit_linear
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.linear.posteriors.pops_posterior import Pops
from assay.linear.posteriors.protocol import Posterior
from assay.metrics import FrameBootstrap, ause, interval, mae, spearman
from assay.metrics.committees import mean_of_ratios, published_ratio, ratio_of_means
from assay.regions.neighbourhoods import frame_max, frame_mean, neighbourhood_mean
from assay.results.arrays import Array
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

R_CUT = 5.0
MEMBERS = 10
DISJOINT = 5
PUBLISHED_MEMBERS = 11
TUNGSTEN = ("tungsten/A-elastic", "tungsten/B-bulk-and-defects", "tungsten/C-periodic-defects")
MOW = "molybdenum-tungsten/molybdenum-tungsten"
SILICON = ("silicon/training", "silicon/test")
ETHANOL = "molecules/ethanol-100"
UNIVERSAL = "tungsten/umlip-committee"


@dataclass(frozen=True)
class Committee:
    """Errors and spreads of the force components of A atoms in F frames, `(A, 3)` eV/Å."""

    data: str
    kind: str
    members: int
    frames: list[Atoms]
    new: list[bool]
    error: Array
    spread: Array

    def levels(self) -> Iterator[tuple[str, Array, Array, Array]]:
        """Level, |error|, spread and frame of each value."""
        offsets = np.concatenate([[0], np.cumsum([len(atoms) for atoms in self.frames])])
        frame = np.repeat(np.arange(len(self.frames)), np.diff(offsets))
        e, s = np.abs(self.error), self.spread
        yield "component", e.ravel(), s.ravel(), np.repeat(frame, 3)
        e, s = e.mean(axis=1), s.mean(axis=1)
        yield "atom", e, s, frame
        both = np.stack([e, s], axis=1)
        means = [
            neighbourhood_mean(both[a:b], atoms, R_CUT)
            for a, b, atoms in zip(offsets[:-1], offsets[1:], self.frames, strict=True)
        ]
        local_e, local_s = np.concatenate(means).T
        yield "neighbourhood", local_e, local_s, frame
        yield "frame", frame_mean(e, offsets), frame_mean(s, offsets), np.arange(len(self.frames))
        yield "largest neighbourhood", frame_mean(e, offsets), frame_max(local_s, offsets), np.arange(len(self.frames))


def monte_carlo(frames: int = 100, atoms: int = 1000, members: int = 10, seed: int = 0) -> list[dict[str, Any]]:
    """The benchmark of section II A: σ from an inverse gamma distribution, alone or times one of the frame."""
    rng = np.random.default_rng(seed)
    found = []
    for width, shape in (("narrow", 30.0), ("wide", 3.0)):
        for differ in (False, True):
            sigma = 1 / rng.gamma(shape, size=(frames, atoms, 3))
            if differ:
                sigma *= 1 / rng.gamma(10.0, size=(frames, 1, 1))
            drawn = sigma * rng.normal(size=(members, *sigma.shape))
            e, s = np.abs(drawn.mean(axis=0)), drawn.std(axis=0, ddof=1)
            row: dict[str, Any] = {"sigma": width, "frames_differ": differ, "ratio_of_means": float(e.sum() / s.sum())}
            row["mean_of_ratios"] = float(np.mean(e / s))
            for level, (a, b) in {
                "component": (e.ravel(), s.ravel()),
                "frame": (e.mean(axis=(1, 2)), s.mean(axis=(1, 2))),
            }.items():
                row[level] = {
                    "pearson": float(np.corrcoef(a, b)[0, 1]),
                    "spearman": spearman(b, a),
                    "ratio_5_95": np.quantile(a / b, (0.05, 0.95)).tolist(),
                }
            found.append(row)
    return found


def judged(committee: Committee, quick: bool) -> dict[str, Any]:
    """Correlation, sparsification and ratios at every level; labels, radius and split."""
    found: dict[str, Any] = {"data": committee.data, "committee": committee.kind, "members": committee.members}
    frames = len(committee.frames)
    found |= {"frames": frames, "atoms": len(committee.error), "force_mae": mae(committee.error), "levels": {}}
    by_level = {}
    for level, e, s, frame in committee.levels():
        by_level[level] = e, s, frame
        bootstrap = FrameBootstrap(frame, 50 if quick else 100)
        ratios = (e / s)[s > 0]
        found["levels"][level] = {
            "spearman": spearman(s, e),
            "spearman_95": interval(bootstrap.spearman(s, e)),
            "pearson": float(np.corrcoef(e, s)[0, 1]),
            "ause": ause(s, e),
            "ause_of_nothing": ause(np.zeros_like(s), e),
            "ratio_5_50_95": np.quantile(ratios, (0.05, 0.5, 0.95)).tolist(),
        }
    e, s, _ = by_level["frame"]
    atom_e, atom_s, atom_frame = by_level["atom"]
    bootstrap = FrameBootstrap(atom_frame, 200)
    split = split_error(atom_e, atom_s, committee.members)
    new = np.array(committee.new)
    found |= {
        "alpha": error_ratio(atom_e, atom_s),
        "alpha_95": interval(bootstrap.mean(atom_e) / bootstrap.mean(atom_s)),
        "alpha_published": published_ratio(committee.members),
        "alpha_of_chance": ratio_of_means(committee.members),
        "variance_share": split.variance_share,
        "labels_for_10_percent": labels_needed(e, s, 0.1),
        "alpha_known": error_ratio(e[~new], s[~new]) if (~new).any() else None,
        "alpha_new": error_ratio(e[new], s[new]) if new.any() else None,
    }
    counts = [m for m in (2, 5, 10, 20, 50, 100, round(0.2 * frames)) if m < frames]
    curve = ratio_curve(e, s, counts, repeats=100)
    found["labelled"] = {
        str(m): {
            "alpha": curve.ratio[k].tolist(),
            "deviation": curve.deviation[k].tolist(),
            "constant": curve.constant[k].tolist(),
        }
        for k, m in enumerate(curve.labelled)
    }
    radius = radius_curve(committee.frames, atom_e, atom_s, resamples=30 if quick else 100)
    found["radius"] = {name: np.round(getattr(radius, name), 4).tolist() for name in ("radii", "neighbours", "pooled",
                       "within", "pooled_interval", "within_interval")} | {"chosen": radius.chosen}  # fmt: skip
    return found


def universal(data: Path) -> Committee:
    frames = list(read_frames([data / f"{UNIVERSAL}.extxyz.gz"]))
    with np.load(data / f"{UNIVERSAL}.npz", allow_pickle=False) as file:
        told = file["forces"][:PUBLISHED_MEMBERS].astype(np.float64)
    label = np.concatenate([frame.forces for frame in frames])
    return Committee(
        "tungsten A + B", "universal", len(told), [frame.atoms for frame in frames], [False] * len(frames),
        told.mean(axis=0) - label, told.std(axis=0, ddof=1),
    )  # fmt: skip


def linear(data: str, source: Snap, train: Sequence[Frame], test: Sequence[Frame]) -> Iterator[Committee]:
    """Three committees of a linear potential; rows are evaluated once."""
    species = sorted({symbol for frame in train for symbol in frame.atoms.symbols})
    source = source.for_species(species)
    rows = designs(source, [*train, *test], 1)
    stored = Stored(source, rows)
    kinds = {frame.config_type for frame in train}
    label = np.concatenate([frame.forces for frame in test])
    structures, new = [frame.atoms for frame in test], [frame.config_type not in kinds for frame in test]

    def told(coefficients: Array) -> Array:
        each = [rows[content_hash(frame.atoms)].predictions(coefficients).forces_members for frame in test]
        return np.concatenate(each, axis=1)

    posteriors: tuple[Posterior, ...] = (Bootstrap(MEMBERS), Pops(MEMBERS))
    for posterior in posteriors:
        fit = fit_linear(train, Survey.fit(train), stored, chosen=np.ones(len(train), dtype=bool), posterior=posterior)
        members = told(np.vstack([fit.theta, fit.members]))
        spread = members[1:].std(axis=0, ddof=1)
        yield Committee(data, posterior.name, MEMBERS, structures, new, members[0] - label, spread)
    order = np.random.default_rng(1).permutation(len(train))
    fits = []
    for part in np.array_split(order, DISJOINT):
        chosen = np.isin(np.arange(len(train)), part)
        fits.append(fit_linear(train, Survey.fit(train), stored, chosen=chosen, posterior=Bootstrap(2)).theta)
    members = told(np.array(fits))
    yield Committee(
        data, "disjoint", DISJOINT, structures, new, members.mean(axis=0) - label, members.std(axis=0, ddof=1)
    )


def divided(frames: Sequence[Frame], share: float, seed: int = 0) -> tuple[list[Frame], list[Frame]]:
    first = np.random.default_rng(seed).permutation(len(frames)) < share * len(frames)
    return [f for f, use in zip(frames, first, strict=True) if use], [
        f for f, use in zip(frames, first, strict=True) if not use
    ]


def committees(data: Path, quick: bool) -> Iterator[Committee]:
    def of(*names: str) -> list[Frame]:
        return list(read_frames([data / f"{name}.extxyz.gz" for name in names]))

    yield from linear("silicon", Snap(SnapSettings(twojmax=6, rcut=5.0)), of(SILICON[0]), of(SILICON[1]))
    yield from linear("ethanol", Snap(SnapSettings(twojmax=6, rcut=4.0, chem=False)), *divided(of(ETHANOL), 0.5))
    if quick:
        return
    alloy = of(MOW)
    known = [f for f in alloy if "Surface" not in f.config_type and "Test" not in f.config_type]
    train, rest = divided(known, 2 / 3)
    yield from linear(
        "Mo–W", Snap(SnapSettings(twojmax=6, rcut=4.7)), train, rest + [f for f in alloy if f not in known]
    )
    train, rest = divided(of(*TUNGSTEN[:2]), 2 / 3)
    yield from linear("tungsten", Snap(SnapSettings(twojmax=6, rcut=4.7)), train, rest + of(TUNGSTEN[2]))
    yield universal(data)


def claims(simulated: Sequence[dict[str, Any]], cases: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """What the paper says, and what is found."""

    def each(of: Any) -> str:
        return ", ".join(f"{c['data']} {c['committee']} {of(c)}" for c in cases)

    def level(name: str, key: str) -> Any:
        return lambda c: f"{c['levels'][name][key]:.2f}"

    def pair(a: str, b: str, key: str) -> Any:
        return lambda c: f"{c['levels'][a][key]:.2f} → {c['levels'][b][key]:.2f}"

    first = simulated[0]
    simulations = "; ".join(
        f"σ {s['sigma']}, frames {'differ' if s['frames_differ'] else 'alike'}: "
        f"{s['component']['pearson']:.2f} → {s['frame']['pearson']:.2f}"
        for s in simulated
    )
    width = "; ".join("{:.3f}–{:.3f}".format(*first[name]["ratio_5_95"]) for name in ("component", "frame"))

    def fifth(c: dict[str, Any]) -> str:
        one = c["labelled"][str(round(0.2 * c["frames"]))]
        return f"{one['deviation'][1]:.2f} (constant {one['constant'][1]:.2f})"

    def radius(c: dict[str, Any]) -> str:
        return f"{c['radius']['within'][0]:.2f} → {max(c['radius']['within']):.2f}, chosen {c['radius']['chosen']:g}"

    def extrapolated(c: dict[str, Any]) -> str:
        return f"{c['alpha_known']:.2f} → {c['alpha_new']:.2f}" if c["alpha_known"] and c["alpha_new"] else "–"

    rows = [
        ("Monte Carlo, M = 10: |e|/s averages to 0.25, one by one and over frames",
         f"ratio of means {first['ratio_of_means']:.3f} (closed form {ratio_of_means(10):.3f}), mean of ratios "
         f"{first['mean_of_ratios']:.3f} ({mean_of_ratios(10):.3f})"),
        ("its distribution is broad for components, narrow for frames", f"5–95 %: {width}"),
        ("single values don't correlate, frames do (Pearson, component → frame)", simulations),
        ("committees: frames correlate, components don't (Spearman)", each(pair("component", "frame", "spearman"))),
        ("sparsification by frame is near the oracle's (AUSE; of no information in brackets)",
         each(lambda c: f"{c['levels']['frame']['ause']:.2f} ({c['levels']['frame']['ause_of_nothing']:.2f})")),
        ("and far from it by component",
         each(lambda c: f"{c['levels']['component']['ause']:.2f} ({c['levels']['component']['ause_of_nothing']:.2f})")),
        ("α is 0.93 to 1.21 where chance alone makes 0.36 (M = 5; printed as 0.46)",
         each(lambda c: f"{c['alpha']:.2f} ({c['alpha_of_chance']:.2f})")),
        ("variance is a small part of the error (share)", each(lambda c: f"{c['variance_share']:.2f}")),
        ("α rises away from the training set, 0.93 → 1.21", each(extrapolated)),
        ("α from 20 % of the labels predicts frame errors to 12 % of their mean (0.005 of 0.042 eV/Å)", each(fifth)),
        ("(labels for α to 10 %, not published)", each(lambda c: c["labels_for_10_percent"])),
        ("wider neighbourhoods correlate better (Spearman, pooled, atom → 5 Å)",
         each(pair("atom", "neighbourhood", "spearman"))),
        ("(within frames, atom → best radius, not published)", each(radius)),
        ("the largest local uncertainty tells the frame's error (Spearman)",
         each(level("largest neighbourhood", "spearman"))),
    ]  # fmt: skip
    return [{"published": published, "ours": ours} for published, ours in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ASSAY_DATA"), required="ASSAY_DATA" not in os.environ
    )
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    started = time.perf_counter()
    simulated, cases = monte_carlo(), []
    for committee in committees(Path(arguments.data), arguments.quick):
        cases.append(judged(committee, arguments.quick))
        print(f"{committee.data}, {committee.kind}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    found = claims(simulated, cases)
    for each in found:
        print(f"  {each['published']}\n      ours: {each['ours']}", file=sys.stderr)
    names = [*SILICON, ETHANOL] if arguments.quick else [*SILICON, ETHANOL, MOW, *TUNGSTEN, UNIVERSAL]
    result = {
        "data": {name: file_hash(Path(arguments.data) / f"{name}.extxyz.gz") for name in names},
        "seconds": round(time.perf_counter() - started, 1),
        "claims": found,
        "monte_carlo": simulated,
        "cases": cases,
    }
    write_result(arguments.json, ["studies/heid2024.py", *("--quick" for _ in range(arguments.quick))], result)


if __name__ == "__main__":
    main()
