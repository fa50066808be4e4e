"""Run the code blocks of pages of the documentation in order; the first that fails ends it.

    python docs/run_blocks.py PAGE.md …             # run them
    python docs/run_blocks.py --refresh PAGE.md …   # and rewrite the ```text block that follows a block: what it prints

All blocks of a page run in one temporary folder: `python` blocks share their names, `sh` blocks their variables.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BLOCK = re.compile(r"^```(?P<language>python|sh)\n(?P<code>.*?)^```\n(?P<output>\n```text\n.*?^```\n)?", re.M | re.S)
SHELL = "set -euo pipefail; set -a; touch .variables; . ./.variables\n{code}\nexport -p > .variables"


def run(page: Path) -> str:
    """Run the blocks of a page; returns its text with the printed outputs of this run."""
    text = page.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    with TemporaryDirectory() as folder, chdir(folder):

        def fresh(block: re.Match[str]) -> str:
            place = f"{page.name}:{text.count(chr(10), 0, block.start()) + 1}"
            run_block = python if block["language"] == "python" else shell
            printed = run_block(block["code"], place, names).replace(f"{folder}/", "")
            if block["output"] is None:
                return block[0]
            lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
            if warned := [line for line in lines if line.startswith("warning:")]:
                sys.exit(f"{place}: {warned[0]}")
            code = block[0].removesuffix(block["output"])
            return f"{code}\n```text\n{chr(10).join(lines)}\n```\n"

        return BLOCK.sub(fresh, text)


def python(code: str, place: str, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, place, "exec"), names)
    return printed.getvalue()


def shell(code: str, place: str, names: dict[str, Any]) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", SHELL.format(code=code)],
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{place}: exit code {done.returncode}\n{code}\n{done.stdout}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE.md")
    arguments = parser.parse_args()
    for page in arguments.pages:
        text = run(page.resolve())
        if arguments.refresh:
            page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
