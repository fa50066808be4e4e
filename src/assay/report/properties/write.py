"""One self-contained, offline HTML page about properties with error bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.propagation.references import References
from assay.propagation.result import Propagation
from assay.report.kit.plotting import require_plotting
from assay.storage.files import write_atomically


def write_properties_report(
    path: str | Path,
    result: Propagation,
    *,
    references: References,
    provenance: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> None:
    """Write the page to `path`, whole or not at all; the same arguments give the same bytes.

    Members are grey, the best fit is in colour, and references, where there are any, in another. Raises
    ModuleNotFoundError without matplotlib and jinja2 (the extra `report`).
    """
    with require_plotting():
        from assay.report.properties import page as property_page
    page = property_page.render(result, references=references, provenance=provenance, warnings=warnings)
    write_atomically(path, lambda file: file.write(page.encode()))
