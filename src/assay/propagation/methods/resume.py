"""The file of finished results: an interrupted run goes on where it was.

JSON lines. The first says what the file is of; each other one is one finished (property, member):

    {"format": "assay-propagate", "version": 2, "assay": "0.1.0", "source": "<sha256>", "label": "SNAP, 2J = 8 …"}
    {"property": "crystals:bcc", "settings": "<sha256>", "member": null, "start": {…}, "quantities": {…}}
    {"property": "crystals:bcc", "settings": "<sha256>", "member": 7, "quantities": {"bcc volume": {"value": 16.1, …}}}
    {"property": "crystals:bcc", "settings": "<sha256>", "member": 8, "failed": "not relaxed to …", "quantities": {}}

`member` null is the best fit, with the structures that members start from. Of what fails, `failed` says why, and
`quantities` has what is there all the same. Numbers are kept to the last bit. What has failed is not tried again,
except where a process died; another version of Assay starts another file. Each line ends with the SHA-256 of what is
before it, `, "sha256": "…"}`: a damaged one is refused. Files of version 1 have none. One process at a time has a file.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.io.jsonio import decode, encode

from assay.gauge.state import source_state
from assay.propagation.properties.function import Function
from assay.propagation.property import Property, Quantities, Quantity, Structures
from assay.propagation.result import Failed
from assay.sources.capabilities import Source
from assay.storage.files import named
from assay.storage.locks import lock
from assay.storage.provenance import versions

FORMAT = "assay-propagate"
VERSION = 2
WITHOUT_DIGESTS = 1
"""The version of files whose lines have none."""
_SEAL = re.compile(rb', "sha256": "([0-9a-f]{64})"}\n\Z')
BEGINNING = json.dumps({"format": FORMAT})[:-1].encode()
"""Of every such file."""
ELSE = "not a file of finished results; give another one to resume with"


@dataclass(frozen=True)
class Best:
    """A property with the best fit: its numbers, the structures that members start from, and why not all are there."""

    start: Structures
    quantities: Quantities
    missing: str = ""


Outcome = Best | Quantities | Failed
Key = tuple[str, int | None]
"""Name of a property; member, or `None` for the best fit."""
Record = Callable[[Key, Outcome], None]


@contextmanager
def resumed(
    path: str | Path | None, source: Source, properties: Sequence[Property]
) -> Iterator[tuple[dict[Key, Outcome], Record]]:
    """What the file has of these properties, and a function that adds to it; without a path, nothing and no-op.

    Raises `ValueError` for a file that is something else (it stays as it is), of another potential or version of Assay,
    or of another property by that name, and for a damaged one; `assay.storage.locks.Held` for one that another process
    has.
    """
    if path is None:
        yield {}, lambda key, outcome: None
        return
    settings = {each.name: digest([each, _code(type(each))]) for each in properties}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "assay": versions().get("assay"),
        "source": digest(source_state(source)),
    }
    path = Path(path)
    done: dict[Key, Outcome] = {}
    with path.open("a+b") as file:
        lock(file, path, "adding results to")
        file.seek(0)
        whole = 0
        sealed = True
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):  # an interrupted write
                if number == 1 and not (line.startswith(BEGINNING) or BEGINNING.startswith(line)):
                    raise ValueError(f"{path}: {ELSE}")
                break
            whole += len(line)
            row = _parsed(path, number, line)
            if number == 1:
                sealed = _readable(path, row) != WITHOUT_DIGESTS
            _require_whole(path, number, line, needed=sealed)
            if number == 1:
                _check(path, row, header)
                continue
            if row["property"] not in settings:
                continue
            if row["settings"] != settings[row["property"]]:
                raise ValueError(
                    f"{path}: line {number} has {row['property']} with other settings than these; give another file"
                )
            try:
                done[row["property"], row["member"]] = _outcome(row)
            except Exception as error:  # ASE's decoder raises anything
                raise ValueError(f"{path}: line {number} is damaged ({type(error).__name__}: {error})") from error
        file.truncate(whole)
        if not whole:
            _append(file, {**header, "label": source.label})

        def record(key: Key, outcome: Outcome) -> None:
            _append(file, {"property": key[0], "settings": settings[key[0]], "member": key[1], **_row(outcome)})

        yield done, record


def digest(value: Any) -> str:
    """SHA-256 of a tree of dataclasses, mappings, sequences, arrays, structures, functions (with their code) and JSON
    values."""
    return hashlib.sha256(json.dumps(_tree(value), sort_keys=True).encode()).hexdigest()


def _tree(value: Any) -> Any:
    if isinstance(value, Atoms):
        return _tree(value.todict())
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value).tobytes() if value.dtype != object else repr(value.tolist()).encode()
        return [str(value.dtype), value.shape, hashlib.sha256(data).hexdigest()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Function):
        return [value.path, value.unit, _code(value.code())]
    if is_dataclass(value) and not isinstance(value, type):
        settings = {each.name: _tree(getattr(value, each.name)) for each in fields(value) if each.compare}
        return [type(value).__qualname__, settings]
    if isinstance(value, Mapping):
        return {str(key): _tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item) for item in value]
    if callable(value):
        return [
            getattr(value, "__module__", ""),
            getattr(value, "__qualname__", type(value).__qualname__),
            _code(value),
        ]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _code(of: Any) -> str:
    """The source text of a function or class, empty where Python does not know it."""
    try:
        return inspect.getsource(of)
    except (OSError, TypeError):
        return ""


def _readable(path: Path, found: Mapping[str, Any]) -> object:
    """The version of the file; raises `ValueError` for one that is not known, and for a file of something else."""
    if found.get("format") != FORMAT:
        raise ValueError(f"{path}: {ELSE}")
    if (version := found.get("version")) not in (WITHOUT_DIGESTS, VERSION):
        raise ValueError(f"{path}: written in format {version}, this Assay reads up to {VERSION}; give another file")
    return version


def _check(path: Path, found: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    if (made := found.get("assay")) != header["assay"]:
        raise ValueError(f"{path}: results of Assay {made}, this is {header['assay']}; give another file")
    if found.get("source") != header["source"]:
        raise ValueError(f"{path}: results of another potential ({found.get('label')}); give another file")


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or (number > 1 and not _finished(row)):
        raise ValueError(f"{path}: line {number} is not a finished result; the file is damaged or something else")
    return row


def _require_whole(path: Path, number: int, line: bytes, *, needed: bool) -> None:
    """Raise `ValueError` for a line that is not as it was written."""
    seal = _SEAL.search(line)
    if seal is None and not needed and b"sha256" not in line:
        return
    if seal is None or hashlib.sha256(line[: seal.start()]).hexdigest().encode() != seal[1]:
        raise ValueError(
            f"{path}: line {number} is damaged, its checksum does not match; delete the line, and it is computed anew, "
            "or give another file"
        )


def _finished(row: Mapping[str, Any]) -> bool:
    """Whether a row has what it is of; the best fit, and it alone, has structures."""
    if not {"property", "settings", "member", "quantities"} <= set(row) or not isinstance(row["property"], str):
        return False
    return "start" in row if row["member"] is None else type(row["member"]) is int and "start" not in row


def _append(file: IO[bytes], row: Mapping[str, Any]) -> None:
    begun = json.dumps(row, ensure_ascii=False).encode()[:-1]
    with named(file.name):
        file.write(begun + b', "sha256": "%s"}\n' % hashlib.sha256(begun).hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())


def _row(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Failed(reason, quantities):
            return {"failed": reason, **_row(quantities)}
        case Best(start, quantities, missing):
            structures = {name: json.loads(encode(_bare(atoms))) for name, atoms in start.items()}
            return {"start": structures, **({"failed": missing} if missing else {}), **_row(quantities)}
    return {
        "quantities": {
            name: {
                "value": np.asarray(each.value, dtype=np.float64).tolist(),
                "unit": each.unit,
                "x": None if each.x is None else np.asarray(each.x, dtype=np.float64).tolist(),
                "x_label": each.x_label,
                "ticks": [[float(at), label] for at, label in each.ticks],
            }
            for name, each in outcome.items()
        }
    }


def _bare(atoms: Atoms) -> Atoms:
    bare = atoms.copy()
    bare.info = {}
    return bare


def _outcome(row: Mapping[str, Any]) -> Outcome:
    quantities = {
        name: Quantity(
            np.array(each["value"]) if isinstance(each["value"], list) else each["value"],
            each["unit"],
            None if each["x"] is None else np.array(each["x"]),
            each["x_label"],
            tuple((at, label) for at, label in each["ticks"]),
        )
        for name, each in row["quantities"].items()
    }
    if "start" in row:
        start = {name: decode(json.dumps(atoms)) for name, atoms in row["start"].items()}
        return Best(start, quantities, row.get("failed", ""))
    return Failed(row["failed"], quantities) if "failed" in row else quantities
