"""The packages that pages and pictures need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def require_plotting() -> Iterator[None]:
    """Imports in it that lack a package of the extra `report` say which one to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in {"jinja2", "markupsafe", "matplotlib"}:
            raise
        message = f'the report needs {package}, which is not installed: pip install "assay[report]"'
        raise ModuleNotFoundError(message, name=package) from error
