"""Uncertainty of linear ACE potentials of tungsten: the findings of Shuang et al. (arXiv:2508.03405) beside ours.

    python studies/shuang2025.py [correlation | selection | ensemble-size | confusion | all] --data DIR [--json FILE]
        [--quick] [--workers N]
    python studies/shuang2025.py heterogeneity …      # see its own --help

Trained on A + B, tested on C. The paper tests on C + E + F, of which only C is at hand, and publishes numbers in its
text alone (its figures are not digitised); CBE, CBF and ABF are its Eqs. 1-3, errors its Eqs. 4-6 (energies per atom,
as in its code), thresholds its Eq. 7. Its members are separate fits by pacemaker (κ = 0.01), ours a block bootstrap of
one least-squares fit with Assay's defaults; so its sizes K = 3 … 30 cost nothing here, and every figure of a committee
is the mean and standard deviation over ten independent committees.

| study | what is found |
|---|---|
| correlation | rank correlation ρ of uncertainty and error, and AUROC of the worst decile, for six bases |
| selection | share of C that is flagged, with thresholds from training errors and with fixed ones |
| ensemble-size | what K = 3 … 30 members change, for the largest basis |
| confusion | flagged or not, error above the threshold or not; and false alarms on a held-out tenth of A + B |

Models are those of `nested_ace.py`. `--quick`: every tenth frame, the three smallest bases.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from importlib.metadata import version
from itertools import pairwise
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
from nested_ace import COMMITTEES, LARGEST, Laboratory
from result import write_result

from assay.gauge.thresholds import tukey_fence
from assay.metrics import flagged_fraction, rmse, roc_auc, spearman, worst_decile
from assay.results.arrays import Array

CRITERIA = ("CBE", "CBF", "ABF")
LEVELS = ("frames", "atoms")


def over(values: Iterable[float]) -> dict[str, float]:
    """Mean and standard deviation over committees."""
    found = list(values)
    return {"mean": float(np.mean(found)), "std": float(np.std(found, ddof=1))}


def ranking(score: Array, error: Array) -> dict[str, float]:
    return {"spearman": spearman(score, error), "auroc": roc_auc(score, worst_decile(error))}


def correlation(laboratory: Laboratory) -> dict[str, Any]:
    """Rank correlation of uncertainty and error with the size of the basis (Figs. 2-4)."""
    found = []
    for model in laboratory.models:
        entry: dict[str, Any] = {"functions": model.functions, "ridge": model.ridge}
        for name in model.subsets:
            part: dict[str, Any] = {
                "force_rmse_meV_per_A": 1000 * rmse(model.forces[name][0] - model.subsets[name].forces),
                "energy_rmse_meV_per_atom": 1000 * rmse(model.energy_error(name)),
            }
            each = [model.committee(name, which) for which in range(COMMITTEES)]
            for criterion in CRITERIA:
                ranked = [ranking(*pairs[criterion]) for pairs in each]
                part[criterion] = {key: over(one[key] for one in ranked) for key in ranked[0]}
            for kind, (score, error) in model.gamma(name).items():
                part[kind] = ranking(score, error) | {"largest": float(score.max())}
                if kind.endswith("frames"):
                    part[kind]["spearman_with_energy"] = spearman(score, model.energy_error(name))
            entry[name] = part
        found.append(entry)

    def of(name: str, *keys: str) -> list[float]:
        return [reduce(getitem, keys, each[name]) for each in found]

    def rho(name: str, criterion: str) -> list[float]:
        return of(name, criterion, "spearman", "mean")

    gamma, with_energy, atoms = (
        of("C", f"γ filtered, {level}", key)
        for level, key in (("frames", "spearman"), ("frames", "spearman_with_energy"), ("atoms", "spearman"))
    )
    claims = [
        claim("force RMSE of A + B 171.62 (15) … 51.37 meV/Å (945)", series(of("training", "force_rmse_meV_per_A"))),
        claim("energy RMSE 9.05 … 1.46 meV/atom", series(of("training", "energy_rmse_meV_per_atom"))),
        claim("(force RMSE of C, not published)", series(of("C", "force_rmse_meV_per_A"))),
        *(
            claim(f"ρ of {c} rises with accuracy, {name}", series(rho(name, c)), rising(rho(name, c)))
            for c, name in (("CBE", "training"), ("CBE", "C"), ("CBF", "training"), ("CBF", "C"), ("ABF", "C"))
        ),
        claim("ρ of ABF < 0.7 in training", series(rho("training", "ABF")), max(rho("training", "ABF")) < 0.7),
        *(
            claim(f"ρ of {a} > of {b}, {name}", *compared(rho(name, a), rho(name, b)))
            for name in ("training", "C")
            for a, b in (("CBF", "CBE"), ("ABF", "CBE"), ("CBF", "ABF"))
        ),
        *(claim(f"ρ of {c}: C > training", *compared(rho("C", c), rho("training", c))) for c in CRITERIA),
        claim("ρ of γ with force errors > with energy errors, frames", *compared(gamma, with_energy)),
        claim("ρ of γ is higher with 945 than with 15 functions, frames", series(gamma), gamma[-1] > gamma[0]),
        claim("ρ of γ is weak, atoms", series(atoms)),
        claim("largest γ about 10² (15) … 10⁶ (945)", series(of("C", "γ filtered, atoms", "largest"), ".1e")),
        *(claim(f"(AUROC of {c}, not published)", series(of("C", c, "auroc", "mean"))) for c in CRITERIA),
        *(
            claim(f"(AUROC of γ, {level}, not published)", series(of("C", f"γ filtered, {level}", "auroc")))
            for level in LEVELS
        ),
    ]
    return {"columns": functions_of(laboratory), "claims": claims, "models": found}


def selection(laboratory: Laboratory) -> dict[str, Any]:
    """Share of C that is flagged, with the size of the basis (Figs. 3f, 5a and S1)."""
    models = laboratory.models
    fences = {c: [[m.fence(c, which) for which in range(COMMITTEES)] for m in models] for c in CRITERIA}
    fixed = {c: float(np.mean(fences[c])) for c in CRITERIA}
    found = []
    for i, model in enumerate(models):
        each = [model.committee("C", which) for which in range(COMMITTEES)]
        entry: dict[str, Any] = {"functions": model.functions}
        for c in CRITERIA:
            entry[c] = {
                "threshold": over(fences[c][i]),
                "adaptive": over(flagged_fraction(p[c][0], f) for p, f in zip(each, fences[c][i], strict=True)),
                "fixed": over(flagged_fraction(pairs[c][0], fixed[c]) for pairs in each),
            }
        entry |= {kind: flagged_fraction(score, 1.0) for kind, (score, _) in model.gamma("C").items()}
        found.append(entry)

    def share(criterion: str, which: str) -> list[float]:
        return [each[criterion][which]["mean"] for each in found]

    adaptive = {c: share(c, "adaptive") for c in CRITERIA}
    frames, atoms = ([each[f"γ filtered, {level}"] for each in found] for level in LEVELS)
    claims = [
        *(claim(f"flagged by {c} rises with accuracy", series(adaptive[c]), rising(adaptive[c])) for c in CRITERIA),
        *(claim(f"(threshold of {c}, not published)", series(share(c, "threshold"), ".4f")) for c in CRITERIA),
        claim("CBF flags more than CBE with 945", *compared(adaptive["CBF"], adaptive["CBE"], last=True)),
        *(claim(f"fixed threshold: {c} hardly changes with accuracy", series(share(c, "fixed"))) for c in CRITERIA),
        claim("γ > 1 in more than 90 % of frames, always", series(frames), min(frames) > 0.9),
        claim("γ > 1 in about 5 % (15) … 70 % (945) of atoms", series(atoms)),
        claim("(without the filter of outliers, not published)", series([each["γ, atoms"] for each in found])),
    ]
    return {"columns": functions_of(laboratory), "claims": claims, "fixed_thresholds": fixed, "models": found}


def ensemble_size(laboratory: Laboratory) -> dict[str, Any]:
    """What the number of members changes, for the largest basis (Fig. S2)."""
    model, found = laboratory.models[-1], []
    for size in range(3, LARGEST + 1, 3):
        entry: dict[str, Any] = {"members": size}
        train, test, test_std = (
            [model.committee(name, which, size, std) for which in range(COMMITTEES)]
            for name, std in (("training", False), ("C", False), ("C", True))
        )
        for c in CRITERIA:
            fences = [tukey_fence(pairs[c][1]) for pairs in train]
            entry[c] = {
                "flagged": over(flagged_fraction(p[c][0], f) for p, f in zip(test, fences, strict=True)),
                "flagged_by_std": over(flagged_fraction(p[c][0], f) for p, f in zip(test_std, fences, strict=True)),
                "threshold": over(fences),
                "uncertainty": over(p[c][0].mean() for p in test),
                "std": over(p[c][0].mean() for p in test_std),
                "error": over(p[c][1].mean() for p in test),
                "training_error": over(p[c][1].mean() for p in train),
                "spearman": over(spearman(*p[c]) for p in test),
                "training_spearman": over(spearman(*p[c]) for p in train),
            }
        found.append(entry)

    claims = []
    for c in CRITERIA:

        def each(key: str, of: str = "mean", c: str = c) -> list[float]:
            return [one[c][key][of] for one in found]

        trend = "hardly changes with members" if c == "CBE" else "rises until about ten members"
        claims += [
            claim(f"flagged by {c} {trend}", series(each("flagged"))),
            claim("(its spread over committees, not published)", series(each("flagged", "std"))),
            claim("(with std for the largest deviation, not published)", series(each("flagged_by_std"))),
            claim(f"ρ of {c} has no trend, C", series(each("spearman"))),
            claim(f"mean {c} of C rises, 3 to 30 members", *grown(each("uncertainty"))),
            claim("(mean std, not published)", grown(each("std"))[0]),
            claim(f"error of C rises, {c}", *grown(each("error"))),
            claim(f"error of training falls, {c}", *grown(each("training_error"), up=False)),
            claim(f"threshold of {c} {'rises' if c == 'CBE' else 'falls'}", *grown(each("threshold"), up=c == "CBE")),
        ]
    columns = f"{model.functions} functions, members " + series([one["members"] for one in found], "d")
    return {"columns": columns, "claims": claims, "sizes": found}


def confusion(laboratory: Laboratory) -> dict[str, Any]:
    """Flagged or not, error above the threshold or not (Figs. 3c-e, 5b-d), and false alarms on held-out frames."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    for model in (laboratory.models[0], laboratory.models[-1]):
        entry = {}
        for c in CRITERIA:
            each = [(*model.committee("C", which)[c], model.fence(c, which)) for which in range(COMMITTEES)]
            shares = [cells(score, error, fence, fence) for score, error, fence in each]
            entry[c] = {name: float(np.mean([one[name] for one in shares])) for name in shares[0]}
        limits = {"frames": model.fence("CBF", 0), "atoms": model.fence("ABF", 0)}
        for kind, (score, error) in model.gamma("C").items():
            entry[kind] = cells(score, error, 1.0, limits[kind.split()[-1]])
        found[model.functions] = entry
    model, flagged = laboratory.controlled, {}
    for c in CRITERIA:
        fences = [model.fence(c, which) for which in range(COMMITTEES)]
        flagged[c] = {
            name: over(flagged_fraction(model.committee(name, i)[c][0], fence) for i, fence in enumerate(fences))[
                "mean"
            ]
            for name in model.subsets
        }
    for name in model.subsets:
        for kind, (score, _) in model.gamma(name).items():
            flagged.setdefault(kind, {})[name] = flagged_fraction(score, 1.0)
    large = found[laboratory.models[-1].functions]
    share = {kind: each["found"] + each["needless"] for kind, each in large.items()}
    missed = {kind: each["missed"] / ((each["missed"] + each["found"]) or np.nan) for kind, each in large.items()}
    frames = share["γ filtered, frames"]
    claims = [
        claim("γ flags more than 99 % of frames", f"{frames:.3f}", frames > 0.99),
        claim("γ flags 64 % of atoms", f"{share['γ filtered, atoms']:.2f}; {share['γ, atoms']:.2f} without the filter"),
        claim("ABF flags 55 % of atoms", f"{share['ABF']:.2f}"),
        *(
            claim(
                f"{c} overlooks about {percent} % (ours: of frames with high errors, of all frames)",
                f"{missed[c]:.2f}, {1 - share[c]:.2f}",
            )
            for c, percent in (("CBE", 33), ("CBF", 16))
        ),
        claim("(of atoms with high errors, ABF misses, not published)", f"{missed['ABF']:.2f}"),
        claim("(of atoms with high errors, γ misses, not published)", f"{missed['γ filtered, atoms']:.2f}"),
        *(
            claim(f"(flagged of held-out A + B, and of C: {kind})", f"{each['control']:.2f}, {each['C']:.2f}")
            for kind, each in flagged.items()
        ),
    ]
    return {"columns": f"{model.functions} functions", "claims": claims, "cells_of_C": found, "flagged": flagged}


