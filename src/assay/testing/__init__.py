"""Contracts that scores, sources, calibrators, properties and folds keep, as checks that the author of a plug-in runs.

    from assay.testing import check_score
    check_score(MyScore)

Each law is a function of a case that raises `AssertionError`, with what is broken and by how much. `LAWS_OF_SCORES` and
the like are tables of them, for a test of each: `pytest.mark.parametrize("law", LAWS_OF_SCORES)`.
"""

from assay.testing.calibrators import LAWS_OF_CALIBRATORS, CalibratorCase, check_calibrator, held_out_values
from assay.testing.folds import LAWS_OF_FOLDS, FoldCase, check_fold
from assay.testing.properties import LAWS_OF_PROPERTIES, PropertyCase, check_property
from assay.testing.scores import LAWS_OF_SCORES, ScoreCase, check_score
from assay.testing.sources import LAWS_OF_SOURCES, SourceCase, check_source
from assay.testing.training_sets import TRAINING_SETS

__all__ = [
    "LAWS_OF_CALIBRATORS",
    "LAWS_OF_FOLDS",
    "LAWS_OF_PROPERTIES",
    "LAWS_OF_SCORES",
    "LAWS_OF_SOURCES",
    "TRAINING_SETS",
    "CalibratorCase",
    "FoldCase",
    "PropertyCase",
    "ScoreCase",
    "SourceCase",
    "check_calibrator",
    "check_fold",
    "check_property",
    "check_score",
    "check_source",
    "held_out_values",
]
