"""The tables of a comparison: what was compared, all methods at a glance, and every number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assay.comparison.candidates import FEW_BAD
from assay.comparison.figures import BARRED, Estimate, RankingFigure, Target
from assay.comparison.overview import Cell as Found
from assay.comparison.overview import Overview, bars_of, mark_of
from assay.comparison.reasons import UNITS, two
from assay.comparison.result import ComparisonResult, SetErrors
from assay.report.kit.parts import NONE, Cell, Column, Table, counts, number, numbers, shares, texts
from assay.results.per_quantity import Quantity

WORDS: dict[Target, str] = {
    "force_frame": "largest force error of the frame",
    "force_neighbourhood": "force error of the neighbourhood",
    "force_atom": "force error of the atom",
    "energy_frame": "energy error of the frame, per atom",
}
HEADS: dict[RankingFigure, str] = {
    "spearman": "Spearman",
    "auroc": "AUROC, worst tenth",
    "detection": "Bad ones found",
    "flagged": "Flagged",
}


def splits(result: ComparisonResult) -> Table:
    """The sets of frames, their sizes, the errors on them, and what counts as bad there."""
    found = result.splits
    bad = [result.bad[split.name].force_frame if split.name in result.bad else None for split in found]

    def errors(read: Callable[[SetErrors], float | None]) -> list[float | None]:
        return [read(split.errors) if split.errors else None for split in found]

    columns = (
        texts("Set", (split.name for split in found)),
        texts("Role", (split.role for split in found)),
        counts("Frames", (split.frames for split in found)),
        counts("Atoms", (split.atoms for split in found)),
        numbers("Energy RMSE (meV/atom)", errors(lambda each: each.energy_rmse)),
        numbers("Force RMSE (eV/Å)", errors(lambda each: each.force_rmse)),
        numbers("Largest force error (eV/Å)", errors(lambda each: each.largest_force_error)),
        shares("Bad frames", (each.share if each else None for each in bad)),
        counts("Left out", (len(split.failed) for split in found)),
    )
    limit = next((each.limit for each in bad if each), None)
    caption = "The sets of frames, and the errors of the potential on them."
    if limit is not None:
        caption += (
            f" A frame is bad where a force error is above {number(limit)} eV/Å, the 95 % quantile of calibration."
        )
    return Table("splits", caption, columns, sortable=False)


def at_a_glance(overview: Overview) -> Table:
    """A row a method: rankings, detection, error bars, cost."""
    names, of = overview.methods(), overview.result.methods
    home, tests = overview.home, overview.tests
    away = tests[0] if len(tests) == 1 else "worst test"

    def pair(head: str, cell: Callable[[str, Sequence[str]], Found], write: Callable[[float], str]) -> list[Column]:
        return [
            _column(f"{head}, {where}", [cell(name, splits) for name in names], write, len(splits) > 1)
            for where, splits in (("home", home), (away, tests))
            if splits
        ]

    def ranking(target: Target, figure: RankingFigure) -> Callable[[str, Sequence[str]], Found]:
        return lambda name, splits: overview.ranking(name, target, figure, splits)

    columns = [
        texts("Method", names),
        *pair("Frames", ranking("force_frame", "spearman"), two),
        *pair("Atoms", ranking("force_atom", "spearman"), two),
        *pair("Bad frames found", lambda name, splits: overview.detection(name, "force_frame", splits), _share)[1:],
        *pair("Force skill", lambda name, splits: overview.skill(name, "force", splits), two),
        *pair("In 95 % bars", lambda name, splits: overview.coverage(name, "force", splits), _share),
        written_with_keys("Fit (s)", [of[name].fit_seconds for name in names], number),
        written_with_keys("µs per atom", [of[name].microseconds_per_atom for name in names], number),
        written_with_keys("Memory", [of[name].bytes for name in names], memory),
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


def rankings(result: ComparisonResult, target: Target) -> list[Table]:
    """Every number of the rankings of one target, a table a split."""
    found = []
    for i, (split, targets) in enumerate(result.ranking.items()):
        if methods := targets[target]:
            best = result.best[split].ranking[target]
            columns = [texts("Method", methods)]
            for figure, head in HEADS.items():
                leaders = None if best is None else best[figure]
                cells = [
                    Found(estimate, split, mark_of(name, [leaders])) if (estimate := each[figure]) else None
                    for name, each in methods.items()
                ]
                columns.append(_column(head, cells, two if figure in {"spearman", "auroc"} else _share))
            found.append(Table(f"ranking-{target}-{i}", f"On {split}: {WORDS[target]}.", tuple(columns)))
    return found


def bars(result: ComparisonResult, quantity: Quantity) -> list[Table]:
    """Every number of the error bars of one quantity, a table a split."""
    unit, factor = UNITS[quantity]
    found = []
    for i, split in enumerate(result.bars):
        rows = [(f"{m}:{c}", figures) for m, c, figures in bars_of(result, split, quantity) if figures]
        if not rows:
            continue
        best = result.best[split].bars[quantity]
        leaders = None if best is None else best.interval_score
        given = [figures for _, figures in rows]
        scores = [Found(_times(each.interval_score, factor), split, mark_of(name, [leaders])) for name, each in rows]
        columns = (
            texts("Bar", [name for name, _ in rows]),
            *(
                _column(f"In {100 * level:g} %", [Found(each.coverage[level], split) for each in given], _share)
                for level in given[0].coverage
            ),
            numbers(f"Mean ±, 68 % ({unit})", [_scaled(each.mean_width, 0.5 * factor) for each in given]),
            _column(f"Interval score, 90 % ({unit})", scores, number),
            _column("Skill", [Found(each.skill, split) for each in given], two),
            _column("ENCE", [Found(each.ence, split) if each.ence else None for each in given], two),
            numbers("NLL", [each.nll for each in given]),
            numbers(f"CRPS ({unit})", [_scaled(each.crps, factor) for each in given]),
            numbers("Area, + too small", [each.area for each in given]),
        )
        found.append(Table(f"bars-{quantity}-{i}", f"On {split}: error bars of the {quantity}.", columns))
    return found


def not_applicable(result: ComparisonResult) -> Table | None:
    """The bars that there can't be, and why."""
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for split, quantities in result.bars.items():
        for quantity in BARRED:
            for method, of in (quantities[quantity] or {}).items():
                for calibrator, reason in of.not_applicable.items():
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
    if found is None or found.estimate.value is None:
        return Cell(NONE)
    value, low, high = found.estimate.value, found.estimate.low, found.estimate.high
    ends = "" if low is None or high is None else f"{write(low).removesuffix(' %')} to {write(high)}"
    return Cell(write(value), float(value), small=(ends, found.split if name_split else ""), mark=found.mark)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %".replace("-", "−")


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _times(found: Estimate, factor: float) -> Estimate:
    return Estimate(_scaled(found.value, factor), _scaled(found.low, factor), _scaled(found.high, factor))
