"""Properties of tungsten with error bars: Tables I–V of Perez et al. in their form, and the implicit derivative."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from perez_references import Curve, Dft

from assay.linear.potential import LinearPotential
from assay.prediction import Array
from assay.propagation.energies import Energies
from assay.propagation.methods import propagated
from assay.propagation.quantities import Property
from assay.propagation.references import against, mean_ratios
from assay.propagation.registry import property_from_spec
from assay.propagation.result import Propagated, PropertyResult

CRYSTALS = "crystals:bcc,fcc,hcp,A15,C14,C15,C36,sigma,chi,mu"
VACANCY = "vacancy:bcc,size=3"
SURFACES = "surfaces:100,110,111,210,211,310,311,320,321,322,332"
INTERSTITIALS = "interstitials:111,110,100,tetrahedral,octahedral,structure=bcc,size=3"
HOP = "barrier:vacancy,structure=bcc,size=3"
RELAXED = (CRYSTALS, VACANCY, SURFACES, INTERSTITIALS, "path:bain,trigonal,orthorhombic,hexagonal", HOP)
"""By the implicit derivative, with all members."""
QUICK = ("crystals:bcc,fcc,hcp,A15", VACANCY, "surfaces:100,110", "path:bain")
COMPARED = ("crystals:bcc,fcc,hcp,A15,C15", VACANCY, "surfaces:100,110", HOP)
ANEW = (*COMPARED, "elastic:bcc", "phonons:bcc,mesh=12")
"""With a part of the members, each property computed anew."""
QUICK_ANEW = ("crystals:bcc,hcp", VACANCY)

TABLES: dict[str, tuple[str, Callable[[str], bool], tuple[float, float]]] = {
    "I: energy above bcc": (CRYSTALS, lambda n: n.endswith("energy above bcc"), (1.21, 0.19)),
    "II: volume over bcc": (CRYSTALS, lambda n: n.endswith("volume over bcc"), (0.52, 0.085)),
    "III: bulk modulus": (CRYSTALS, lambda n: n.endswith("bulk modulus"), (0.89, 0.15)),
    "IV: self-interstitials": (INTERSTITIALS, lambda n: n.endswith("energy"), (0.99, 0.16)),
    "V: surfaces": (SURFACES, lambda n: True, (0.24, 0.045)),
}
"""The paper's tables and its mean |error|/std and |error|/(high − low), against DFT that is not at hand but for V."""


def references(spec: str, known: Dft) -> dict[str, Array]:
    """DFT values by quantity, those that there are."""
    if spec.startswith("surfaces"):
        return {f"bcc ({miller})": np.asarray(gamma) for miller, gamma in known.surfaces.items() if miller in spec}
    if spec.startswith("vacancy") and known.vacancy is not None:
        return {"vacancy formation energy": np.asarray(known.vacancy)}
    if spec.startswith("crystals"):
        return {"bcc volume": np.asarray(known.edge**3 / 2), "bcc a": np.asarray(known.edge)}
    return {}


def told(each: Propagated, reference: Array | None = None) -> dict[str, Any]:
    """A row of the paper's tables (values, not errors, where there is no reference); of a curve without, what it spans."""
    value = {"unit": each.unit, "value": each.value, "std": each.std, "low": each.low, "high": each.high}
    value["members"] = each.count
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
        "quantities": {name: told(each, known.get(name)) for name, each in result.quantities.items()},
        "failed": len(result.failed),
        "reasons": sorted({reason for _, reason in result.failed})[:3],
        "notes": list(result.notes),
        "rankings": {
            r.of: {"mean": r.mean, "std": r.std, "quantiles": np.nanquantile(r.spearman, [0, 0.05, 0.5, 1]).tolist()}
            for r in result.rankings
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


def properties(potential: LinearPotential, specs: tuple[str, ...], known: Dft) -> dict[str, Any]:
    """Elastic curves, and relaxed structures by the implicit derivative."""
    found: dict[str, Any] = {"tension": elastic(potential, "tension", "C11", known.tension)}
    found["shear"] = elastic(potential, "shear", "C44", known.shear)
    for spec in specs:
        found[spec] = _run(potential, spec, "implicit", None, 1, known)[0]
    return found


def anew(potential: LinearPotential, specs: tuple[str, ...], members: int, workers: int, known: Dft) -> dict[str, Any]:
    """Properties with every one of the first members, and the implicit derivative beside them where it serves."""
    found: dict[str, Any] = {}
    for spec in specs:
        found[spec], brute = _run(potential, spec, "resample", members, workers, known)
        if spec in COMPARED or spec in QUICK_ANEW:
            implicit, cheap = _run(potential, spec, "implicit", members, workers, known)
            if brute and cheap:
                found[spec]["implicit"] = {"seconds": implicit["seconds"], "notes": implicit["notes"]}
                found[spec]["deviation"] = {
                    name: deviation(cheap[name], brute[name]) for name in cheap.quantities if brute[name].count
                }
    return found


def deviation(implicit: Propagated, brute: Propagated) -> dict[str, Any]:
    """`|implicit − brute force|` of members that gave both, over the brute force, and over the spread of the members."""
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
    potential: LinearPotential, spec: str, method: Any, members: int | None, workers: int, known: Dft
) -> tuple[dict[str, Any], PropertyResult | None]:
    started = time.perf_counter()
    asked: Property = property_from_spec(spec, potential.rows.species)
    result = propagated(potential, [asked], method, members, workers=workers if method == "resample" else 1)
    seconds = time.perf_counter() - started
    if asked.name not in result.properties:
        return {"seconds": seconds, "best_fit_failed": result.failed[0][1]}, None
    got = result[asked.name]
    return {"seconds": seconds, "method": method, **rows(got, references(spec, known))}, got


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
