"""Resampling, its statistics, failures, resuming, and what comes out."""

from __future__ import annotations

import csv
import json
import linecache
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scaled_lj
from ase.build import bulk
from ase.calculators.calculator import Calculator
from scaled_lj import EPSILON, SIGMA, Fragile, Lattice, curvature
from scipy.stats import spearmanr

from assay import Run, propagate
from assay.propagation.members import member_calculator
from assay.propagation.methods.resume import resumed
from assay.propagation.methods.workers import Died, as_completed
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.property import Quantity
from assay.propagation.ranking import alike, ranking, rankings
from assay.propagation.references import against, mean_ratios
from assay.propagation.result import Failed, Propagated, Propagation, PropertyResult, difference
from assay.propagation.tables import write_csv, write_latex
from assay.verbs.propagate import UnknownReference

ASSAY = str(Path(sys.executable).parent / "assay")


@pytest.fixture(scope="module")
def whole() -> Propagation:
    return propagate(scaled_lj.gauge(), Lattice())


@pytest.fixture
def lattice(whole: Propagation) -> PropertyResult:
    return whole["lattice"]


def test_error_bars_scale_as_lengths_and_energies_do(lattice: PropertyResult) -> None:
    for structure in ("fcc", "bcc", "sc"):
        a, energy = lattice[f"{structure} a"], lattice[f"{structure} energy"]
        reduced = a.members[0] / SIGMA[0], energy.members[0] / EPSILON[0]
        assert a.members == pytest.approx(reduced[0] * SIGMA, rel=1e-4)  # forces below 1e-3 eV/Å
        assert float(a.std) == pytest.approx(reduced[0] * SIGMA.std(ddof=1), rel=2e-3)
        assert float(energy.std) == pytest.approx(abs(reduced[1]) * EPSILON.std(ddof=1), rel=1e-4)
        assert float(a.high) == pytest.approx(reduced[0] * SIGMA.max(), rel=1e-4)
        assert a.unit == "Å"


def test_the_value_is_that_of_the_best_fit_not_the_mean_of_the_members(lattice: PropertyResult) -> None:
    fixed = lattice["energy at 3.6 Å"]
    assert float(fixed.value) == pytest.approx(fixed.members.mean())  # linear: the mean potential
    a = lattice["fcc a"]
    assert abs(a.value - a.mean) > 1e-3  # a relaxed length is not
    assert a.low <= a.value <= a.high


def test_a_curve_has_error_bars_point_by_point(lattice: PropertyResult) -> None:
    curve = lattice["energy of strain"]
    assert curve.members.shape == (5, 5)
    assert curve.value[2] == lattice["energy at 3.6 Å"].value
    assert curve.std == pytest.approx([np.std(curve.members[:, i], ddof=1) for i in range(5)])
    assert np.all(curve.low <= curve.members.min(axis=0))
    assert list(lattice.curves) == ["energy of strain"]


def test_a_difference_keeps_the_correlation(lattice: PropertyResult) -> None:
    gap = lattice.difference("bcc energy", "fcc energy")
    reduced = gap.members[0] / EPSILON[0]
    assert float(gap.std) == pytest.approx(abs(reduced) * EPSILON.std(ddof=1), rel=1e-4)
    apart = np.hypot(lattice["bcc energy"].std, lattice["fcc energy"].std)
    assert gap.std < apart / 10
    names = list(lattice.scalars)
    assert lattice.correlation[names.index("bcc energy"), names.index("fcc energy")] == pytest.approx(1.0)


def test_members_can_be_fewer(lattice: PropertyResult) -> None:
    few = propagate(scaled_lj.gauge(), Lattice(structures=("fcc",)), members=3)["lattice"]
    assert np.array_equal(few["fcc a"].members, lattice["fcc a"].members[:3])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_member_that_fails_is_counted_and_left_out(workers: int) -> None:
    limit = -1.9
    whole = propagate(scaled_lj.gauge(), Fragile())["fragile"]["energy"].members
    bad = np.flatnonzero(whole > limit)
    assert 0 < len(bad) < 4
    result = propagate(scaled_lj.gauge(), Fragile(limit=limit), run=Run(f"local:{workers}"))["fragile"]
    assert result.failed == tuple((m, "ran away") for m in bad)
    kept = np.delete(whole, bad)
    assert result["energy"].count == len(kept)
    assert float(result["energy"].std) == np.std(kept, ddof=1)
    assert np.isnan(result["energy"].members[bad]).all()
    raised = propagate(scaled_lj.gauge(), Fragile(limit=limit, fails="raise"))["fragile"]
    assert {reason for _, reason in raised.failed} == {"ZeroDivisionError: of a foreign code"}


