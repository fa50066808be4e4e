"""The fit of a linear potential: what it minimises, its weights, its bootstrap, its failures. Rows are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from assay.frames.dataset import Survey
from assay.frames.frame import Frame, FrameError, content_hash
from assay.frames.splits import contiguous_blocks
from assay.linear.fit import fit_linear
from assay.linear.posteriors import bootstrap
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.linear.potential import LinearPotential
from assay.linear.weights import Weights
from assay.results.design import Design
from assay.results.prediction import Prediction


@dataclass(frozen=True)
class Rows:
    """Random rows, the same for the same frame, with the numbers of atoms first as in `Snap`."""

    species: tuple[str, ...] = ("Si", "Ge")
    extra: int = 6
    broken: tuple[int, ...] = ()
    repeat: int = 1

    @property
    def coefficients(self) -> int:
        return len(self.species) + self.extra * self.repeat

    def predictions(self, atoms: Atoms, coefficients: np.ndarray) -> Prediction:
        return self.design(atoms).predictions(coefficients)

    def design(self, atoms: Atoms) -> Design:
        seed, n, s = atoms.info["seed"], len(atoms), len(self.species)
        if seed in self.broken:
            raise FrameError("atom 0 is out of order")
        rng = np.random.default_rng(seed)
        force_rows = np.zeros((3 * n, s + self.extra))
        stress_rows = np.zeros((6, s + self.extra))
        force_rows[:, s:], stress_rows[:, s:] = rng.normal(size=(3 * n, self.extra)), rng.normal(size=(6, self.extra))
        energy_row = np.concatenate(
            [[np.sum(np.array(atoms.symbols) == each) for each in self.species], rng.normal(size=self.extra)]
        )

        def wide(rows: np.ndarray) -> np.ndarray:
            return np.concatenate([rows[..., :s], *[rows[..., s:]] * self.repeat], axis=-1)

        return Design(
            energy_row=wide(energy_row),
            force_rows=wide(force_rows),
            stress_rows=wide(stress_rows) if atoms.pbc.all() else None,
            features=np.zeros((n, 1)),
            reference_energy=rng.normal(),
            reference_forces=rng.normal(size=(n, 3)),
            reference_stress=rng.normal(size=6),
        )


def make(n: int = 40, stress: bool = True, noise: float = 0.3, repeat: dict[str, int] | None = None) -> list[Frame]:
    """Frames of two config types whose labels follow the rows, with noise; `repeat` gives some more than once."""
    theta = np.random.default_rng(99).normal(size=8)
    theta[:2] = -5.4, -4.2
    frames = []
    for seed in range(n):
        kind = "odd" if seed % 3 == 0 else "even"
        atoms = Atoms(["SiGe", "Si3Ge", "Ge2", "Si5"][seed % 4], pbc=stress, info={"seed": seed})
        atoms.positions[:, 0], atoms.positions[:, 1] = np.arange(len(atoms)) * 2.0, seed
        design, rng = Rows().design(atoms), np.random.default_rng(1000 + seed)
        energy = design.energy_row @ theta + design.reference_energy + noise * rng.normal()
        forces = (design.force_rows @ theta).reshape(-1, 3) + design.reference_forces
        forces += noise * rng.normal(size=forces.shape)
        sigma = None
        if stress:
            assert design.stress_rows is not None
            sigma = design.stress_rows @ theta + design.reference_stress + noise * rng.normal(size=6)
        frame = Frame(atoms, f"f:{seed}", kind, float(energy), forces, sigma)
        frames += [frame] * (repeat or {}).get(kind, 1)
    return frames


def fitted(frames: list[Frame], rows: Any = None, **options: Any) -> LinearPotential:
    survey = Survey.fit(frames, b=options["weights"].b if "weights" in options else 50.0)
    options.setdefault("chosen", np.ones(len(frames), dtype=bool))
    options.setdefault("posterior", Bootstrap())
    return fit_linear(frames, survey, rows or Rows(), **options)


# ---------------------------------------------------------------- what is minimised


def references(frames: list[Frame], w: np.ndarray) -> np.ndarray:
    counts = np.array([[np.sum(np.array(f.atoms.symbols) == s) for s in ("Si", "Ge")] for f in frames])
    n = counts.sum(axis=1)
    root = np.sqrt(w) / n
    return np.linalg.lstsq(counts * root[:, None], np.array([f.energy for f in frames]) * root, rcond=None)[0]


def by_hand(frames: list[Frame], w: np.ndarray, v: list[np.ndarray], scaled: bool, ridge: float) -> np.ndarray:
    """Dense least squares of `Σ_f w_f (ΔE/n)² / s_E² + Σ_i v_i |ΔF|² / 3 s_F² + Σ_f w_f |Δσ|² / 6 s_σ²`.

    w `(F,)` and v, one array `(A,)` for each frame, each sum to one over the training set.
    """
    e = references(frames, w)
    n = np.array([len(f.atoms) for f in frames])
    counts = np.array([[np.sum(np.array(f.atoms.symbols) == s) for s in ("Si", "Ge")] for f in frames])
    scale = {"energy": 1.0, "force": 1.0, "stress": 1.0}
    if scaled:
        above = (np.array([f.energy for f in frames]) - counts @ e) / n
        scale["energy"] = np.sqrt(w @ above**2)
        forces, per_atom = np.concatenate([f.forces for f in frames]), np.concatenate(v)
        scale["force"] = np.sqrt(per_atom @ np.mean(forces**2, axis=1))
        if frames[0].stress is not None:
            scale["stress"] = np.sqrt(w @ np.array([np.mean(f.stress**2) for f in frames]))
    x, y = [], []
    for i, frame in enumerate(frames):
        design = Rows().design(frame.atoms)
        root = np.sqrt(w[i]) / scale["energy"] / n[i]
        x.append(root * design.energy_row[None])
        y.append([root * (frame.energy - design.reference_energy - counts[i] @ e)])
        roots = np.repeat(np.sqrt(v[i] / 3), 3) / scale["force"]
        x.append(roots[:, None] * design.force_rows)
        y.append(roots * (frame.forces - design.reference_forces).ravel())
        if frame.stress is not None:
            x.append(np.sqrt(w[i] / 6) / scale["stress"] * design.stress_rows)
            y.append(np.sqrt(w[i] / 6) / scale["stress"] * (frame.stress - design.reference_stress))
    rows, targets = np.vstack(x), np.concatenate(y)
    augmented = np.vstack([rows, np.sqrt(ridge) * np.diag(np.linalg.norm(rows, axis=0))])
    theta = np.linalg.lstsq(augmented, np.concatenate([targets, np.zeros(8)]), rcond=None)[0]
    theta[:2] += e
    return theta


def partly_labelled() -> list[Frame]:
    """A quarter with energies alone, the first of them without stress; others without energy, or without stress."""
    frames = make(24)
    for i in range(24):
        if i % 4 == 0:
            frames[i] = replace(frames[i], forces=None, stress=None if i == 0 else frames[i].stress)
        if i % 6 == 1:
            frames[i] = replace(frames[i], energy=None)
        if i % 5 == 2:
            frames[i] = replace(frames[i], stress=None)
    return frames


def rows_by_hand(frames: list[Frame]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each kind of label over the frames that have it: `Σ w = 1`, and its own root mean square as its scale."""
    e = references([f for f in frames if f.energy is not None], np.ones(sum(f.energy is not None for f in frames)))
    x, y = [], []
    for kind in ("energy", "forces", "stress"):
        own = [f for f in frames if getattr(f, kind) is not None]
        n = np.array([len(f.atoms) for f in own])
        counts = np.array([[np.sum(np.array(f.atoms.symbols) == s) for s in ("Si", "Ge")] for f in own])
        designs = [Rows().design(f.atoms) for f in own]
        if kind == "energy":
            labels = (np.array([f.energy for f in own]) - counts @ e) / n
            given = labels - np.array([d.reference_energy for d in designs]) / n
            rows, weight = np.array([d.energy_row for d in designs]) / n[:, None], np.full(len(own), 1 / len(own))
        elif kind == "forces":
            labels = np.concatenate([f.forces.ravel() for f in own])
            given = labels - np.concatenate([d.reference_forces.ravel() for d in designs])
            rows, weight = np.concatenate([d.force_rows for d in designs]), np.full(3 * n.sum(), 1 / (3 * n.sum()))
        else:
            labels = np.concatenate([f.stress for f in own])
            given = labels - np.concatenate([d.reference_stress for d in designs])
            rows, weight = np.concatenate([d.stress_rows for d in designs]), np.full(6 * len(own), 1 / (6 * len(own)))
        root = np.sqrt(weight) / np.sqrt(np.mean(labels**2))
        x.append(root[:, None] * rows)
        y.append(root * given)
    return np.vstack(x), np.concatenate(y), e


