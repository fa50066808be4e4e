"""Uncertainty of misspecified potentials: the findings of Perez et al. (arXiv:2502.07104) beside ours.

    python studies/perez2025.py [pointwise | properties | anew | unseen | all] --data DIR [--json FILE] [--quick]
        [--case NAME …] [--workers N] [--members M] [--scratch FOLDER] [--figure FILE.svg]

| part | what is found |
|---|---|
| pointwise | how often 500 members fail to hold DFT's energies and forces between them: five folds, and other files |
| properties | Tables I–V and Figs. 4–11 for tungsten with 500 members, by the implicit derivative |
| anew | the same with a few members, each relaxed anew, and the implicit derivative beside it (Fig. 11) |
| unseen | surfaces and the vacancy of a potential that was fitted without any |

Potentials are quadratic SNAP (2J = 8, 5 Å, 1,596 coefficients for tungsten) with the paper's weights, its Eq. 9, as
are its members (500) and its box; the training frames are not: its 7,000 were made to differ as much as can be, and
hold none of the properties. Ours are of A + B, which hold crystals under strain, surfaces and vacancies. DFT values are
those of `perez_references.py`. `--quick`: every eighth frame, small expansions, fewer members and properties.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from perez_figure import draw
from perez_fits import ALL_ROWS, DEFAULTS, crossed, designs, fitted, judged, load, save, told
from perez_properties import ANEW, QUICK, QUICK_ANEW, RELAXED, TABLES, Groups, anew, properties
from perez_references import Dft, dft
from result import write_result

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, file_hash
from assay.frames.reading import read_frames
from assay.linear.potential import LinearPotential
from assay.results.design import Design
from assay.sources.snap.rows import Snap
from assay.sources.snap.settings import SnapSettings

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


PROPAGATED = ("pops", "bayesian", "bootstrap")
ANEW_MEMBERS, QUICK_ANEW_MEMBERS = 20, 4
TUNGSTEN = ("tungsten/A-elastic", "tungsten/B-bulk-and-defects")
SILICON = (("silicon/training",), ("silicon/test",))
ALLOY = ("molybdenum-tungsten/molybdenum-tungsten",)

CASES = {
    "tungsten": Case(
        TUNGSTEN,
        ("tungsten/C-periodic-defects",),
        Snap(SnapSettings(twojmax=8, rcut=5.0, quadratic=True)),
        Snap(SnapSettings(twojmax=4, rcut=5.0, quadratic=True)),
        crossed=True,
        resampled=100,
    ),
    "silicon linear": Case(
        *SILICON,
        Snap(SnapSettings(twojmax=8, rcut=5.0)),
        Snap(SnapSettings(twojmax=4, rcut=5.0)),
        crossed=False,
        names=(*DEFAULTS, ALL_ROWS),
    ),
    "silicon quadratic": Case(
        *SILICON,
        Snap(SnapSettings(twojmax=8, rcut=5.0, quadratic=True)),
        Snap(SnapSettings(twojmax=4, rcut=5.0, quadratic=True)),
        crossed=False,
        names=(*DEFAULTS, ALL_ROWS),
        resampled=100,
    ),
    "molybdenum-tungsten linear": Case(
        ALLOY, (), Snap(SnapSettings(twojmax=6, rcut=4.7)), Snap(SnapSettings(twojmax=2, rcut=4.7)), crossed=True
    ),
    "molybdenum-tungsten quadratic": Case(
        ALLOY,
        (),
        Snap(SnapSettings(twojmax=6, rcut=4.7, quadratic=True, chem=False)),
        Snap(SnapSettings(twojmax=2, rcut=4.7, quadratic=True, chem=False)),
        crossed=True,
        resampled=100,
    ),
}
DATA = (*TUNGSTEN, "tungsten/C-periodic-defects", "silicon/training", "silicon/test", *ALLOY)
PARTS = ("pointwise", "properties", "anew", "unseen")
EVERY, MEMBERS = 8, 50
"""With `--quick`: frames taken, and members."""


@dataclass(frozen=True)
class Bench:
    """Where data are, how much of them, and how many processes."""

    data: Path
    quick: bool
    workers: int
    anew_members: int
    scratch: Path | None = None
    figure: Path | None = None

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
    }
    if case.crossed:
        result["cross-validation"] = judged(crossed(source, rows, train, **fit))
    if test:
        potentials = fitted(source, rows, train, **fit)
        result["ridge"] = next(iter(potentials.values())).ridge
        parts = told(potentials, rows, test)
        result["test"] = judged(parts)
        if bench.figure and name == "tungsten":
            draw(bench.figure, parts)
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


class Tungsten:
    """Potentials of tungsten, and what DFT says of the metal."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.case = bench, CASES["tungsten"]
        self.elastic, self.others = (list(read_frames(bench.path(name), labels="needed")) for name in TUNGSTEN)

    @cached_property
    def known(self) -> Dft:
        return dft(self.elastic, self.others)

    @property
    def source(self) -> Snap:
        return (self.case.quick if self.bench.quick else self.case.source).for_species(("W",))

    @cached_property
    def frames(self) -> list[Frame]:
        return [*self.elastic, *self.others][:: EVERY if self.bench.quick else 1]

    @cached_property
    def rows(self) -> dict[str, Design]:
        return designs(self.source, self.frames, self.bench.workers)

    @cached_property
    def whole(self) -> dict[str, LinearPotential]:
        return self._potentials()

    def _potentials(
        self, without: Sequence[Frame] = (), names: Sequence[str] = PROPAGATED
    ) -> dict[str, LinearPotential]:
        """Of all frames but those `without`; taken from the scratch folder if they are there."""
        scratch = self.bench.scratch
        kept = scratch and scratch / f"{'without' if without else 'whole'}.npz"
        if kept and kept.exists():
            return load(kept, self.source, names)
        left_out = {id(frame) for frame in without}
        members = MEMBERS if self.bench.quick else self.case.members
        found = fitted(
            self.source,
            self.rows,
            [frame for frame in self.frames if id(frame) not in left_out],
            members=members,
            resampled=min(members, self.case.resampled),
            names=names,
        )
        if kept:
            save(kept, found)
        return found

    def run(self, part: str) -> dict[str, Any]:
        quick, known = self.bench.quick, self.known
        if part == "properties":
            groups: Groups = QUICK if quick else RELAXED
            return {name: properties(each, groups, known) for name, each in self.whole.items()}
        if part == "anew":
            return {
                name: anew(self.whole[name], groups, self.bench.anew_members, self.bench.workers, known)
                for name, groups in (QUICK_ANEW if quick else ANEW).items()
            }
        unseen = self._potentials([*known.slabs, *known.vacancies], ("pops", "bayesian"))
        groups = {name: (QUICK if quick else RELAXED)[name] for name in ("surfaces", "vacancy")}
        return {name: properties(each, groups, known) for name, each in unseen.items()}


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
            if q["members"] < each.get("members", 0):
                text += f" ({q['members']} members)"
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