def test_a_member_whose_process_dies_fails_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    asked = [Fragile(limit=-1.9, fails="crash"), Fragile("sound")]
    result = propagate(scaled_lj.gauge(), asked, run=Run("local:2"), resume=kept)
    failed = dict(result["fragile"].failed)
    assert failed
    assert all("exit code 7" in reason for reason in failed.values())
    assert result["sound"]["energy"].count == 5
    assert result["fragile"]["energy"].count == 5 - len(failed)
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(rows) == 1 + 2 + 10 - len(failed)  # a death may have had other causes: it is tried again


def test_a_property_that_the_best_fit_does_not_give_costs_only_itself() -> None:
    result = propagate(scaled_lj.gauge(), [Fragile("a", fails="at the start"), Fragile("b")])
    assert result.failed == (("a", "no start"),)
    assert list(result.properties) == ["b"]
    with pytest.raises(RuntimeError, match=r"no property could be computed; a: no start"):
        propagate(scaled_lj.gauge(), Fragile("a", fails="at the start"))


def test_members_do_not_go_to_an_executor_of_the_user() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="give local:N"):
        propagate(scaled_lj.gauge(), curvature, run=Run(pool))


def test_workers_give_the_numbers_of_one_process(lattice: PropertyResult) -> None:
    both = propagate(scaled_lj.gauge(), [Lattice(structures=("fcc",)), curvature], run=Run("local:2"))
    for name, each in both["lattice"].quantities.items():
        assert np.array_equal(each.members, lattice[name].members)


def test_a_plain_function_is_a_property() -> None:
    found = next(iter(propagate(scaled_lj.gauge(), curvature).properties.values()))["curvature"]
    expected = [curvature(member_calculator(scaled_lj.gauge().source, m))["curvature"] for m in range(5)]
    assert found.members == pytest.approx(expected)
    with pytest.raises(ValueError, match="other processes"):
        propagate(scaled_lj.gauge(), lambda calculator: 1.0, run=Run("local:2"))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    log, kept = tmp_path / "log", tmp_path / "kept.jsonl"
    asked = Fragile(limit=-1.9, log=str(log))
    whole = propagate(scaled_lj.gauge(), asked, resume=kept)
    assert len(lines(log)) == 6
    text = kept.read_text()
    cut = text.splitlines(keepends=True)
    kept.write_text("".join(cut[:4]) + cut[4][:25])  # the best fit, two members, and a torn line
    again = propagate(scaled_lj.gauge(), asked, resume=kept)
    assert len(lines(log)) == 6 + 3
    assert kept.read_text() == text
    assert np.array_equal(again["fragile"]["energy"].members, whole["fragile"]["energy"].members, equal_nan=True)
    assert again["fragile"].failed == whole["fragile"].failed
    propagate(scaled_lj.gauge(), [asked, Fragile("more", log=str(log))], resume=kept)
    assert len(lines(log)) == 6 + 3 + 6


def test_curves_and_structures_survive_the_file(tmp_path: Path, lattice: PropertyResult) -> None:
    kept = tmp_path / "kept.jsonl"
    propagate(scaled_lj.gauge(), Lattice(structures=("fcc",)), members=2, resume=kept)
    again = propagate(scaled_lj.gauge(), Lattice(structures=("fcc",)), resume=kept)["lattice"]
    for name, each in again.quantities.items():
        assert np.array_equal(each.members, lattice[name].members)
        assert np.array_equal(each.value, lattice[name].value)
    assert np.array_equal(again["energy of strain"].x, scaled_lj.GRID)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    propagate(scaled_lj.gauge(), Fragile(), resume=kept)
    before = kept.read_text()
    with pytest.raises(ValueError, match="another potential"):
        propagate(scaled_lj.gauge(4), Fragile(), resume=kept)
    with pytest.raises(ValueError, match="fragile with other settings"):
        propagate(scaled_lj.gauge(), Fragile(pause=0.001), resume=kept)
    assert kept.read_text() == before
    kept.write_text(before.replace('"member": 1', '"member", 1'))
    with pytest.raises(ValueError, match="line 4 is not a finished result"):
        propagate(scaled_lj.gauge(), Fragile(), resume=kept)
    for text in ("hello\n", "hello", '{"mine": 1}', '{"mine": 1}\n', "[1]\n"):
        kept.write_text(text)
        with pytest.raises(
            ValueError, match=r"kept.jsonl: (line 1 is not a finished result|not a file of finished results)"
        ):
            propagate(scaled_lj.gauge(), Fragile(), resume=kept)
        assert kept.read_text() == text


