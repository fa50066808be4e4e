"""Uncertainty of misspecified potentials: the findings of Perez et al. (arXiv:2502.07104) beside ours.

    python studies/perez2025.py [pointwise | properties | implicit | all] --data DIR [--json FILE] [--quick]
        [--case NAME …] [--workers N]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from perez_fits import ALL_ROWS, DEFAULTS, crossed, designs, fitted, judged, told
from result import write_result

from assay.frames import Frame, file_hash, read_frames
from assay.sources.snap import Snap
from assay.survey import Survey

PUBLISHED = {"energy": 0.021, "force": 0.033}
"""Envelope violation on the paper's test set, Fig. 3."""


@dataclass(frozen=True)
class Case:
    """Frames to cross-validate over or to fit, frames to test on (none: cross-validation alone), and a basis."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    source: Snap
    quick: Snap
    crossed: bool
    names: tuple[str, ...] = DEFAULTS
    members: int = 500
    resampled: int = 500


TUNGSTEN = ("tungsten/A-elastic", "tungsten/B-bulk-and-defects")
SILICON = (("silicon/training",), ("silicon/test",))
ALLOY = ("molybdenum-tungsten/molybdenum-tungsten",)

CASES = {
    "tungsten": Case(
        TUNGSTEN,
        ("tungsten/C-periodic-defects",),
        Snap(twojmax=8, rcut=5.0, quadratic=True),
        Snap(twojmax=4, rcut=5.0, quadratic=True),
        crossed=True,
        resampled=100,
    ),
    "silicon linear": Case(
        *SILICON,
        Snap(twojmax=8, rcut=5.0),
        Snap(twojmax=4, rcut=5.0),
        crossed=False,
        names=(*DEFAULTS, ALL_ROWS),
    ),
    "silicon quadratic": Case(
        *SILICON,
        Snap(twojmax=8, rcut=5.0, quadratic=True),
        Snap(twojmax=4, rcut=5.0, quadratic=True),
        crossed=False,
        names=(*DEFAULTS, ALL_ROWS),
        resampled=100,
    ),
    "molybdenum-tungsten linear": Case(ALLOY, (), Snap(twojmax=6, rcut=4.7), Snap(twojmax=2, rcut=4.7), crossed=True),
    "molybdenum-tungsten quadratic": Case(
        ALLOY,
        (),
        Snap(twojmax=6, rcut=4.7, quadratic=True, chem=False),
        Snap(twojmax=2, rcut=4.7, quadratic=True, chem=False),
        crossed=True,
        resampled=100,
    ),
}
EVERY, MEMBERS = 8, 50
"""With `--quick`: frames taken, and members."""


@dataclass(frozen=True)
class Bench:
    """Where data are, how much of them, and how many processes."""

    data: Path
    quick: bool
    workers: int

    def frames(self, names: Sequence[str]) -> list[Frame]:
        found = [frame for name in names for frame in read_frames(self.path(name), labels="needed")]
        return found[:: EVERY if self.quick else 1]

    def path(self, name: str) -> Path:
        return self.data / f"{name}.extxyz.gz"

    def hashes(self, names: Sequence[str]) -> dict[str, str]:
        return {f"{name}.extxyz.gz": file_hash(self.path(name)) for name in names}


def pointwise(bench: Bench, name: str) -> dict[str, Any]:
    """Envelope violations, errors and spreads of energies and force components."""
    case = CASES[name]
    train, test = bench.frames(case.train), bench.frames(case.test)
    source = (case.quick if bench.quick else case.source).for_species(Survey.fit(train).species)
    rows = designs(source, [*train, *test], bench.workers)
    members = MEMBERS if bench.quick else case.members
    fit = {"members": members, "resampled": min(members, case.resampled), "names": case.names}
    result: dict[str, Any] = {
        "source": source.label,
        "coefficients": source.coefficients,
        "frames": {"training": len(train), "test": len(test)},
        "members": fit["members"],
        "bootstrap_members": fit["resampled"],
        "data": bench.hashes([*case.train, *case.test]),
    }
    if case.crossed:
        result["cross-validation"] = judged(crossed(source, rows, train, **fit))
    if test:
        potentials = fitted(source, rows, train, **fit)
        result["ridge"] = next(iter(potentials.values())).ridge
        result["test"] = judged(told(potentials, rows, test))
    return result


def show_pointwise(result: dict[str, Any], say: Callable[..., None]) -> None:
    say(f"{result['source']}, {result['frames']}")
    for part in ("cross-validation", "test"):
        for kind, unit in (("energy", "meV/atom"), ("force", "meV/Å"), ("force_with_vanishing", "meV/Å")):
            for posterior, figures in result.get(part, {}).items():
                f = figures[kind]
                low, high = f["interval_95"]
                ratios = " ".join(f"{ratio:.2g}" for ratio in f["error_over_std"].values())
                say(
                    f"  {part:16} {kind:20} {posterior:17} outside {f['envelope_violation']:.2%} "
                    f"[{low:.2%}, {high:.2%}]  MAE {1000 * f['mae']:.3g} {unit}, std {1000 * f['mean_std']:.3g}, "
                    f"width {1000 * f['mean_width']:.3g}; error/std {ratios}"
                )


def show_properties(found: Mapping[str, Any], say: Callable[..., None]) -> None:
    """Tables in the form of the paper's, with the mean ratios it has."""
    for group, each in found.items():
        say(f"  {group}: {each.get('method', '')}, {each.get('seconds', 0):.0f} s, {each['failures']} failures")
        for reason in (*each.get("best_fit_failed", {}).values(), *each["reasons"]):
            say(f"    failed: {reason[:150]}")
        for name, q in each["quantities"].items():
            if "x" in q:
                continue
            text = f"    {name:34} {q['value']:10.4g} ± {q['std']:8.3g}  [{q['low']:.4g}, {q['high']:.4g}] {q['unit']}"
            if "reference" in q:
                text += f"  error {q['error']:.3g}, low {q['low_error']:.3g}, high {q['high_error']:.3g}"
            deviation = each.get("deviation", {}).get(name, {}).get("relative", {})
            if deviation.get("p95") is not None:
                text += f"  implicit off by {deviation['median']:.2%}, p95 {deviation['p95']:.2%}"
            say(text)
        if "mean_ratios" in each:
            say("    " + ", ".join(f"{name} {value:.2f}" for name, value in each["mean_ratios"].items()))
        for of, ranking in each["rankings"].items():
            say(f"    order of {of}: Spearman {ranking['mean']:.2f} ± {ranking['std']:.2f}")


def arguments_of(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("pointwise",))
    parser.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--case", action="append", choices=list(CASES))
    arguments = parser.parse_args(argv)
    if arguments.data is None:
        parser.error("needs --data DIR or the environment variable ASSAY_DATA")
    return arguments


def main() -> None:
    arguments = arguments_of(sys.argv[1:])
    say: Callable[..., None] = print if arguments.json != "-" else lambda *_: None
    bench = Bench(Path(arguments.data), arguments.quick, arguments.workers)
    seconds, found = {}, {}
    for name in arguments.case or CASES:
        started = time.perf_counter()
        found[name] = pointwise(bench, name)
        seconds[name] = time.perf_counter() - started
        say(f"\n{name}, {seconds[name]:.0f} s")
        show_pointwise(found[name], say)
    places = ("--data", "--json", "--workers")  # of this machine
    words = [w for before, w in pairwise(sys.argv) if not w.startswith(places) and before not in places]
    write_result(arguments.json, ["studies/perez2025.py", *words], {"seconds": seconds, "pointwise": found})


if __name__ == "__main__":
    main()
