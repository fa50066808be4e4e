"""How a gauge was made, as its file says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.frames.dataset import Survey
from assay.gauge.division import Division
from assay.gauge.score_fit import ScoreFit
from assay.gauge.training_pass import FittedSource
from assay.linear.linear_fit import LinearFit
from assay.results.batch import Batch
from assay.results.label_finding import Findings
from assay.scores.protocol import clustered
from assay.sources.capabilities import HasCoefficients, Source, keeps_forces
from assay.storage.provenance import versions


@dataclass(frozen=True)
class Request:
    """What a gauge was asked for: the settings that tell of its source, how it was fitted, and by which command."""

    settings: Mapping[str, Any]
    linear_fit: LinearFit
    score_fit: ScoreFit
    command: str


def provenance(
    asked: Request,
    survey: Survey,
    division: Division,
    fitted: FittedSource,
    *,
    held_out: Batch | None,
    files: Mapping[str, str],
    seconds: float,
    label_check: Findings = (),
) -> dict[str, Any]:
    """Versions, settings, counts, and hashes of `files` and of all frames, ready for JSON; `seconds` of the fit,
    and what `label_check` found."""
    local = clustered(fitted.scores)
    return {
        **versions(),
        "command": asked.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "source": dict(asked.settings),
        "seed": asked.linear_fit.seed,
        "weights": asked.linear_fit.weights.scheme,
        "posterior": asked.linear_fit.posterior,
        **_labels(survey, division.fitted, fitted.source),
        **({"members": fitted.told} if fitted.told else {}),
        "label_check": [each.summary() for each in label_check],
        "fitted_to": {
            "clusters": [] if local is None else list(local.names),
            "core": asked.score_fit.core or "",
            "without_outliers": asked.score_fit.without_outliers,
        },
        "files": dict(files),
        "training": {"frames": int(division.fitted.sum()), "atoms": int(survey.natoms[division.fitted].sum())},
        **({"held_out": {"frames": len(held_out.names), "atoms": len(held_out.numbers)}} if held_out else {}),
        "training_hashes": sorted(division.fitted_hashes),
        "held_out_hashes": list(division.held_out_hashes),
    }


def _labels(survey: Survey, fitted: NDArray[np.bool_], potential: Source) -> dict[str, int]:
    """How many labels a linear potential was fitted to, and how many coefficients it has."""
    if not isinstance(potential, HasCoefficients):
        return {}
    labels = int(np.isfinite(survey.energy[fitted]).sum())
    if not keeps_forces(potential):
        stresses = int((survey.stress_square[fitted] > 0).sum())
        labels += 3 * int(survey.natoms[fitted & np.isfinite(survey.force_square)].sum()) + 6 * stresses
    return {"labels": labels, "coefficients": len(potential.theta)}