def test_a_torn_header_is_written_again(tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    propagate(scaled_lj.gauge(), Fragile(), resume=whole)
    for end in (0, 7, 60):
        torn.write_text(whole.read_text()[:end])
        propagate(scaled_lj.gauge(), Fragile(), resume=torn)
        assert torn.read_text() == whole.read_text()


def without_checksums(text: str) -> str:
    """As version 1 has it."""
    return re.sub(', "sha256": "[0-9a-f]{64}"}', "}", text).replace('"version": 2', '"version": 1')


def test_a_file_without_checksums_goes_on(tmp_path: Path) -> None:
    log, kept = tmp_path / "log", tmp_path / "kept.jsonl"
    whole = propagate(scaled_lj.gauge(), Fragile(log=str(log)), resume=kept)
    cut = without_checksums(kept.read_text()).splitlines(keepends=True)
    kept.write_text("".join(cut[:4]))
    for _ in range(2):
        again = propagate(scaled_lj.gauge(), Fragile(log=str(log)), resume=kept)
        assert np.array_equal(again["fragile"]["energy"].members, whole["fragile"]["energy"].members)
    assert len(lines(log)) == 6 + 3
    assert kept.read_text().count("sha256") == 3


def test_no_changed_bit_is_taken_for_a_result(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    propagate(scaled_lj.gauge(), Fragile(), members=2, resume=kept)
    whole = kept.read_bytes()
    rng = np.random.default_rng(0)
    places = [int(at) for at in rng.integers(len(whole) - 1, size=150)]
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        kept.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"kept\.jsonl: "):
            propagate(scaled_lj.gauge(), Fragile(), members=2, resume=kept)
    kept.write_bytes(whole.replace(b'"member": 1, ', b'"member": 0, ', 1))
    with pytest.raises(ValueError, match=r"kept\.jsonl: line 4 is damaged, its checksum does not match"):
        propagate(scaled_lj.gauge(), Fragile(), members=2, resume=kept)


def test_one_process_at_a_time_has_the_file(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    gauge = scaled_lj.gauge()
    with resumed(kept, gauge.source, [Fragile()]) as (_, record):
        record(("fragile", 0), Failed("not this time"))
        before = kept.read_bytes()
        with pytest.raises(OSError, match=r"kept\.jsonl: another process is adding results to it; wait"):
            propagate(gauge, Fragile(), members=2, resume=kept)
        assert kept.read_bytes() == before
    assert propagate(gauge, Fragile(), members=2, resume=kept)["fragile"].failed


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version": 1', '"version": 3', "format 3"),
        ('"version": 1, ', "", "format None"),
        ('"assay": "', '"assay": "9', "results of Assay 9"),
        ('"source": "', '"origin": "', "another potential"),
        ('"member": 0', '"member": [0]', "line 3 is not a finished result"),
        ('"member": 0', '"member": null', "line 3 is not a finished result"),
        ('"member": null', '"member": 9', "line 2 is not a finished result"),
        ('"unit"', '"Unit"', "line 2 is damaged"),
        ('"start": {', '"start": 1, "more": {', "line 2 is damaged"),
    ],
)
def test_damage_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    """Of a file without checksums."""
    kept = tmp_path / "kept.jsonl"
    propagate(scaled_lj.gauge(), Fragile(), members=2, resume=kept)
    text = without_checksums(kept.read_text())
    assert old in text
    kept.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"kept.jsonl: .*{message}"):
        propagate(scaled_lj.gauge(), Fragile(), members=2, resume=kept)


