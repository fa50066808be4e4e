"""What a gauge says of many frames, in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.gauge.assess import MANY
from assay.results.assessment import Assessment
from assay.results.batch import Batch
from assay.results.error_bars import ONE_SIGMA

BAR = "largest_force_error_bar_eV_per_A"


QUANTILES = (0.5, 0.9, 0.99, 0.999)


def risk_summary(assessment: Assessment) -> dict[str, Any]:
    """What `predict --json` writes: counts, shares flagged, and frames by falling risk.

    Risk is the largest force error bar; without predictions, the first score of atoms.
    """
    batch, bar, of_energy = assessment.batch, assessment.bars.force, assessment.bars.energy
    width = np.linalg.norm(bar.half_width(ONE_SIGMA), axis=1) if bar is not None else None
    score = next((s for (_, level), s in assessment.scores.items() if level == "atom" and not assessment.bar), None)
    of_atoms, risk = (width, BAR) if score is None else (score.values, score.name)
    frames = []
    for f, name in enumerate(batch.names):
        atoms = slice(batch.offsets[f], batch.offsets[f + 1])
        row: dict[str, Any] = {
            "frame": name,
            "config_type": batch.config_types[f],
            "atoms": int(batch.natoms[f]),
        }
        if batch.energy is not None:
            row["energy_eV"] = float(batch.energy[f])
        if of_energy is not None:
            row["energy_error_bar_eV_per_atom"] = _finite(of_energy.half_width(ONE_SIGMA)[f])
        row |= _between_members(batch, f, atoms)
        if width is not None:
            row[BAR] = _finite(width[atoms].max())
        if of_atoms is not None:
            row["riskiest_atom"] = int(of_atoms[atoms].argmax())
        if batch.natoms[f] > MANY:
            row["over_atoms"] = _over_atoms(assessment, atoms)
        row |= {n: _finite(s.values[f]) for (n, level), s in assessment.scores.items() if level == "frame"}
        row["flagged_by"] = [n for (n, level), s in assessment.scores.items() if level == "frame" and s.flagged[f]]
        frames.append(row)
    frames.sort(key=lambda row: np.inf if row.get(risk) is None else row[risk], reverse=True)
    flagged: dict[str, dict[str, float | None]] = {}
    for (name, level), score in assessment.scores.items():
        flagged.setdefault(name, {})[level] = None if score.threshold is None else float(score.flagged.mean())
    return {
        "frames": len(batch.names),
        "atoms": len(batch.numbers),
        "skipped": len(assessment.failed),
        "failed": [{"frame": origin, "reason": reason} for origin, reason in assessment.failed],
        "error_bar": assessment.bar,
        "global_bars": dict(assessment.global_bars.items()),
        "flagged": flagged,
        "by_risk": frames,
    }


def _between_members(batch: Batch, f: int, atoms: slice) -> dict[str, float | None]:
    """What the members span of a frame: its energy, and the widest of its force and stress components."""
    found: dict[str, float | None] = {}
    for quantity, envelope in batch.envelopes.items():
        if quantity == "energy":
            found |= {f"{key}_eV": _finite(column[f]) for key, column in envelope.columns(quantity).items()}
        else:
            one = envelope.at(atoms if quantity == "force" else f)
            unit = "eV_per_A" if quantity == "force" else "eV_per_A3"
            found[f"largest_{quantity}_std_{unit}"] = _finite(one.std.max())
            found[f"largest_{quantity}_range_{unit}"] = _finite((one.high - one.low).max())
    return found


def _over_atoms(assessment: Assessment, atoms: slice) -> dict[str, dict[str, Any]]:
    """Quantiles of the scores of a frame's atoms, and how many are flagged."""
    found: dict[str, dict[str, Any]] = {}
    for (name, level), score in assessment.scores.items():
        if level == "atom":
            levels = np.quantile(score.values[atoms], [*QUANTILES, 1.0], method="inverted_cdf")
            found[name] = {str(q): _finite(value) for q, value in zip(QUANTILES, levels, strict=False)}
            found[name] |= {"largest": _finite(levels[-1]), "flagged": int(score.flagged[atoms].sum())}
    return found


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
