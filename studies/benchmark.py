"""The benchmark: `assay.compare` on every data set of `benchmark/datasets`, with every source that its file names.

    python studies/benchmark.py [--quick] [--json FILE] [--data DIR] [--only NAME,…] [--add] [--docs]
    python studies/benchmark.py --json studies/results/benchmark.json --docs     # remakes results and page

To add a data set, write `benchmark/datasets/NAME.toml` (keys: benchmark_data.py). To add a method, write
`benchmark/methods/NAME.py` with `score`, a class as in docs/compare.md, "Your own score"; to see what it does, `--only`
a data set or one of its sources (`silicon-pbe/SNAP`), and with `--add` keep the other runs of FILE.

`--docs` writes docs/benchmark.svg and the tables of docs/benchmark.md and docs/benchmark-runs.md from the results:
those of this run, or with `--only ''` those in FILE. No published number stands beside these: no one has compared these
methods on these data.
`--quick`: silicon-pbe with SNAP and few resamples, without the real data.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmark_data import DATASETS, Dataset
from benchmark_page import BAR, CONSTANT, RANKING, write_pages
from result import write_result

import assay
from assay import FrameFiles
from assay.scores.protocol import ScoreClass
from assay.scores.registry import SCORES

METHODS = Path(__file__).parent / "benchmark" / "methods"
DOCS = Path(__file__).parents[1] / "docs"
QUICK = "silicon-pbe/SNAP"
RESAMPLES, RESAMPLES_QUICK = 200, 40
DIGITS = 3
OF_LINEAR = [each for each in SCORES if each.facts.default_for == "members" or each.facts.features_alone]
"""All that `compare` judges of a linear potential by default."""


def extra_methods(folder: Path = METHODS) -> list[ScoreClass]:
    """The methods of the benchmark that Assay does not have; raises `ValueError` for a file without one."""
    found: list[ScoreClass] = []
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"benchmark_method_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        if not hasattr(module, "score"):
            raise ValueError(f"{path}: a method needs `score`, a class")
        found.append(module.score)
    return found


def compared(
    dataset: Dataset, settings: Mapping[str, Any], data: Path | None, extra: Sequence[ScoreClass], resamples: int
) -> dict[str, Any]:
    """What `assay.compare` finds with one source."""
    with TemporaryDirectory(prefix="assay-benchmark-") as folder:
        written = dataset.write(Path(folder), data)
        tests = [name for name in written if name not in ("train", "calibration")]
        options: dict[str, Any] = {"resamples": resamples} | dataset.description.get("compare", {})
        files = {name: FrameFiles(each["frames"], each.get("members")) for name, each in written.items()}
        if "members" not in written["train"]:
            options["scores"] = [*OF_LINEAR, *extra]
        found = assay.compare(
            files["train"],
            {name: files[name] for name in tests},
            source=dict(settings),
            calibration=files["calibration"],
            **options,
        )
    told: dict[str, Any] = json.loads(json.dumps(found.summary()).replace(f"{folder}/", ""))
    return told


def condensed(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs, in three digits: of each test, rows of numbers under the names in `RANKING` and `BAR`.

    Bars are those of one calibrator for each method; `calibrators` has medians over methods.
    """
    short: dict[str, Any] = {key: found[key] for key in ("source_cost", "methods", "bad")}
    short["recommendation"] = {
        key: {k: v for k, v in told.items() if k != "alternatives"} if isinstance(told, dict) else told
        for key, told in found["recommendation"].items()
    }
    short["splits"] = [
        {key: split.get(key) for key in ("name", "role", "frames", "atoms", "errors", "failed")}
        for split in found["splits"]
    ]
    home, ranking, bars, calibrators = found["bars"]["calibration"], {}, {}, {}
    for split in found["ranking"].keys() - {"calibration"}:
        tied = {what: set(next(iter(told.values()))["tied"]) for what, told in found["best"][split].items()}
        ranking[split] = {
            target: {m: [*_row(told, RANKING), int(m in tied[target])] for m, told in by.items()}
            for target, by in found["ranking"][split].items()
        }
        bars[split] = {
            quantity: {
                m: [c, *_row(by[c] or {}, BAR), int(f"{m}:{c}" in tied[f"{quantity}_bar"])]
                for m, by in methods.items()
                if (c := _calibrator(home.get(quantity, {}).get(m, {})))
            }
            for quantity, methods in found["bars"][split].items()
        }
        calibrators[split] = {quantity: _by_calibrator(by) for quantity, by in found["bars"][split].items()}
    order = [split["name"] for split in short["splits"] if split["name"] in ranking]
    for key, told in (("ranking", ranking), ("bars", bars), ("calibrators", calibrators)):
        short[key] = {name: told[name] for name in order}
    return dict(_rounded(short))