def test_an_edited_function_is_another_one(tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(mine)
    asked = {"run": Run(allow_import=("mine_too",)), "members": 2, "resume": tmp_path / "kept.jsonl"}
    for body in ("return 1.0", "return 2.0"):
        (mine / "mine_too.py").write_text(f"def f(calculator):\n    {body}\n")
        sys.modules.pop("mine_too", None)
        linecache.clearcache()
        invalidate_caches()
        if body == "return 1.0":
            propagate(scaled_lj.gauge(), "function:mine_too.f", **asked)
    with pytest.raises(ValueError, match=r"function:mine_too.f with other settings"):
        propagate(scaled_lj.gauge(), "function:mine_too.f", **asked)


def test_no_reference_costs_the_results(tmp_path: Path) -> None:
    asked = {"reference": {"fragile": {"energy": -2.0, "mass": 1.0}}, "json_file": tmp_path / "r.json"}
    with pytest.raises(UnknownReference, match="'mass': there are energy") as caught:
        propagate(scaled_lj.gauge(), Fragile(), csv=tmp_path / "t.csv", **asked)
    assert json.loads((tmp_path / "r.json").read_text())["properties"]["fragile"]["quantities"]
    assert "-2.0" in (tmp_path / "t.csv").read_text()
    assert caught.value.result["fragile"]["energy"].count == 5


def test_what_is_wrong_is_said_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    for arguments in ({"reference": {"other": {}}}, {"reference": {"fragile": {"energy": None}}}, {"element": "W"}):
        with pytest.raises(ValueError, match=r"'other'|needed finite|element=W: the potential knows Cu"):
            propagate(scaled_lj.gauge(), Fragile(log=str(log)), **arguments)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("assay.report.")]:  # they may hold it already
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=r"the report needs (matplotlib|jinja2), which is not installed"):
        propagate(scaled_lj.gauge(), Fragile(log=str(log)), report=tmp_path / "r.html")
    assert not log.exists()


