"""Import what a spec or a file names, from modules that the user allows: a file is data, and may come from anyone."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

PATH = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
"""`package.module:name`."""


def import_path(given: Any) -> str:
    """`package.module:name` of a class or function that another process can import by it; `""` of any other."""
    module, name = getattr(given, "__module__", None) or "", getattr(given, "__qualname__", None) or ""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    path = f"{module}:{name}"
    return path if found is given and module != "__main__" and PATH.fullmatch(path) else ""


def import_allowed(what: str, path: str, allow_import: Sequence[str]) -> Any:
    """The object of `package.module:name`, or of `package.module.name`.

    | argument | meaning |
    |---|---|
    | what | it is, for the messages |
    | allow_import | modules (with all inside them) whose code may run |

    Raises `PermissionError` for code of a module that is not allowed, even where another one imports it;
    `ModuleNotFoundError` and `ValueError` where there is no such module, or no such name in it.
    """
    module, _, name = path.rpartition(":" if ":" in path else ".")
    _require_allowed(what, path, module, allow_import)
    try:
        found = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what}: {path} needs the module {error.name}, which is not installed or not on PYTHONPATH"
        ) from error
    except AttributeError as error:
        raise ValueError(f"{what}: {error}") from error
    _require_allowed(what, path, getattr(found, "__module__", None) or "", allow_import)
    return found


def _require_allowed(what: str, path: str, module: str, allow_import: Sequence[str]) -> None:
    if not any(module == allowed or module.startswith(f"{allowed}.") for allowed in allow_import):
        raise PermissionError(
            f"{what}: {path} is code of {module or 'no module'}, which is not allowed. If you trust it: "
            f"--allow-import {module.partition('.')[0]}"
        )
