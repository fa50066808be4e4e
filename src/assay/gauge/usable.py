"""What is refused before anything long is run: sources that nothing could be fitted of, and settings of another one."""

from __future__ import annotations

from assay.ensembles.fit import MemberChoice
from assay.sources.capabilities import AnySource, HasMembers, LinearSource, OnlyFeatures


def usable(
    source: AnySource, r_cut: float, members: MemberChoice = MemberChoice()
) -> LinearSource | HasMembers | OnlyFeatures:
    """The source; raises `ValueError` where nothing could be fitted or gauged by neighbourhoods of this radius (Å)."""
    if not r_cut > 0:
        raise ValueError(f"the radius of a neighbourhood must be positive, got {r_cut}")
    if not isinstance(source, LinearSource | HasMembers | OnlyFeatures):
        raise ValueError(
            f"the source {source.kind!r} has neither design rows, nor members, nor features alone: nothing of it could "
            "be fitted or gauged (assay.sources.capabilities says what there is)"
        )
    if members != MemberChoice() and not isinstance(source, HasMembers):
        raise ValueError(
            "a choice of members (references, rmse, best) is for members that a source brings along, which "
            f"{source.kind} does not"
        )
    return source
