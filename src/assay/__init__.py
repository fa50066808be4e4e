"""Assay: error bars you can trust on machine-learned interatomic potentials."""

from importlib.metadata import PackageNotFoundError, version

from assay.assessment import Assessment, Labels
from assay.frames import Frame, FrameError, LabelKeys, read_frames
from assay.gauge import Gauge
from assay.gauge_file import GaugeFileError
from assay.guard import Guard, GuardStop
from assay.linear.weights import Weights
from assay.prediction import Ensemble, Gaussian, Interval, Score
from assay.selection.selected import Selected, Selection
from assay.verbs.build import Built, build
from assay.verbs.calibrate import calibrate
from assay.verbs.demo import demo
from assay.verbs.evaluate import evaluate
from assay.verbs.export import export
from assay.verbs.info import info
from assay.verbs.predict import predict
from assay.verbs.propagate import propagate
from assay.verbs.select import select

try:
    __version__ = version("assay")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = [
    "Assessment",
    "Built",
    "Ensemble",
    "Frame",
    "FrameError",
    "Gauge",
    "GaugeFileError",
    "Gaussian",
    "Guard",
    "GuardStop",
    "Interval",
    "LabelKeys",
    "Labels",
    "Score",
    "Selected",
    "Selection",
    "Weights",
    "build",
    "calibrate",
    "demo",
    "evaluate",
    "export",
    "info",
    "predict",
    "propagate",
    "read_frames",
    "select",
]
