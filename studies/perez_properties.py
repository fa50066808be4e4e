"""Properties of tungsten with error bars: Tables I–V of Perez et al. in their form, and the implicit derivative."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from perez_references import Curve, Dft

from assay.linear.potential import LinearPotential
from assay.propagation.methods.choice import Method, propagated
from assay.propagation.properties.energies import Energies
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.references import against, mean_ratios
from assay.propagation.result import Propagated, PropertyResult
from assay.results.arrays import Array

CELL = "structure=bcc,size=3"
"""53 atoms with a vacancy, as in B."""
VACANCY, HOP = "vacancy:bcc,size=3", f"barrier:vacancy,{CELL}"
Groups = Mapping[str, Sequence[str]]
"""What goes into one table, each asked for by itself, so that a member fails where it fails alone."""

STRUCTURES = ("fcc", "hcp", "A15", "C14", "C15", "C36", "sigma", "chi", "mu")

RELAXED: Groups = {
    "crystals": ["crystals:bcc", *(f"crystals:bcc,{s}" for s in STRUCTURES)],
    "interstitials": [f"interstitials:{name},{CELL}" for name in ("111", "110", "100", "tetrahedral", "octahedral")],
    "surfaces": [
        f"surfaces:{hkl}" for hkl in ("100", "110", "111", "210", "211", "310", "311", "320", "321", "322", "332")
    ],
    "vacancy": [VACANCY],
    "paths": [f"path:{name}" for name in ("bain", "trigonal", "orthorhombic", "hexagonal")],
    "hop": [HOP],
}
"""By the implicit derivative."""
QUICK: Groups = {
    "crystals": ["crystals:bcc", "crystals:bcc,fcc"],
    "surfaces": ["surfaces:100", "surfaces:110"],
    "vacancy": [VACANCY],
    "paths": ["path:bain"],
}
ANEW: Mapping[str, Groups] = {
    "pops": {
        "crystals": ["crystals:bcc", *(f"crystals:bcc,{name}" for name in ("fcc", "hcp", "A15", "C15"))],
        "elastic": ["elastic:bcc"],
        "vacancy": [VACANCY],
        "interstitials": [f"interstitials:{name},{CELL}" for name in ("111", "110")],
        "surfaces": [f"surfaces:{hkl}" for hkl in ("100", "110", "111", "210", "211", "310")],
        "phonons": ["phonons:bcc,mesh=8"],
    },
    "bayesian": {"crystals": ["crystals:bcc", "crystals:bcc,hcp"], "hop": [HOP]},
}
"""Computed anew with every member, by posterior. The hop is that of Bayesian ridge regression: the other best fit has
no simple saddle point on its path."""
QUICK_ANEW: Mapping[str, Groups] = {"pops": {"crystals": ["crystals:bcc"], "vacancy": [VACANCY]}}
LONGEST = 25
"""Points of a curve that is written out."""
NOT_STATIONARY = ("elastic", "phonons")

TABLES: Mapping[str, tuple[str, str, tuple[float, float]]] = {
    "I: energy above bcc": ("crystals", "energy above bcc", (1.21, 0.19)),
    "II: volume over bcc": ("crystals", "volume over bcc", (0.52, 0.085)),
    "III: bulk modulus": ("crystals", "bulk modulus", (0.89, 0.15)),
    "IV: self-interstitials": ("interstitials", "formation energy", (0.99, 0.16)),
    "V: surfaces": ("surfaces", ")", (0.24, 0.045)),
}
"""The paper's tables: group, how the names of its quantities end, and the mean |error|/std and |error|/(high − low)
that are published; DFT is at hand for the last of them."""


def references(group: str, known: Dft) -> dict[str, Array]:
    """DFT values by quantity, those that there are."""
    if group == "surfaces":
        return {f"bcc ({miller})": np.asarray(gamma) for miller, gamma in known.surfaces.items()}
    if group == "vacancy" and known.vacancy is not None:
        return {"vacancy formation energy": np.asarray(known.vacancy)}
    if group == "crystals":
        return {"bcc volume": np.asarray(known.edge**3 / 2), "bcc a": np.asarray(known.edge)}
    return {}


def told(each: Propagated, reference: Array | None = None) -> dict[str, Any]:
    """A row of the paper's tables (values, not errors, where there is no reference)."""
    value = {"unit": each.unit, "value": each.value, "std": each.std, "low": each.low, "high": each.high}
    value |= {"central_68": np.array(each.interval(0.68)), "members": each.count}
    if each.x is not None:
        value["x"] = each.x
    if reference is not None:
        a = against(each, reference)
        value |= {"reference": reference, "error": a.error, "low_error": each.low - reference}
        value |= {"high_error": each.high - reference, "error_over_std": a.in_std, "error_over_range": a.in_range}
        value["bracketed"] = a.bracketed
    return {key: _plain(item) for key, item in value.items()}