def test_an_element_is_the_default_of_prototypes() -> None:
    species = ["Cu", "Ni"]
    found = property_from_spec("crystals:fcc", species, element="Ni")
    assert found.name == "crystals:fcc"
    of = {spec: property_from_spec(spec, species, element="Ni") for spec in ("crystals:fcc", "crystals:fcc,element=Cu")}
    assert [set(each.structures[0].atoms.symbols) for each in of.values()] == [{"Ni"}, {"Cu"}]
    for spec, element in (("crystals:fcc,element=W", None), ("crystals:fcc", "W")):
        with pytest.raises(ValueError, match="element=W: the potential knows Cu, Ni"):
            property_from_spec(spec, species, element=element)
    assert property_from_spec("function:a.b", species, element="Ni").name == "function:a.b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": 6}, "6 members of an ensemble of 5"),
        ({"members": 1}, "1 members of an ensemble of 5"),
        ({"properties": [Fragile(), Fragile()]}, "asked for twice: fragile"),
        ({"properties": "magic:bcc"}, "unknown property 'magic'"),
        ({"properties": "crystals:bcc,a=1,a=2"}, "given twice"),
        ({"reference": {"other": {}}}, "reference of 'other': there are fragile"),
        ({"reference": {"fragile": {"mass": 1.0}}}, "'mass': there are energy"),
        ({"reference": {"fragile": {"energy": [1.0, 2.0]}}}, "shape"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        propagate(scaled_lj.gauge(), **{"properties": Fragile(), **arguments})


def test_a_source_without_members_is_refused() -> None:
    with pytest.raises(ValueError, match="needs two members or more"):
        propagate(scaled_lj.gauge(1), Fragile())


def test_a_member_with_other_quantities_has_failed() -> None:
    best = {"a": Quantity(1.0, "Å"), "c": Quantity(np.zeros(3), "eV", np.arange(3.0))}
    others = [
        {"a": Quantity(1.0, "Å")},
        {**best, "c": Quantity(np.zeros(2), "eV", np.arange(2.0))},
        {**best, "c": Quantity(np.zeros(3), "eV", np.arange(3.0) + 1)},
        best,
    ]
    result = PropertyResult.collect("p", best, others)
    assert [member for member, _ in result.failed] == [0, 1, 2]
    assert (result["a"].count, result["c"].count) == (4, 1)
    assert result.failed[0][1] == "c is not there"
    more = PropertyResult.collect("p", others[0], [best])
    assert (more.failed, list(more.quantities)) == ((), ["a"])


def test_a_number_that_is_not_finite_is_left_out_alone() -> None:
    best = {"a": Quantity(1.0, "Å"), "b": Quantity(2.0, "Å")}
    members = [{"a": Quantity(x, "Å"), "b": Quantity(y, "Å")} for x, y in [(1, 2), (3, np.nan), (5, 4)]]
    result = PropertyResult.collect("p", best, members)
    assert result["a"].count == 3
    assert result["b"].count == 2
    assert float(result["b"].std) == pytest.approx(np.sqrt(2))
    assert result.failed == ((1, "b is not finite"),)
    assert json.loads(json.dumps(result.summary(), allow_nan=False))["quantities"]["b"]["members"] == [2.0, None, 4.0]


NO_NUMBERS = [np.nan, np.inf, None, {}, [], [1.0, np.nan], "x"]


@pytest.mark.parametrize("bad", NO_NUMBERS, ids=repr)
def test_a_member_without_a_number_has_failed(bad: Any) -> None:
    def wild(calculator: Calculator) -> Any:
        value = scaled_lj.energy(bulk("Cu", a=3.6), calculator)
        return bad if value > -1.9 else value

    energies = propagate(scaled_lj.gauge(), Fragile())["fragile"]["energy"].members
    (found,) = propagate(scaled_lj.gauge(), wild).properties.values()
    assert [member for member, reason in found.failed if reason] == list(np.flatnonzero(energies > -1.9))
    (wild_energy,) = found.quantities.values()
    assert wild_energy.finite == pytest.approx(energies[energies <= -1.9])


@pytest.mark.parametrize("bad", NO_NUMBERS, ids=repr)
def test_a_best_fit_without_a_number_fails(bad: Any) -> None:
    def wild(calculator: Calculator) -> Any:
        return bad

    with pytest.raises(RuntimeError, match=r"no property could be computed; .*wild: .*(number|not finite)"):
        propagate(scaled_lj.gauge(), wild)


def test_what_of_the_best_fit_is_not_finite_is_left_out_and_said() -> None:
    def half(calculator: Calculator) -> Any:
        return {"fine": 1.0, "wild": np.inf}

    (found,) = propagate(scaled_lj.gauge(), half).properties.values()
    assert list(found.quantities) == ["fine"]
    assert found.notes == ("left out, as the best fit does not give it: wild is not finite",)


def test_too_few_members_have_no_error_bar() -> None:
    best = {"a": Quantity(1.0, "Å")}
    result = PropertyResult.collect("p", best, [best, Failed("no"), Failed("no")])
    assert np.isnan(result["a"].std)
    assert float(result["a"].mean) == 1.0
    none = PropertyResult.collect("p", best, [Failed("no")] * 3)["a"]
    assert np.isnan(none.mean)
    assert none.low == none.high == 1.0


def test_differences_of_unlike_things_are_refused() -> None:
    a = Propagated("a", "eV", np.array(1.0), np.ones(3))
    with pytest.raises(ValueError, match="a is in eV, b in Å"):
        difference(a, Propagated("b", "Å", np.array(1.0), np.ones(3)))
    with pytest.raises(ValueError, match="members of shape"):
        difference(a, Propagated("b", "eV", np.array(1.0), np.ones(4)))


def test_ranking_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    value = rng.normal(size=7)
    members = value + rng.normal(size=(20, 7))
    members[4] = np.nan
    found = ranking("energy", tuple("abcdefg"), value, members)
    kept = np.delete(np.arange(20), 4)
    assert found.spearman[kept] == pytest.approx([spearmanr(value, members[m])[0] for m in kept])
    assert np.isnan(found.spearman[4])
    i, j = 2, 5
    share = np.mean([(members[m, i] < members[m, j]) == (value[i] < value[j]) for m in kept])
    assert found.same_order[i, j] == found.same_order[j, i] == pytest.approx(share)


def test_like_numbers_are_those_that_differ_in_one_word() -> None:
    units = dict.fromkeys(("bcc energy", "fcc energy above bcc", "hcp energy above bcc", "fcc energy"), "eV/atom")
    units |= {"bcc a": "Å", "hcp a": "Å", "hcp c": "Å", "fcc bulk modulus": "GPa", "gap": "eV", "width": "eV"}
    assert alike(units) == {
        "energy": ("bcc energy", "fcc energy"),
        "energy above bcc": ("fcc energy above bcc", "hcp energy above bcc"),
        "a": ("bcc a", "hcp a"),
        "hcp c": ("hcp c",),
        "fcc bulk modulus": ("fcc bulk modulus",),
        "gap": ("gap",),
        "width": ("width",),
    }


def test_energies_have_an_order_and_lattice_parameters_have_none() -> None:
    numbers = np.arange(3.0)
    scalars = {
        f"{s} {kind}": (unit, value, value + np.zeros(4))
        for kind, unit in {"energy": "eV/atom", "volume": "Å³/atom", "a": "Å", "bulk modulus": "GPa", "x": ""}.items()
        for s, value in zip(("fcc", "bcc", "sc"), numbers, strict=True)
    }
    assert {each.of for each in rankings(scalars)} == {"energy", "volume", "bulk modulus"}


def test_errors_against_references_as_in_the_tables_of_the_paper() -> None:
    members = np.array([1.0, 2.0, 3.0])
    a = Propagated("a", "eV", np.array(2.5), members)
    told = against(a, np.array(1.5))
    assert (float(told.error), float(told.in_std), float(told.in_range)) == (1.0, 1.0, 0.5)
    assert told.bracketed
    still = Propagated("zero", "eV", np.array(0.0), np.zeros(3))
    far = Propagated("far", "eV", np.array(2.0), members)
    references = {"a": np.array(1.5), "zero": np.array(0.0), "far": np.array(5.0)}
    assert mean_ratios({"a": a, "zero": still, "far": far}, references) == (2.0, 1.0, 0.5)


def test_tables(tmp_path: Path, whole: Propagation, lattice: PropertyResult) -> None:
    known = {"fcc a": 3.61, "bcc a": 2.87, "energy of strain": [0.0] * 5}
    references = {"lattice": {name: np.array(value) for name, value in known.items()}}
    write_csv(tmp_path / "t.csv", whole, references)
    write_latex(tmp_path / "t.tex", whole, references)
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text("utf-8").splitlines()))
    assert len(rows) == len(lattice.scalars) + 5
    by_name = {row["quantity"]: row for row in rows}
    a = lattice["fcc a"]
    assert float(by_name["fcc a"]["std"]) == float(a.std)
    assert float(by_name["fcc a"]["error"]) == float(a.value) - 3.61
    assert by_name["fcc energy"]["reference"] == ""
    assert [float(row["x"]) for row in rows if row["quantity"] == "energy of strain"] == list(scaled_lj.GRID)

    text = (tmp_path / "t.tex").read_text("ascii")
    body = text[text.index(r"\midrule") : text.rindex(r"\midrule")]
    for line in body.splitlines()[1:]:
        assert line.count("&") == 9, line
    assert r"fcc a & \AA{} & $" in body
    assert f"${a.value:.2f}$ & ${a.std:.2f}$ & ${a.low:.2f}$ & ${a.high:.2f}$ & $3.61$" in body
    assert "Mean $|$error$|$/std" in text
    assert not re.search(r"(?<!\\)[_%#](?!.*% )", body)


