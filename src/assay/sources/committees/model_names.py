"""Members by name: `chgnet:0.3.0`, `sevennet:7net-mf-0(modal=PBE)`, `nequix:PATH`, `package.module.Class(key=value)`.

A trailing `@/path/to/python` runs the member in that environment. What is known of a model — its package's version, the
contents of its weights — is its identity, under which its evaluations are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from threading import Timer
from typing import Any

from assay.frames.frame import file_hash
from assay.sources.committees.calculators import LAMMPSLIB, Member, filled
from assay.sources.committees.worker import MODELS
from assay.sources.committees.worker_process import interpreter

PACKAGES = {"chgnet": "chgnet", "sevennet": "sevenn", "matgl": "matgl", "nequix": "nequix", "mace": "mace-torch"}
"""Families that have a name here, and their distributions."""
FILES = ("matgl", "nequix", "mace")
"""Families whose models are files."""
KNOWN = {
    "chgnet": ("0.3.0", "0.2.0", "r2scan"),
    "sevennet": (
        *("7net-0", "7net-0_11july2024", "7net-0_11jul2024", "7net-0_22may2024", "7net-l3i5", "7net-mf-0"),
        *("7net-mf-ompa", "7net-omat", "7net-omni", "7net-omni-i8", "7net-omni-i12"),
    ),
}
"""Names of models, in families that have names."""
PICKLES = ("matgl", "mace")
"""Families whose files are code, or name code to be run."""
LOAD_WEIGHTS = (
    *("chgnet", "deepmd", "fairchem", "mace", "matgl", "mattersim", "nequip", "nequix", "orb_models", "pyace"),
    *("sevenn", "tensorpotential"),
)
"""Packages whose calculators load files that their arguments name, which may be code."""


def parse_member(text: str) -> Member:
    """A member from its name.

    Raises `ValueError` for a name that is neither a known family's nor an import path, or a file that does not exist.
    """
    body, python = text.strip(), ""
    before, at, after = body.rpartition("@")
    if at and re.search(r"\(.*\)$", after):
        path, _, inner = after.partition("(")
        raise ValueError(f"member {text!r}: arguments come before @: {before}({inner}@{path}")
    if at and not after.endswith(")"):
        body, python = before, interpreter(after)
    match = re.fullmatch(r"([^()]+?)\s*(?:\((.*)\))?", body, re.DOTALL)
    if not match:
        raise ValueError(f"member {text!r}: write FAMILY:MODEL(key=value, …)@PYTHON")
    name, arguments = match[1], _arguments(match[2] or "", text)
    family, colon, what = name.partition(":")
    if colon and family in PACKAGES:
        if not what:
            raise ValueError(f"member {text!r}: which model of {family}?")
        if family in FILES and not Path(what).exists():
            raise ValueError(f"member {text!r}: no file or folder {what}; {family} models are given by their path")
        _require_known(family, what, text)
        calculator, arguments = family, {"what": what, **arguments}
        shown = f"{family}-{Path(what).stem if family == 'mace' or what.endswith('.nqx') else Path(what).name}"
    elif re.fullmatch(r"\w+(\.\w+)+", name):
        calculator, shown = name, name.rpartition(".")[2]
    else:
        raise ValueError(
            f"member {text!r}: give {', '.join(f'{known}:…' for known in PACKAGES)}, or the import path of an ASE "
            "calculator, package.module.Class"
        )
    values = [str(v) for k, v in arguments.items() if k in ("modal", "model", "potential") and not isinstance(v, dict)]
    label = re.sub(r"[^\w.+-]+", "-", "-".join([shown, *(Path(value).name for value in values)]))
    return Member(label, calculator, arguments, python)


def _require_known(family: str, what: str, whole: str) -> None:
    known = KNOWN.get(family)
    if known is None or re.sub("^sevennet-", "7net-", what.lower()) in known:
        return
    paths = family == "sevennet"
    if not (paths and Path(what).exists()):
        raise ValueError(
            f"member {whole!r}: {what!r} is no model of {family}; there are {', '.join(known)}"
            f"{', or the path of a checkpoint' if paths else ''}"
        )


_PAIRS = re.compile(r"""(?:[^,\[\]"']|\[[^\]]*\]|"[^"]*"|'[^']*')+""")
"""What stands between commas, but for those in brackets and quotes."""


def _arguments(text: str, whole: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in filter(None, map(str.strip, _PAIRS.findall(text))):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ValueError(f"member {whole!r}: {pair!r} is not key=value")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value.strip()}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value.strip()
    return found


def needs_permission(member: Member) -> tuple[str, ...]:
    """What a gauge file may not make run without being allowed to: an interpreter, and weights that are code."""
    family, what = member.calculator, str(member.arguments.get("what", ""))
    pickled = family in PICKLES or (family == "sevennet" and Path(what).exists())
    root, dot, _ = family.partition(".")
    loads = [root] if dot and root in LOAD_WEIGHTS else []
    return (*([member.python] if member.python else []), *([family] if pickled else loads))


def identity(member: Member) -> str | None:
    """Digest of what determines the member's predictions; `None` where the version of its code is not known.

    Package and version, our adapter of it, arguments, and the contents of the files that arguments name; of a module in
    no package, its source. Code that is installed in place (`pip install -e`) has no version that tells it apart.
    """
    if member.calculator == LAMMPSLIB:  # its commands name files
        return None
    distribution = PACKAGES.get(member.calculator, "")
    try:
        found = _asked(member.python or sys.executable, distribution, member.calculator.partition(".")[0])
    except (OSError, subprocess.SubprocessError):
        return None
    if not found:
        return None
    parts = [member.calculator, found, json.dumps(dict(member.arguments), sort_keys=True, default=str)]
    if (adapter := MODELS / f"{member.calculator}.py").is_file():
        parts.append(file_hash(adapter))
    for value in _strings(filled(dict(member.arguments))):
        path = Path(value)
        if path.is_file():
            parts.append(file_hash(path))
        elif path.is_dir() and member.calculator in FILES:
            files = (each for each in sorted(path.rglob("*")) if each.is_file())
            parts += [f"{each.relative_to(path)} {file_hash(each)}" for each in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in _strings(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in _strings(each)]
    return [value] if isinstance(value, str) and value else []


PATIENCE = 60.0
"""Seconds that an interpreter has to tell what it has."""
LONGEST = 1 << 16
"""Bytes of what it tells."""
_VERSIONS = """
import ast, hashlib, sys
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

owners = packages_distributions()

def sources(name, seen):
    if name in seen or name in owners or name in sys.stdlib_module_names:
        return
    seen.add(name)
    spec = find_spec(name)
    if spec is None or not (spec.origin or "").endswith(".py"):
        return
    folders = spec.submodule_search_locations
    for path in sorted(Path(folders[0]).rglob("*.py")) if folders else [Path(spec.origin)]:
        text = path.read_bytes()
        yield text
        for node in ast.walk(ast.parse(text)):
            told = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                told = [node.module]
            for each in told:
                yield from sources(each.partition(".")[0], seen)

names = [sys.argv[1]] if sys.argv[1] else owners.get(sys.argv[2], [])
found = [distribution(name) for name in dict.fromkeys(names)]
if not any('"editable": true' in (each.read_text("direct_url.json") or "") for each in found):
    print(*(f"{each.metadata['Name']} {each.version}" for each in found))
if not names:
    digests = [hashlib.sha256(text).digest() for text in sources(sys.argv[2], set())]
    print(hashlib.sha256(b"".join(digests)).hexdigest() if digests else "")
"""


@lru_cache(maxsize=64)
def _asked(python: str, distribution: str, module: str) -> str:
    """`distribution version` of a distribution, or (`""`) of that of a module, in an environment.

    Of a module that is in no distribution, a digest of its source and that of all such modules that it imports. `""`
    where there is none, or where it is installed in place.
    """
    command = [interpreter(python), "-c", _VERSIONS, distribution, module]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} if python == sys.executable else {}
    nothing, environment = subprocess.DEVNULL, {**os.environ, **paths}
    with subprocess.Popen(command, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing, env=environment) as asked:
        assert asked.stdout is not None
        timer = Timer(PATIENCE, asked.kill)
        timer.start()
        try:
            said = asked.stdout.read(LONGEST)
        except BaseException:
            asked.kill()
            raise
        finally:
            timer.cancel()
        if len(said) == LONGEST:  # it is no Python, and may never end
            asked.kill()
    if asked.returncode:
        raise subprocess.CalledProcessError(asked.returncode, command)
    return said.decode("utf-8", "replace").strip()
