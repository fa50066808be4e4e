"""A law must be seen to fail: for each one a score, a source, a calibrator, a property or a fold that breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import neighbor_list

from assay.propagation.property import Quantity, State, Stationary
from assay.results.design import Design
from assay.results.error_bars import Gaussian
from assay.results.prediction import Prediction
from assay.results.residuals import Residuals
from assay.results.score import ScoreFacts
from assay.scores.features.training import TrainingFeatures
from assay.scores.protocol import DEFAULTS, FitOptions
from assay.sources.frame_calculator import row_calculator
from assay.testing import (
    LAWS_OF_CALIBRATORS,
    LAWS_OF_FOLDS,
    LAWS_OF_PROPERTIES,
    LAWS_OF_SCORES,
    LAWS_OF_SOURCES,
    CalibratorCase,
    FoldCase,
    PropertyCase,
    ScoreCase,
    SourceCase,
    check_calibrator,
    check_fold,
    check_property,
    check_score,
    check_source,
    held_out_values,
)
from assay.testing.laws import keeps

# scores


@dataclass(frozen=True)
class Sound:
    """The largest deviation of a feature from its mean, in units of its largest value."""

    mean: Mapping[int, np.ndarray]
    size: Mapping[int, np.ndarray]

    name: ClassVar[str] = "sound"
    home: ClassVar[str] = "atom"
    facts: ClassVar[ScoreFacts] = ScoreFacts(reads=("features",))

    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Any:
        rows = {z: training.rows(z) for z in training.species}
        return cls(
            {z: f.mean(axis=0) for z, f in rows.items()}, {z: 1e-6 + np.abs(f).max(axis=0) for z, f in rows.items()}
        )

    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        if prediction.features is None:
            raise ValueError(f"{self.name} needs features")
        found = np.full(len(numbers), np.inf)
        for z, mean in self.mean.items():
            apart = np.abs((prediction.features[numbers == z] - mean) / self.size[z])
            found[numbers == z] = apart.max(axis=1)
        return found

    def state(self) -> dict[str, Any]:
        return {name: {str(z): f for z, f in of.items()} for name, of in vars(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Any:
        return cls(*({int(z): f for z, f in state[name].items()} for name in ("mean", "size")))


class FitsAnother(Sound):
    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Any:
        return Sound.fit(training, options)


class OfTheFrame(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        return super().values(prediction, numbers).max(keepdims=True)


class NoAtomAlone(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        found = super().values(prediction, numbers)
        return found * np.nan if len(found) == 1 else found


class FirstIsFarther(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        return super().values(prediction, numbers) + (np.arange(len(numbers)) == 0)


class GrowsWithTheFrame(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        return super().values(prediction, numbers) * len(numbers)


class BesideTheNearest(Sound):
    """Takes the mean of the frame off: the same for two copies, another for atoms alone."""

    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        found = super().values(prediction, numbers)
        return found + found.mean()


class Remembers(Sound):
    seen: ClassVar[list[int]] = []

    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        self.seen.append(1)
        return super().values(prediction, numbers) + 1e-3 * len(self.seen)


class ByChance(Sound):
    @classmethod
    def fit(cls, training: TrainingFeatures, options: FitOptions = DEFAULTS) -> Any:
        sound = Sound.fit(training, options)
        return cls({z: mean + 0.1 * np.random.default_rng().random() for z, mean in sound.mean.items()}, sound.size)


class SavesLess(Sound):
    def state(self) -> dict[str, Any]:
        return super().state() | {"size": {str(z): np.round(f, 1) for z, f in self.size.items()}}


class SavesAnObject(Sound):
    def state(self) -> dict[str, Any]:
        return {"me": self}


class StaysHere(Sound):
    def __reduce__(self) -> Any:
        raise TypeError("it has a handle")


class WritesNumbers(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        found = super().values(prediction, numbers)
        numbers[0] = 1
        return found


class WritesFeatures(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        features = prediction.features
        assert features is not None
        features -= 1.0
        return super().values(prediction, numbers)


class SaysZero(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        return np.zeros(len(numbers)) if prediction.features is None else super().values(prediction, numbers)


class KnowsAllSpecies(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        found = super().values(prediction, numbers)
        return np.where(np.isinf(found), 0.0, found)


class NearIsFar(Sound):
    def values(self, prediction: Prediction, numbers: np.ndarray) -> np.ndarray:
        return np.asarray(-super().values(prediction, numbers))


BROKEN_SCORES = {
    "says_what_it_is": (FitsAnother, "fit gives a Sound, needed a FitsAnother"),
    "one_value_for_each": (OfTheFrame, r"values of shape \(1,\), needed \(8,\)"),
    "one_atom": (NoAtomAlone, "NaN for a frame of one atom"),
    "order_of_atoms": (FirstIsFarther, r"atoms in another order: 2 of 8 values are off"),
    "frame_twice_over": (GrowsWithTheFrame, "every atom twice: 16 of 16 values are off"),
    "atoms_alone": (BesideTheNearest, "atoms one by one: 8 of 8 values are off"),
    "frames_alone": (Remembers, "frames in another order: 8 of 8 values are off"),
    "same_again": (ByChance, "a second fit to the same frames: .* values are off"),
    "saved_and_loaded": (SavesLess, "saved and loaded: .* values are off, the first at"),
    "sent_to_a_process": (StaysHere, "raised TypeError: it has a handle"),
    "inputs_stay": (WritesNumbers, "atomic numbers after the call: 1 of 8 values are off"),
    "what_is_missing_is_told": (SaysZero, r"reads features, and says \[0\. "),
    "unknown_species_is_far": (KnowsAllSpecies, "0 for a species without training atoms, needed inf"),
    "far_is_farther": (NearIsFar, "-[0-9.e+]* far away from training, and up to -"),
}


def test_a_sound_score_passes() -> None:
    check_score(Sound)


@pytest.mark.parametrize("law", LAWS_OF_SCORES)
def test_a_score_that_breaks_a_law(law: str) -> None:
    kind, message = BROKEN_SCORES[law]
    with pytest.raises(AssertionError, match=message):
        keeps(LAWS_OF_SCORES[law], ScoreCase(kind))


def test_further_ways_to_break_a_law_of_scores() -> None:
    with pytest.raises(AssertionError, match="read-only"):
        keeps(LAWS_OF_SCORES["inputs_stay"], ScoreCase(WritesFeatures))
    with pytest.raises(AssertionError, match="a file can't hold the state, needed JSON values and arrays"):
        keeps(LAWS_OF_SCORES["saved_and_loaded"], ScoreCase(SavesAnObject))


def test_all_broken_laws_are_told_at_once_and_where() -> None:
    with pytest.raises(AssertionError) as found:
        check_score(GrowsWithTheFrame)
    assert str(found.value).startswith("the score sound breaks 2 of 14 laws:\n- frame_twice_over: every atom twice: ")
    assert "- atoms_alone: atoms one by one: " in str(found.value)
    assert "[training set: two species]" in str(found.value)


# sources


def pairs(frame: Atoms, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """`f_ik = Σ_j exp(−(r_ij / w_k)²)`, `(A, 2)`, and minus its gradients, `(A, 3, 2)`."""
    widths = np.array([1.0, 1.6])
    i, r, vector = neighbor_list("idD", frame, 4.8)
    terms = np.exp(-((r[:, None] / widths) ** 2))
    features, forces = np.zeros((len(frame), 2)), np.zeros((len(frame), 3, 2))
    np.add.at(features, i, terms)
    np.add.at(forces, i, -4.0 * scale * vector[:, :, None] * (terms / widths**2)[:, None])
    return features, forces


@dataclass(frozen=True)
class Pairs:
    """A sound source of design rows."""

    kind: ClassVar[str] = "pairs"
    label: str = "pairs"
    species: tuple[str, ...] = ("Cu",)
    coefficients: int = 3
    cutoff: float = 4.8
    changes_forces: bool = True

    def for_species(self, species: Any) -> Pairs:
        return replace(self, species=tuple(species))

    def design(self, frame: Atoms) -> Design:
        (features, forces), n = pairs(frame), len(frame)
        rows = np.concatenate([np.zeros((n, 3, 1)), forces], axis=2).reshape(3 * n, -1)
        return Design(np.append(n, features.sum(axis=0)), rows, None, features, 0.0, np.zeros((n, 3)), np.zeros(6))

    def predictions(self, frame: Atoms, coefficients: np.ndarray) -> Prediction:
        return self.design(frame).predictions(coefficients)

    def calculator(self, coefficients: np.ndarray) -> Calculator:
        return row_calculator(self, coefficients)

    def features(self, frame: Atoms, first: int | None = None) -> np.ndarray:
        return pairs(frame)[0][:first]

    def state(self) -> dict[str, Any]:
        return {"species": list(self.species)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Any = ()) -> Pairs:
        return cls(species=tuple(state["species"]))


def changed(**fields: Any) -> type[Pairs]:
    """`Pairs` whose designs are changed: each field a function of the frame and what it was."""

    class Changed(Pairs):
        def design(self, frame: Atoms) -> Design:
            sound = super().design(frame)
            return replace(sound, **{name: of(frame, getattr(sound, name)) for name, of in fields.items()})

    return Changed


CALLS = iter(range(10_000))


def outside_the_cell(frame: Atoms) -> float:
    """A number that differs between periodic images."""
    return (
        float(np.floor(frame.get_scaled_positions(wrap=False)[:, frame.pbc] + 1e-9).sum()) if frame.pbc.any() else 0.0
    )


class NamesMembers(Pairs):
    """Predicts with two members, and names three."""

    member_names: ClassVar[tuple[str, ...]] = ("a", "b", "c")
    member_rmse: ClassVar[tuple[float, ...]] = ()
    featured: ClassVar[str] = ""
    design: ClassVar[Any] = property()
    predictions: ClassVar[Any] = property()

    def predict(self, frame: Atoms) -> Prediction:
        forces = np.zeros((len(frame), 3))
        return Prediction(0.0, forces, energy_members=np.zeros(2), forces_members=np.stack([forces, forces]))

    def only(self, names: Any) -> NamesMembers:
        return self


class HandlesAFrame(Pairs):
    def design(self, frame: Atoms) -> Design:
        found = super().design(frame)
        frame.calc = SinglePointCalculator(frame, energy=0.0)
        return found


class KeptAtHome(Pairs):
    def __reduce__(self) -> Any:
        raise TypeError("it has a handle")


class Forgets(Pairs):
    def state(self) -> dict[str, Any]:
        return {"species": ["Ni"]}

    def design(self, frame: Atoms) -> Design:
        found = super().design(frame)
        return found if self.species == ("Cu",) else replace(found, reference_energy=1.0)


class OtherFeatures(Pairs):
    def features(self, frame: Atoms, first: int | None = None) -> np.ndarray:
        return pairs(frame)[0]


class OtherPredictions(Pairs):
    def predictions(self, frame: Atoms, coefficients: np.ndarray) -> Prediction:
        return self.design(frame).predictions(1.1 * coefficients)


class Nameless(Pairs):
    kind: ClassVar[str] = ""


BROKEN_SOURCES: Mapping[str, tuple[type[Any], str]] = {
    "says_what_it_can": (Nameless, "kind is '', needed a name"),
    "shapes": (changed(energy_row=lambda frame, row: row * np.nan), "energy_row: 3 of 3 numbers are not finite"),
    "order_of_atoms": (
        changed(features=lambda frame, f: f + (np.arange(len(f)) == 0)[:, None]),
        "features, atoms in another order: 4 of 8 values are off",
    ),
    "translation": (
        changed(reference_energy=lambda frame, e: e + frame.positions.mean()),
        "reference_energy, moved: 1 of 1 values are off",
    ),
    "periodic_image": (
        changed(reference_energy=lambda frame, e: e + outside_the_cell(frame)),
        "reference_energy, of periodic images: 1 of 1 values are off",
    ),
    "rotation": (
        changed(reference_forces=lambda frame, f: f + np.array([0.0, 0.0, 1.0])),
        "reference_forces, turned: .* values are off",
    ),
    "one_atom": (
        changed(features=lambda frame, f: f * (np.nan if len(f) == 1 else 1.0)),
        "features: 2 of 2 numbers are not finite",
    ),
    "molecule": (
        changed(stress_rows=lambda frame, rows: np.zeros((6, 3))),
        "stress_rows of a frame that has no volume",
    ),
    "frames_alone": (
        changed(reference_energy=lambda frame, e: e + next(CALLS)),
        "reference_energy, frames in another order: 1 of 1 values are off",
    ),
    "sent_to_a_process": (KeptAtHome, "raised TypeError: it has a handle"),
    "saved_and_loaded": (Forgets, "reference_energy, saved and loaded: 1 of 1 values are off"),
    "inputs_stay": (HandlesAFrame, "the frame has a calculator after the call"),
    "features_of_the_first": (OtherFeatures, r"features of the first atom: shape \(4, 2\), needed \(1, 2\)"),
    "as_many_members_as_names": (NamesMembers, "2 energy_members, and 3 names of members"),
    "predictions_follow_from_rows": (OtherPredictions, "energy_members beside those of the rows: 2 of 2 values"),
    "forces_are_gradients": (
        changed(force_rows=lambda frame, rows: 0.9 * rows),
        "minus the force rows along a displacement: 2 of 3 values are off",
    ),
}


def frames() -> tuple[Atoms, ...]:
    crystal, cluster = bulk("Cu", cubic=True), bulk("Cu", cubic=True)
    cluster.pbc = False
    for seed, atoms in enumerate((crystal, cluster)):
        atoms.rattle(0.1, seed=seed)
    return crystal, cluster


def test_a_sound_source_passes() -> None:
    check_source(Pairs(), frames())


@pytest.mark.parametrize("law", LAWS_OF_SOURCES)
def test_a_source_that_breaks_a_law(law: str) -> None:
    kind, message = BROKEN_SOURCES[law]
    with pytest.raises(AssertionError, match=message):
        keeps(LAWS_OF_SOURCES[law], SourceCase(kind(), frames()))


# calibrators


@dataclass(frozen=True)
class Steady:
    """`σ = α s`, α the median of |e| / s."""

    alpha: float

    name: ClassVar[str] = "steady"
    of_groups: ClassVar[bool] = False
    by_order: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fit(cls, held_out: Residuals) -> Any:
        return cls(float(np.median(held_out.ratios)))

    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        return Gaussian(mean, self.alpha * spread, unit)

    def state(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Any:
        return cls(state["alpha"])


class OfTheFirst(Steady):
    @classmethod
    def fit(cls, held_out: Residuals) -> Any:
        return cls(float(held_out.ratios[0]))


class NeverBelowOne(Steady):
    """In eV: neither twice the errors nor other units of the score change it rightly."""

    @classmethod
    def fit(cls, held_out: Residuals) -> Any:
        return cls(1.0)


class NotANumber(Steady):
    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        return Gaussian(mean, np.where(spread < 0.1, np.nan, spread), unit)


class Narrows(Gaussian):
    def half_width(self, level: float) -> np.ndarray:
        return self.std / level


class NarrowsAtHigherLevels(Steady):
    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        return Narrows(mean, self.alpha * spread, unit)


class OffCentre(Steady):
    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        return Gaussian(mean + 1.0, self.alpha * spread, unit)


class OfTheOthers(Steady):
    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        return Gaussian(mean, self.alpha * (spread + spread.mean()), unit)


class Capped(Steady):
    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        return Gaussian(mean, self.alpha * np.minimum(spread, 50.0), unit)


class OfTheSpread(Steady):
    @classmethod
    def fit(cls, held_out: Residuals) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return cls(float(np.median(held_out.ratios) * np.float64(0.0 if len(held_out.error) > 1 else np.nan)))


class KnowsTheUnknown(Steady):
    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        wide = 1.0 if group is None else np.where(np.asarray(group) == "never seen", 2.0, 1.0)
        return Gaussian(mean, self.alpha * wide * spread, unit)


class Unsteady(Steady):
    @classmethod
    def fit(cls, held_out: Residuals) -> Any:
        return cls(1.0 + float(np.random.default_rng().random()))


class SavesRoughly(Steady):
    def state(self) -> dict[str, Any]:
        return {"alpha": round(self.alpha, 2)}


class Clings(Steady):
    def __reduce__(self) -> Any:
        raise TypeError("it has a handle")


class WritesSpreads(Steady):
    def bar(self, mean: np.ndarray, spread: np.ndarray, unit: str, group: Any = None) -> Gaussian:
        spread *= self.alpha
        return Gaussian(mean, spread, unit)


class Secret(Steady):
    groups: ClassVar[tuple[str, ...]] = ("a",)


BROKEN_CALIBRATORS = {
    "says_what_it_is": (Secret, r"has the groups \('a',\), and says that it takes none"),
    "order_and_signs_of_errors": (OfTheFirst, "values in another order: 120 of 120 values are off"),
    "twice_the_errors": (NeverBelowOne, "twice the errors: 120 of 120 values are off"),
    "units_of_the_score": (NeverBelowOne, "1000 times larger scores: 120 of 120 values are off"),
    "no_nan": (NotANumber, "45 of 120 half widths are NaN"),
    "wider_at_a_higher_level": (NarrowsAtHigherLevels, r"narrower at a higher level, of 0\.5, 0\.68, 0\.95"),
    "of_any_shape": (OffCentre, "the centres: 6 of 6 values are off"),
    "values_alone": (OfTheOthers, "bars one by one: .* of 120 values are off"),
    "infinite_scores": (Capped, "of an infinite score, needed inf"),
    "one_value": (OfTheSpread, "NaN, fitted to one value"),
    "unknown_groups": (KnowsTheUnknown, "a group that is not known: 24 of 24 values are off"),
    "same_again": (Unsteady, "a second fit to the same values: 120 of 120 values are off"),
    "saved_and_loaded": (SavesRoughly, "saved and loaded: 120 of 120 values are off"),
    "sent_to_a_process": (Clings, "raised TypeError: it has a handle"),
    "inputs_stay": (WritesSpreads, "the spreads after the call: 8 of 8 values are off"),
}


def test_a_sound_calibrator_passes() -> None:
    check_calibrator(Steady)


@pytest.mark.parametrize("law", LAWS_OF_CALIBRATORS)
def test_a_calibrator_that_breaks_a_law(law: str) -> None:
    kind, message = BROKEN_CALIBRATORS[law]
    with pytest.raises(AssertionError, match=message):
        keeps(LAWS_OF_CALIBRATORS[law], CalibratorCase(kind, held_out_values()))


# properties


def lennard_jones(sigma: float) -> Any:
    return lambda: LennardJones(sigma=sigma, epsilon=0.4, rc=2 * sigma, smooth=True)


POTENTIALS = (lennard_jones(2.25), lennard_jones(2.32))


def energy(atoms: Atoms, calculator: Calculator) -> float:
    atoms = atoms.copy()
    atoms.calc = calculator
    return float(atoms.get_potential_energy())


@dataclass(frozen=True)
class CrystalEnergy:
    """The energy of fcc, and one of it strained as a curve."""

    name: str = "crystal energy"

    @classmethod
    def from_words(cls, words: Any, options: Mapping[str, str], species: Any) -> Any:
        if options:
            raise ValueError(f"knows no option {', '.join(options)}")
        return cls()

    def start(self, calculator: Calculator) -> dict[str, Atoms]:
        return {"fcc": bulk("Cu", a=3.6)}

    def quantities(self, calculator: Calculator, start: Mapping[str, Atoms]) -> dict[str, Quantity]:
        at, strains = start["fcc"], np.array([0.99, 1.01])
        cells = [bulk("Cu", a=3.6 * strain) for strain in strains]
        curve = np.array([energy(cell, calculator) for cell in cells])
        return {"energy": Quantity(energy(at, calculator), "eV"), "strained": Quantity(curve, "eV", strains, "strain")}

    def stationary(self, start: Mapping[str, Atoms]) -> dict[str, Stationary]:
        return {"fcc": Stationary(start["fcc"], "nothing")}

    def of_states(self, states: Mapping[str, State]) -> dict[str, Quantity]:
        return {"energy": Quantity(states["fcc"].energy, "eV")}


def altered(energy_of: Any) -> Any:
    """A `CrystalEnergy` whose quantity `energy` is another one: a function of it, the calculator and the start."""

    @dataclass(frozen=True)
    class Altered(CrystalEnergy):
        def quantities(self, calculator: Calculator, start: Mapping[str, Atoms]) -> dict[str, Quantity]:
            found = super().quantities(calculator, start)
            return found | {"energy": energy_of(found["energy"], calculator, start)}

    return Altered()


class CarriesIt(CrystalEnergy):
    def start(self, calculator: Calculator) -> dict[str, Atoms]:
        found = super().start(calculator)
        found["fcc"].calc = calculator
        return found


class FromTheFirst(CrystalEnergy):
    """Hands on what the first potential gave."""

    kept: ClassVar[dict[str, Quantity]] = {}

    def quantities(self, calculator: Calculator, start: Mapping[str, Atoms]) -> dict[str, Quantity]:
        if not self.kept:
            self.kept.update(super().quantities(calculator, start))
        return self.kept


class RemembersTheLast(CrystalEnergy):
    """Right for one potential twice, wrong for one behind another."""

    last: ClassVar[list[float]] = [2.25]

    def quantities(self, calculator: Calculator, start: Mapping[str, Atoms]) -> dict[str, Quantity]:
        sigma = calculator.parameters["sigma"]
        before, self.last[0] = self.last[0], sigma
        found = super().quantities(calculator, start)
        return found | {"energy": Quantity(found["energy"].value + (before > sigma), "eV")}


class StaysWithUs(CrystalEnergy):
    def __reduce__(self) -> Any:
        raise TypeError("it has a handle")


class NoDataclass:
    """All its settings are in an attribute, which nobody can read."""

    name = "no dataclass"
    start, quantities = CrystalEnergy.start, CrystalEnergy.quantities


class Strains(CrystalEnergy):
    def quantities(self, calculator: Calculator, start: Mapping[str, Atoms]) -> dict[str, Quantity]:
        found = super().quantities(calculator, start)
        start["fcc"].rattle(0.1)
        return found


class SaysZeroOfFailures(CrystalEnergy):
    def quantities(self, calculator: Calculator, start: Mapping[str, Atoms]) -> dict[str, Quantity]:
        try:
            return super().quantities(calculator, start)
        except Exception:
            return {"energy": Quantity(0.0, "eV")}


class TakesAnything(CrystalEnergy):
    @classmethod
    def from_words(cls, words: Any, options: Mapping[str, str], species: Any) -> Any:
        return cls()


class OfOtherStates(CrystalEnergy):
    def of_states(self, states: Mapping[str, State]) -> dict[str, Quantity]:
        return {"energy": Quantity(1.1 * states["fcc"].energy, "eV")}


BROKEN_PROPERTIES: Mapping[str, tuple[Any, str]] = {
    "says_what_it_is": (CarriesIt(), "the structure 'fcc' of start carries a calculator"),
    "numbers_with_units": (
        altered(lambda energy, calculator, start: energy.value),
        "energy is .*, needed a Quantity with its unit",
    ),
    "like_the_best_fit": (
        altered(lambda energy, calculator, start: replace(energy, unit=f"eV/{calculator.parameters['sigma']}")),
        "energy is in 'eV/2.32', and with the best fit in 'eV/2.25'",
    ),
    "follows_the_potential": (FromTheFirst(), "another potential gives the same numbers, to the bit"),
    "same_again": (
        altered(lambda energy, calculator, start: replace(energy, value=energy.value + next(CALLS))),
        "energy, a second time: 1 of 1 values are off",
    ),
    "potentials_alone": (RemembersTheLast(), "energy, in another order: 1 of 1 values are off"),
    "sent_to_a_process": (StaysWithUs(), "raised TypeError: it has a handle"),
    "known_again": (NoDataclass(), "a copy has other settings, so that no run can be resumed"),
    "inputs_stay": (Strains(), "positions of fcc after the call: 3 of 3 values are off"),
    "a_failure_is_said": (SaysZeroOfFailures(), "a potential that fails gives energy"),
    "unknown_options_are_refused": (TakesAnything(), "takes no_such_option=1"),
    "states_give_the_numbers": (OfOtherStates(), "energy, from the stationary points: 1 of 1 values are off"),
}


def test_a_sound_property_passes() -> None:
    check_property(CrystalEnergy(), POTENTIALS)


@pytest.mark.parametrize("law", LAWS_OF_PROPERTIES)
def test_a_property_that_breaks_a_law(law: str) -> None:
    given, message = BROKEN_PROPERTIES[law]
    with pytest.raises(AssertionError, match=message):
        keeps(LAWS_OF_PROPERTIES[law], PropertyCase(given, POTENTIALS))


def test_further_ways_to_break_a_law_of_properties() -> None:
    numbers = {
        "energy: 1 of 1 numbers are not finite": Quantity(np.nan, "eV"),
        r"energy of shape \(3,\) is over abscissae of shape None": Quantity(np.ones(3), "eV"),
        r"energy of shape \(\) is over abscissae of shape \(2,\)": Quantity(1.0, "eV", np.ones(2)),
        "the unit of energy is None": Quantity(1.0, None),  # type: ignore[arg-type]
    }
    for message, quantity in numbers.items():
        with pytest.raises(AssertionError, match=message):
            keeps(
                LAWS_OF_PROPERTIES["numbers_with_units"],
                PropertyCase(altered(lambda *_, instead=quantity: instead), POTENTIALS),
            )
    fixed = altered(lambda energy, calculator, start: replace(energy, value=np.nan_to_num(energy.value)))
    with pytest.raises(AssertionError, match="a potential that gives NaN gives energy"):
        keeps(LAWS_OF_PROPERTIES["a_failure_is_said"], PropertyCase(fixed, POTENTIALS))


def test_laws_of_properties_compare_two_potentials() -> None:
    with pytest.raises(ValueError, match="give two or more, not 1"):
        check_property(CrystalEnergy(), POTENTIALS[:1])


# folds


class Mean:
    """Of numbers."""

    def __init__(self) -> None:
        self.count, self.total = 0, 0.0

    def update(self, values: np.ndarray) -> None:
        self.count += len(values)
        self.total += values.sum()

    def merge(self, other: Mean) -> None:
        self.count += other.count
        self.total += other.total


class OfMeans(Mean):
    """Takes the mean of means, which is not that of all."""

    def merge(self, other: Mean) -> None:
        self.total = self.total / self.count + other.total / other.count
        self.count = 2


class CountsMerges(Mean):
    """Right for one merge, wrong for two."""

    merges = 0

    def merge(self, other: Mean) -> None:
        super().merge(other)
        self.merges += 1
        self.total += float(self.merges > 1)


class KeepsTheFirst(Mean):
    first = None

    def update(self, values: np.ndarray) -> None:
        super().update(values)
        self.first = values[0] if self.first is None else self.first


class EmptiesTheOther(Mean):
    def merge(self, other: Mean) -> None:
        super().merge(other)
        other.total = 0.0


class SharesItsParts(Mean):
    """Keeps the totals of chunks in a list, which it takes over from the first that is merged into it."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[float] = []

    def update(self, values: np.ndarray) -> None:
        super().update(values)
        self.parts.append(values.sum())

    def merge(self, other: Any) -> None:
        super().merge(other)
        self.parts = self.parts + other.parts if self.parts else other.parts