def _row(told: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    """The numbers that `columns` name by their keys, as `coverage/0.9/low`; `None` where there is none."""
    row = []
    for column in columns:
        value: Any = told
        for key in column.split("/"):
            value = None if value is None else value.get(key)
        row.append(value)
    return row


def _calibrator(by: Mapping[str, Any]) -> str | None:
    """The calibrator whose bars have the smallest interval score on the calibration frames: no test frame has a say."""
    scores = {c: told["interval_score"]["value"] for c, told in by.items() if c != "not_applicable" and told}
    return min((c for c in scores if scores[c] is not None), key=lambda c: float(scores[c]), default=None)


def _by_calibrator(methods: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Calibrator → count of methods, medians over them of the coverage at 90 % and of the skill."""
    found = {}
    for c in {c: None for by in methods.values() for c in by if c != "not_applicable"}:
        told = [by[c] for m, by in methods.items() if m != CONSTANT and by.get(c)]
        rows = [_row(each, ("coverage/0.9/value", "skill/value")) for each in told]
        rows = [row for row in rows if None not in row]
        found[c] = [len(rows), *(np.median(rows, axis=0).tolist() if rows else [None, None])]
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def run(name: str, source: str, data: Path | None, resamples: int) -> dict[str, Any]:
    """One run: a data set with one of its sources, and what became of it."""
    dataset, started = Dataset.load(DATASETS / f"{name}.toml"), time.perf_counter()
    told = {key: dataset.description.get(key) for key in ("title", "about", "doi", "new")}
    entry: dict[str, Any] = {"dataset": name, "source": source, "settings": dataset.sources[source], **told}
    try:
        entry["data"] = dataset.files(data)
        entry |= condensed(compared(dataset, dataset.sources[source], data, extra_methods(), resamples))
    except Exception as error:  # one run must not cost the others
        traceback.print_exc()
        entry["failed"] = f"{type(error).__name__}: {error}"
    return entry | {"seconds": round(time.perf_counter() - started, 1)}


def write(target: str | None, command: list[str], result: Mapping[str, Any]) -> None:
    """As `write_result`, with rows of numbers and small tables on one line each."""
    write_result(target, command, result)
    if target and target != "-":
        text = laid_out(json.loads(Path(target).read_text(encoding="utf-8")))
        Path(target).write_text(text + "\n", encoding="utf-8")


def laid_out(value: Any, depth: int = 0) -> str:
    """JSON with a line for each innermost dictionary or list."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(each, dict) or (isinstance(value, dict) and isinstance(each, list)) for each in inner):
        return json.dumps(value, ensure_ascii=False)
    pad = "\n" + " " * (depth + 1)
    if isinstance(value, list):
        return f"[{','.join(pad + laid_out(each, depth + 1) for each in value)}{pad[:-1]}]"
    parts = (f"{pad}{json.dumps(key)}: {laid_out(each, depth + 1)}" for key, each in value.items())
    return "{" + ",".join(parts) + pad[:-1] + "}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ASSAY_DATA"))
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    parser.add_argument("--only", metavar="NAME,…", help="data sets, or DATASET/SOURCE")
    parser.add_argument("--add", action="store_true", help="keep the runs of FILE that are not made now")
    parser.add_argument("--docs", action="store_true", help="write the page from the results")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    data = Path(arguments.data) if arguments.data else None
    every = [(path.stem, source) for path in sorted(DATASETS.glob("*.toml")) for source in Dataset.load(path).sources]
    wanted = arguments.only.split(",") if arguments.only is not None else [QUICK] if arguments.quick else None
    names = {n for n, _ in every} | {f"{n}/{s}" for n, s in every}
    if unknown := sorted({each for each in wanted or () if each} - names):
        parser.error(f"no data set {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    chosen = [(n, s) for n, s in every if wanted is None or n in wanted or f"{n}/{s}" in wanted]
    kept: dict[tuple[str, str], Any] = {}
    if arguments.add or not chosen:
        old = json.loads(Path(arguments.json).read_text(encoding="utf-8"))
        kept = {(r["dataset"], r["source"]): {"commit": old["commit"]} | r for r in old["runs"]}
    resamples = RESAMPLES_QUICK if arguments.quick else RESAMPLES
    result: dict[str, Any] = {"runs": [kept[key] for key in every if key in kept]}
    failed = False
    for k, (name, source) in enumerate(chosen):
        found = kept[name, source] = run(name, source, data, resamples)
        print(f"{name}, {source}: {found.get('failed') or 'done'}, {found['seconds']} s", file=sys.stderr, flush=True)
        failed |= "failed" in found
        result = {"resamples": resamples, "runs": [kept[key] for key in every if key in kept]}
        if arguments.json != "-" or k == len(chosen) - 1:
            write(arguments.json, ["studies/benchmark.py", *sys.argv[1:]], result)
        gc.collect()
    if arguments.docs:
        from benchmark_figure import draw  # needs matplotlib

        write_pages(DOCS, result["runs"])
        draw(DOCS / "benchmark.svg", [run for run in result["runs"] if "failed" not in run])
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
