"""What Assay expects of a score, a source, a calibrator and a property, law by law."""

from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from assay_example.calibrator import MedianRatio
from assay_example.property import Expansion
from assay_example.score import LargestDeviation
from assay_example.source import PairRows

from assay.testing import check_calibrator, check_property, check_score, check_source


def test_score() -> None:
    check_score(LargestDeviation)


def test_source() -> None:
    crystal, dimer = bulk("Cu", cubic=True), Atoms("Cu2", [[0.0, 0.0, 0.0], [2.2, 0.1, 0.0]])
    crystal.rattle(0.1, seed=1)
    check_source(PairRows(), [crystal, dimer])


def test_calibrator() -> None:
    check_calibrator(MedianRatio)


def test_property() -> None:
    potentials = [lambda s=s: LennardJones(sigma=s, epsilon=0.4, rc=2.0 * s, smooth=True) for s in (2.25, 2.32)]
    check_property(Expansion("example", "Cu"), potentials)
