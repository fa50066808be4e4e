"""Frames as they come, each with what a gauge says of it: files that don't fit in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from ase import Atoms

from assay.execution.run import Run
from assay.execution.workers import Failure
from assay.frames.frame import Frame, FrameError, Frames, Skipped
from assay.gauge.batch import Scored, collect
from assay.gauge.gauge import Gauge
from assay.gauge.tiled_scorer import Blocks, stream
from assay.regions.tiles import surroundings
from assay.results.arrays import Array
from assay.results.assessment import Assessment
from assay.results.error_bars import ONE_SIGMA
from assay.sources.capabilities import prepare

FORCE_BAR = "force_error_bar"
"""The array of the frame in the picture: `assay.report.evaluation.quantities.FORCE_BAR`."""


MANY = 10_000
"""Atoms of a frame beyond which a summary has quantiles over them, and a picture shows the surroundings of one."""


PICTURED = 12.0
"""Å around the riskiest atom of such a frame."""


def assess(
    gauge: Gauge,
    frames: Frames,
    run: Run,
    *,
    in_blocks: Blocks | None = None,
    on_frame: Callable[[Frame, Scored], None] | None = None,
) -> tuple[Assessment, Atoms | None]:
    """Assess frames as they come; also the frame with the riskiest atom, for a picture.

    | argument | meaning |
    |---|---|
    | in_blocks | how large frames are evaluated: with such among them the assessment has what every frame has |
    | on_frame | gets every frame that could be evaluated, with all that was found of it |

    Potentials that run see all frames once before, in batches. Raises `FrameError` where no frame could be evaluated.
    """
    prepare(gauge.source, lambda: frames, workers=run.processes, total=None, stage=run.stage)
    scored: list[tuple[Frame, Scored]] = []
    failed: Skipped = []
    worst: dict[str, Atoms] = {}  # by the array that the picture shows
    largest: dict[str, float] = {}
    progress = run.stage("assessing")
    for frame, result in stream(gauge.scorer, frames, in_blocks, workers=run.workers, progress=progress):
        if isinstance(result, Failure):
            failed.append((result.origin, result.reason))
            continue
        name, risk = _risk_of_atoms(gauge, frame, result)
        if risk is not None and risk.max() > largest.get(name, -np.inf):
            worst[name], largest[name] = _pictured(frame, name, risk), float(risk.max())
        if on_frame:
            on_frame(frame, result)
        bare = Atoms(
            numbers=frame.atoms.numbers, cell=frame.atoms.cell, pbc=frame.atoms.pbc
        )  # positions and other arrays of frames that are done are let go
        scored.append((replace(frame, atoms=bare), result))
    failed = [*frames.skipped, *failed]
    if not scored:
        raise FrameError(f"no frame could be evaluated; the first: {': '.join(failed[0]) if failed else 'no frames'}")
    if gauge.bar and any(not result.spreads for _, result in scored):
        gauge = replace(gauge, bar="")
    scored = _in_common(scored)
    assessment = gauge.assessment(collect(scored), tuple(failed))
    first = next((name for name, level in assessment.scores if level == "atom"), "")
    return assessment, worst.get(first if assessment.batch.forces is None else FORCE_BAR)


def _in_common(scored: list[tuple[Frame, Scored]]) -> list[tuple[Frame, Scored]]:
    """The scores, and what they say beside their values, that every frame has."""
    scores = set.intersection(*(set(result.scores) for _, result in scored))
    companions = set.intersection(*(set(result.companions) for _, result in scored))
    return [
        (
            frame,
            replace(
                result,
                scores={key: values for key, values in result.scores.items() if key in scores},
                companions={name: values for name, values in result.companions.items() if name in companions},
            ),
        )
        for frame, result in scored
    ]


def _pictured(frame: Frame, name: str, risk: Array) -> Atoms:
    """The frame with the risk of its atoms; of a large one, what surrounds the riskiest atom."""
    if len(frame.atoms) <= MANY:
        atoms: Atoms = frame.atoms.copy()
        atoms.info = {"origin": frame.origin}
        atoms.arrays[name] = risk
        return atoms
    top = int(risk.argmax())
    atoms, index = surroundings(frame.atoms, top, PICTURED)
    atoms.info = {"origin": f"{frame.origin}, around atom {top}"}
    atoms.arrays[name] = risk[index]
    return atoms


def _risk_of_atoms(gauge: Gauge, frame: Frame, scored: Scored) -> tuple[str, Array | None]:
    """What the picture of the worst frame shows, `(A,)`: norms of force bars, or the first score of atoms."""
    forces = scored.prediction.forces
    spread = next((each.force for each in scored.spreads.values()), None)
    if forces is None or spread is None:
        name = next((name for name, level in scored.scores if level == "atom"), "")
        return name, scored.scores.get((name, "atom"))
    bar = gauge.assessment(collect([(frame, scored)])).bars.force
    bars = spread if bar is None else bar.half_width(ONE_SIGMA)
    return FORCE_BAR, np.asarray(np.linalg.norm(bars, axis=1))
