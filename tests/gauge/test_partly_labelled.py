"""Isolated atoms beside bulk, energies alone, stress on some frames: each label is used, and it is said."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from copper import COMMITTEE, Files, frames

from assay import Gauge, build, calibrate, compare, evaluate
from assay.frames.frame import FrameError

WITHOUT_FORCES = (0, 4, 8)
WITHOUT_ENERGY = (1,)
WITHOUT_STRESS = (0, 2)


def partly(count: int, seed: int) -> list[Atoms]:
    """Labelled frames of which some lack forces, energy or stress."""
    found = frames(count, seed)
    for lacking, key in (
        (WITHOUT_FORCES, "REF_forces"),
        (WITHOUT_ENERGY, "REF_energy"),
        (WITHOUT_STRESS, "REF_stress"),
    ):
        for i in lacking:
            (found[i].arrays if key == "REF_forces" else found[i].info).pop(key)
    return found


def test_calibration_takes_each_label(committee: Gauge, tmp_path: Path):
    """α of each quantity is that of the frames that have it."""
    some = partly(12, 5000)
    ase.io.write(tmp_path / "c.extxyz", some)
    found = calibrate(committee, tmp_path / "c.extxyz")
    sentences = sorted(found.provenance["calibration_partly"])
    assert [sentence[: sentence.index(" and")] for sentence in sentences] == [
        "1 of 12 frames has no label of the energy",
        "2 of 12 frames have no label of the stress",
        "3 of 12 frames have no label of the force",
    ]
    assert f"{tmp_path}/c.extxyz:4" in sentences[2]
    whole = frames(12, 5000)
    for quantity, lacking in (("energy", WITHOUT_ENERGY), ("force", WITHOUT_FORCES)):
        own = calibrate(committee, [atoms for i, atoms in enumerate(whole) if i not in lacking])
        assert found.calibrators[quantity].alpha == pytest.approx(own.calibrators[quantity].alpha, rel=1e-5)


def test_evaluation_takes_each_label(committee: Gauge):
    found, whole = evaluate(committee, partly(12, 6000)), frames(12, 6000)
    for quantity, lacking in (("energy", WITHOUT_ENERGY), ("force", WITHOUT_FORCES)):
        own = evaluate(committee, [atoms for i, atoms in enumerate(whole) if i not in lacking])
        assert getattr(found.errors, quantity).rmse == pytest.approx(getattr(own.errors, quantity).rmse, rel=1e-9)
        coverage = [each.bars[quantity].figures.coverage for each in (found, own)]
        assert coverage[0] == pytest.approx(coverage[1])


def test_energies_alone_are_evaluated(committee: Gauge):
    bare = frames(9, 7000)
    for atoms in bare:
        del atoms.arrays["REF_forces"], atoms.info["REF_stress"]
    with pytest.raises(FrameError, match=r"no label 'REF_forces', nor in any other frame.*--forces-key none"):
        evaluate(committee, bare)


@pytest.mark.parametrize("first", [True, False])
def test_an_isolated_atom_beside_bulk(files: Files, tmp_path: Path, first: bool):
    atom = Atoms("Cu", cell=np.eye(3) * 20, info={"REF_energy": 3.5, "config_type": "IsolatedAtom"})
    bulk = ase.io.read(files.train, ":")
    ase.io.write(tmp_path / "t.extxyz", [atom, *bulk] if first else [*bulk, atom])
    built = build(tmp_path / "t.extxyz", source=COMMITTEE, calibration=files.held_out)
    assert built.skipped == []
    assert [sentence.partition(" and is")[0] for sentence in built.partly] == [
        f"1 of {len(bulk) + 1} frames has no label of the {quantity}" for quantity in ("force", "stress")
    ]
    assert built.gauge.provenance["training"]["frames"] == len(bulk) + 1
    assert {quantity for quantity, _ in built.gauge.calibrators.items()} == {"energy", "force", "stress"}


def test_comparison_takes_each_label(tmp_path: Path):
    result = compare(
        frames(30, 100), source=COMMITTEE, calibration=partly(12, 8000), tests={"test": partly(12, 9000)}, resamples=20
    )
    assert any(remark.startswith("test: 3 of 12 frames have no label of the force") for remark in result.remarks)
    whole = compare(
        frames(30, 100), source=COMMITTEE, calibration=frames(12, 8000), tests={"test": frames(12, 9000)}, resamples=20
    )
    assert {*result.ranking["test"].force_atom} == {*whole.ranking["test"].force_atom}
    errors = {split.name: split.errors for split in result.splits}["test"]
    assert errors.force_rmse > 0
    assert errors.energy_rmse > 0
