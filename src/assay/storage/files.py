"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that it is there whole or not at all: temporary file beside it, fsync, rename."""
    path = Path(path)
    try:
        handle, name = mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def require_folders(*paths: str | Path | None) -> None:
    """Raise `FileNotFoundError` for the first output whose folder does not exist, before anything long is run."""
    for path in paths:
        if path is not None and not Path(path).parent.is_dir():
            raise FileNotFoundError(f"{path}: the folder {Path(path).parent} does not exist")


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write JSON atomically."""
    data = (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    write_atomically(path, lambda file: file.write(data))
