"""What the benchmarks share: paired timings, the verdict, the command line and how a result was made."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from assay.storage.provenance import versions

ROOT = Path(__file__).resolve().parent.parent


class Seconds(NamedTuple):
    wall: float
    cpu: float
    """of this process and of its children that have ended"""


def timed(run: Callable[[], object]) -> Seconds:
    wall, cpu = time.perf_counter(), _cpu()
    run()
    return Seconds(time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def paired(ours: Callable[[], object], peer: Callable[[], object], repeats: int) -> list[tuple[Seconds, Seconds]]:
    """Interleaved repeats: ours, peer, ours, peer …"""
    return [(timed(ours), timed(peer)) for _ in range(repeats)]


def case(name: str, pairs: Sequence[tuple[Seconds, Seconds]], bound: float, **facts: Any) -> dict[str, Any]:
    """One line of the result; the ratio peer/ours is the median over pairs of wall times, met at `bound` or more.

    `cpu_ratio` is the same of CPU times, which other users of the machine disturb less; it decides nothing.
    """
    ratio = median(peer.wall / ours.wall for ours, peer in pairs)
    return {
        "case": name,
        "ours": median(ours.wall for ours, _ in pairs),
        "peer": median(peer.wall for _, peer in pairs),
        "ratio": ratio,
        "bound": bound,
        "met": ratio >= bound,
        "unit": "s",
        "cpu_ratio": median(peer.cpu / ours.cpu for ours, peer in pairs),
        "repeats": len(pairs),
        **facts,
    }


def limit(name: str, value: float, allowed: float, unit: str, bound: float = 1.0, **facts: Any) -> dict[str, Any]:
    """A case against a limit: `value` is at most `bound` of what is allowed."""
    ratio = value / allowed
    return {
        "case": name, "ours": value, "peer": allowed, "ratio": ratio, "bound": bound, "met": ratio <= bound,
        "unit": unit, "cpu_ratio": ratio, "limit": True, **facts,
    }  # fmt: skip


def missing(name: str, bound: float, what: str) -> dict[str, Any]:
    """A case whose peer is not installed."""
    return {
        "case": name, "ours": None, "peer": None, "ratio": None, "bound": bound, "met": None, "unit": "s",
        "missing": what,
    }  # fmt: skip


def child(file: str, what: str, threads: int, quick: bool) -> Any:
    """What `python FILE --child WHAT [--quick]` prints as JSON, in a process with so many threads."""
    variables = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, file, "--child", what, *(["--quick"] if quick else [])]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | variables)
    return json.loads(run.stdout.splitlines()[-1])


def peak_memory() -> float:
    """Peak resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


def main(description: str | None, run: Callable[[bool], tuple[list[dict[str, Any]], dict[str, str]]]) -> None:
    """The command line of a benchmark: `run(quick)` gives its cases and the hashes of its data files."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under 50 s on 2 cores")
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    args = parser.parse_args()
    load = os.getloadavg()
    cases, data = run(args.quick)
    made = {
        "command": " ".join(
            ["python", f"benchmarks/{Path(sys.argv[0]).name}", *("--quick" for _ in range(args.quick))]
        ),
        "commit": _git("rev-parse", "HEAD"),
        "modified": [line[3:] for line in _git("status", "--porcelain", "--", "src").splitlines()],
        "data": data,
        "versions": versions(),
        "cores": os.cpu_count(),
        "load_average": {"before": load, "after": os.getloadavg()},
    }
    if args.json != "-":
        for each in cases:
            print(_line(each))
    if args.json:
        text = json.dumps([each | {"made": made} for each in cases], indent=1, ensure_ascii=False) + "\n"
        if args.json == "-":
            print(text, end="")
        else:
            Path(args.json).write_text(text, encoding="utf-8")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT).stdout.rstrip()


def _line(each: dict[str, Any]) -> str:
    if each["met"] is None:
        return f"{each['case']}: {each['missing']} is missing, so not met"
    verdict = "met" if each["met"] else "NOT MET"
    if each.get("limit"):
        return (
            f"{each['case']}: {each['ours']:.3g} {each['unit']}, limit {each['peer']:.3g}, ratio {each['ratio']:.3f} "
            f"(bound {each['bound']:.3f}): {verdict}"
        )
    return (
        f"{each['case']}: ours {each['ours']:.3g} s, peer {each['peer']:.3g} s, peer/ours {each['ratio']:.3f} "
        f"(CPU {each['cpu_ratio']:.3f}; bound {each['bound']:.3f}): {verdict}"
    )
