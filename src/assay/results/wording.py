"""Numbers of things in words."""

from __future__ import annotations


def many(count: int, noun: str) -> str:
    """`1 frame`, `2,000 frames`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