def show_tables(found: Mapping[str, Any], say: Callable[..., None]) -> None:
    """Mean ratios beside the published ones, and what is published without a counterpart here."""
    for title, (group, end, (over_std, over_range)) in TABLES.items():
        each = [q for name, q in found.get(group, {}).get("quantities", {}).items() if name.endswith(end)]
        if each:
            text = f"  Table {title}: published |error|/std {over_std}, |error|/(high − low) {over_range}"
            ours = [(q["error_over_std"], q["error_over_range"]) for q in each if "reference" in q]
            if ours:
                text += "; ours {:.2f}, {:.3f}".format(*np.nanmean(ours, axis=0))
            say(f"{text}; mean std here {np.nanmean([q['std'] for q in each]):.3g} {each[0]['unit']}")


def plain(value: Any) -> Any:
    """For JSON: six digits, and `None` for what is not finite."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def arguments_of(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="all", choices=(*PARTS, "all"))
    parser.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--case", action="append", choices=list(CASES), help="of pointwise")
    parser.add_argument("--members", type=int, help=f"of anew ({ANEW_MEMBERS})")
    parser.add_argument("--scratch", type=Path, help="folder that keeps the potentials of tungsten")
    parser.add_argument("--figure", type=Path, help="of tungsten's test frames, SVG")
    arguments = parser.parse_args(argv)
    if arguments.data is None:
        parser.error("needs --data DIR or the environment variable ASSAY_DATA")
    if arguments.scratch:
        arguments.scratch.mkdir(parents=True, exist_ok=True)
    return arguments


def main() -> None:
    arguments = arguments_of(sys.argv[1:])
    say: Callable[..., None] = print if arguments.json != "-" else lambda *_: None
    members = arguments.members or (QUICK_ANEW_MEMBERS if arguments.quick else ANEW_MEMBERS)
    bench = Bench(
        Path(arguments.data), arguments.quick, arguments.workers, members, arguments.scratch, arguments.figure
    )
    tungsten = Tungsten(bench)
    seconds: dict[str, float] = {}
    result: dict[str, Any] = {"seconds": seconds, "data": bench.hashes(DATA)}
    for part in PARTS if arguments.part == "all" else (arguments.part,):
        found = result[part] = {}
        for name in (arguments.case or CASES) if part == "pointwise" else (part,):
            started = time.perf_counter()
            if part == "pointwise":
                found[name] = pointwise(bench, name)
            else:
                found |= tungsten.run(part)
            seconds[name] = time.perf_counter() - started
            say(f"\n{name}, {seconds[name]:.0f} s")
            if part == "pointwise":
                show_pointwise(found[name], say)
        if part != "pointwise":
            for posterior, each in found.items():
                say(f"{part}, {posterior}")
                show_properties(each, say)
                show_tables(each, say)
    places = ("--data", "--json", "--workers", "--scratch", "--figure")  # of this machine
    words = [w for before, w in pairwise(sys.argv) if not w.startswith(places) and before not in places]
    write_result(arguments.json, ["studies/perez2025.py", *words], plain(result))


if __name__ == "__main__":
    main()
