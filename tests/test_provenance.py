"""Versions that go into gauges and reports."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from assay.storage import provenance


def test_versions():
    found = provenance.versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert {"assay", "scipy", "ase", "platform"} <= found.keys()
    assert all(isinstance(value, str) and value for value in found.values())


def test_a_package_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package-of-this-name"))
    assert provenance.versions().keys() == {"python", "platform", "numpy"}
