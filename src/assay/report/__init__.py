"""One self-contained, offline HTML page about an assessment. It shows numbers and computes none of the science."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from assay.report.kit.plotting import require_plotting
from assay.results.arrays import Array, Level
from assay.results.assessment import Assessment
from assay.results.batch import Labels
from assay.storage.files import write_atomically

__all__ = ["write_report"]


def write_report(
    path: str | Path,
    assessment: Assessment,
    *,
    title: str,
    provenance: Mapping[str, str],
    labels: Labels | None = None,
    evaluation: Mapping[str, Any] | None = None,
    training: Mapping[tuple[str, Level], Array] | None = None,
    worst: Atoms | None = None,
) -> None:
    """Write the report to `path`, whole or not at all; the same arguments give the same bytes.

    | argument | meaning |
    |---|---|
    | provenance | how it was made (versions, data hashes, command), shown in this order |
    | labels | references of the same frames: adds real errors and the diagrams that need them |
    | evaluation | what `assay.evaluate` gives: adds the verdict and its tables |
    | training | score values of a sample of training frames `(N,)`, keys as in `assessment.scores` |
    | worst | the riskiest frame, for a picture: `arrays["force_error_bar"]` `(A,)` eV/Å, `info["origin"]` its name. \
Without predictions, the first atom score under its name |

    Raises ModuleNotFoundError without matplotlib and jinja2 (the extra `report`), ValueError where `labels`
    are of other frames or come with features that predict nothing, or `worst` lacks what the picture shows.
    """
    with require_plotting():
        from assay.report.evaluation import page as html
    page = html.render(
        assessment,
        title=title,
        provenance=provenance,
        labels=labels,
        evaluation=evaluation or {},
        training=training or {},
        worst=worst,
    )
    write_atomically(path, lambda file: file.write(page.encode()))