class CountsNothing(Mean):
    def merge(self, other: Mean) -> None:
        super().merge(other)
        self.count += other.count == 0


BROKEN_FOLDS: Mapping[str, tuple[type[Mean], str]] = {
    "merged_is_whole": (OfMeans, "merged of two parts, 0: 1 of 1 values are off"),
    "chunk_by_chunk": (CountsMerges, "merged of single chunks, 1: 1 of 1 values are off"),
    "either_into_the_other": (KeepsTheFirst, "merged the other way round, 2: 1 of 1 values are off"),
    "the_other_stays": (EmptiesTheOther, "the one that was merged, 1: 1 of 1 values are off"),
    "the_other_stays_afterwards": (SharesItsParts, "merged into one that went on, 2: 1 of 1 values are off"),
    "nothing_adds_nothing": (CountsNothing, "merged with an empty one, 0: 1 of 1 values are off"),
}
CHUNKS = [(np.arange(float(n)) + n,) for n in (3, 1, 5, 2)]


def outcome(fold: Any) -> list[float]:
    further = [fold.first] if isinstance(fold, KeepsTheFirst) else [sum(getattr(fold, "parts", []))]
    return [fold.count, fold.total, *further]


def test_a_sound_fold_passes() -> None:
    check_fold(Mean, CHUNKS, outcome)


@pytest.mark.parametrize("law", LAWS_OF_FOLDS)
def test_a_fold_that_breaks_a_law(law: str) -> None:
    kind, message = BROKEN_FOLDS[law]
    with pytest.raises(AssertionError, match=message):
        keeps(LAWS_OF_FOLDS[law], FoldCase(kind, CHUNKS, outcome))
