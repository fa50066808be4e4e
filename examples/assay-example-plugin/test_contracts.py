"""What Assay expects of a score, a source and a calibrator, law by law."""

from ase import Atoms
from ase.build import bulk
from assay_example.calibrator import MedianRatio
from assay_example.score import LargestDeviation
from assay_example.source import PairRows

from assay.testing import check_calibrator, check_score, check_source


def test_score() -> None:
    check_score(LargestDeviation)


def test_source() -> None:
    crystal, dimer = bulk("Cu", cubic=True), Atoms("Cu2", [[0.0, 0.0, 0.0], [2.2, 0.1, 0.0]])
    crystal.rattle(0.1, seed=1)
    check_source(PairRows(), [crystal, dimer])


def test_calibrator() -> None:
    check_calibrator(MedianRatio)
