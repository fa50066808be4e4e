"""The tables of a comparison: what was compared, all methods at a glance, and every number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from assay.comparison.candidates import FEW_BAD, Result
from assay.comparison.overview import Cell as Found
from assay.comparison.overview import Overview, bars_of
from assay.comparison.reasons import UNITS, Told, two
from assay.comparison.sets import CALIBRATION
from assay.report.kit.parts import NONE, Cell, Column, Table, counts, number, numbers, shares, texts

TARGETS = {
    "force_frame": "largest force error of the frame",
    "force_neighbourhood": "force error of the neighbourhood",
    "force_atom": "force error of the atom",
    "energy_frame": "energy error of the frame, per atom",
}
RANKED = {"spearman": "Spearman", "auroc": "AUROC, worst tenth", "detection": "Bad ones found", "flagged": "Flagged"}


def splits(result: Result) -> Table:
    """The sets of frames, their sizes, the errors on them, and what counts as bad there."""
    found = result["splits"]

    def errors(key: str) -> list[float | None]:
        return [(split.get("errors") or {}).get(key) for split in found]

    bad = [(result["bad"].get(split["name"]) or {}).get("force_frame") or {} for split in found]
    columns = (
        texts("Set", (split["name"] for split in found)),
        texts("Role", (split["role"] for split in found)),
        counts("Frames", (split["frames"] for split in found)),
        counts("Atoms", (split["atoms"] for split in found)),
        numbers("Energy RMSE (meV/atom)", errors("energy_rmse_meV_per_atom")),
        numbers("Force RMSE (eV/Å)", errors("force_rmse_eV_per_A")),
        numbers("Largest force error (eV/Å)", errors("largest_force_error_eV_per_A")),
        shares("Bad frames", (each.get("share") for each in bad)),
        counts("Left out", (split["skipped"] for split in found)),
    )
    limit = next((each["limit"] for each in bad if each), None)
    caption = "The sets of frames, and the errors of the potential on them."
    if limit is not None:
        caption += (
            f" A frame is bad where a force error is above {number(limit)} eV/Å, the 95 % quantile of calibration."
        )
    return Table("splits", caption, columns, sortable=False)


def at_a_glance(overview: Overview) -> Table:
    """A row a method: rankings, detection, error bars, cost."""
    names, of = overview.methods(), overview.result["methods"]
    home, tests = (CALIBRATION,), overview.tests
    away = tests[0] if len(tests) == 1 else "worst test"

    def pair(head: str, cell: Callable[[str, Sequence[str]], Found], write: Callable[[float], str]) -> list[Column]:
        return [
            _column(f"{head}, {where}", [cell(name, splits) for name in names], write, len(splits) > 1)
            for where, splits in (("home", home), (away, tests))
            if splits
        ]

    def ranking(target: str, figure: str) -> Callable[[str, Sequence[str]], Found]:
        return lambda name, splits: overview.ranking(name, target, figure, splits)

    columns = [
        texts("Method", names),
        *pair("Frames", ranking("force_frame", "spearman"), two),
        *pair("Atoms", ranking("force_atom", "spearman"), two),
        *pair("Bad frames found", lambda name, splits: overview.detection(name, "force_frame", splits), _share)[1:],
        *pair("Force skill", lambda name, splits: overview.skill(name, "force", splits), two),
        *pair("In 95 % bars", lambda name, splits: overview.coverage(name, "force", splits), _share),
        written_with_keys("Fit (s)", [of[name].get("fit_seconds") for name in names], number),
        written_with_keys("µs per atom", [of[name].get("microseconds_per_atom") for name in names], number),
        written_with_keys("Memory", [of[name].get("bytes") for name in names], memory),
    ]
    several = len(tests) > 1
    caption = (
        "Frames, Atoms: Spearman's correlation of the score with the largest force error of frames and with the force "
        "error of atoms. Bad frames found: at a threshold that flags 5 % of the calibration frames, on sets with "
        f"{FEW_BAD} such frames or more. Force skill, In 95 % bars: error bars of the forces by {overview.calibrator}; "
        "skill is 0 for the constant bar and 1 if perfect. Home: the calibration frames, bars cross-fitted. "
        + ("Worst test: the test set where the method is worst, named below. " if several else "")
        + "Small: 95 % interval. ★ the best, ☆ not significantly worse"
        + (" (on every test set)" if several else "")
        + "; the truly best is among these in about 95 % of cases, and one without a mark need not be worse. "
        "Costs are beside those of the potential. Click a heading to sort."
    )
    return Table("glance", caption, tuple(columns))


def rankings(result: Result, target: str) -> list[Table]:
    """Every number of the rankings of one target, a table a split."""
    found = []
    for i, (split, targets) in enumerate(result["ranking"].items()):
        if methods := targets.get(target):
            columns = [texts("Method", methods)]
            for figure, head in RANKED.items():
                best = (result["best"][split].get(target) or {}).get(figure)
                cells = [
                    Found(each[figure], split, _mark(best, name)) if figure in each else None
                    for name, each in methods.items()
                ]
                columns.append(_column(head, cells, two if figure in {"spearman", "auroc"} else _share))
            found.append(Table(f"ranking-{target}-{i}", f"On {split}: {TARGETS[target]}.", tuple(columns)))
    return found


def bars(result: Result, quantity: str) -> list[Table]:
    """Every number of the error bars of one quantity, a table a split."""
    unit, factor = UNITS[quantity]
    found = []
    for i, split in enumerate(result["bars"]):
        rows = [(m, c, figures) for m, c, figures in bars_of(result, split, quantity) if figures]
        if not rows:
            continue
        best = (result["best"][split].get(f"{quantity}_bar") or {}).get("interval_score")
        given = [figures for _, _, figures in rows]
        columns = (
            texts("Bar", [f"{m}:{c}" for m, c, _ in rows]),
            *(
                _column(f"In {100 * float(level):g} %", [Found(g["coverage"][level], split, "") for g in given], _share)
                for level in ("0.5", "0.68", "0.9", "0.95")
            ),
            numbers(f"Mean ±, 68 % ({unit})", [_scaled(g["mean_width"], 0.5 * factor) for g in given]),
            _column(
                f"Interval score, 90 % ({unit})",
                [Found(_times(g["interval_score"], factor), split, _mark(best, f"{m}:{c}")) for m, c, g in rows],
                number,
            ),
            _column("Skill", [Found(g["skill"], split, "") for g in given], two),
            _column("ENCE", [Found(g["ence"], split, "") if g["ence"] else None for g in given], two),
            numbers("NLL", [g["nll"] for g in given]),
            numbers(f"CRPS ({unit})", [_scaled(g["crps"], factor) for g in given]),
            numbers("Area, + too small", [g["area"] for g in given]),
        )
        found.append(Table(f"bars-{quantity}-{i}", f"On {split}: error bars of the {quantity}.", columns))
    return found


def not_applicable(result: Result) -> Table | None:
    """The bars that there can't be, and why."""
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for split, quantities in result["bars"].items():
        for quantity, methods in quantities.items():
            for method, of in methods.items():
                for calibrator, reason in (of.get("not_applicable") or {}).items():
                    reasons.setdefault((quantity, f"{method}:{calibrator}", reason), []).append(split)
    if not reasons:
        return None
    columns = (
        texts("Bar", (name for _, name, _ in reasons)),
        texts("Of", (quantity for quantity, _, _ in reasons)),
        texts("On", (", ".join(each) for each in reasons.values())),
        texts("Why there is none", (reason for _, _, reason in reasons)),
    )
    return Table("not-applicable", "Error bars that could not be made.", columns)


