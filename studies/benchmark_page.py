"""The tables of docs/benchmark.md and docs/benchmark-runs.md from the results of `benchmark.py`.

What stands between `<!-- benchmark NAME -->` and `<!-- /benchmark -->` on a page is written here, the rest by people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RANKING = (
    "spearman/value", "spearman/low", "spearman/high", "auroc/value",
    "detection/value", "detection/low", "detection/high", "flagged/value",
)  # fmt: skip
"""Columns of a row of rankings; the last one after them is 1 where the method is the best or can't be told from it."""
BAR = (
    "coverage/0.68/value", "coverage/0.9/value", "coverage/0.9/low", "coverage/0.9/high", "mean_width",
    "interval_score/value", "skill/value", "skill/low", "skill/high",
)  # fmt: skip
"""Columns of a row of error bars, between the name of the calibrator and the 1 of the best."""
RANDOM, CONSTANT = "random", "constant"
LIKE, NEW = "like", "new"
FEW = 3
"""Runs below which a method gets no line in the summary."""

PAGES = ("benchmark.md", "benchmark-runs.md")
MARKED = re.compile(r"(<!-- benchmark (\w+) -->).*?(<!-- /benchmark -->)", re.S)

Run = Mapping[str, Any]


def write_pages(folder: Path, runs: Sequence[Run]) -> None:
    """Write the tables between their markers on the pages in `folder`."""
    for name in PAGES:
        page = folder / name
        page.write_text(filled(page.read_text(encoding="utf-8"), runs), encoding="utf-8")


def filled(text: str, runs: Sequence[Run]) -> str:
    """A page with the tables of these runs; raises `ValueError` for a marker that names none."""
    done = [run for run in runs if "failed" not in run]
    tables = {
        "splits": lambda: splits(done),
        "summary": lambda: summary(done),
        "calibrators": lambda: calibrators(done),
        "failures": lambda: failures(runs),
        "runs": lambda: (line for run in done for line in section(run)),
    }

    def fresh(marked: re.Match[str]) -> str:
        if marked[2] not in tables:
            raise ValueError(f"no table {marked[2]!r}; there are {', '.join(tables)}")
        return f"{marked[1]}\n\n{chr(10).join(tables[marked[2]]()).strip()}\n\n{marked[3]}"

    return MARKED.sub(fresh, text)


def tests(run: Run) -> list[str]:
    return [split["name"] for split in run["splits"] if split["role"] == "test"]


def kinds(run: Run) -> dict[str, list[str]]:
    """Tests like the training frames, and unlike them."""
    return {
        LIKE: [name for name in tests(run) if name not in run["new"]],
        NEW: [name for name in tests(run) if name in run["new"]],
    }


def figure_of(run: Run, split: str, table: str, what: str, method: str, column: str) -> float | None:
    """A number of a run: `table` is `ranking` or `bars`, `what` the target or the quantity."""
    found = run[table].get(split, {}).get(what, {}).get(method)
    if found is None:
        return None
    value = found[RANKING.index(column)] if table == "ranking" else found[1 + BAR.index(column)]
    return None if value is None else float(value)


def mean_over(run: Run, kind: str, *where: str) -> float:
    """The mean of a number over the splits of a kind; NaN where there is none, or one split lacks it."""
    values = [figure_of(run, split, *where) for split in kinds(run)[kind]]  # type: ignore[arg-type]
    return float(np.mean(values)) if values and None not in values else np.nan  # type: ignore[arg-type]