def test_each_kind_of_label_counts_over_the_frames_that_have_it():
    frames = partly_labelled()
    potential = fitted(frames)
    rows, targets, e = rows_by_hand(frames)
    ridge = np.sqrt(potential.ridge) * np.diag(np.linalg.norm(rows, axis=0))
    theta = np.linalg.lstsq(np.vstack([rows, ridge]), np.concatenate([targets, np.zeros(8)]), rcond=None)[0]
    theta[:2] += e
    assert potential.theta == pytest.approx(theta, rel=1e-6)


@pytest.mark.parametrize("scheme", ["uniform", "exponential"])
def test_where_a_frame_without_some_labels_stands_makes_no_difference(scheme: str):
    frames = partly_labelled()
    options = {"weights": Weights(scheme), "groups": 1}
    one, other = fitted(frames, **options), fitted([*frames[1:], frames[0]], **options)
    assert one.theta == pytest.approx(other.theta, rel=1e-7)


def normalised(v: list[np.ndarray]) -> list[np.ndarray]:
    total = sum(each.sum() for each in v)
    return [each / total for each in v]


def uniform(frames: list[Frame]) -> tuple[np.ndarray, list[np.ndarray], bool]:
    return np.full(len(frames), 1 / len(frames)), normalised([np.ones(len(f.atoms)) for f in frames]), True


