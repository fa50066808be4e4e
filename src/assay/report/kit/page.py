"""What the templates of all pages share."""

from __future__ import annotations

import re
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


def environment() -> Environment:
    """Templates of this package; everything that is put into them is text, never markup."""
    made = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["bound"] = _bound
    return made


def _text(name: str) -> str:
    """A file of `assay/report`."""
    return files("assay.report").joinpath(name).read_text(encoding="utf-8")


def _bound(text: str) -> str:
    """`text` with numbers and their units kept on one line."""
    text = re.sub(r"(?<=\d) (?=%|eV|meV)", "\N{NO-BREAK SPACE}", text)
    return text.replace("eV/", "eV/\N{WORD JOINER}")
