"""What a gauge file holds, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assay.calibration import KINDS as CALIBRATORS
from assay.calibration import Calibrator, CalibratorClass
from assay.ensembles.referenced import Referenced
from assay.linear.potential import LinearPotential
from assay.results.per_quantity import PerQuantity
from assay.scores.features.emptiness import Emptiness
from assay.scores.protocol import ScoreClass
from assay.scores.registry import KINDS as SCORES
from assay.scores.registry import score_from_state, score_state
from assay.sources import registry
from assay.sources.capabilities import AnySource, Around, HasMembers, LinearSource, OnlyFeatures, Source
from assay.storage.archive import GaugeFileError, load_state, save_state

PLUGIN = "calibrator_plugin"
"""Under which a file says where a calibrator of another package is from; nothing for those of Assay."""


def save(path: str | Path, fields: Mapping[str, Any]) -> None:
    """Write a gauge, given as the fields of `assay.gauge.gauge.Gauge` by name, whole or not at all.

    Raises `ValueError` for what could not be loaded again.
    """
    calibrator: CalibratorClass | None = fields["calibrator"]
    require_loadable(fields["source"], calibrator=calibrator)
    origin = CALIBRATORS.require_origin(calibrator.name, calibrator) if calibrator else {}
    save_state(
        path,
        {
            **{name: value for name, value in fields.items() if name != "calibrator"},
            **({PLUGIN: origin} if origin else {}),
            "source": source_state(fields["source"]),
            "scores": [score_state(score) for score in fields["scores"]],
            "thresholds": [[*key, value] for key, value in fields["thresholds"].items()],
            "calibrators": {quantity: each.state() for quantity, each in fields["calibrators"].items()},
            "constant": {quantity: each.state() for quantity, each in fields["constant"].items()},
            "training": [[*key, values] for key, values in fields["training"].items()],
            "emptiness": None if fields["emptiness"] is None else fields["emptiness"].state(),
        },
    )


def load(path: str | Path, allow_import: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a gauge by name; raises as `assay.gauge.gauge.Gauge.load`."""
    state = load_state(path)
    try:
        kind = _calibrator(state, allow_import)
        return {
            "source": source_from_state(state["source"], allow_import),
            "scores": tuple(score_from_state(each, allow_import) for each in state["scores"]),
            "r_cut": state["r_cut"],
            "bar": state["bar"],
            "species": tuple(state["species"]),
            "thresholds": {(name, level): value for name, level, value in state["thresholds"]},
            "calibrators": _fitted(kind, state["calibrators"]),
            "constant": _fitted(kind, state["constant"]),
            "training": {(name, level): values for name, level, values in state["training"]},
            "provenance": state["provenance"],
            "calibrator": kind if state.get(PLUGIN) else None,
            "emptiness": Emptiness.from_state(state["emptiness"]) if state.get("emptiness") else None,
        }
    except PermissionError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # of states as Assay does not write them
        raise GaugeFileError(f"{path}: not a gauge that this Assay can read ({error}); build it again") from error


def require_loadable(
    source: AnySource, scores: Iterable[ScoreClass] = (), calibrator: CalibratorClass | None = None
) -> None:
    """Raises `ValueError` for a source, the class of a score or that of a calibrator which no file could name."""
    for score in scores:
        if isinstance(score, type):  # what makes others is known by what it made
            SCORES.require_origin(score.name, score)
    if calibrator is not None:
        CALIBRATORS.require_origin(calibrator.name, calibrator)
    while isinstance(source, Around):
        source = source.fitted_around
    registry.KINDS.require_origin(source.kind, type(source))
    if isinstance(source, OnlyFeatures):
        source.state()  # raises for a function that has no name


def source_state(source: Source) -> dict[str, Any]:
    """What a gauge file holds of a source, around which one may have been fitted."""
    if isinstance(source, Around):
        return {"kind": source.kind, **source.state()}
    return registry.source_state(source)


def source_from_state(state: Mapping[str, Any], allow_import: tuple[str, ...] = ()) -> Source:
    """The source of a gauge file, around which one may have been fitted. Assay's own import nothing until they evaluate
    a frame. Raises as `assay.plugins.kinds.Kinds.of_file`, and `ValueError` for what does not fit together."""
    if state["kind"] == LinearPotential.kind:
        rows = registry.source_from_state(state["rows"], allow_import)
        if isinstance(rows, LinearSource):
            return LinearPotential.from_state(state, rows)
    elif state["kind"] == Referenced.kind:
        members = source_from_state(state["source"], allow_import)
        if isinstance(members, HasMembers):
            return Referenced.from_state(state, members)
    else:
        source = registry.source_from_state(state, allow_import)
        if isinstance(source, Source):
            return source
    raise ValueError(f"the gauge file has a source {state['kind']!r} that can't be used")


def _calibrator(state: Mapping[str, Any], allow_import: tuple[str, ...]) -> CalibratorClass | None:
    """The class of the calibrator of the bar; `None` where there is no bar."""
    name = state["bar"].split(":")[1] if state["bar"] else ""
    return CALIBRATORS.of_file(name, state.get(PLUGIN, {}), allow_import) if name else None


def _fitted(kind: CalibratorClass | None, states: Mapping[str, Any]) -> PerQuantity[Calibrator]:
    return PerQuantity.of({quantity: kind.from_state(state) for quantity, state in states.items() if kind})
