"""Summaries of `assay compare` made up at random, of any number of methods and test sets, with ties and gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.comparison.reading import from_summary
from assay.comparison.recommendation import recommendation
from assay.comparison.result import ComparisonResult

CALIBRATORS = ("scale", "isotonic", "conformal", "frame_conformal")
TARGETS = ("force_atom", "force_neighbourhood", "force_frame", "energy_frame")
FEATURES = (
    "gamma", "leverage", "gamma_local", "frame_outlier_factor", "outlier_factor", "gaussian_process",
    "prediction_rigidity", "prediction_rigidity_components", "distance_to_training", "knn_density", "kernel_density",
    "gaussian_mixture", "convex_hull", "kernel_entropy",
)  # fmt: skip
COMMITTEES = ("committee_force", "committee_energy", "committee_force_max", "committee_energy_max")
POSTERIORS = ("pops", "bayesian", "bootstrap")
NO_BAR = {"bar": None, "posterior": None, "reasons": [], "alternatives": []}
NO_RANKING = {"method": None, "reasons": [], "alternatives": []}
NOTHING = {
    "error_bars": NO_BAR, "energy_bars": NO_BAR, "ranking_frames": NO_RANKING, "ranking_atoms": NO_RANKING,
    "warnings": [],
}  # fmt: skip


def estimate(value: float | None, half: float) -> dict[str, float | None]:
    low, high = (None, None) if value is None else (value - half, value + half)
    return {"value": value, "low": low, "high": high}


def made(methods: int = 28, tests: int = 2, seed: int = 0, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """The summary of a result with its recommendation; `names` are of the first test sets."""
    rng = np.random.default_rng(seed)
    every = [f"{c}[{p}]" for c in COMMITTEES for p in POSTERIORS]
    every = [name for pair in zip(FEATURES, every, strict=False) for name in pair] + [*FEATURES[len(every) :]]
    chosen = every[: methods - 2]
    tested = [*names, *("test", "ood", "liquid", "surfaces", "a_long_name_of_a_test_set")][:tests]
    splits = ["calibration", *tested]
    quality = {name: rng.uniform(0.1, 0.7) for name in chosen}
    of = {
        name: {
            "family": "ensemble" if "committee" in name else "features",
            "home": "frame" if "energy" in name or name.startswith("frame") else "atom",
            "fit_seconds": float(rng.lognormal(0, 2)),
            "microseconds_per_atom": float(rng.lognormal(1, 2)),
            "bytes": int(rng.lognormal(12, 3)),
            "failed": None,
        }
        for name in chosen
    }
    of |= {name: {"family": "control", "home": "atom", "failed": None} for name in ("random", "constant")}
    if methods > 10:
        of["convex_hull"] = {"family": "features", "home": "atom", "failed": "needs at most 8 features, there are 55"}
        chosen = [name for name in chosen if name != "convex_hull"]
    result: dict[str, Any] = {
        "assay": {"assay": "0.1.0", "numpy": "2.0"}, "command": "assay compare -t train.xyz",
        "source": "SNAP, 2J = 6, W", "settings": {"source": "snap"}, "seed": seed, "resamples": 200, "r_cut": 5.0,
        "splits": [_split(name, rng) for name in ("training", *splits)],
        "source_cost": {
            "fit_seconds": 12.3, "evaluation_microseconds_per_atom": 47.0, "posteriors": {"pops": 3.0, "bootstrap": 9.1}
        },
        "methods": of, "ranking": {}, "bad": {}, "bars": {}, "best": {},
        "remarks": ["3 of 40 frames of ood are also test frames"],
    }  # fmt: skip
    for split in splits:
        away = split != "calibration"
        result["bad"][split] = {target: {"limit": 0.8, "share": 0.3 if away else 0.05} for target in TARGETS}
        result["best"][split] = {}
        result["ranking"][split] = {}
        for target in TARGETS:
            found = {
                name: _ranks(quality[name] + rng.normal(0, 0.05), rng)
                for name in chosen
                if "atom" not in target or of[name]["home"] == "atom"
            }
            result["ranking"][split][target] = found | {"random": _ranks(0.01, rng)}
            result["best"][split][target] = {f: _best(found, f) for f in ("spearman", "auroc", "detection")}
        result["bars"][split] = {}
        for quantity in ("force", "energy"):
            bars = {
                name: _bars(
                    0.0 if name == "constant" else quality[name] * (1.5 if away else 0.6) - 0.3, away, rng, name
                )
                for name in ("constant", *chosen)
                if quantity == "energy" or "energy" not in name
            }
            result["bars"][split][quantity] = bars
            scores = {
                f"{name}:{c}": {"interval_score": {"value": -f["interval_score"]["value"]}}
                for name, each in bars.items() for c, f in each.items() if f and c != "not_applicable"
            }  # fmt: skip
            result["best"][split][f"{quantity}_bar"] = {"interval_score": _best(scores, "interval_score", 0.02)}
    result["recommendation"] = NOTHING
    return recommended(result).summary()


def recommended(summary: dict[str, Any]) -> ComparisonResult:
    """The result with its recommendation made anew."""
    result = from_summary(summary)
    return replace(result, recommendation=recommendation(result))


def _split(name: str, rng: np.random.Generator) -> dict[str, Any]:
    role = name if name in ("training", "calibration") else "test"
    return {
        "name": name, "role": role, "files": {f"{name}.extxyz": "ab" * 32}, "frames": int(rng.integers(15, 400)),
        "atoms": int(rng.integers(400, 90000)), "symmetry_zero_components": 12,
        "errors": {
            "energy_rmse_meV_per_atom": rng.lognormal(1), "force_rmse_eV_per_A": rng.lognormal(-2),
            "largest_force_error_eV_per_A": rng.lognormal(1),
        },
        "skipped": int(role == "test"),
        "failed": [{"frame": "test.extxyz:3", "reason": "no cell"}] if role == "test" else [],
    }  # fmt: skip


def _ranks(value: float, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "spearman": estimate(None if value > 0.65 and value < 0.66 else value, 0.08),
        "auroc": estimate(0.5 + 0.5 * value, 0.05),
        "detection": estimate(0.05 + 0.9 * value, 0.1),
        "flagged": estimate(float(rng.uniform(0.04, 0.4)), 0.03),
    }


def _bars(skill: float, away: bool, rng: np.random.Generator, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"not_applicable": {}}
    for calibrator in CALIBRATORS:
        if name == "kernel_entropy" and calibrator == "scale":
            found |= {calibrator: None}
            found["not_applicable"][calibrator] = "scores below zero"
            continue
        own = skill + (rng.normal(0, 0.02) if name != "constant" else 0.0)
        coverage = 0.9 - 0.4 * rng.uniform() * away + 0.05 * rng.uniform()
        gaussian = calibrator in ("scale", "isotonic")
        found[calibrator] = {
            "coverage": {
                level: estimate(min(coverage * float(level) / 0.92, 1.0), 0.03)
                for level in ("0.5", "0.68", "0.9", "0.95")
            },
            "mean_width": 0.2, "interval_score": estimate(1.0 - own, 0.03), "skill": estimate(own, 0.03),
            "ence": estimate(0.2, 0.05) if gaussian else None, "nll": -1.2 if gaussian else None,
            "crps": 0.05 if gaussian else None, "area": -0.02 if gaussian else None,
            "remarks": [f"a remark on {calibrator}"],
        }  # fmt: skip
    return found


def _best(found: dict[str, Any], figure: str, near: float = 0.05) -> dict[str, Any]:
    values = {name: each[figure]["value"] for name, each in found.items() if each[figure]["value"] is not None}
    best = max(values, key=lambda name: values[name])
    tied = [name for name, value in values.items() if value > values[best] - near]
    return {"best": best, "tied": tied, "better_than_control": True}