def per_kind(frames: list[Frame]) -> tuple[np.ndarray, list[np.ndarray], bool]:
    factor = np.array([7.0 if f.config_type == "odd" else 1.0 for f in frames])
    w = [np.full(len(f.atoms), a) for f, a in zip(frames, factor, strict=True)]
    return factor / factor.sum(), normalised(w), True


def perez(frames: list[Frame]) -> tuple[np.ndarray, list[np.ndarray], bool]:
    """Perez et al., Eq. 9: `exp(-E_ref / a)` and `exp(-|F| / b)`, each normalised to the same total."""
    a, b = 0.5, 2.0
    formulas = [str(f.atoms.symbols.formula.reduce()[0]) for f in frames]
    per_atom = np.array([f.energy / len(f.atoms) for f in frames])
    lowest = {x: min(e for e, y in zip(per_atom, formulas, strict=True) if y == x) for x in formulas}
    w = np.exp(-(per_atom - [lowest[x] for x in formulas]) / a)
    return w / w.sum(), normalised([np.exp(-np.linalg.norm(f.forces, axis=1) / b) for f in frames]), False


SCHEMES: dict[str, tuple[Weights, Callable[..., Any]]] = {
    "uniform": (Weights(), uniform),
    "config_type": (Weights("config_type", {"odd": 7.0}), per_kind),
    "exponential": (Weights("exponential", a=0.5, b=2.0), perez),
}


@pytest.mark.parametrize("stress", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_fit_is_weighted_ridge_regression(scheme, stress):
    weights, formula = SCHEMES[scheme]
    frames = make(stress=stress)
    potential = fitted(frames, weights=weights)
    np.testing.assert_allclose(potential.theta, by_hand(frames, *formula(frames), potential.ridge), rtol=1e-7)
    other = by_hand(frames, *SCHEMES["uniform" if scheme != "uniform" else "config_type"][1](frames), potential.ridge)
    assert not np.allclose(potential.theta, other, rtol=1e-3)


def test_a_factor_of_a_config_type_equals_repeating_its_frames(monkeypatch):
    monkeypatch.setattr(bootstrap, "choose_ridge", lambda equations: 1e-9)
    weighted = fitted(make(), weights=Weights("config_type", {"odd": 3.0})).theta
    repeated = fitted(make(repeat={"odd": 3})).theta
    np.testing.assert_allclose(weighted, repeated, rtol=1e-7)


def test_factors_of_frames_weigh_like_those_of_their_config_type():
    frames = make()
    of_frames = {content_hash(frame.atoms): 7.0 for frame in frames if frame.config_type == "odd"}
    one, other = (
        fitted(frames, weights=w) for w in (Weights("frame", of_frames), Weights("config_type", {"odd": 7.0}))
    )
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-12)