def test_tasks_come_back_and_errors_are_raised() -> None:
    assert dict(as_completed(math.sqrt, [1, 4, 9, 16], 2)) == {0: 1, 1: 2, 2: 3, 3: 4}
    assert dict(as_completed(math.sqrt, [], 2)) == {}
    with pytest.raises(ValueError, match="math domain error"):
        dict(as_completed(math.sqrt, [1, 4, -1, 9], 2))
    found = dict(as_completed(sys.exit, [5], 2))
    assert found == {0: Died(5)}


def test_one_task_leaves_the_main_process_too() -> None:
    found = propagate(scaled_lj.gauge(), OnlyHere(os.getpid()), run=Run("local:2"))["only here"]
    assert found["elsewhere"].value == 1


@dataclass(frozen=True)
class OnlyHere:
    """Whether a process is another than `here`."""

    here: int
    name: str = "only here"

    def start(self, calculator: Calculator) -> dict[str, Any]:
        return {}

    def quantities(self, calculator: Calculator, start: Any) -> dict[str, Quantity]:
        return {"elsewhere": Quantity(float(os.getpid() != self.here), "")}


def committee(folder: Path) -> Path:
    scaled_lj.gauge().save(folder / "lj.gauge")
    return folder / "lj.gauge"


def assay(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ASSAY, *map(str, words)], capture_output=True, text=True, cwd=cwd, check=False, timeout=120)


