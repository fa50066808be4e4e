"""One self-contained, offline HTML page about an assessment. It shows numbers and computes none of the science."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ase import Atoms

from assay.evaluation.result import EvaluationResult
from assay.report.kit.plotting import require_plotting
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.storage.files import write_atomically

__all__ = ["write_report"]


def write_report(
    path: str | Path,
    assessment: Assessment,
    *,
    title: str,
    provenance: Mapping[str, str],
    evaluation: EvaluationResult | None = None,
    training: Mapping[tuple[str, Level], Array] | None = None,
    worst: Atoms | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """Write the report to `path`, whole or not at all; the same arguments give the same bytes.

    | argument | meaning |
    |---|---|
    | provenance | how it was made (versions, data hashes, command), shown in this order |
    | evaluation | what `assay.evaluate` gives of the same frames: adds errors, diagrams, the verdict and its tables |
    | training | score values of a sample of training frames `(N,)`, keys as in `assessment.scores` |
    | worst | the riskiest frame, for a picture: `arrays["force_error_bar"]` `(A,)` eV/Å, `info["origin"]` its name. \
Without predictions, the first atom score under its name |
    | warnings | what was said while this was computed, shown first |

    Raises ModuleNotFoundError without matplotlib and jinja2 (the extra `report`), ValueError where
    `evaluation` is of other frames, or `worst` lacks what the picture shows.
    """
    with require_plotting():
        from assay.report.evaluation import page as html
    page = html.render(
        assessment,
        title=title,
        provenance=provenance,
        evaluation=evaluation,
        training=training or {},
        worst=worst,
        warnings=warnings,
    )
    write_atomically(path, lambda file: file.write(page.encode()))
