from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.report import write_report
from assay.results.assessment import Assessment


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., str]:
    """Writes a report and gives back its text."""

    def written(assessment: Assessment, **more: Any) -> str:
        path = tmp_path / "report.html"
        more = {"title": "Silica, hold-out", "provenance": {"assay": "0.1.0"}} | more
        write_report(path, assessment, **more)
        return path.read_text(encoding="utf-8")

    return written
