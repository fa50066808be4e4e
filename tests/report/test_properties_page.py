"""The page of properties: what it says of values, references, failures and order, and that it stays one sound file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_reader import Page

from assay.propagation.property import Quantities, Quantity
from assay.propagation.result import Failed, Propagation, PropertyResult
from assay.report.properties.write import write_properties_report

X = np.linspace(0.0, 1.0, 6)


def quantities(shift: float, names: tuple[str, ...] = ("bcc", "fcc", "hcp")) -> Quantities:
    found = {f"{name} energy": Quantity(0.1 * i * (1 - shift) + shift, "eV/atom") for i, name in enumerate(names)}
    found["gap"] = Quantity(1.0 + shift, "eV")
    found["fixed"] = Quantity(3.0, "")
    found["path"] = Quantity(X**2 * (1 + shift), "eV", X, "p", ((0.0, "A"), (1.0, "B")))
    return found


def made(members: int = 12, name: str = "crystals:bcc,fcc,hcp", reason: str = "ran away") -> Propagation:
    rng = np.random.default_rng(2)
    others: list[Quantities | Failed] = [quantities(float(shift)) for shift in rng.normal(0, 0.3, members - 1)]
    result = PropertyResult.collect(name, quantities(0.0), [*others, Failed(reason)], ["one note"])
    return Propagation("SNAP", "resample", members, {name: result}, (("phonons:bcc", "no start"),))


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    def write(result: Propagation, **more: Any) -> str:
        path = tmp_path / "properties.html"
        write_properties_report(path, result, **({"references": {}, "provenance": {"Potential": "SNAP"}} | more))
        return path.read_text("utf-8")

    return write


def sound(text: str) -> Page:
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "#0102" not in text, "no stand-in colour is left"
    assert "Content-Security-Policy" in text
    return page


def test_it_shows_values_bars_members_and_failures(written: Callable[..., str]) -> None:
    result = made()
    page = sound(written(result))
    one = result["crystals:bcc,fcc,hcp"]
    shown = dict(zip(page.column("property-0-table", "Quantity"), page.column("property-0-table", "Std"), strict=True))
    assert shown["gap"] == f"{one['gap'].std:.2f}"
    assert page.column("property-0-table", "Members") == ["11"] * 5
    assert "11 of 12 members gave this property" in page.text["property-0"]
    assert "one note" in page.text["property-0"]
    assert "member 11" in page.text["failed"]
    assert "ran away" in page.text["failed"]
    assert "phonons:bcc: no start" in page.text["not-computed"]
    headings = {
        page.text[id].split("A")[0] for id in page.ids if id.startswith("property-0-n") and id.endswith("panel")
    }
    assert len(headings) == 4  # path, energies, gap, order; nothing of what does not vary


def test_references_are_drawn_and_counted(written: Callable[..., str]) -> None:
    result = made()
    name = "crystals:bcc,fcc,hcp"
    known = {name: {"gap": np.array(1.1), "fcc energy": np.array(9.0), "path": X**2}}
    text = written(result, references=known)
    page = sound(text)
    bracketed = dict(
        zip(page.column("property-0-table", "Quantity"), page.column("property-0-table", "Bracketed"), strict=True)
    )
    assert bracketed["gap"] == "yes"
    assert bracketed["fcc energy"] == "no"
    assert bracketed["bcc energy"] == "–"
    assert "Against the references" in page.text["property-0"]
    assert text.count(">reference<") == 3
    assert written(result).count(">reference<") == 0


def test_pairs_say_how_surely_they_keep_their_order(written: Callable[..., str]) -> None:
    result = made()
    one = result["crystals:bcc,fcc,hcp"]
    page = sound(written(result))
    share = np.mean([each["bcc energy"] < each["fcc energy"] for each in _members(one)])
    cell = page.column("property-0-order-0", "fcc")[0]
    assert cell.replace("\N{NO-BREAK SPACE}", " ") == f"{100 * share:.1f} %"


def _members(one: PropertyResult) -> list[dict[str, float]]:
    kept = np.isfinite(one["gap"].members)
    return [{name: float(each.members[m]) for name, each in one.scalars.items()} for m in np.flatnonzero(kept)]


def test_names_are_text_and_the_same_input_gives_the_same_bytes(written: Callable[..., str]) -> None:
    evil = '"><script>alert(1)</script><img src=http://evil.example/x>'
    result = made(name=evil, reason=evil)
    text = written(result)
    page = sound(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert evil in page.text["property-0"]
    assert written(made(name=evil, reason=evil)) == text


def test_hundreds_of_members_make_no_huge_page(written: Callable[..., str]) -> None:
    few, many = len(written(made(20))), len(written(made(500)))
    assert many < few + 400_000
    assert re.search(r"500 members", written(made(500)))
