"""Making a calculator that a file names: only what is known, or allowed by the user, may run.

A gauge file with a committee in it may come from anyone: files are data. So a calculator must be a class of a known
module, and LAMMPS commands may define a potential and nothing else. A committee's TOML file is asked for the same, but
may allow modules itself, and the interpreters and weights that it names count as named by the user: read it before use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from assay.sources.lammps import potentials_folder, preload_mpi

KNOWN = (
    *(f"ase.calculators.{name}" for name in ("eam", "emt", "lammpslib", "lj", "morse", "tersoff", "tip3p", "tip4p")),
    *("assay", "chgnet", "deepmd", "fairchem", "mace", "matgl", "mattersim", "nequip", "nequix", "orb_models"),
    *("pyace", "sevenn", "tblite", "tensorpotential", "xtb"),
)
"""Modules whose calculators a committee may make without being told. Not here: what starts programs named in its
arguments (ASE's interfaces to other codes, quippy's FilePot)."""

FACTORIES = ("mace.calculators",)
"""Known modules whose functions, not only calculator classes, may be called."""

TIME_LIMIT = 3600.0
"""Seconds that a member in a process of its own has for a frame, where it says no other."""

LAMMPSLIB = "ase.calculators.lammpslib.LAMMPSlib"

LAMMPS_COMMANDS = re.compile(
    "(angle|bond|dihedral|improper|pair)_(coeff|style)|(atom|kspace|comm|neigh|pair)_modify|(atom|kspace)_style|"
    "boundary|box|dielectric|mass|neighbor|newton|special_bonds|suffix|units"
)
"""LAMMPS commands that define a potential and do nothing else."""

LAMMPS_SCRIPTS = {"amendments", "lammps_header", "lammps_header_extra", "lmpcmds", "post_changebox_cmds"}
LAMMPS_VALUES = {"atom_type_masses", "atom_types", "boundary", "keep_alive"}
"""Arguments of LAMMPSlib: lists of commands, and those that run nothing."""


@dataclass(frozen=True)
class Member:
    """One potential of a committee.

    | field | meaning |
    |---|---|
    | label | its name in results |
    | calculator | a family of `assay.sources.committees.models`, such as `chgnet`, or the import path of an ASE
    calculator |
    | arguments | keyword arguments (JSON values) |
    | python | interpreter of another environment to run it in; `""` for this process |
    | rmse | published RMSE of its forces, eV/Å, for weights; `None` where it is not known |
    | time_limit | seconds for a frame, and for loading it, after which a process of its own is ended; the frame is a
    gap then |
    """

    label: str
    calculator: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    python: str = ""
    rmse: float | None = None
    time_limit: float = TIME_LIMIT


def require_known(member: Member, allow: tuple[str, ...]) -> None:
    """Raise `PermissionError` for an import path of a module that is neither known nor allowed."""
    module = member.calculator.rpartition(".")[0]
    if not _within(module, (*KNOWN, *allow)):
        package = module if module.startswith("ase.") else module.partition(".")[0]
        raise refusal(member, f"{module} is not a known module of calculators", package)
    if member.calculator == LAMMPSLIB and not _within(module, allow):
        _only_a_potential(member)


def make_calculator(member: Member, allow: tuple[str, ...]) -> Any:
    """Import and make the calculator of a member, if that is allowed."""
    found = calculator_class(member, allow)
    try:
        return found(**filled(deepcopy(dict(member.arguments))))
    except (ModuleNotFoundError, KeyboardInterrupt):
        raise
    except BaseException as error:  # it may exit, too
        raise ValueError(
            f"member {member.label!r}: {member.calculator} can't be made with {dict(member.arguments)}: "
            f"{type(error).__name__}: {error}"
        ) from error


def calculator_class(member: Member, allow: tuple[str, ...]) -> Any:
    """Import what makes the calculator of a member: a class of calculators, or what may be called besides."""
    require_known(member, allow)
    module, _, name = member.calculator.rpartition(".")
    if "lammps" in member.calculator:
        preload_mpi()
    try:
        found = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"member {member.label!r}: {member.calculator} needs the module {error.name}, which is not installed"
        ) from error
    except AttributeError as error:
        raise ValueError(f"member {member.label!r}: {error}") from error
    except SystemExit as error:
        raise ValueError(f"member {member.label!r}: {module} exits when it is imported ({error})") from error
    home = getattr(found, "__module__", None) or ""  # of a function that `module` merely imported, another
    calculator = isinstance(found, type) and hasattr(found, "get_potential_energy")
    if not (_within(home, allow) or (_within(home, KNOWN) and (calculator or _within(home, FACTORIES)))):
        raise refusal(member, f"{member.calculator} is no class of calculators in a known module", home or module)
    return found


def _within(module: str, prefixes: Sequence[str]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def refusal(member: Member, reason: str, module: str) -> PermissionError:
    return PermissionError(f"member {member.label!r}: {reason}. If you trust its code: --allow-import {module}")


def _only_a_potential(member: Member) -> None:
    """Refuse LAMMPS commands and arguments that run code or write files: a gauge file is data."""
    module = LAMMPSLIB.rpartition(".")[0]
    if other := sorted(set(member.arguments) - LAMMPS_SCRIPTS - LAMMPS_VALUES):
        raise refusal(member, f"LAMMPSlib's {', '.join(other)} may do more than define a potential", module)
    for key in sorted(LAMMPS_SCRIPTS & set(member.arguments)):
        for line in member.arguments[key] or ():
            words = re.findall(r"[^\s\"']+", line)
            code = "$" in line or {"python", "mliappy", "unified", "quip", "kim"} & set(words)
            if words and (code or not LAMMPS_COMMANDS.fullmatch(words[0])):
                raise refusal(member, f"the LAMMPS command {line!r} may do more than define a potential", module)


def filled(value: Any) -> Any:
    """`{lammps_potentials}` replaced in the strings of nested tables and lists."""
    if isinstance(value, str):
        return value.replace("{lammps_potentials}", str(potentials_folder())) if "{lammps_p" in value else value
    if isinstance(value, Mapping):
        return {key: filled(item) for key, item in value.items()}
    return [filled(item) for item in value] if isinstance(value, list) else value
