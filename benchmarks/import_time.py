"""`import assay`, and a gauge ready to load, beside `import numpy, scipy.linalg, ase`, each in a fresh interpreter: at
most 1.5 times as long. Public names are imported when they are first used.

python benchmarks/import_time.py [--quick] [--json FILE]
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

from timing import case, main, paired

LIMIT = 1.5


def interpreter(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], check=True)


def run(quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    def peer() -> None:
        interpreter("import numpy, scipy.linalg, ase")

    cases = []
    for name, statement in (("import", "import assay"), ("import of Gauge", "from assay import Gauge")):
        paired(partial(interpreter, statement), peer, 2)  # byte code and disk cache
        cases.append(case(name, paired(partial(interpreter, statement), peer, 9 if quick else 41), 1 / LIMIT))
    return cases, {}


if __name__ == "__main__":
    main(__doc__, run)
