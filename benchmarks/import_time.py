"""`import assay` beside `import numpy, scipy.linalg, ase`, each in a fresh interpreter: at most 1.5 times as long.

python benchmarks/import_time.py [--quick] [--json FILE]
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from timing import case, main, paired

LIMIT = 1.5


def interpreter(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], check=True)


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    def ours() -> None:
        interpreter("import assay")

    def peer() -> None:
        interpreter("import numpy, scipy.linalg, ase")

    paired(ours, peer, 2)  # byte code and disk cache
    return [case("import", paired(ours, peer, 9 if quick else 41), 1 / LIMIT)], {}


if __name__ == "__main__":
    main(__doc__, run)