def cells(score: Array, error: Array, threshold: float, limit: float) -> dict[str, float]:
    """Shares of all: flagged and error above its limit, flagged and not, and so on."""
    flagged, high = score > threshold, error > limit
    return {
        name: float(np.mean(which))
        for name, which in {
            "found": flagged & high,
            "needless": flagged & ~high,
            "missed": ~flagged & high,
            "rest": ~flagged & ~high,
        }.items()
    }


def functions_of(laboratory: Laboratory) -> str:
    return "functions " + series([model.functions for model in laboratory.models], "d")


def claim(published: str, ours: str, holds: bool | None = None) -> dict[str, Any]:
    """What the paper says, what is found here, and whether that agrees; `None` where only the numbers are shown."""
    return {"published": published, "ours": ours, "holds": holds}


def series(values: Sequence[float], form: str = ".2f") -> str:
    return " ".join(format(value, form) for value in values)


def rising(values: Sequence[float]) -> bool:
    """Whether the last is above the first, and none, as printed, is below the one before."""
    return values[-1] > values[0] and all(round(b, 2) >= round(a, 2) for a, b in pairwise(values))


def above(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x > y for x, y in zip(a, b, strict=True))


def compared(a: Sequence[float], b: Sequence[float], last: bool = False) -> tuple[str, bool]:
    """Two series, and whether the first is above the other: everywhere, or at its end."""
    return f"{series(a)} | {series(b)}", a[-1] > b[-1] if last else above(a, b)


