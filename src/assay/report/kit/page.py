"""What the templates of all pages share."""

from __future__ import annotations

import re
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from assay.results.visible import visible


def environment() -> Environment:
    """Templates of this package; everything that is put into them is text, never markup."""
    made = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    made.filters["bound"] = _bound
    return made


def _visible(value: object) -> object:
    """Text of others without characters that hide or turn it; markup that the kit made stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _text(name: str) -> str:
    """A file of `assay/report`."""
    return files("assay.report").joinpath(name).read_text(encoding="utf-8")


def _bound(text: str) -> str:
    """`text` with numbers and their units kept on one line."""
    text = re.sub(r"(?<=\d) (?=%|eV|meV)", "\N{NO-BREAK SPACE}", text)
    return text.replace("eV/", "eV/\N{WORD JOINER}")
