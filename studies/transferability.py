"""Trained on one group, judged on the others: phases, compositions, kinds of defects, thermal agitation.

    python studies/transferability.py [--data DIR] [--json FILE] [--quick]

`assay.transferability` on molybdenum-tungsten (by config_type and by composition), on the shipped silicon-pbe (by
phase, and its diamond frames by thermal agitation), and on tungsten (A, B, C, D; of B and C every eighth frame). SNAP
with 2J = 6, `committee_force:scale`, flags of γ. Thermal agitation is the root mean square force of a frame, in
terciles: the frames don't name their temperature, and in a harmonic crystal ⟨F²⟩ is proportional to it. No published
number to compare with: Grasselli et al. 2025 (sections 2.6 and 3.3) ask for such tables. `--quick`: the diamond frames.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from result import write_result

import assay
from assay.evaluation.transferability import GroupBy, Transferability, group_of
from assay.frames.frame import file_hash
from assay.verbs.demo import demo_data

SOURCES = {
    "molybdenum-tungsten": "snap:twojmax=6,rcut=4.6",
    "silicon-pbe": "snap:twojmax=6,rcut=5.0",
    "tungsten": "snap:twojmax=6,rcut=4.7",
}
COUNTED = ("force_coverage_95", "force_z_mean_square", "flagged")
SMALL = 6
"""Frames of a composition that make a group."""
Case = tuple[str, list[Atoms], GroupBy]


def cases(data: Path, quick: bool) -> dict[str, Case]:
    """By name: source, frames, and how to group them."""
    silicon = [a for name in ("train", "calibration", "test", "ood") for a in read(demo_data(name), ":")]
    diamond = [a for a in silicon if a.info["config_type"] == "diamond-md"]
    found: dict[str, Case] = {"silicon-pbe, diamond by agitation": ("silicon-pbe", diamond, agitation(diamond))}
    if quick:
        return found
    alloy = read(data / "molybdenum-tungsten/molybdenum-tungsten.extxyz.gz", ":")
    names = [group_of(a, "composition") for a in alloy]
    common = [a for a, name in zip(alloy, names, strict=True) if names.count(name) >= SMALL]
    tungsten = [
        a
        for file, every in (("A-elastic", 1), ("B-bulk-and-defects", 8), ("C-periodic-defects", 8), ("D-spheres", 1))
        for a in read(data / f"tungsten/{file}.extxyz.gz", f"::{every}")
    ]
    return found | {
        "silicon-pbe by phase": ("silicon-pbe", silicon, "config_type"),
        "molybdenum-tungsten by config_type": ("molybdenum-tungsten", alloy, "config_type"),
        "molybdenum-tungsten by composition": ("molybdenum-tungsten", common, "composition"),
        "tungsten by set": ("tungsten", tungsten, "config_type"),
    }


def agitation(frames: Sequence[Atoms]) -> Callable[[Atoms], str]:
    """Terciles of the root mean square force of these frames."""

    def rms(atoms: Atoms) -> float:
        return float(np.sqrt(np.mean(atoms.arrays["REF_forces"] ** 2)))

    limits = np.quantile([rms(atoms) for atoms in frames], [1 / 3, 2 / 3])
    return lambda atoms: ("1 cold", "2 warm", "3 hot")[int(np.searchsorted(limits, rms(atoms)))]


def judged(source: str, frames: list[Atoms], group_by: GroupBy) -> Transferability:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one calibration frame has one energy: the bar is a constant
        return assay.transferability(
            frames, source=SOURCES[source], group_by=group_by, scores=["committee_force", "gamma"]
        )


def summarised(found: Transferability) -> dict[str, Any]:
    """Medians at home (row = column), abroad (another group) and of the potential of all groups."""
    row, column = np.array(found.rows)[:, None], np.array(found.columns)[None, :]
    everything = np.broadcast_to(row == "all groups", (len(row), column.size))
    places = {"at home": row == column, "abroad": (row != column) & ~everything, "all groups": everything}
    return {
        place: {name: _median(table[mask]) for name, table in found.tables.items()} for place, mask in places.items()
    }


def counted(results: dict[str, Any]) -> dict[str, Any]:
    """Over the cells of all cases: the share whose bars are too small or too large, and the mean share flagged."""
    cells: dict[str, list[tuple[float, float, float]]] = {}
    for case in results.values():
        for row, *columns in zip(case["rows"], *(case["tables"][name] for name in COUNTED), strict=True):
            for name, *cell in zip(case["columns"], *columns, strict=True):
                place = "at home" if row == name else "all groups" if row == "all groups" else "abroad"
                if cell[0] is not None:
                    cells.setdefault(place, []).append(tuple(np.nan if c is None else c for c in cell))
    return {
        place: {
            "cells": len(found),
            "coverage_95_below_90": float(np.mean(covered < 0.9)),
            "z_mean_square_above_2": float(np.mean(z2 > 2)),
            "z_mean_square_below_half": float(np.mean(z2 < 0.5)),
            "largest_z_mean_square": float(z2.max()),
            "mean_flagged": float(np.nanmean(flagged)),
        }
        for place, found in cells.items()
        for covered, z2, flagged in (np.array(found).T,)
    }


def _median(values: np.ndarray) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else None


def show(name: str, figures: dict[str, Any]) -> None:
    print(f"\n{name}: medians over cells")
    columns = ("force_rmse_eV_per_A", "energy_rmse_meV_per_atom", "force_coverage_68", "force_coverage_95",
               "energy_coverage_95", "force_z_mean_square", "force_spearman", "flagged", "failed")  # fmt: skip
    print(f"  {'':11}" + "".join(f"{column.removesuffix('_eV_per_A').removesuffix('_meV_per_atom'):>20}" for column in columns))  # fmt: skip # noqa: E501
    for place, each in figures.items():
        print(f"  {place:11}" + "".join(f"{'–' if each[c] is None else f'{each[c]:.3g}':>20}" for c in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--quick", action="store_true", help="the shipped diamond frames alone")
    args = parser.parse_args()
    if args.data is None and not args.quick:
        parser.error("needs --data DIR or the environment variable ASSAY_DATA")
    results: dict[str, Any] = {}
    for name, (source, frames, group_by) in cases(args.data, args.quick).items():
        started = time.perf_counter()
        found = judged(source, frames, group_by)
        seconds = round(time.perf_counter() - started, 1)
        summary = summarised(found)
        results[name] = {"source": SOURCES[source], "seconds": seconds, "medians": summary, **found.summary()}
        if args.json != "-":
            show(name, summary)
    if args.json != "-":
        for place, shares in counted(results).items():
            print(place, {name: round(value, 3) for name, value in shares.items()})
    files = [] if args.quick else sorted(args.data.glob("tungsten/[A-D]-*.extxyz.gz")) + sorted(
        args.data.glob("molybdenum-tungsten/*.extxyz.gz")
    )  # fmt: skip
    result = {
        "data": {str(file.relative_to(args.data)): file_hash(file) for file in files},
        "over_all_cases": counted(results),
        "cases": results,
    }
    write_result(args.json, ["studies/transferability.py", *(["--quick"] if args.quick else [])], result)


if __name__ == "__main__":
    main()
