"""Sphinx configuration: Markdown pages, and docstrings whose tables, fences and `code` are Markdown as well."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

project = "Assay"
author = "The Assay developers"
release = metadata.version("assay")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Assay {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88

TABLE = re.compile(r"(?:^\|.*\|$\n?)+", re.M)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def markdown_to_rst(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are for people who read the source; rewrite, in place, what Sphinx reads otherwise."""
    text = "\n".join(lines)
    pieces, end = [], 0
    for block in sorted([*TABLE.finditer(text), *FENCE.finditer(text)], key=lambda match: match.start()):
        pieces += [inline(text[end : block.start()]), table(block[0]) if block.re is TABLE else fence(block)]
        end = block.end()
    lines[:] = "".join([*pieces, inline(text[end:])]).splitlines()


def inline(text: str) -> str:
    """`x` → ``x``; and a bar outside of it is a bar."""
    parts = text.split("`")
    return "".join(f"``{part}``" if i % 2 else part.replace("|", r"\|") for i, part in enumerate(parts))


def table(text: str) -> str:
    rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in text.strip().splitlines()]
    cells = [[inline(cell.strip().replace(r"\|", "|")) for cell in row] for row in (rows[0], *rows[2:])]
    body = "\n".join(f"   {'*' if j == 0 else ' '} - {cell}" for row in cells for j, cell in enumerate(row))
    return f"\n.. list-table::\n   :header-rows: 1\n\n{body}\n\n"


def fence(block: re.Match[str]) -> str:
    body = "".join(f"   {line}\n" for line in block[2].splitlines())
    return f"\n.. code-block:: {block[1]}\n\n{body}\n"


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", markdown_to_rst, priority=400)  # before napoleon's
