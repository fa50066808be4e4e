"""Reading the members of a committee: tables of a TOML file, of a SPEC or of a gauge file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from assay.sources.committees.calculators import LAMMPSLIB, TIME_LIMIT, Member
from assay.sources.committees.model_names import PACKAGES, parse_member
from assay.sources.committees.worker_process import interpreter

MOST_SECONDS = 1e8
"""Three years: what a timer takes."""


def read_member(table: Any, where: str, time_limit: float = TIME_LIMIT) -> Member:
    """The member of one `[[member]]`, or of a name alone; `where` is for messages, `time_limit` what it has without its
    own.

    Raises `ValueError` for a table that can't be meant.
    """
    if isinstance(table, str):
        table = {"model": table}
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: needs a model, or label, calculator and arguments, got {table!r}")
    require_known_keys(table, {"model", "label", "calculator", "arguments", "python", "rmse", "time_limit"}, where)
    label, calculator, arguments = table.get("label"), table.get("calculator"), table.get("arguments", {})
    python, rmse = table.get("python", ""), table.get("rmse")
    if not isinstance(python, str):
        raise ValueError(f"{where}: python is the path of an interpreter, got {python!r}")
    if rmse is not None and not (isinstance(rmse, int | float) and rmse > 0):
        raise ValueError(f"{where}: rmse is a positive number (eV/Å), got {rmse!r}")
    if "model" in table:
        if calculator is not None:
            raise ValueError(f"{where}: give either a model or a calculator")
        named = parse_member(str(table["model"]))
        label, calculator, python = label or named.label, named.calculator, python or named.python
        arguments = {**named.arguments, **arguments} if isinstance(arguments, Mapping) else arguments
    if not (isinstance(label, str) and label):
        raise ValueError(f"{where}: needs a label, got {label!r}")
    if not (isinstance(calculator, str) and (calculator in PACKAGES or re.fullmatch(r"\w+(\.\w+)+", calculator))):
        raise ValueError(f"{where} ({label}): calculator is an import path such as {LAMMPSLIB}, got {calculator!r}")
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{where} ({label}): arguments is a table, got {arguments!r}")
    try:
        json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} ({label}): arguments can't be saved: {error}") from error
    if calculator == LAMMPSLIB and (not arguments.get("atom_types") or arguments.get("keep_alive") is False):
        raise ValueError(f"{where} ({label}): LAMMPSlib needs atom_types, and can't use keep_alive = false")
    return Member(
        label,
        calculator,
        deepcopy(dict(arguments)),
        python and interpreter(python),
        None if rmse is None else float(rmse),
        seconds(table.get("time_limit", time_limit), where),
    )


def seconds(given: Any, where: str) -> float:
    """A time limit; raises `ValueError` for what is none."""
    if isinstance(given, bool) or not (isinstance(given, int | float) and 0 < given < MOST_SECONDS):
        raise ValueError(f"{where}: time_limit is a positive number of seconds, got {given!r}")
    return float(given)


def require_known_keys(table: Mapping[str, Any], known: set[str], where: str) -> None:
    """Raise `ValueError` for a key that is not known."""
    if unknown := sorted(set(table) - known):
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
