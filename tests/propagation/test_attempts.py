"""A structure that fails costs what needs it, and nothing else: of members, and of the best fit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scaled_lj
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from scaled_lj import Several

from assay import Run, propagate
from assay.cli.propagate import show_propagation
from assay.frames.frame import FrameError
from assay.propagation.properties.energies import Energies
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.property import YES_OR_NO, NotConverged, OfStationaryPoints, Property, Quantity
from assay.propagation.result import Failed, Propagation, PropertyResult
from assay.propagation.tables import fixed, write_csv, write_latex, written


class Choosy(EMT):
    """Fails for some structures."""

    def __init__(self, refuses: Callable[[Atoms], bool]) -> None:
        super().__init__()
        self.refuses = refuses

    def calculate(self, atoms: Any = None, *arguments: Any) -> None:
        if self.refuses(atoms):
            raise FrameError("refused")
        super().calculate(atoms, *arguments)


def turned(atoms: Atoms) -> bool:
    return bool(np.ptp(atoms.cell.angles()) > 1)


def octahedral(atoms: Atoms) -> bool:
    return len(atoms) == 33 and np.allclose(atoms.get_scaled_positions()[-1], 0.25)


def frames() -> Energies:
    return Energies("energies:f", tuple(bulk("Cu", a=a) for a in (3.6, 3.5, 3.7)))


CASES: list[Any] = [
    ("crystals:fcc,hcp,sc", lambda a: len(a) == 2, "hcp"),
    ("crystals:hcp,fcc,sc", lambda a: len(a) == 2, "hcp"),
    pytest.param("elastic:fcc,hcp", lambda a: len(a) == 2, "hcp", marks=pytest.mark.properties),
    ("surfaces:100,111,thickness=6", lambda a: len(a) > 1 and turned(a), "(111)"),
    pytest.param(
        "interstitials:octahedral,tetrahedral,structure=fcc,size=2",
        octahedral,
        "octahedral",
        marks=pytest.mark.properties,
    ),
    ("path:bain,trigonal,points=3", turned, "bain"),
    ("energies", lambda a: a.get_volume() < 3.55**3 / 4, "frame 1"),
]


@pytest.mark.parametrize(("spec", "refuses", "failing"), CASES)
def test_the_other_structures_go_on(spec: str, refuses: Callable[[Atoms], bool], failing: str) -> None:
    property_: Property = frames() if spec == "energies" else property_from_spec(spec, ("Cu",))
    start = property_.start(EMT())
    whole = property_.quantities(EMT(), start)
    with pytest.raises(NotConverged, match="refused") as error:
        property_.quantities(Choosy(refuses), start)
    partial = error.value.partial
    assert set(partial) == {name for name in whole if failing not in name}
    for name, each in partial.items():
        assert np.asarray(each.value) == pytest.approx(np.asarray(whole[name].value), abs=1e-3)

    if spec.partition(":")[0] in ("path", "energies"):
        return  # nothing relaxes
    with pytest.raises(NotConverged, match="refused") as error:
        property_.start(Choosy(refuses))
    there = error.value.structures
    assert set(start) - set(there) == {failing}
    assert set(property_.quantities(EMT(), there)) == set(partial)
    if isinstance(property_, OfStationaryPoints):
        assert set(property_.stationary(there)) == set(there)


def test_a_crystal_without_a_modulus_keeps_its_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.propagation.properties.crystals.bulk_modulus", refuse)
    property_ = property_from_spec("crystals:fcc,sc", ("Cu",))
    with pytest.raises(NotConverged, match="no minimum of fcc; no minimum of sc") as error:
        property_.quantities(EMT(), property_.start(EMT()))
    assert {"fcc energy", "sc energy above fcc"} < set(error.value.partial)


def refuse(atoms: Atoms, calculator: Any, label: str) -> float:
    raise NotConverged(f"no minimum of {label}")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_member_that_fails_in_part_keeps_the_rest(workers: int, tmp_path: Path) -> None:
    whole = propagate(scaled_lj.gauge(), Several())["several"]
    bad = np.flatnonzero(whole["sc energy"].members > -1.2)
    assert 0 < len(bad) < 4
    kept = tmp_path / "kept.jsonl"
    for _ in range(2):  # computed, and from the file
        result = propagate(scaled_lj.gauge(), Several(limit=-1.2), run=Run(f"local:{workers}"), resume=kept)
        one = result["several"]
        assert one.failed == tuple((m, "sc: ran away") for m in bad)
        assert np.array_equal(one["fcc energy"].members, whole["fcc energy"].members)
        assert np.flatnonzero(np.isnan(one["sc energy"].members)).tolist() == bad.tolist()
        assert one["sc energy"].count == 5 - len(bad)
        assert one.in_part
    assert len(kept.read_text().splitlines()) == 7


def test_what_the_best_fit_does_not_give_is_left_out_and_said(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    for missing, reason in (("start", "sc: no start"), ("quantities", "sc: ran away")):
        for _ in range(2):
            result = propagate(scaled_lj.gauge(), Several(missing, best=missing), resume=kept)[missing]
            assert list(result.quantities) == ["fcc energy"]
            assert result["fcc energy"].count == 5
            assert result.failed == ()
            assert result.notes == (f"left out, as the best fit does not give it: {reason}",)


def test_tables_say_how_many_members_gave_each_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = propagate(scaled_lj.gauge(), Several(limit=-1.2))
    some = result["several"]["sc energy"].count
    write_csv(tmp_path / "t.csv", result)
    write_latex(tmp_path / "t.tex", result)
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text("utf-8").splitlines()))
    assert [row["members"] for row in rows] == ["5", str(some)]
    tex = (tmp_path / "t.tex").read_text("ascii")
    assert rf"& {some} \\" in tex
    assert r"& 5 \\" in tex
    show_propagation(result)
    shown = capsys.readouterr().out
    assert f"{some} of 5 members gave all" in shown
    assert [line.split("│")[-2].strip() for line in shown.splitlines() if "energy" in line] == ["5", str(some)]
    told = json.loads(json.dumps(result.summary(), allow_nan=False))["properties"]["several"]
    assert [row["reason"] for row in told["failed"]] == ["sc: ran away"] * (5 - some)
    assert told["quantities"]["sc energy"]["count"] == some


def test_what_is_yes_or_no_is_a_share(tmp_path: Path) -> None:
    yes, no = {"kept": Quantity(1.0, YES_OR_NO)}, {"kept": Quantity(0.0, YES_OR_NO)}
    one = PropertyResult.collect("p", yes, [yes, no, yes, yes, Failed("no")])
    assert written(one["kept"]) == ("yes", "75\N{NO-BREAK SPACE}% yes", "–", "–")
    write_latex(tmp_path / "t.tex", Propagation("s", "resample", 5, {"p": one}))
    assert r"kept & yes or no & yes & 75~\% yes & -- & -- \\" in (tmp_path / "t.tex").read_text("ascii")


def test_zero_has_no_sign() -> None:
    assert (fixed(-1e-9, 3), fixed(-0.5, 1)) == ("0.000", "−0.5")