def test_factor_zero_leaves_frames_out(monkeypatch):
    monkeypatch.setattr(bootstrap, "choose_ridge", lambda equations: 1e-9)
    weighted = fitted(make(), weights=Weights("config_type", {"odd": 0.0})).theta
    np.testing.assert_allclose(weighted, fitted(make(repeat={"odd": 0})).theta, rtol=1e-7)


@pytest.mark.parametrize(
    ("make_weights", "words"),
    [
        (
            lambda: Weights("quadratic"),
            "weights 'quadratic' are unknown; use uniform, config_type, frame or exponential",
        ),
        (lambda: Weights("config_type", {"odd": -1.0}), "factors of config types not negative"),
        (lambda: Weights("exponential", a=0.0), "must be positive"),
        (
            lambda: fitted(make(), weights=Weights("config_type", {"liquid": 2.0})),
            r"no training frame has: liquid \(there are: even, odd\)",
        ),
        (
            lambda: fitted(make(), weights=Weights("config_type", {"even": 0.0, "odd": 0.0})),
            "every training frame has weight zero",
        ),
    ],
)
def test_weights_that_make_no_sense(make_weights, words):
    with pytest.raises(ValueError, match=words):
        make_weights()


def test_exact_labels_are_recovered():
    potential = fitted(make(noise=0.0))
    frame = make(60, noise=0.0)[55]  # not among the 40 fitted
    evaluation = potential.predict(frame.atoms)
    assert evaluation.energy == pytest.approx(frame.energy, abs=1e-7)
    np.testing.assert_allclose(evaluation.forces, frame.forces, atol=1e-7)
    np.testing.assert_allclose(evaluation.stress, frame.stress, atol=1e-7)


@pytest.mark.parametrize("species", [("Ge", "Si"), ("C", "Ge", "Si"), ("Si", "C", "Ge")])
def test_species_in_any_order_and_more_than_there_are(species):
    frames = make()
    known = fitted(frames)
    rows = Rows(species)
    theta = fitted(frames, rows).theta
    order = [species.index(s) for s in ("Si", "Ge")] + list(range(len(species), len(species) + 6))
    np.testing.assert_allclose(theta[order], known.theta, rtol=1e-6)
    assert theta[species.index("C")] == 0.0 if "C" in species else True


# ---------------------------------------------------------------- held-out frames


@pytest.mark.parametrize("scheme", SCHEMES)
def test_held_out_labels_do_not_matter(scheme):
    frames, chosen = make(), np.ones(40, dtype=bool)
    chosen[10:14] = False
    fit_one = fitted(frames, chosen=chosen, weights=SCHEMES[scheme][0])
    for i in range(10, 14):
        frames[i] = Frame(frames[i].atoms, "f", "odd", -1e3, frames[i].forces * 50, frames[i].stress + 3.0)
    fit_two = fitted(frames, chosen=chosen, weights=SCHEMES[scheme][0])
    np.testing.assert_array_equal(fit_one.theta, fit_two.theta)
    np.testing.assert_array_equal(fit_one.members, fit_two.members)


def test_only_chosen_frames_are_evaluated():
    frames, chosen, seen = make(), np.ones(40, dtype=bool), []
    chosen[[3, 4, 39]] = False
    fitted(frames, Rows(broken=(3, 4, 39)), chosen=chosen, on_design=lambda frame, design: seen.append(frame.origin))
    assert seen == [f"f:{i}" for i in range(40) if chosen[i]]


# ---------------------------------------------------------------- bootstrap


def test_same_seed_same_members():
    frames = make()
    first, again, other = fitted(frames, seed=3), fitted(frames, seed=3), fitted(frames, seed=4)
    np.testing.assert_array_equal(first.members, again.members)
    assert not np.allclose(first.members, other.members)
    np.testing.assert_array_equal(first.theta, other.theta)
    assert first.members.shape == (16, 8)


def test_no_members_on_request():
    assert fitted(make(), posterior=Bootstrap(0)).members.shape == (0, 8)


