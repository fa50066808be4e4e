"""The package `pyace` (wheel `python-ace`): importing it, and its potentials as text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assay.results.arrays import Array


def import_pyace() -> Any:
    """The module `pyace`; raises `ModuleNotFoundError` that says what to install."""
    try:
        import pyace
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('ACE needs python-ace: pip install "assay[ace]"') from error
    return pyace


@dataclass(frozen=True)
class Configuration:
    """A basis: pacemaker's YAML, and what is to be known about it without pyace.

    `functions`: how many each species has, `(S,)`; `cutoff`: Å.
    """

    text: str
    species: tuple[str, ...]
    functions: tuple[int, ...]
    cutoff: float


def configuration_of(potential: Mapping[str, Any]) -> Configuration:
    """The basis of the section `potential` of a pacemaker input. Raises `ValueError` as pyace does."""
    return _described(import_pyace().create_multispecies_basis_config(dict(potential)))


def configuration_in(path: str | Path) -> Configuration:
    """The basis of a pacemaker potential file `.yaml`, without its coefficients and with a linear embedding.

    It is read in a process of its own, which python-ace ends on some damaged files.

    Raises `FileNotFoundError`, or `ValueError` for what is not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    import_pyace()
    told = subprocess.run(
        [sys.executable, "-P", "-c", _READ, str(path)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    answer = told.stdout.rpartition(_ANSWER)[2]
    if told.returncode or not answer:
        *_, last = ["", *told.stderr.strip().splitlines()]
        crash = f"python-ace crashes on it, signal {-told.returncode}" if told.returncode < 0 else last.strip()
        raise ValueError(f"{path}: not a pacemaker potential .yaml, or damaged ({crash})")
    text, species, functions, cutoff = json.loads(answer)
    return Configuration(text, tuple(species), tuple(functions), cutoff)


_ANSWER = "\0assay\0"
_READ = f"""
import json, sys
from assay.sources.ace.wheel import described_file
print({_ANSWER!r} + json.dumps(described_file(sys.argv[1])))
"""
"""Reads a file in a process of its own: python-ace ends the process that gives it a damaged one."""


def described_file(path: str) -> tuple[str, tuple[str, ...], tuple[int, ...], float]:
    """The fields of the `Configuration` of a file, in this process."""
    found = _described(import_pyace().BBasisConfiguration(path))
    return found.text, found.species, found.functions, found.cutoff


def _described(configuration: Any) -> Configuration:
    blocks = list(configuration.funcspecs_blocks)
    for block in blocks:
        block.npoti, block.ndensityi, block.fs_parameters = "FinnisSinclair", 1, [1.0, 1.0]
        specifications = list(block.funcspecs)
        for each in specifications:
            each.coeffs = [0.0]
        block.funcspecs = specifications
    configuration.funcspecs_blocks = blocks
    basis = import_pyace().ACEBBasisSet(configuration)
    functions = tuple(len(one) + len(more) for one, more in zip(*ranks(basis), strict=True))
    return Configuration(_saved(configuration.save), tuple(basis.elements_name), functions, float(basis.cutoffmax))


def potential_texts(configuration: str, coefficients: Array, constants: Array) -> tuple[str, str]:
    """The contents of `.yaml` and `.yace` with these coefficients `(K,)`; the latter has the constants, `(S,)`, too."""
    basis = loaded(configuration)
    basis.basis_coeffs = coefficients.tolist()
    ctilde = _saved(basis.to_ACECTildeBasisSet().save_yaml)
    energies = ", ".join(f"{constant:.17g}" for constant in constants)
    return _saved(basis.save), re.sub(r"(?m)^E0:.*$", f"E0: [{energies}]", ctilde, count=1)


def _saved(save: Callable[[str], object]) -> str:
    """What pyace writes to a file."""
    with TemporaryDirectory(prefix="assay-") as folder:
        path = Path(folder) / "basis.yaml"
        save(str(path))
        return path.read_text()


def loaded(text: str) -> Any:
    """A basis set of its own from pacemaker's YAML."""
    with TemporaryDirectory(prefix="assay-") as folder:
        path = Path(folder) / "basis.yaml"
        path.write_text(text)
        return import_pyace().ACEBBasisSet(str(path))


def ranks(basis: Any) -> tuple[Any, Any]:
    """Functions of rank 1 and of higher ranks, by species."""
    return basis.basis_rank1, basis.basis
