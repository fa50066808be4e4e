"""`assay demo`: the whole path on the data that ships with Assay, silicon-pbe."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from assay.evaluation.result import EvaluationResult
from assay.execution.run import Run
from assay.gauge.gauge import Gauge
from assay.verbs.arguments import settled
from assay.verbs.build import build
from assay.verbs.evaluate import evaluate
from assay.verbs.outputs import require_outputs

SOURCE = "snap:twojmax=6,rcut=5.0,quadratic=true"


@dataclass(frozen=True)
class Demo:
    """A gauge for silicon, and how it does on frames like its training frames and on others."""

    gauge: Gauge
    test: EvaluationResult
    ood: EvaluationResult


def demo_data(name: str) -> Path:
    """Path of a file of silicon-pbe: `train`, `calibration`, `test` or `ood`."""
    return Path(str(files("assay") / "demo_data" / "silicon-pbe" / f"{name}.extxyz.gz"))


@settled
def demo(*, report: str | Path | None = None, run: Run = Run("local:2"), command: str | None = None) -> Demo:
    """Fit quadratic SNAP to silicon-pbe, calibrate it, and judge it in and out of distribution.

    The report is on the out-of-distribution frames. Nothing fitted is shipped.
    """
    require_outputs(report=report)
    command = command or "assay demo"
    built = build(
        demo_data("train"),
        source=SOURCE,
        calibration=demo_data("calibration"),
        run=run,
        command=command,
    )
    test = evaluate(built.gauge, demo_data("test"), run=run)
    ood = evaluate(built.gauge, demo_data("ood"), run=run, report=report, command=command)
    return Demo(built.gauge, test, ood)
