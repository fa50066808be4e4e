"""Ensembles of universal potentials and their distillation: the claims of Liu et al. (arXiv:2507.21297) beside ours.

    python studies/liu2025.py PART [--quick] [--data DIR] [--json FILE] …

A part is a module `liu_PART.py` beside this file with `add_arguments(parser)` and `run(args)`, whose result is
JSON-ready; its docstring says what it does, and `PART --help` what its options are.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

from result import write_result

PARTS = sorted(path.stem.removeprefix("liu_") for path in Path(__file__).parent.glob("liu_*.py"))


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    part = parser.parse_args(words[:1]).part
    module = import_module(f"liu_{part}")
    parser = argparse.ArgumentParser(
        prog=f"liu2025.py {part}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the short version")
    parser.add_argument("--data", default=os.environ.get("ASSAY_DATA", "."), metavar="DIR", help="default $ASSAY_DATA")
    parser.add_argument("--json", metavar="FILE", help="- is stdout")
    module.add_arguments(parser)
    args = parser.parse_args(words[1:])
    try:
        with redirect_stdout(sys.stderr if args.json == "-" else sys.stdout):
            result = module.run(args)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    write_result(args.json, ["studies/liu2025.py", *words], result)


if __name__ == "__main__":
    main(sys.argv[1:])
