"""Assay: error bars you can trust on machine-learned interatomic potentials.

A public name is imported when it is first used, so that `import assay` and the command line start at once.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.comparison.result import ComparisonResult
    from assay.distillation.result import Distilled
    from assay.ensembles.collect import Members
    from assay.ensembles.fit import MemberChoice
    from assay.evaluation.result import EvaluationResult
    from assay.evaluation.transferability_result import Transferability
    from assay.execution.run import Run
    from assay.frames.frame import Frame, FrameError, LabelKeys
    from assay.frames.reading import read_frames
    from assay.gauge.calculator import calculator
    from assay.gauge.fit import Built
    from assay.gauge.gauge import Gauge
    from assay.gauge.guard import Guard, GuardStop
    from assay.gauge.score_fit import ScoreFit
    from assay.linear.cross_conformal import CrossConformal
    from assay.linear.linear_fit import LinearFit
    from assay.linear.weights import Weights
    from assay.results.assessment import Assessment
    from assay.results.batch import Batch, Labels
    from assay.results.error_bars import Ensemble, Gaussian, Interval
    from assay.results.score import Score
    from assay.results.warning import AssayWarning
    from assay.selection.result import Selected, Selection
    from assay.sources.frame_files import FrameFiles
    from assay.storage.archive import GaugeFileError
    from assay.verbs.build import build
    from assay.verbs.calibrate import calibrate
    from assay.verbs.compare import compare
    from assay.verbs.cross_conformal import cross_conformal
    from assay.verbs.demo import demo
    from assay.verbs.distil import distil
    from assay.verbs.evaluate import evaluate
    from assay.verbs.export import export
    from assay.verbs.info import info
    from assay.verbs.members import members
    from assay.verbs.predict import predict
    from assay.verbs.propagate import propagate
    from assay.verbs.select import select
    from assay.verbs.transferability import transferability

try:
    __version__ = version("assay")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

_HOMES = {
    "AssayWarning": "assay.results.warning",
    "Assessment": "assay.results.assessment",
    "Batch": "assay.results.batch",
    "Built": "assay.gauge.fit",
    "ComparisonResult": "assay.comparison.result",
    "CrossConformal": "assay.linear.cross_conformal",
    "Distilled": "assay.distillation.result",
    "Ensemble": "assay.results.error_bars",
    "EvaluationResult": "assay.evaluation.result",
    "Frame": "assay.frames.frame",
    "FrameError": "assay.frames.frame",
    "FrameFiles": "assay.sources.frame_files",
    "Gauge": "assay.gauge.gauge",
    "GaugeFileError": "assay.storage.archive",
    "Gaussian": "assay.results.error_bars",
    "Guard": "assay.gauge.guard",
    "GuardStop": "assay.gauge.guard",
    "Interval": "assay.results.error_bars",
    "LabelKeys": "assay.frames.frame",
    "Labels": "assay.results.batch",
    "LinearFit": "assay.linear.linear_fit",
    "MemberChoice": "assay.ensembles.fit",
    "Members": "assay.ensembles.collect",
    "Run": "assay.execution.run",
    "Score": "assay.results.score",
    "ScoreFit": "assay.gauge.score_fit",
    "Selected": "assay.selection.result",
    "Selection": "assay.selection.result",
    "Transferability": "assay.evaluation.transferability_result",
    "Weights": "assay.linear.weights",
    "build": "assay.verbs.build",
    "calculator": "assay.gauge.calculator",
    "calibrate": "assay.verbs.calibrate",
    "compare": "assay.verbs.compare",
    "cross_conformal": "assay.verbs.cross_conformal",
    "demo": "assay.verbs.demo",
    "distil": "assay.verbs.distil",
    "evaluate": "assay.verbs.evaluate",
    "export": "assay.verbs.export",
    "info": "assay.verbs.info",
    "members": "assay.verbs.members",
    "predict": "assay.verbs.predict",
    "propagate": "assay.verbs.propagate",
    "read_frames": "assay.frames.reading",
    "select": "assay.verbs.select",
    "transferability": "assay.verbs.transferability",
}
"""Where each public name is defined."""

__all__ = [
    "AssayWarning",
    "Assessment",
    "Batch",
    "Built",
    "ComparisonResult",
    "CrossConformal",
    "Distilled",
    "Ensemble",
    "EvaluationResult",
    "Frame",
    "FrameError",
    "FrameFiles",
    "Gauge",
    "GaugeFileError",
    "Gaussian",
    "Guard",
    "GuardStop",
    "Interval",
    "LabelKeys",
    "Labels",
    "LinearFit",
    "MemberChoice",
    "Members",
    "Run",
    "Score",
    "ScoreFit",
    "Selected",
    "Selection",
    "Transferability",
    "Weights",
    "build",
    "calculator",
    "calibrate",
    "compare",
    "cross_conformal",
    "demo",
    "distil",
    "evaluate",
    "export",
    "info",
    "members",
    "predict",
    "propagate",
    "read_frames",
    "select",
    "transferability",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