def rows(result: PropertyResult, known: Mapping[str, Array]) -> dict[str, Any]:
    """Every quantity of a property; mean ratios over those with a reference; rank correlations; what failed."""
    found: dict[str, Any] = {
        "quantities": {
            name: told(each, known.get(name))
            for name, each in result.quantities.items()
            if each.value.size <= LONGEST and not name.endswith("symmetry kept")
        },
        "failures": len(result.failed),
        "reasons": sorted({reason for _, reason in result.failed})[:3],
        "notes": list(result.notes),
        "rankings": {
            r.of: {"mean": r.mean, "std": r.std, "members": int(np.isfinite(r.spearman).sum())} for r in result.rankings
        },
    }
    known = {name: value for name, value in known.items() if name in result.quantities}
    if known:
        found["mean_ratios"] = dict(
            zip(("error_over_std", "error_over_range", "bracketed"), mean_ratios(result.quantities, known), strict=True)
        )
    return found


def elastic(potential: LinearPotential, name: str, modulus: str, curve: Curve) -> dict[str, Any]:
    """The energies of strained crystals, and the modulus that they have, by the same fit as DFT's."""
    asked = Energies(f"energies:{name}", tuple(frame.atoms for frame in curve.frames), per="atom")
    result = propagated(potential, [asked], "implicit")[asked.name]  # exact: nothing moves
    each = list(result.quantities.values())
    energy = Propagated(
        f"{name} curve",
        "eV/atom",
        np.array([0.0, *(q.value for q in each)]),
        np.column_stack([np.zeros(len(potential.members)), *(q.members for q in each)]),
        curve.strain,
        "strain",
    )
    moduli = np.array([curve.modulus(member) for member in energy.members])
    quantities = {
        energy.name: energy,
        modulus: Propagated(modulus, "GPa", np.asarray(curve.modulus(energy.value)), moduli),
    }
    known = {energy.name: curve.energy, modulus: np.asarray(curve.modulus(curve.energy))}
    return rows(PropertyResult(asked.name, quantities), known)


def properties(potential: LinearPotential, groups: Groups, known: Dft) -> dict[str, Any]:
    """Elastic curves, and relaxed structures by the implicit derivative, with all members."""
    found: dict[str, Any] = {"tension": elastic(potential, "tension", "C11", known.tension)}
    found["shear"] = elastic(potential, "shear", "C44", known.shear)
    for group, specs in groups.items():
        found[group] = _run(potential, group, specs, "implicit", None, 1, known)[0]
    return found


def anew(potential: LinearPotential, groups: Groups, members: int, workers: int, known: Dft) -> dict[str, Any]:
    """Properties with each of the first members, and the implicit derivative beside them where it serves."""
    found: dict[str, Any] = {}
    for group, specs in groups.items():
        found[group], brute = _run(potential, group, specs, "resample", members, workers, known)
        if group not in NOT_STATIONARY:
            implicit, cheap = _run(potential, group, specs, "implicit", members, 1, known)
            both = cheap.quantities.keys() & brute.quantities.keys()
            found[group]["implicit_seconds"] = implicit["seconds"]
            found[group]["deviation"] = {name: deviation(cheap[name], brute[name]) for name in sorted(both)}
    return found


def deviation(implicit: Propagated, brute: Propagated) -> dict[str, Any]:
    """`|implicit − brute force|` of members that gave both, over the brute force and over its spread."""
    both = np.isfinite(implicit.members) & np.isfinite(brute.members)
    change = np.abs(implicit.members - brute.members)[both]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative, over_std = change / np.abs(brute.members[both]), change / brute.std
    return {
        "members": int(both.sum()),
        "std": [float(implicit.std), float(brute.std)],
        "relative": _quantiles(relative),
        "over_std": _quantiles(over_std),
    }


def _quantiles(values: Array) -> dict[str, float | None]:
    if not values.size or not np.isfinite(values).all():
        return {"median": None, "p95": None, "largest": None}
    median, p95, largest = np.quantile(values, [0.5, 0.95, 1])
    return {"median": float(median), "p95": float(p95), "largest": float(largest)}


def _run(
    potential: LinearPotential,
    group: str,
    specs: Sequence[str],
    method: Method,
    members: int | None,
    workers: int,
    known: Dft,
) -> tuple[dict[str, Any], PropertyResult]:
    started = time.perf_counter()
    asked = [property_from_spec(spec, potential.rows.species) for spec in specs]
    result = propagated(potential, asked, method, members, workers=workers)
    each = result.properties.values()
    whole = PropertyResult(
        group,
        {name: quantity for one in reversed(list(each)) for name, quantity in one.quantities.items()},
        tuple(failed for one in each for failed in one.failed),
        tuple(dict.fromkeys(note for one in each for note in one.notes)),
    )
    told = {"method": method, "members": result.members, "seconds": time.perf_counter() - started}
    nothing = {one.name: "no number from the best fit" for one in each if not one.quantities}
    told["best_fit_failed"] = dict(result.failed) | nothing
    return told | rows(whole, references(group, known)), whole


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