def methods_of(runs: Iterable[Run], shown: bool = True) -> list[str]:
    """Names in the order of the results; `shown`: without the variants by the largest deviation of a member."""
    names = dict.fromkeys(name for run in runs for name in run["methods"])
    return [name for name in names if not (shown and "_max" in name)]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' if k == 0 else '---:' for k in range(len(heads)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def number(value: float | None, digits: int = 2) -> str:
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def short(value: float | None) -> str:
    """Two digits, of whatever size."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.2g}" if 1e-2 <= abs(value) < 1e4 or value == 0 else f"{value:.0e}"


def percent(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{100 * value:.0f}"


def splits(runs: Sequence[Run]) -> Iterator[str]:
    """What was trained and tested on, and how wrong the potentials are."""
    rows = []
    for run in runs:
        for split in run["splits"]:
            errors = split["errors"] or {}
            kind = NEW if split["name"] in run["new"] else LIKE if split["role"] == "test" else ""
            rows.append([
                run["dataset"], run["source"], split["name"], kind, str(split["frames"]), str(split["atoms"]),
                short(errors.get("energy_rmse_meV_per_atom")), short(errors.get("force_rmse_eV_per_A")),
            ])  # fmt: skip
    heads = ["data set", "source", "frames of", "like or new", "frames", "atoms"]
    yield from table([*heads, "energy RMSE, meV/atom", "force RMSE, eV/Å"], rows)


def summary(runs: Sequence[Run]) -> Iterator[str]:
    """Medians over runs, and how often a method is among the best or worse than a control."""
    rows = []
    for method in methods_of(runs):
        within = [run for run in runs if method in run["methods"] and not run["methods"][method]["failed"]]
        if len(within) < FEW or method == RANDOM:
            continue

        def median(kind: str, *where: str, within: Sequence[Run] = within) -> float:
            values = np.array([mean_over(run, kind, *where) for run in within])
            return float(np.median(values[~np.isnan(values)])) if (~np.isnan(values)).any() else np.nan

        rank = [(t, k) for t in ("force_atom", "force_frame") for k in (LIKE, NEW)]
        cost = [run["methods"][method]["microseconds_per_atom"] for run in within]
        rows.append(
            [f"`{method}`", str(len(within))]
            + [number(median(k, "ranking", t, method, "spearman/value")) for t, k in rank]
            + [percent(median(NEW, "ranking", "force_frame", method, "detection/value"))]
            + [percent(median(k, "bars", "force", method, "coverage/0.9/value")) for k in (LIKE, NEW)]
            + [number(median(k, "bars", "force", method, "skill/value")) for k in (LIKE, NEW)]
            + [share(first_places(within, method)), share(losses(within, method))]
            + [short(np.median(cost) if None not in cost else None)]
        )
    heads = ["method", "runs", "ρ atoms, like", "ρ atoms, new", "ρ frames, like", "ρ frames, new"]
    heads += ["bad frames found, new, %", "in 90 %, like", "in 90 %, new", "skill, like", "skill, new"]
    yield from table([*heads, "best or tied", "worse than constant", "µs/atom"], rows)


def share(places: Sequence[bool]) -> str:
    return f"{sum(places)} of {len(places)}" if places else "–"


def first_places(runs: Iterable[Run], method: str) -> list[bool]:
    """Of each test that ranks the method's frames by their largest force error: is it among the best?"""
    return [
        bool(run["ranking"][split]["force_frame"][method][-1])
        for run in runs
        for split in tests(run)
        if method in run["ranking"].get(split, {}).get("force_frame", {})
    ]


def losses(runs: Iterable[Run], method: str) -> list[bool]:
    """Of each test with force bars of the method: are they surely worse than the constant bar?"""
    if method == CONSTANT:
        return []
    high = [figure_of(run, split, "bars", "force", method, "skill/high") for run in runs for split in tests(run)]
    return [value < 0 for value in high if value is not None]


def calibrators(runs: Sequence[Run]) -> Iterator[str]:
    """Calibrators beside each other: medians over runs of the medians over methods."""
    names = dict.fromkeys(c for run in runs for told in run["calibrators"].values() for c in told.get("force", {}))
    rows = []
    for name in names:
        cells = [f"`{name}`"]
        for quantity in ("force", "energy"):
            for column, told in ((1, percent), (2, number)):
                for kind in (LIKE, NEW):
                    found = [
                        run["calibrators"][s].get(quantity, {}).get(name) for run in runs for s in kinds(run)[kind]
                    ]
                    values = [row[column] for row in found if row and row[column] is not None]
                    cells.append(told(float(np.median(values)) if values else None))
        rows.append(cells)
    heads = [
        f"{q}: {what}, {kind}" for q in ("forces", "energies") for what in ("in 90 %", "skill") for kind in (LIKE, NEW)
    ]
    yield from table(["calibrator", *heads], rows)


