"""`studies/liu2025.py utable` on files made here, and on the recorded ensemble of tungsten."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from assay.frames.frame import content_hash

STUDIES = Path(__file__).parent.parent / "studies"
sys.path.insert(0, str(STUDIES))

import liu_utable  # noqa: E402

SIZES = (1, 2, 3, 1, 2)


def study(*words: str) -> dict:
    """What the part gives, in this process."""
    parser = argparse.ArgumentParser()
    liu_utable.add_arguments(parser)
    args = parser.parse_args(words)
    args.data = os.environ.get("ASSAY_DATA", ".")
    return liu_utable.run(args)


def made(folder: Path, **changed: object) -> tuple[Path, Path]:
    """Two members 2 u_j from each other on the first atom of frame j, of which the label is off by 10 u_j."""
    frames, mean = [], []
    rng = np.random.default_rng(0)
    u = np.array([0.1, 0.4, 0.2, 0.3, 0.05])
    away = []
    for j, n in enumerate(SIZES):
        atoms = Atoms("Mo" if j < 3 else "W", np.zeros((1, 3)))
        atoms = Atoms([*atoms.symbols] * n, 3.0 * np.arange(3 * n).reshape(n, 3) + 0.01 * j)
        first = np.zeros((n, 3))
        first[0, 1] = u[j]
        forces = rng.normal(size=(n, 3))
        atoms.arrays["dft_forces"] = forces + 10 * first
        atoms.info["config_type"] = "Mo" if j < 3 else "W"
        frames.append(atoms)
        mean.append(forces)
        away.append(first)
    centre, off = np.concatenate(mean), np.concatenate(away)
    arrays = {
        "models": np.array(["one", "two", "never"]),
        "natoms": np.array(SIZES),
        "forces": np.stack([centre + off, centre - off, centre + 100]).astype(np.float32),
    } | changed
    write(folder / "f.extxyz", frames)
    np.savez(folder / "m.npz", **{key: value for key, value in arrays.items() if value is not None})
    return folder / "m.npz", folder / "f.extxyz"


def given(paths: tuple[Path, Path]) -> tuple[str, ...]:
    return "--members", str(paths[0]), "--frames", str(paths[1]), "--forces-key", "dft_forces"


def test_closed_form(tmp_path: Path):
    """U_j = u_j whatever the weights, and the largest error is 10 u_j: all ranks agree."""
    found = study(*given(made(tmp_path)), "--rmse", "1,3", "--cutoffs", "0.15,0.35")
    assert (found["models"], found["models_left_out"]) == (["one", "two"], ["never"])
    assert found["weights"] == pytest.approx([0.75, 0.25])
    assert found["median_U"] == pytest.approx(0.2, rel=1e-5)
    assert found["spearman"] == pytest.approx(1.0)
    assert [each["frames_below"] for each in found["cutoffs"]] == [2, 4]
    assert [each["atoms_left_to_dft_share"] for each in found["cutoffs"]] == pytest.approx([6 / 9, 2 / 9])
    assert [each["largest_error_below"] for each in found["cutoffs"]] == pytest.approx([1.0, 3.0], rel=1e-5)
    assert {kind: part["frames"] for kind, part in found["by_config_type"].items()} == {"Mo": 3, "W": 2}


def test_a_gap_leaves_its_frame_out(tmp_path: Path):
    paths = made(tmp_path)
    with np.load(paths[0]) as file:
        arrays = dict(file)
    arrays["forces"][1, 1] = np.nan  # of frame 1
    arrays["forces"][2, 0] = np.nan  # of a model that is not in the ensemble
    np.savez(paths[0], **arrays)
    found = study(*given(paths), "--rmse", "1,1", "--cutoffs", "0.35")
    assert (found["frames"], found["frames_left_out"]) == (4, 1)
    assert "f.extxyz:1" in found["reasons"][0]
    assert "a gap in two" in found["reasons"][0]
    assert found["median_U"] == pytest.approx(0.15, rel=1e-5)


def test_hashes_find_frames_in_any_order(tmp_path: Path):
    paths = made(tmp_path)
    frames = read(paths[1], ":")
    made(tmp_path, hash=np.array([content_hash(atoms) for atoms in frames]))
    expected = study(*given(paths), "--rmse", "1,3")
    write(paths[1], [frames[k] for k in (4, 2, 0, 3, 1)])
    assert study(*given(paths), "--rmse", "1,3")["cutoffs"] == expected["cutoffs"]


def test_weights_of_the_labels(tmp_path: Path):
    """Errors of the members are 9 u_j and 11 u_j on one atom of each frame."""
    paths = made(tmp_path, models=np.array(["one", "two"]))
    with np.load(paths[0]) as file:
        arrays = dict(file)
    np.savez(paths[0], **(arrays | {"forces": arrays["forces"][:2]}))
    assert study(*given(paths))["weights"] == pytest.approx([11 / 20, 9 / 20], rel=1e-5)


@pytest.mark.parametrize(
    ("changed", "words", "message"),
    [
        ({"natoms": np.array([1, 2, 3, 1, 1])}, (), "forces of shape"),
        ({"natoms": np.array([1, 2, 2, 2, 2])}, (), "3 atoms, but members of 2 atoms"),
        ({"natoms": np.array([1, 2, 3, 1, 1, 1])}, (), "but members of 1 atoms|has members of 6 frames"),
        ({"forces": None}, (), "no forces in this members file"),
        ({}, ("--forces-key", "REF_forces"), "--forces-key KEY names another"),
        ({}, ("--rmse", "1,1,1,1"), "4 members of 3 models"),
        ({}, ("--rmse", "1,0"), "RMSE of member 1 .* is 0.0"),
        ({}, ("--rmse", "1"), "1 members of 3 models"),
    ],
)
def test_files_that_do_not_fit_are_told(tmp_path: Path, changed: dict, words: tuple[str, ...], message: str):
    with pytest.raises(ValueError, match=message):
        study(*given(made(tmp_path, **changed)), *words)


@pytest.mark.data
def test_tungsten(real_data: Path):
    """By default the recorded ensemble with its published RMSEs."""
    command = [
        sys.executable,
        "-W",
        "error",
        str(STUDIES / "liu2025.py"),
        "utable",
        "--data",
        str(real_data),
        "--json",
        "-",
    ]
    done = subprocess.run([*command, "--cutoffs", "0.1,0.5"], capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    assert [each["frames_below"] for each in found["cutoffs"]] == [182, 677]
    assert found["spearman"] == pytest.approx(0.959, abs=5e-4)
    assert found["spearman_without_symmetry_zeros"] == pytest.approx(0.928, abs=5e-4)
    assert found["symmetry_zero_frames"] == 121