def written_with_keys(head: str, values: Sequence[float | None], write: Callable[[float], str]) -> Column:
    """Numbers of very different sizes, each with its own digits."""
    return Column(head, tuple(Cell(NONE) if value is None else Cell(write(value), float(value)) for value in values))


def memory(count: float) -> str:
    """`512 B`, `3.2 kB`, `1.0 MB`."""
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while count >= 1000:
        count, unit = count / 1000, next(units)
    return f"{count:.{0 if unit == 'B' else 1}f} {unit}"


def _column(
    head: str, cells: Sequence[Found | None], write: Callable[[float], str], name_splits: bool = False
) -> Column:
    return Column(head, tuple(_cell(found, write, name_splits) for found in cells))


def _cell(found: Found | None, write: Callable[[float], str], name_split: bool) -> Cell:
    if found is None or found.estimate["value"] is None:
        return Cell(NONE)
    value, low, high = (found.estimate[part] for part in ("value", "low", "high"))
    ends = "" if low is None or high is None else f"{write(low).removesuffix(' %')} to {write(high)}"
    return Cell(write(value), float(value), small=(ends, found.split if name_split else ""), mark=found.mark)


def _mark(best: Any, name: str) -> Any:
    if not best:
        return ""
    return "best" if best["best"] == name else "tied" if name in best["tied"] else ""


def _share(value: float) -> str:
    return f"{100 * value:.0f} %".replace("-", "−")


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _times(found: Told, factor: float) -> Told:
    return {end: _scaled(value, factor) for end, value in found.items()}
