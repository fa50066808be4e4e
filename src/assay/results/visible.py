"""Text of others, such as names in files, made visible: what would steer a terminal or hide in a page is spelt out."""

from __future__ import annotations

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, all but tab and line feed
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # what turns or breaks a line
    "\ud800-\udfff]"  # half characters, as of names of files that are no UTF-8
)


def visible(text: str) -> str:
    r"""`text` with control characters, marks of direction and half characters as `\x1b`, `\u202e`, …"""
    return _STEERING.sub(lambda found: _spelt(found[0]), text)


def visible_name(text: str) -> str:
    r"""`visible` of what is on one line: tab and line feed as `\t`, `\n`."""
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def _spelt(character: str) -> str:
    code = ord(character)
    if character == "\r":
        return r"\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