MODULE = """
import time
from ase.build import bulk

def energy(calculator):
    return {"fcc energy": calculator.get_potential_energy(bulk("Cu", a=3.6))}

def slow(calculator):
    time.sleep(0.4)
    return energy(calculator)

def wild(calculator):
    value = energy(calculator)["fcc energy"]
    if value > -1.9:
        raise ValueError("wild")
    return value
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    committee(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_the_command(mine: Path) -> None:
    words = ["propagate", "lj.gauge", "function:mine.energy,unit=eV", "function:mine.wild,unit=eV"]
    refused = assay(*words, cwd=mine)
    assert refused.returncode == 1
    assert "--allow-import mine" in refused.stderr
    run = assay(*words, "--allow-import", "mine", "--json", "-", "--workers", "2", "--csv", "t.csv", cwd=mine)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    energy, wild = (told["properties"][f"function:mine.{name}"] for name in ("energy", "wild"))
    members = energy["quantities"]["fcc energy"]["members"]
    expected = [scaled_lj.energy(bulk("Cu", a=3.6), member_calculator(scaled_lj.gauge().source, m)) for m in range(5)]
    assert members == pytest.approx(expected)
    assert [row["member"] for row in wild["failed"]] == [m for m in range(5) if expected[m] > -1.9]
    assert "of 5 members failed in function:mine.wild" in run.stderr
    assert "ValueError: wild" in run.stderr
    assert "written to t.csv" in run.stderr
    table = assay(*words[:3], "--allow-import", "mine", "--members", "3", cwd=mine)
    assert "3 of 3 members" in table.stdout
    assert f"{np.std(expected[:3], ddof=1):.3f}"[:4] in table.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["magic:bcc"], "unknown property 'magic'"),
        (["function:mine.slow", "--members", "9", "--allow-import", "mine"], "9 members of an ensemble of 5"),
        (["function:mine.slow", "--report", "no/r.html"], "folder no does not exist"),
        (["function:mine.none", "--allow-import", "mine"], "has no attribute 'none'"),
    ],
)
def test_mistakes_are_one_message(words: list[str], message: str, mine: Path) -> None:
    run = assay("propagate", "lj.gauge", *words, cwd=mine)
    assert run.returncode == 1
    assert message in run.stderr
    assert "Traceback" not in run.stderr


def test_ctrl_c_keeps_what_is_finished(mine: Path) -> None:
    words = ["propagate", "lj.gauge", "function:mine.slow", "--allow-import", "mine", "--workers", "2"]
    run = subprocess.Popen(
        [ASSAY, *words, "--resume", "kept.jsonl"],
        cwd=mine,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    kept = mine / "kept.jsonl"
    limit = time.monotonic() + 100
    while len(lines(kept)) < 3 and time.monotonic() < limit:
        time.sleep(0.02)
    assert len(lines(kept)) >= 3, "nothing to keep, so nothing to interrupt"
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "interrupted" in told
    before = kept.read_text()
    assert 3 <= len(before.splitlines()) < 7
    done = assay(*words, "--resume", "kept.jsonl", cwd=mine)
    assert done.returncode == 0, done.stderr
    assert kept.read_text().startswith(before)
    assert len(lines(kept)) == 7


def test_a_gauge_file_serves(tmp_path: Path, lattice: PropertyResult) -> None:
    again = propagate(committee(tmp_path), Fragile())["fragile"]
    assert np.array_equal(again["energy"].members, lattice["energy at 3.6 Å"].members)


def test_nothing_breaks_where_every_member_fails(tmp_path: Path) -> None:
    """Three like numbers of the best fit alone, through ranking, summary, tables and the page."""
    best = {f"{name} energy": Quantity(energy, "eV") for name, energy in (("bcc", -1.0), ("fcc", -2.0), ("hcp", -3.0))}
    one = PropertyResult.collect("crystals:bcc,fcc", best, [Failed("became hcp")] * 4)
    whole = Propagation("a potential", "resample", 4, {one.name: one}, ())
    (found,) = one.rankings
    assert np.isnan(found.spearman).all()
    assert np.isnan(found.mean)
    assert json.loads(json.dumps(whole.summary()))["properties"][one.name]["quantities"]["bcc energy"]["std"] is None
    write_csv(tmp_path / "t.csv", whole, {})
    write_latex(tmp_path / "t.tex", whole, {})
    assert "bcc energy" in (tmp_path / "t.tex").read_text()
    pytest.importorskip("jinja2")
    from assay.report.properties.write import write_properties_report

    write_properties_report(tmp_path / "r.html", whole, references={}, provenance={})
    assert "became hcp" in (tmp_path / "r.html").read_text()
