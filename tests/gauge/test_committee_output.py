"""What people read about an ensemble of unlike members: tables of frames, provenance, and costs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from copper import COMMITTEE, Files

import assay
from assay import Gauge
from assay.cli.info import spelt
from assay.cli.predict import show_risk, symbols
from assay.comparison.methods import timed
from assay.comparison.reasons import cost
from assay.comparison.result import MethodDescription, SourceCost
from assay.frames.frame import Frame, file_hash
from assay.gauge.risk import risks
from assay.report.provenance import provenance
from assay.sources.committees.committee import AseCommittee
from assay.sources.recorded.recorded import Recorded
from assay.verbs.info import info


def test_the_table_of_frames_has_u_and_counts_flags(
    committee: Gauge, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assessment = assay.predict(committee, files.test)
    found = risks(assessment)
    riskiest, calm, single = found.by_risk[:3]
    flagged_by = ("committee_energy", "heterogeneous", "heterogeneous_force")
    riskiest = replace(riskiest, scores={**riskiest.scores, "heterogeneous": 1234.5}, flagged_by=flagged_by)
    calm, single = replace(calm, flagged_by=()), replace(single, flagged_by=("heterogeneous_force",))
    found = replace(found, by_risk=(riskiest, calm, single))
    show_risk(found, symbols(assessment))
    printed = capsys.readouterr().out
    heading, first, *_ = printed.split("┡")
    assert re.search(r"U, eV/Å +┃ +force bar, eV/Å +┃ +at atom", heading)
    rows = [line for line in first.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]
    of_frames = sum(level == "frame" for _, level in found.flagged)
    assert [row[-1] for row in cells] == [f"3 of {of_frames} scores", "–", f"1 of {of_frames} scores"]
    assert cells[0][3] == "1.23e+03"


def test_a_report_says_how_good_each_member_is(committee: Gauge, files: Files) -> None:
    made = provenance(committee, {str(files.test): file_hash(files.test)}, None)
    for told in committee.provenance["members"]["members"]:
        assert f"weight {told['weight']:.3g}" in made[f"Member {told['name']}"]
        assert f"{told['force_rmse_eV_per_A']:.3g} eV/Å" in made[f"Member {told['name']}"]
        assert f"shifted per element {told['after_meV_per_atom']:.3g}" in made[f"Member {told['name']}"]


def test_info_leaves_out_what_a_committee_has_no_use_for(committee: Gauge) -> None:
    assert {"posterior", "weights", "fitted_to"} & set(info(committee).provenance) == set()
    assert "members" in info(committee).provenance


@pytest.mark.snap
def test_info_keeps_what_a_linear_potential_was_fitted_with(gauge: Gauge) -> None:
    assert info(gauge).provenance["posterior"] == "pops"
    assert "weights" in info(gauge).provenance


def test_many_elements_are_counted() -> None:
    assert spelt(["Cu", "O"]) == "Cu, O"
    assert spelt([f"s{i}" for i in range(89)]).endswith("s19, … (89)")


def frame(atoms: Atoms) -> Frame:
    return Frame(atoms, "here")


def test_what_recorded_members_cost_is_not_known(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", "off")
    atoms = ase.io.read(files.test)
    committee = AseCommittee.from_toml(COMMITTEE)
    assert (timed([], committee, [frame(atoms)])[1] or 0) > 0
    for model in ("one", "two"):
        atoms.info[f"{model}_energy"], atoms.arrays[f"{model}_forces"] = 1.0, atoms.arrays["REF_forces"]
    assert timed([], Recorded(("one", "two")), [frame(atoms)])[1] is None
    assert "cost is not known" in cost(SourceCost(None, None), MethodDescription("ensemble"))
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    assay.build(files.train, source=COMMITTEE, calibration=files.test)
    assert timed([], AseCommittee.from_toml(COMMITTEE), [frame(ase.io.read(files.test))])[1] is None
