"""What `assay.compare` found: one frozen record, read by attributes; `summary()` is its JSON.

Mappings have the names of sets of frames or of methods as keys, and are not to be changed. What could not be had is
`None`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from assay.comparison.figures import BARRED, FIGURES, Bad, BarFigures, Best, MethodBars, PerTarget, Ranking
from assay.comparison.recommended import Recommendation
from assay.results.label_finding import Findings
from assay.results.per_quantity import PerQuantity, Quantity

Family = Literal["ensemble", "features", "control"]
TRAINING: Literal["training"] = "training"
CALIBRATION: Literal["calibration"] = "calibration"
"""Names of these sets, and their roles; the others are tests."""
Role = Literal["training", "calibration", "test"]


@dataclass(frozen=True)
class SetErrors:
    """Errors of the potential on a set of frames: meV/atom, eV/Å, and the norm of a force error, eV/Å.

    `None` where no frame of the set has a label.
    """

    energy_rmse: float | None
    force_rmse: float | None
    largest_force_error: float | None


ERROR_KEYS = {
    "energy_rmse": "energy_rmse_meV_per_atom",
    "force_rmse": "force_rmse_eV_per_A",
    "largest_force_error": "largest_force_error_eV_per_A",
}
"""How the summary names them."""


@dataclass(frozen=True)
class SetDescription:
    """One set of frames: of training those that were fitted, which have no `errors`.

    | field | meaning |
    |---|---|
    | frames, atoms | how many were used |
    | symmetry_zero_components | force components that vanish by symmetry, and are left out |
    | failed | frames that were left out: (origin, reason) |
    | files | SHA-256 by path |
    """

    name: str
    role: Role
    frames: int
    atoms: int
    errors: SetErrors | None = None
    symmetry_zero_components: int | None = None
    failed: tuple[tuple[str, str], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodDescription:
    """A score with its cost beside that of the potential, or the reason why it could not be compared.

    | field | meaning |
    |---|---|
    | home | `atom` or `frame`: what it has a value for; `None` of controls and of what failed |
    | bytes | of everything that it learnt |
    """

    family: Family
    home: Literal["atom", "frame"] | None = None
    fit_seconds: float = 0.0
    microseconds_per_atom: float | None = None
    bytes: int = 0
    failed: str | None = None


@dataclass(frozen=True)
class SourceCost:
    """What the potential itself takes; `None` where its predictions were recorded before. `posteriors`: seconds."""

    fit_seconds: float | None = None
    evaluation_microseconds_per_atom: float | None = None
    posteriors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonResult:
    """What `assay.compare` found; what is measured, and how to read it, is on the page `docs/compare.md`.

    | field | meaning |
    |---|---|
    | versions, command, source, settings, seed, resamples, r_cut | how it was made |
    | remarks | sentences about the sets of frames |
    | splits | the sets of frames: training, calibration, tests |
    | source_cost, methods | what the potential and each method cost |
    | ranking | by set, target and method: `ranking["test"].force_frame["gamma"].spearman` |
    | bad | by set and target: which errors count as bad |
    | bars | by set, quantity, method and calibrator: `bars["test"].force["gamma"]["scale"].skill` |
    | best | by set: the leaders of each target and quantity |
    | recommendation | what to use, and why |
    | label_check | labels and members that contradict the fit |
    """

    versions: Mapping[str, str]
    source: str
    settings: Mapping[str, Any]
    seed: int
    resamples: int
    r_cut: float
    remarks: tuple[str, ...]
    splits: tuple[SetDescription, ...]
    source_cost: SourceCost
    methods: Mapping[str, MethodDescription]
    ranking: Mapping[str, PerTarget[Mapping[str, Ranking]]]
    bad: Mapping[str, PerTarget[Bad]]
    bars: Mapping[str, PerQuantity[Mapping[str, MethodBars]]]
    best: Mapping[str, Best]
    recommendation: Recommendation = field(default_factory=Recommendation)
    command: str = "assay.compare(...)"
    label_check: Findings = ()

    @property
    def tests(self) -> tuple[str, ...]:
        """The names of the test sets."""
        return tuple(split.name for split in self.splits if split.role == "test")

    @property
    def frames(self) -> dict[str, int]:
        """The number of frames of each set, by its name."""
        return {split.name: split.frames for split in self.splits}

    def bar(self, split: str, quantity: Quantity, method: str, calibrator: str) -> BarFigures | None:
        """The figures of one error bar on one set; `None` where there is no such bar."""
        found = (self.bars[split][quantity] or {}).get(method)
        return None if found is None else found.by_calibrator.get(calibrator)

    def summary(self) -> dict[str, Any]:
        """What `assay compare --json` writes."""
        return {
            "assay": dict(self.versions),
            "command": self.command,
            "source": self.source,
            "settings": dict(self.settings),
            "seed": self.seed,
            "resamples": self.resamples,
            "r_cut": self.r_cut,
            "remarks": list(self.remarks),
            "label_check": [each.summary() for each in self.label_check],
            "splits": [_set(split) for split in self.splits],
            "source_cost": _plain(self.source_cost),
            "methods": _plain(self.methods),
            "ranking": {
                split: {target: {name: _there(each) for name, each in of.items()} for target, of in targets.items()}
                for split, targets in self.ranking.items()
            },
            "bad": {split: _plain(dict(targets.items())) for split, targets in self.bad.items()},
            "bars": {
                split: {
                    quantity: {name: _method_bars(each) for name, each in methods.items()}
                    for quantity in BARRED
                    if (methods := quantities[quantity]) is not None
                }
                for split, quantities in self.bars.items()
            },
            "best": {
                split: _plain(dict(best.ranking.items()))
                | {f"{quantity}_bar": _plain(of) for quantity in BARRED if (of := best.bars[quantity]) is not None}
                for split, best in self.best.items()
            },
            "recommendation": _plain(self.recommendation),
        }


def _plain(value: Any) -> Any:
    """Records as dictionaries of their fields, tuples as lists."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _there(ranking: Ranking) -> dict[str, Any]:
    return {figure: _plain(found) for figure in FIGURES if (found := ranking[figure]) is not None}


def _method_bars(bars: MethodBars) -> dict[str, Any]:
    return {"not_applicable": dict(bars.not_applicable), **_plain(bars.by_calibrator)}


def _set(split: SetDescription) -> dict[str, Any]:
    zeros, errors = split.symmetry_zero_components, split.errors
    return {
        "name": split.name,
        "role": split.role,
        "frames": split.frames,
        "atoms": split.atoms,
        **({} if zeros is None else {"symmetry_zero_components": zeros}),
        "errors": errors and {key: getattr(errors, name) for name, key in ERROR_KEYS.items()},
        "files": dict(split.files),
        "skipped": len(split.failed),
        "failed": [{"frame": origin, "reason": reason} for origin, reason in split.failed],
    }