def test_members_spread_as_the_sandwich_estimator_says(monkeypatch):
    """Var Θ ≈ G⁻¹ (Σ_g r_g r_gᵀ) G⁻¹, r_g the gradient of group g at Θ; 4000 members, 15 groups: within 15 %."""
    monkeypatch.setattr(bootstrap, "choose_ridge", lambda equations: captured.append(equations) or 1e-12)
    captured: list[Any] = []
    potential = fitted(make(300), posterior=Bootstrap(4000), groups=15)
    (equations,) = captured
    total = equations.system()
    shift = potential.theta.copy()
    shift[:2] -= references(make(300), np.full(300, 1 / 300))
    gradients = []
    for g in range(15):
        part = equations.system(np.eye(15)[g])
        gradients.append(part.moment - (np.triu(part.gram) + np.triu(part.gram, 1).T) @ shift)
    gram = np.triu(total.gram) + np.triu(total.gram, 1).T
    linear = np.linalg.solve(gram, np.array(gradients).T)
    np.testing.assert_allclose(potential.members.std(axis=0), np.sqrt(np.sum(linear**2, axis=1)), rtol=0.15)
    off = (potential.members.mean(axis=0) - potential.theta) / potential.members.std(axis=0)
    assert np.abs(off).max() < 0.2


def test_neighbouring_frames_are_drawn_together():
    """Frames 0 to 9 hold all there is to know of the last column: some members know it well, the others nothing."""

    @dataclass(frozen=True)
    class Blind(Rows):
        def design(self, atoms: Atoms) -> Design:
            design = super().design(atoms)
            if atoms.info["seed"] < 10:
                return design
            seen = np.arange(len(design.energy_row)) < len(design.energy_row) - 1
            return replace(design, energy_row=seen * design.energy_row, force_rows=seen * design.force_rows)

    frames = [Frame(f.atoms, f.origin, "", f.energy, f.forces) for f in make(200, stress=False, noise=1e-3)]
    last = fitted(frames, Blind(), posterior=Bootstrap(200), groups=20).members[:, -1]
    nothing = np.abs(last) < 1e-6
    assert 0.25 < nothing.mean() < 0.47  # (1 - 1/20)^20 = 0.36, ± 3 standard deviations
    np.testing.assert_allclose(last[~nothing], np.median(last[~nothing]), atol=0.05)


def test_small_config_types_do_not_share_one_group():
    blocks = contiguous_blocks(np.array([f.config_type for f in make(60)]), 20)
    assert np.bincount(blocks, minlength=20).tolist() == [3] * 20
    blocks = contiguous_blocks(np.array([f"{i // 2}" for i in range(60)]), 20)
    assert np.bincount(blocks, minlength=20).min() >= 2


# ---------------------------------------------------------------- failures


def test_a_frame_that_fails_stops_the_fit_with_its_origin():
    with pytest.raises(FrameError, match="f:7: atom 0 is out of order"):
        fitted(make(), Rows(broken=(7, 20)))


def test_frames_that_fail_are_left_out_on_request():
    failed: list[tuple[str, str]] = []
    potential = fitted(make(), Rows(broken=(7, 20)), failed=failed)
    assert failed == [("f:7", "atom 0 is out of order"), ("f:20", "atom 0 is out of order")]
    whole = fitted(make())
    np.testing.assert_allclose(potential.theta, whole.theta, atol=0.2)
    assert not np.array_equal(potential.theta, whole.theta)


def test_nothing_left_to_fit():
    with pytest.raises(FrameError, match="no training frame could be evaluated"):
        fitted(make(4), Rows(broken=(0, 1, 2, 3)), failed=[])


def test_more_frames_than_the_survey_saw():
    survey = Survey.fit(make(40))
    with pytest.raises(ValueError, match="zip"):
        fit_linear(make(41), survey, Rows(), chosen=np.ones(40, dtype=bool), posterior=Bootstrap())


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_few_frames(frames):
    potential = fitted(make(frames, noise=0.0))
    assert np.isfinite(potential.theta).all()
    assert np.isfinite(potential.members).all()
    energy = potential.predict(make(frames)[0].atoms).energy
    assert energy == pytest.approx(make(frames, noise=0.0)[0].energy, abs=1e-3)


def test_repeated_columns_with_a_ridge_below_rounding(monkeypatch):
    """Equations that the chosen ridge does not make definite get a larger one instead of ending a long run."""
    monkeypatch.setattr(bootstrap, "choose_ridge", lambda equations: 1e-18)
    potential = fitted(make(noise=0.0), Rows(repeat=20), posterior=Bootstrap(4))
    error = potential.predict(make(1)[0].atoms).forces - make(1, noise=0.0)[0].forces
    assert np.abs(error).max() < 1e-3
    assert np.isfinite(potential.members).all()
