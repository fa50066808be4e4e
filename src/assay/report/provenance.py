"""How a report was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from assay.storage.provenance import versions


class Made(Protocol):
    """A gauge, as far as a report says how it was made."""

    @property
    def source(self) -> Labelled: ...

    @property
    def bar(self) -> str: ...

    @property
    def provenance(self) -> Mapping[str, Any]: ...


class Labelled(Protocol):
    """What has a name for people."""

    @property
    def label(self) -> str: ...


def _of_members(told: Mapping[str, Any]) -> dict[str, str]:
    """A line a member: its error and weight, and what shifts per element left of the difference of its energies."""
    lines = {}
    for found in told.get("members", ()):
        said = [f"weight {found['weight']:.3g}" if found["used"] else "left out"]
        if found["force_rmse_eV_per_A"] is not None:
            said.append(f"force RMSE on the training frames {found['force_rmse_eV_per_A']:.3g} eV/Å")
        if "before_meV_per_atom" in found:
            before, after = (found[f"{key}_meV_per_atom"] for key in ("before", "after"))
            said.append(f"energies {before:.3g} meV/atom from {told['references']}, shifted per element {after:.3g}")
        lines[f"Member {found['name']}"] = ", ".join(said)
    return lines


def provenance(gauge: Made, files: Mapping[str, str], command: str | None) -> dict[str, str]:
    """How a report was made, for people; `files`: SHA-256 of each file of frames."""
    made = gauge.provenance
    lines = {
        "Potential": gauge.source.label,
        "Error bar": gauge.bar,
        "Command": command or "",
        "Gauge built by": str(made.get("command", "")),
        "Said when it was built": "; ".join(made.get("warnings", ())),
        "Said when it was calibrated": "; ".join(made.get("calibration_warnings", ())),
        "Gauge built on": str(made.get("created", "")),
        "Training": "{frames} frames, {atoms} atoms".format(**made["training"]) if "training" in made else "",
        "Calibration": "{frames} frames, {atoms} atoms".format(**made["held_out"]) if "held_out" in made else "",
        **_of_members(made.get("members", {})),
        **{f"SHA-256 of {path}": digest for path, digest in made.get("files", {}).items()},
        **{f"SHA-256 of {path}": digest for path, digest in files.items()},
        "Versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
    return {key: value for key, value in lines.items() if value}