def grown(values: Sequence[float], up: bool = True) -> tuple[str, bool]:
    """Last over first, and whether that is a rise (`up`), or a fall."""
    return f"× {values[-1] / values[0]:.3f}", (values[-1] > values[0]) == up


STUDIES: dict[str, Callable[[Laboratory], dict[str, Any]]] = {
    "correlation": correlation,
    "selection": selection,
    "ensemble-size": ensemble_size,
    "confusion": confusion,
}


def arguments_of(argv: list[str]) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    common.add_argument("--json", metavar="FILE", help="- is stdout")
    common.add_argument("--quick", action="store_true")
    common.add_argument("--workers", type=int, default=2)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="study", required=True)
    for name in (*STUDIES, "all"):
        commands.add_parser(name, parents=[common])
    hard = commands.add_parser("heterogeneity", parents=[common])
    if "heterogeneity" in argv:
        import heterogeneity

        heterogeneity.add_arguments(hard)
    arguments = parser.parse_args(argv)
    if arguments.data is None and not getattr(arguments, "train", None):
        parser.error("needs --data DIR or the environment variable ASSAY_DATA")
    arguments.data = arguments.data and Path(arguments.data)
    return arguments


def studied(arguments: argparse.Namespace, say: Callable[..., None]) -> dict[str, Any]:
    if arguments.study == "heterogeneity":
        import heterogeneity

        found: dict[str, Any] = heterogeneity.run(arguments)
        return found
    laboratory = Laboratory(arguments.data, arguments.quick, arguments.workers)
    seconds, cases = {"rows": laboratory.seconds}, {}
    for name in STUDIES if arguments.study == "all" else [arguments.study]:
        started = time.perf_counter()
        cases[name] = STUDIES[name](laboratory)
        seconds[name] = time.perf_counter() - started
        say(f"\n{name}: {cases[name]['columns']}")
        for each in cases[name]["claims"]:
            verdict = {None: "", True: "  [agrees]", False: "  [disagrees]"}[each["holds"]]
            say(f"  {each['published']}\n      ours: {each['ours']}{verdict}")
    return {"data": laboratory.hashes, "seconds": seconds, "cases": cases}


def main() -> None:
    arguments = arguments_of(sys.argv[1:])
    say: Callable[..., None] = print if arguments.json != "-" else lambda *_: None
    places = ("--data", "--json", "--workers")  # of this machine
    words = [w for before, w in pairwise(sys.argv) if not w.startswith(places) and before not in places]
    result = {"python-ace": version("python-ace"), **studied(arguments, say)}
    write_result(arguments.json, ["studies/shuang2025.py", *words], result)


if __name__ == "__main__":
    main()
