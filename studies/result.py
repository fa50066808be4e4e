"""What the studies share: how a result was made, and where it goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.storage.provenance import versions


def write_result(target: str | Path | None, command: Sequence[str], result: Mapping[str, Any]) -> None:
    """Write `result` with command, commit and versions as JSON: into a file, to stdout (`-`), or nowhere (`None`)."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    made = {"command": " ".join(["python", *command]), "commit": commit.stdout.strip(), "versions": versions()}
    text = json.dumps(made | dict(result), indent=1, ensure_ascii=False) + "\n"
    if target == "-":
        print(text, end="")
    elif target:
        Path(target).write_text(text, encoding="utf-8")
