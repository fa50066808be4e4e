"""Laws of sources: what they say of a structure does not depend on how it is written down.

A source is asked for all that its capabilities promise: predictions, features, design rows. Laws that move atoms do
not hold it to what it reads from a file (`IsRecorded.is_read`).
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from assay.frames.frame import FrameError
from assay.results.arrays import Array
from assay.sources.capabilities import (
    AnySource,
    HasFeatures,
    HasMembers,
    IsRecorded,
    LinearSource,
    OnlyFeatures,
    Source,
)
from assay.testing.laws import another_order, check, require, require_same, table, through_a_file

ROUNDING = 1e-7
"""Of sums over neighbours in another order, or at positions that differ by rounding."""
STEP = 1e-3
"""Å, of central differences."""
TURN = Rotation.random(rng=np.random.default_rng(8)).as_matrix()
OF_ATOMS = {
    "forces": 0,
    "features": 0,
    "force_rows": 0,
    "reference_forces": 0,
    "forces_members": 1,
    "feature_forces": 1,
}
"""Which axis is that of atoms; other arrays have none."""
VECTORS = {"forces": 1, "forces_members": 2, "force_rows": 1, "reference_forces": 1}
"""Which axis is x, y and z."""
SCALARS = ("energy", "energy_members", "energy_row", "reference_energy")


@dataclass(frozen=True)
class SourceCase:
    """A source and frames of species that it knows; `allow_import` as it needs it when it is loaded."""

    given: AnySource
    frames: Sequence[Atoms]
    allow_import: tuple[str, ...] = ()

    @cached_property
    def source(self) -> AnySource:
        """The source, ready for these frames."""
        if isinstance(self.given, LinearSource | OnlyFeatures):
            return self.given.for_species(sorted({s for frame in self.frames for s in frame.get_chemical_symbols()}))
        return self.given

    @property
    def moved(self) -> list[Atoms]:
        """The frames on whose positions its answers depend."""
        source = self.source
        return [f for f in self.frames if not (isinstance(source, IsRecorded) and source.is_read(f))]

    def loaded(self) -> AnySource:
        """What a file gives back."""
        kind: Any = type(self.source)
        require(hasattr(kind, "from_state"), f"{kind.__name__} has no from_state: no file can be loaded with it")
        found: AnySource = kind.from_state(through_a_file(self.source.state()), self.allow_import)
        return found


def said(source: AnySource, frame: Atoms) -> dict[str, Array]:
    """All that a source says of a frame, by name; force rows as `(A, 3, P)`."""
    if isinstance(source, LinearSource):
        found = {name: value for name, value in vars(source.design(frame)).items() if value is not None}
        if "force_rows" in found:
            found["force_rows"] = found["force_rows"].reshape(len(frame), 3, -1)
    else:
        found = {name: value for name, value in vars(source.predict(frame)).items() if value is not None}
    return {name: np.asarray(value) for name, value in found.items()}


def _same(what: str, found: Mapping[str, Array], expected: Mapping[str, Array], tolerance: float = 0.0) -> None:
    require(found.keys() == expected.keys(), f"{what}: {', '.join(found)}, needed {', '.join(expected)}")
    for name, value in expected.items():
        require_same(f"{name}, {what}", found[name], value, tolerance)


def says_what_it_can(case: SourceCase) -> None:
    """It predicts or has design rows, and has a kind and a label, before it has seen a frame."""
    source = case.given
    require(
        isinstance(source, Source | LinearSource),
        f"{type(source).__name__} neither predicts nor has design rows: see assay.sources.capabilities",
    )
    for part in ("kind", "label"):
        value = getattr(source, part)
        require(isinstance(value, str) and bool(value), f"{part} is {value!r}, needed a name")


def shapes(case: SourceCase) -> None:
    """Arrays of the shapes that `Prediction` and `Design` have, all finite."""
    for frame in case.frames:
        _check_shapes(said(case.source, frame), frame)


def _check_shapes(found: Mapping[str, Array], frame: Atoms) -> None:
    for name, value in found.items():
        bad = int((~np.isfinite(value)).sum())
        require(bad == 0, f"{name}: {bad} of {value.size} numbers are not finite")
        if name in OF_ATOMS:
            require(value.shape[OF_ATOMS[name]] == len(frame), f"{name} of shape {value.shape} for {len(frame)} atoms")
        if name in VECTORS:
            require(value.shape[VECTORS[name]] == 3, f"{name} of shape {value.shape}, needed x, y and z")
        if name in ("stress", "reference_stress", "stress_rows"):
            require(value.shape[0] == 6, f"{name} of shape {value.shape}, needed xx yy zz yz xz xy first")
    for name in ("energy", "reference_energy"):
        if name in found:
            require(found[name].shape == (), f"{name} of shape {found[name].shape}, needed one number")


def order_of_atoms(case: SourceCase) -> None:
    """Atoms in another order have the same forces and features in that order."""
    for frame in case.frames:
        p = another_order(len(frame))
        expected = {
            name: np.take(value, p, axis=OF_ATOMS[name]) if name in OF_ATOMS else value
            for name, value in said(case.source, frame).items()
        }
        _same("atoms in another order", said(case.source, frame[p]), expected, ROUNDING)


def translation(case: SourceCase) -> None:
    """A structure elsewhere in space is the same structure."""
    for frame in case.moved:
        elsewhere = frame.copy()
        elsewhere.positions += [0.3, -11.7, 25.1]
        _same("moved", said(case.source, elsewhere), said(case.source, frame), ROUNDING)


def periodic_image(case: SourceCase) -> None:
    """An atom and its periodic images are the same atom."""
    for frame in case.moved:
        images = frame.copy()
        shifts = np.random.default_rng(2).integers(-2, 3, (len(frame), 3)) * frame.pbc
        images.positions += shifts @ frame.cell.array
        _same("of periodic images", said(case.source, images), said(case.source, frame), ROUNDING)


def rotation(case: SourceCase) -> None:
    """Energies stay, and forces turn with the structure."""
    for frame in case.moved:
        turned = frame.copy()
        turned.set_cell(frame.cell.array @ TURN.T)
        turned.positions = frame.positions @ TURN.T
        before, after = said(case.source, frame), said(case.source, turned)
        for name in (name for name in before if name in SCALARS):
            require_same(f"{name}, turned", after[name], before[name], ROUNDING)
        for name in (name for name in before if name in VECTORS):
            axis = VECTORS[name]
            expected = np.moveaxis(np.moveaxis(before[name], axis, -1) @ TURN.T, -1, axis)
            require_same(f"{name}, turned", after[name], expected, ROUNDING)


def one_atom(case: SourceCase) -> None:
    """A single atom in empty space has finite values, or is refused with `FrameError`."""
    _finite_or_refused(case.source, Atoms(case.frames[0].get_chemical_symbols()[:1], positions=[[0.0, 0.0, 0.0]]))


def molecule(case: SourceCase) -> None:
    """Atoms without a cell have finite values and no stress, or are refused with `FrameError`."""
    frame = case.frames[0].copy()
    frame.set_cell(None)
    frame.pbc = False
    _finite_or_refused(case.source, frame)


def _finite_or_refused(source: AnySource, frame: Atoms) -> None:
    try:
        found = said(source, frame)
    except FrameError as error:
        require(bool(str(error)), "refused with a FrameError that does not say why")
        return
    _check_shapes(found, frame)
    if not (isinstance(source, IsRecorded) and source.is_read(frame)):
        for name in ("stress", "stress_members", "stress_rows"):
            require(name not in found, f"{name} of a frame that has no volume")


def frames_alone(case: SourceCase) -> None:
    """What is said of a frame does not depend on those before it, to the bit."""
    there = [said(case.source, frame) for frame in case.frames]
    back = [said(case.source, frame) for frame in reversed(case.frames)][::-1]
    for one, other in zip(there, back, strict=True):
        _same("frames in another order", other, one)


def sent_to_a_process(case: SourceCase) -> None:
    """Pickled for a worker process, it says the same, to the bit."""
    sent: AnySource = pickle.loads(pickle.dumps(case.source))
    for frame in case.frames:
        _same("pickled", said(sent, frame), said(case.source, frame))


def saved_and_loaded(case: SourceCase) -> None:
    """What a file gives back says the same, to the bit."""
    loaded = case.loaded()
    require(loaded.kind == case.source.kind, f"loaded, it is called {loaded.kind!r}")
    for frame in case.frames:
        _same("saved and loaded", said(loaded, frame), said(case.source, frame))


def inputs_stay(case: SourceCase) -> None:
    """Frames are as they were, and have no calculator."""
    for frame in case.frames:
        given = frame.copy()
        said(case.source, given)
        require(given.calc is None, "the frame has a calculator after the call")
        require(given.info.keys() == frame.info.keys(), f"info of the frame has {list(given.info)} after the call")
        require(given.arrays.keys() == frame.arrays.keys(), f"the frame has the arrays {list(given.arrays)} after it")
        for name, value in frame.arrays.items():
            require_same(f"{name} of the frame after the call", given.arrays[name], value)
        require_same("the cell after the call", given.cell.array, frame.cell.array)


def features_of_the_first(case: SourceCase) -> None:
    """`features` are those of the prediction or the design, and `first` are the first of them."""
    source = case.source
    if not isinstance(source, HasFeatures | LinearSource):
        return
    for frame in case.frames:
        features = source.features(frame)
        require_same("features beside those of all that it says", features, said(source, frame)["features"], ROUNDING)
        require_same("features of the first atom", source.features(frame, 1), features[:1], ROUNDING)


def as_many_members_as_names(case: SourceCase) -> None:
    """There are as many members as names, and some of them alone say what they say among all."""
    source = case.source
    if not isinstance(source, HasMembers):
        return
    names = source.member_names
    for frame in case.frames:
        found = said(source, frame)
        for name in (name for name in found if name.endswith("_members")):
            require(len(found[name]) == len(names), f"{len(found[name])} {name}, and {len(names)} names of members")
        if len(names) > 1 and "forces_members" in found:
            last = said(source.only(names[-1:]), frame)
            require_same("forces of a member alone", last["forces"], found["forces_members"][-1], ROUNDING)


def predictions_follow_from_rows(case: SourceCase) -> None:
    """`predictions` of coefficients, and the calculator of one vector of them, are what the design rows say."""
    source = case.source
    if not isinstance(source, LinearSource):
        return
    thetas = np.random.default_rng(5).normal(size=(2, source.coefficients))
    for frame in case.frames:
        design, found = source.design(frame), source.predictions(frame, thetas)
        require(len(design.energy_row) == source.coefficients, f"{len(design.energy_row)} columns, and P differs")
        expected = design.predictions(thetas)
        for name in ("energy_members", "forces_members"):
            value, needed = getattr(found, name), getattr(expected, name)
            require((value is None) == (needed is None), f"{name} of predictions and of design rows: one has none")
            if needed is not None:
                require_same(f"{name} beside those of the rows", value, needed, ROUNDING)
        if source.changes_forces:
            calculator = source.calculator(thetas[0])
            calculator.calculate(frame.copy(), ["energy", "forces"])
            require_same("energy of the calculator", calculator.results["energy"], expected.member(0).energy, ROUNDING)
            require_same("forces of the calculator", calculator.results["forces"], expected.member(0).forces, ROUNDING)


def forces_are_gradients(case: SourceCase) -> None:
    """Force rows are minus the derivatives of the energy row, by central differences along one direction."""
    source = case.source
    if not (isinstance(source, LinearSource) and source.changes_forces):
        return
    for frame in case.moved:
        direction = np.random.default_rng(6).normal(size=(len(frame), 3))
        rows = said(source, frame)["force_rows"]
        ends = []
        for sign in (1.0, -1.0):
            moved = frame.copy()
            moved.positions += sign * STEP * direction
            ends.append(source.design(moved).energy_row)
        slope, expected = (ends[0] - ends[1]) / (2.0 * STEP), -np.einsum("ac,acp->p", direction, rows)
        scale = 1.0 + np.abs(expected).max()
        require_same("minus the force rows along a displacement", expected / scale, slope / scale, 1e-4)


LAWS_OF_SOURCES = table(
    says_what_it_can,
    shapes,
    order_of_atoms,
    translation,
    periodic_image,
    rotation,
    one_atom,
    molecule,
    frames_alone,
    sent_to_a_process,
    saved_and_loaded,
    inputs_stay,
    features_of_the_first,
    as_many_members_as_names,
    predictions_follow_from_rows,
    forces_are_gradients,
)
"""By name; each of a `SourceCase`."""


def check_source(source: AnySource, frames: Sequence[Atoms], *, allow_import: Sequence[str] = ()) -> None:
    """Every law of sources, on frames of species that it knows; small ones, of which one or more are periodic.

    `source` is an object that can do as `assay.sources.capabilities` says; `allow_import` as it needs it when it is
    loaded from a file. Raises `AssertionError` that lists the laws it breaks, and by how much.
    """
    case = SourceCase(source, tuple(frames), tuple(allow_import))
    check(f"the source {getattr(source, 'kind', source)}", LAWS_OF_SOURCES, [(f"{len(frames)} frames", case)])
