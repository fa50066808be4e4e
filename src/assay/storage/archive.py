"""The file format of a gauge: a zip of `.npy` arrays and one JSON, with a version and checksums. Data, never code.

A state is a tree of dictionaries and lists whose leaves are JSON values or arrays; arrays become members of the
archive, and the JSON refers to them by name.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from assay.storage.files import write_atomically
from assay.storage.npz import array_of, require_archive

FORMAT = "assay-gauge"
VERSION = 1


class GaugeFileError(ValueError):
    """A file that is not a gauge, is damaged, or is newer than this Assay."""


def save_state(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a state atomically."""
    arrays: dict[str, bytes] = {}

    def flatten(node: Any) -> Any:
        if isinstance(node, np.ndarray):
            name = f"arrays/{len(arrays)}.npy"
            buffer = io.BytesIO()
            np.save(buffer, node, allow_pickle=False)
            arrays[name] = buffer.getvalue()
            return {"$array": name, "sha256": hashlib.sha256(arrays[name]).hexdigest()}
        if isinstance(node, Mapping):
            return {str(key): flatten(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [flatten(value) for value in node]
        return node.item() if isinstance(node, np.generic) else node

    tree = json.dumps(flatten(state), sort_keys=True)
    manifest = {"format": FORMAT, "version": VERSION, "sha256": hashlib.sha256(tree.encode()).hexdigest()}

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo("manifest.json"), json.dumps(manifest))
            archive.writestr(zipfile.ZipInfo("state.json"), tree)
            for name, data in arrays.items():
                archive.writestr(zipfile.ZipInfo(name), data)

    write_atomically(path, write)


def load_state(path: str | Path) -> dict[str, Any]:
    """Read a state, or raise `GaugeFileError` (not a gauge, damaged, newer) or `FileNotFoundError`."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            require_archive(archive.infolist(), path.stat().st_size)
            manifest = json.loads(archive.read("manifest.json"))
            if manifest.get("format") != FORMAT:
                raise GaugeFileError(f"{path}: not a gauge file")
            if manifest["version"] > VERSION:
                raise GaugeFileError(
                    f"{path}: written in format {manifest['version']}, this Assay reads up to {VERSION}; "
                    f"upgrade with pip install --upgrade assay"
                )
            tree = archive.read("state.json")
            _check(path, "state.json", tree, manifest["sha256"])

            def unflatten(node: Any) -> Any:
                if isinstance(node, dict) and "$array" in node:
                    data = archive.read(node["$array"])
                    _check(path, node["$array"], data, node["sha256"])
                    return array_of(data)
                if isinstance(node, dict):
                    return {key: unflatten(value) for key, value in node.items()}
                return [unflatten(value) for value in node] if isinstance(node, list) else node

            state: dict[str, Any] = unflatten(json.loads(tree))
            return state
    except GaugeFileError:
        raise
    except Exception as error:  # reading a damaged archive may raise anything
        raise GaugeFileError(f"{path}: not a gauge file, or damaged ({type(error).__name__}: {error})") from error


def _check(path: Path, name: str, data: bytes, digest: str) -> None:
    if hashlib.sha256(data).hexdigest() != digest:
        raise GaugeFileError(f"{path}: damaged, the checksum of {name} does not match; build the gauge again")
