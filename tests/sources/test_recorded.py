"""Recorded members: found on frames, attached from a file, matched or refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from assay.frames.frame import Frame, FrameError, LabelKeys, Skipped, content_hash
from assay.frames.reading import read_frames
from assay.results.prediction import Prediction
from assay.sources.committees.committee import AseCommittee
from assay.sources.recorded.members_file import attach_members, member_models, write_members
from assay.sources.recorded.recorded import Recorded
from assay.storage.archive import load_state, save_state

MODELS = ("mace", "7net-omat", "orb_d")
SIZES = (4, 1, 4, 8, 2, 4)


def structures(sizes: tuple[int, ...] = SIZES, seed: int = 0) -> list[Atoms]:
    """Frames with labels, each of its own structure; frame f has `sizes[f]` atoms."""
    rng, frames = np.random.default_rng(seed), []
    for f, n in enumerate(sizes):
        atoms = Atoms(f"Cu{n}", 3.0 * np.arange(3 * n).reshape(n, 3) + rng.random((n, 3)), cell=[99] * 3, pbc=f % 2)
        atoms.info["REF_energy"], atoms.info["config_type"] = -3.0 * n, f"kind{f}"
        atoms.arrays["REF_forces"] = rng.normal(size=(n, 3))
        frames.append(atoms)
    return frames


def members(sizes: tuple[int, ...] = SIZES, models: tuple[str, ...] = MODELS, seed: int = 1) -> dict[str, Any]:
    """The content of a members file."""
    rng, m, f, a = np.random.default_rng(seed), len(models), len(sizes), sum(sizes)
    return {
        "models": np.array(models),
        "natoms": np.array(sizes),
        "energy": rng.normal(size=(m, f)),
        "forces": rng.normal(size=(m, a, 3)).astype(np.float32),
    }


def saved(folder: Path, content: dict[str, Any], name: str = "members.npz") -> Path:
    np.savez(folder / name, **content)
    return folder / name


def written(folder: Path, frames: list[Atoms], name: str = "frames.extxyz") -> Path:
    ase.io.write(folder / name, frames, format="extxyz")
    return folder / name


def reread(folder: Path, frames: list[Atoms]) -> list[Atoms]:
    """Frames with the decimals that a file keeps."""
    return ase.io.read(written(folder, frames, "reread.extxyz"), ":")


def assert_members_of(frame: Frame, content: dict[str, Any], f: int) -> None:
    """The members on a frame are those of frame f of a file."""
    result = Recorded.from_frame(frame.atoms).predict(frame.atoms)
    start = content["natoms"][:f].sum()
    np.testing.assert_array_equal(result.energy_members, content["energy"][:, f])
    np.testing.assert_array_equal(result.forces_members, content["forces"][:, start : start + len(frame.atoms)])


def on_frame(models: tuple[str, ...] = MODELS, pbc: bool = True) -> Atoms:
    rng, atoms = np.random.default_rng(2), bulk("Cu", cubic=True)
    atoms.pbc = pbc
    for model in models:
        atoms.info[f"{model}_energy"] = rng.normal()
        atoms.info[f"{model}_stress"] = rng.normal(size=6)
        atoms.arrays[f"{model}_forces"] = rng.normal(size=(4, 3))
    return atoms


def test_the_mean_of_the_members_is_the_prediction() -> None:
    atoms = on_frame()
    result = Recorded(MODELS).predict(atoms)
    assert result.energy == pytest.approx(sum(atoms.info[f"{m}_energy"] for m in MODELS) / 3)
    np.testing.assert_allclose(result.forces, sum(atoms.arrays[f"{m}_forces"] for m in MODELS) / 3, atol=1e-15)
    np.testing.assert_allclose(result.stress, sum(atoms.info[f"{m}_stress"] for m in MODELS) / 3, atol=1e-15)
    assert result.energy_members.shape == (3,)
    assert result.forces_members.shape == (3, 4, 3)
    np.testing.assert_array_equal(result.stress_members[1], atoms.info["7net-omat_stress"])
    assert result.features is None


def test_a_tensor_of_stress_becomes_voigt() -> None:
    atoms = on_frame(("m",))
    atoms.info["m_stress"] = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]])
    np.testing.assert_array_equal(Recorded(("m",)).predict(atoms).stress, [1, 2, 3, 4, 5, 6])


def test_no_stress_without_that_of_every_model_or_without_periodicity() -> None:
    assert Recorded(MODELS).predict(on_frame(pbc=False)).stress_members is None
    atoms = on_frame()
    del atoms.info["mace_stress"]
    assert Recorded(MODELS).predict(atoms).stress is None


def test_stress_that_is_nan_throughout_is_none() -> None:
    atoms = on_frame()
    atoms.info["mace_stress"] = np.full(6, np.nan)
    assert Recorded(MODELS).predict(atoms).stress is None
    assert Recorded(MODELS[1:]).predict(atoms).stress_members.shape == (2, 6)
    atoms.info["mace_stress"][0] = 0.0
    with pytest.raises(FrameError, match="recorded stress of mace is not finite"):
        Recorded(MODELS).predict(atoms)


@pytest.mark.parametrize("suffix", [".extxyz", ".xyz.gz"])
def test_models_are_found_on_frames_of_a_file(tmp_path: Path, suffix: str) -> None:
    atoms = on_frame()
    atoms.info |= {"REF_energy": -1.0, "free_energy": -1.0, "lonely_energy": 2.0, "_energy": 1.0, "dft_energy": 5.0}
    for name in ("REF_forces", "only_forces", "_forces", "dft_forces"):
        atoms.arrays[name] = np.zeros((4, 3))
    ase.io.write(tmp_path / f"it{suffix}", [atoms, atoms], format="extxyz")
    keys = LabelKeys(energy="dft_energy", forces="dft_forces")
    first, second = read_frames(tmp_path / f"it{suffix}", keys=keys)
    assert Recorded.from_frame(first.atoms, keys) == Recorded(MODELS)
    assert Recorded.from_frame(first.atoms) == Recorded((*MODELS, "dft"))
    expected, read = Recorded(MODELS).predict(atoms), Recorded(MODELS).predict(second.atoms)
    np.testing.assert_allclose(read.forces_members, expected.forces_members, atol=1e-7)
    np.testing.assert_allclose(read.energy_members, expected.energy_members, atol=1e-7)
    np.testing.assert_allclose(read.stress_members, expected.stress_members, atol=1e-7)


def test_a_frame_without_models_is_told_what_it_has() -> None:
    atoms = structures()[0]
    with pytest.raises(FrameError, match="the frame has REF_energy, REF_forces, config_type, numbers, positions"):
        Recorded.from_frame(atoms)


def test_recorded_members_predict_no_other_frame() -> None:
    atoms = on_frame(("mace",))
    with pytest.raises(FrameError, match=r"of 7net-omat, orb_d\. Recorded members can't predict other frames; .*--mem"):
        Recorded(MODELS).predict(atoms)
    with pytest.raises(FrameError, match="can't predict other frames"):
        Recorded(MODELS).predict(molecule("H2O"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mace_energy", np.nan, "recorded energy of mace is not finite: nan"),
        ("mace_energy", [1.0, 2.0], r"recorded energy of mace has shape \(2,\), needed \(\)"),
        ("orb_d_stress", [1, 2, 3, np.inf, 5, 6], "recorded stress of orb_d is not finite: inf"),
        ("orb_d_stress", [1, 2, 3], r"recorded stress of orb_d has shape \(3,\), needed \(6,\)"),
    ],
)
def test_members_that_are_no_numbers_are_refused(key: str, value: Any, message: str) -> None:
    atoms = on_frame()
    atoms.info[key] = value
    with pytest.raises(FrameError, match=message):
        Recorded(MODELS).predict(atoms)


def test_a_force_that_is_not_finite_is_told_with_its_atom() -> None:
    atoms = on_frame()
    atoms.arrays["7net-omat_forces"][2, 1] = np.nan
    with pytest.raises(FrameError, match="recorded forces of 7net-omat is not finite, atom 2: nan"):
        Recorded(MODELS).predict(atoms)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    source = Recorded(MODELS)
    save_state(tmp_path / "it", source.state())
    assert Recorded.from_state(load_state(tmp_path / "it")) == source
    assert pickle.loads(pickle.dumps(source)) == source
    assert source.label == "3 recorded members: mace, 7net-omat, orb_d"
    with pytest.raises(ValueError, match="models of different names"):
        Recorded(("a", "a"))


def test_members_that_no_setting_names_are_those_of_the_first_frame() -> None:
    source, frame = Recorded.from_settings({"rmse": [0.1, 0.2, 0.3]}), on_frame()
    with pytest.raises(ValueError, match="which members"):
        source.predict(frame)
    known = source.for_frame(frame, LabelKeys())
    assert known == Recorded(MODELS)
    assert known.for_frame(Atoms("H"), LabelKeys()) is known
    assert known.member_rmse == (0.1, 0.2, 0.3)
    some = known.only((MODELS[2], MODELS[0]))
    assert (some.member_names, some.member_rmse) == ((MODELS[2], MODELS[0]), (0.3, 0.1))
    np.testing.assert_array_equal(some.predict(frame).energy_members, known.predict(frame).energy_members[[2, 0]])


def test_by_order_members_land_on_their_frames(tmp_path: Path) -> None:
    content = members()
    path, frames = saved(tmp_path, content), written(tmp_path, structures())
    plain = list(read_frames(frames))
    attached = list(attach_members(plain, path))
    assert member_models(path) == MODELS
    for f, (frame, bare) in enumerate(zip(attached, plain, strict=True)):
        assert_members_of(frame, content, f)
        assert (frame.origin, frame.energy, frame.config_type) == (bare.origin, -3.0 * SIZES[f], f"kind{f}")
        np.testing.assert_array_equal(frame.forces, bare.forces)
        assert "mace_energy" not in bare.atoms.info, "the frame that came is left alone"
        assert "mace_stress" not in frame.atoms.info


def test_members_on_the_frames_give_way_to_those_of_the_file(tmp_path: Path) -> None:
    frames, content = structures((4, 4)), members((4, 4))
    for atoms in frames:
        atoms.info |= {"mace_energy": 1.0, "mace_stress": np.ones(6)}
        atoms.arrays["mace_forces"] = np.ones((4, 3))
    path = saved(tmp_path, {**content, "stress": np.full((3, 2, 6), 2.0)})
    for f, frame in enumerate(attach_members(read_frames(written(tmp_path, frames)), path)):
        assert_members_of(frame, content, f)
        assert (frame.atoms.info["mace_stress"] == 2.0).all()
    for frame in attach_members(read_frames(written(tmp_path, frames)), saved(tmp_path, content)):
        assert "mace_stress" not in frame.atoms.info


def test_by_hash_members_find_their_frames_in_any_order_and_number(tmp_path: Path) -> None:
    frames, content = reread(tmp_path, structures()), members()
    path = saved(tmp_path, {**content, "hash": [content_hash(atoms) for atoms in frames]})
    order = [3, 0, 5, 3, 1]
    read = attach_members(read_frames(written(tmp_path, [frames[f] for f in order])), path)
    for frame, f in zip(read, order, strict=True):
        assert_members_of(frame, content, f)


def test_by_hash_a_frame_without_members_is_refused_or_left_out(tmp_path: Path) -> None:
    frames, content = reread(tmp_path, structures()), members()
    path = saved(tmp_path, {**content, "hash": [content_hash(atoms) for atoms in frames]})
    other = structures((4,), seed=9)[0]
    mixed = written(tmp_path, [frames[0], other, frames[1]])
    with pytest.raises(FrameError, match=r"frames\.extxyz, frame 1: none of the 6 frames in .*members\.npz has this"):
        list(attach_members(read_frames(mixed), path))
    skipped: Skipped = []
    kept = list(attach_members(read_frames(mixed, skipped=skipped), path, skipped=skipped))
    assert [frame.config_type for frame in kept] == ["kind0", "kind1"]
    assert [origin for origin, _ in skipped] == [f"{mixed}:1"]


def test_members_follow_their_frames_past_bad_ones(tmp_path: Path) -> None:
    """Equal sizes, so that the number of atoms tells nothing."""
    frames, content = structures((2,) * 6), members((2,) * 6)
    for bad in (0, 3, 5):
        frames[bad].positions[:] = 0.0
    path, skipped = saved(tmp_path, content), []
    kept = list(attach_members(read_frames(written(tmp_path, frames), skipped=skipped), path, skipped=skipped))
    assert [frame.config_type for frame in kept] == ["kind1", "kind2", "kind4"]
    for frame, f in zip(kept, (1, 2, 4), strict=True):
        assert_members_of(frame, content, f)
    assert len(skipped) == 3


@pytest.mark.parametrize("bad", [(), (0,), (2,), (3,), (4,), (0, 1, 2), (3, 4), (2, 3, 6)])
def test_members_of_several_files_follow_their_frames(tmp_path: Path, bad: tuple[int, ...]) -> None:
    """Files of 3, 2 and 2 frames of equal size; bad ones at the start, at the end, and whole files of them."""
    frames, content = structures((2,) * 7), members((2,) * 7)
    for f in bad:
        frames[f].positions[:] = 0.0
    parts = [written(tmp_path, frames[a:b], f"{a}.extxyz") for a, b in ((0, 3), (3, 5), (5, 7))]
    skipped: Skipped = [("earlier.extxyz:7", "left out by another reader")]
    read = attach_members(read_frames(parts, skipped=skipped), saved(tmp_path, content), skipped=skipped)
    good = [f for f in range(7) if f not in bad]
    for frame, f in zip(read, good, strict=True):
        assert frame.config_type == f"kind{f}"
        assert_members_of(frame, content, f)
    assert len(skipped) == 1 + len(bad)


def test_other_frames_are_refused(tmp_path: Path) -> None:
    frames = written(tmp_path, structures())
    for sizes, message in (
        ((4, 1, 3, 8, 2, 4), r"frames\.extxyz, frame 2: 4 atoms, but members of 3 atoms in .*members\.npz, frame 2"),
        (SIZES[:-1], r"frames\.extxyz, frame 5: .*members\.npz has members of 5 frames only"),
        ((*SIZES, 4), r"members\.npz has members of 7 frames, but .*frames\.extxyz has 6 frames"),
    ):
        path = saved(tmp_path, members(sizes))
        with pytest.raises(FrameError, match=message):
            list(attach_members(read_frames(frames), path))
        with pytest.raises(FrameError, match=message):  # the wrong file is not a matter of bad frames
            list(attach_members(read_frames(frames, skipped=[]), path, skipped=[]))
    with pytest.raises(FrameError, match="no file has 0 frames"):
        list(attach_members([], path))
    with pytest.raises(FrameError, match="origin must be FILE:INDEX"):
        list(attach_members([Frame(structures()[0], "mine")], path))


def test_bad_frames_count_when_lengths_are_compared(tmp_path: Path) -> None:
    frames = structures()
    frames[-1].positions[:] = 0.0
    for count, fits in ((5, False), (6, True), (7, True)):  # after a bad last frame, nobody knows what was to come
        skipped: Skipped = []
        read = read_frames(written(tmp_path, frames), skipped=skipped)
        attached = attach_members(read, saved(tmp_path, members((*SIZES, 4)[:count])), skipped=skipped)
        if fits:
            assert len(list(attached)) == 5
        else:
            with pytest.raises(FrameError, match=r"members of 5 frames, but .* has 6 frames"):
                list(attached)


def test_a_frames_file_that_was_cut_off_keeps_its_members(tmp_path: Path) -> None:
    frames, content = written(tmp_path, structures()), members()
    frames.write_text("\n".join(frames.read_text().splitlines()[:-2]) + "\n")
    skipped: Skipped = []
    path = saved(tmp_path, content)
    kept = list(attach_members(read_frames(frames, skipped=skipped), path, skipped=skipped))
    assert len(kept) == 5
    assert "truncated" in skipped[0][1]
    # Of two files, nobody knows which frames the second one's members begin with.
    twice, skipped = [frames, written(tmp_path, structures((2,) * 4), "more.extxyz")], []
    path = saved(tmp_path, members((*SIZES, *(2,) * 6)))
    with pytest.raises(FrameError, match=r"members\.npz has members of 12 frames, but .*more\.extxyz has 10 frames"):
        list(attach_members(read_frames(twice, skipped=skipped), path, skipped=skipped))


@pytest.mark.parametrize("key", ["energy", "forces"])
def test_members_that_are_not_finite_are_told_with_model_and_frame(tmp_path: Path, key: str) -> None:
    content = members()
    content[key][1, 3 if key == "energy" else 4 + 1 + 4 + 2] = np.nan
    path, frames = saved(tmp_path, content), written(tmp_path, structures())
    atom = ", atom 2" if key == "forces" else ""
    message = f"frame 3: recorded {key} of 7net-omat is not finite{atom}: nan"
    with pytest.raises(FrameError, match=message):
        list(attach_members(read_frames(frames), path))
    skipped: Skipped = []
    kept = list(attach_members(read_frames(frames, skipped=skipped), path, skipped=skipped))
    assert [frame.config_type for frame in kept] == [f"kind{f}" for f in (0, 1, 2, 4, 5)]
    assert_members_of(kept[3], content, 4)
    assert skipped[0][0] == f"{frames}:3"
    assert message in skipped[0][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy": None}, r"no energy in this members file; it has models, natoms, forces"),
        ({"models": None, "natoms": None}, "no models, natoms in"),
        ({"energy": np.zeros((3, 7))}, r"energy has shape \(3, 7\), needed \(3, 6\) \(3 models, 6 frames, 23 atoms\)"),
        ({"forces": np.zeros((3, 22, 3))}, r"forces has shape \(3, 22, 3\), needed \(3, 23, 3\)"),
        ({"stress": np.zeros((3, 6))}, r"stress has shape \(3, 6\), needed \(3, 6, 6\)"),
        ({"hash": np.array(["a"])}, r"hash has shape \(1,\), needed \(6,\)"),
        ({"hash": np.arange(6)}, "hash is of type int64"),
        ({"energy": np.full((3, 6), "x")}, "energy is of type <U1"),
        ({"natoms": np.array(SIZES, dtype=float)}, "natoms must be whole numbers above 0"),
        ({"natoms": np.array([4, -1, 4, 8, 2, 4])}, "natoms must be whole numbers above 0"),
        ({"models": np.array(["a", "b", "a"])}, "of different names, got a, b, a"),
        ({"models": np.array(["a", "b", "c"], dtype=object)}, "without pickled objects"),
    ],
)
def test_a_members_file_that_can_not_be_one_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    content = {key: value for key, value in (members() | change).items() if value is not None}
    path = saved(tmp_path, content)
    with pytest.raises(FrameError, match=message) as caught:
        member_models(path)
    assert "members.npz" in str(caught.value)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"no\.npz: no such file"):
        member_models(tmp_path / "no.npz")
    for name, content in (("text.npz", b"hello"), ("empty.npz", b""), ("zip.npz", b"PK\x03\x04 and nothing")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FrameError, match=rf"{name}: not a members file"):
            member_models(tmp_path / name)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(FrameError, match=r"one\.npy: not a members file"):
        member_models(tmp_path / "one.npy")
    whole = saved(tmp_path, members()).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FrameError, match=r"cut\.npz: not a members file"):
        member_models(tmp_path / "cut.npz")


def committee(names: tuple[str, ...] = ("a", "b")) -> AseCommittee:
    morse = "ase.calculators.morse.MorsePotential"
    rows = [{"label": n, "calculator": morse, "arguments": {"r0": 2.5 + 0.1 * i}} for i, n in enumerate(names)]
    return AseCommittee.from_toml({"member": rows})


@pytest.mark.parametrize("pbc", [True, False])
def test_what_a_committee_says_is_written_and_read_back_in_any_order(tmp_path: Path, pbc: bool) -> None:
    frames = [bulk("Cu", a=a, cubic=n > 2) * (n, 1, 1) for n, a in ((1, 3.6), (2, 3.5), (3, 3.7))]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=seed)
        atoms.pbc = pbc
    source = committee()
    path = tmp_path / "members.npz"
    write_members(path, ["a", "b"], frames, (source.predict(atoms) for atoms in frames))
    assert [*tmp_path.iterdir()] == [path], "no temporary file stays"
    recorded = Recorded(member_models(path))
    for frame in attach_members((Frame(atoms, "shuffled") for atoms in reversed(frames)), path):
        expected, got = source.predict(frame.atoms), recorded.predict(frame.atoms)
        np.testing.assert_array_equal(got.energy_members, expected.energy_members)
        np.testing.assert_array_equal(got.forces_members, expected.forces_members)
        assert (got.stress_members is None) == (not pbc)
        if pbc:
            np.testing.assert_array_equal(got.stress_members, expected.stress_members)


def test_a_frame_without_stress_costs_no_other_frame_its_own(tmp_path: Path) -> None:
    crystal, molecular = bulk("Cu", cubic=True), molecule("CO")
    crystal.rattle(0.1)
    source, path = committee(), tmp_path / "members.npz"
    write_members(path, ["a", "b"], [molecular, crystal], map(source.predict, (molecular, crystal)))
    recorded = Recorded(member_models(path))
    read = attach_members((Frame(atoms, "any") for atoms in (crystal, molecular)), path)
    one, other = (recorded.predict(frame.atoms) for frame in read)
    np.testing.assert_array_equal(one.stress_members, source.predict(crystal).stress_members)
    assert other.stress is None


def test_evaluations_that_can_not_be_written_are_refused(tmp_path: Path) -> None:
    atoms, path = bulk("Cu"), tmp_path / "members.npz"
    evaluation = committee().predict(atoms)
    for models, frames, evaluations, message in (
        (["a"], [atoms], [evaluation], "frame 0: 2 members of 1 models"),
        (["a", "b"], [atoms], [Prediction(0.0, np.zeros((1, 3)))], "frame 0: no members"),
        (["a", "b"], [atoms, atoms], [evaluation], "shorter"),
        (["a", "b"], [], [], "no frames"),
    ):
        with pytest.raises(ValueError, match=message):
            write_members(path, models, frames, evaluations)
        assert not path.exists()


@pytest.fixture
def tungsten() -> tuple[Path, Path]:
    folder = os.environ.get("ASSAY_DATA")
    if not folder:
        pytest.skip("ASSAY_DATA is not set: no real data to check recorded members with")
    return tuple(Path(folder) / "tungsten" / f"umlip-committee.{suffix}" for suffix in ("extxyz.gz", "npz"))


@pytest.mark.data
def test_universal_potentials_on_tungsten(tungsten: tuple[Path, Path]) -> None:
    """678 frames, 48,761 atoms, 12 potentials of Liu et al. (arXiv:2507.21297), none fitted to these labels."""
    path, npz = tungsten
    with np.load(npz, allow_pickle=False) as file:
        models, energy, forces = (file[key] for key in ("models", "energy", "forces"))
    source = Recorded(member_models(npz))
    assert source.models == tuple(models)
    frames = list(attach_members(read_frames(path, labels="needed"), npz))
    assert source == Recorded.from_frame(frames[0].atoms)
    results = [source.predict(frame.atoms) for frame in frames]
    assert len(results) == 678
    np.testing.assert_array_equal(np.stack([r.energy_members for r in results], axis=1), energy)
    np.testing.assert_array_equal(np.concatenate([r.forces_members for r in results], axis=1), forces)

    # Frames and members belong together: a frame off by one would give errors as large as the forces themselves.
    labels = np.concatenate([frame.forces for frame in frames])
    error = np.sqrt(np.mean((np.concatenate([r.forces for r in results]) - labels) ** 2))
    assert error < 0.1 < np.sqrt(np.mean(labels**2))


@pytest.mark.data
def test_tungsten_frames_without_their_first_are_refused(tungsten: tuple[Path, Path], tmp_path: Path) -> None:
    path, npz = tungsten
    rest = [frame.atoms for frame in read_frames(path)][1:]
    shifted = written(tmp_path, rest)
    with pytest.raises(FrameError, match=r"frames\.extxyz, frame \d+: \d+ atoms, but members of \d+ atoms"):
        list(attach_members(read_frames(shifted), npz))