def failures(runs: Sequence[Run]) -> Iterator[str]:
    """Runs and methods without a result, with the reason."""
    found = [f"- {run['dataset']}, {run['source']}: {run['failed']}" for run in runs if "failed" in run]
    for run in runs:
        for name, method in run.get("methods", {}).items():
            if method["failed"]:
                found.append(f"- `{name}` on {run['dataset']}, {run['source']}: {method['failed']}")
    yield from found or ["Every method had a result in every run."]


def section(run: Run) -> Iterator[str]:
    """A run: rankings and error bars of every method on every test."""
    settings = ", ".join(
        f"{key} = {value}" for key, value in run["settings"].items() if key not in ("source", "models")
    )
    yield f"## {run['title']}: {run['source']}"
    yield ""
    doi = f" ([doi:{run['doi']}](https://doi.org/{run['doi']}))" if run["doi"] else ""
    yield f"{run['about']}{doi} `{run['settings']['source']}`{': ' * bool(settings)}{settings}; {run['seconds']:.0f} s."
    yield ""
    advice = run["recommendation"]
    for key, label in (("error_bars", "bars"), ("ranking_frames", "frames by"), ("ranking_atoms", "atoms by")):
        named = advice.get(key) or {}
        chosen, posterior = named.get("bar") or named.get("method"), named.get("posterior")
        chosen = f"`{chosen}`" + (f" of {posterior}" if posterior else "") if chosen else "none"
        yield f"{'Recommended: ' * (key == 'error_bars')}{label} {chosen}{'.' if key == 'ranking_atoms' else ','}"
    names = tests(run)
    shown = [m for m in methods_of([run]) if not run["methods"][m]["failed"]]
    yield ""
    ranked = [(split, target) for split in names for target in ("force_atom", "force_frame")]
    heads = ["method", *(f"{split}: ρ {target.removeprefix('force_')}s" for split, target in ranked)]
    heads += [f"{split}: bad frames found, %" for split in names]
    yield from table(
        [*heads, "fit, s", "µs/atom"],
        (
            [f"`{m}`"]
            + [
                best(number(figure_of(run, s, "ranking", t, m, "spearman/value")), run["ranking"][s].get(t, {}).get(m))
                for s, t in ranked
            ]
            + [percent(figure_of(run, s, "ranking", "force_frame", m, "detection/value")) for s in names]
            + [short(run["methods"][m]["fit_seconds"]), short(run["methods"][m]["microseconds_per_atom"])]
            for m in shown
            if m != CONSTANT
        ),
    )
    yield ""
    heads = ["error bar of forces", "calibrator"]
    heads += [f"{split}: {what}" for split in names for what in ("in 90 %", "width of 68 %, eV/Å", "skill")]
    with_bar = [m for m in shown if m in run["bars"][names[0]].get("force", {})]
    yield from table(
        heads,
        (
            [f"`{m}`", run["bars"][names[0]]["force"][m][0]]
            + [
                cell
                for s in names
                for cell in (
                    percent(figure_of(run, s, "bars", "force", m, "coverage/0.9/value")),
                    short(figure_of(run, s, "bars", "force", m, "mean_width")),
                    best(number(figure_of(run, s, "bars", "force", m, "skill/value")), run["bars"][s]["force"].get(m)),
                )
            ]
            for m in with_bar
        ),
    )
    yield ""


def best(cell: str, row: Sequence[Any] | None) -> str:
    """Bold where the row says that the method is the best or can't be told from it."""
    return f"**{cell}**" if row and row[-1] and cell != "–" else cell
