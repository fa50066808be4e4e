"""Which error bar and which ranking to use, by rules that are stated, with the numbers that decided."""

from __future__ import annotations

from collections.abc import Sequence

from assay.calibration.bar_name import CalibratorName
from assay.comparison.bar_choice import recommended_bar
from assay.comparison.candidates import of_whole_frames
from assay.comparison.caveats import caveats
from assay.comparison.ranking_choice import recommended_ranking
from assay.comparison.recommended import Recommendation
from assay.comparison.result import ComparisonResult


def recommendation(result: ComparisonResult, calibrators: Sequence[CalibratorName] = ()) -> Recommendation:
    """The error bars of forces and of energies, and the scores to rank frames and atoms by, each with its reasons.

    Error bars (`error_bars` are those of forces; `energy_bars`), among all `METHOD:CALIBRATOR` with an interval score
    on every split:

    1. Honest at home: on the calibration frames (cross-fitted) the 95 % intervals of the coverage at 68 % and 95 %
       reach to within 5 and 3 points of these levels. Where no bar is, the nearest and those within 3 points of it.
       Fewer than 5 calibration frames can't tell. Bars of whole frames are no candidates: no figure judges them.
    2. Good everywhere: the least geometric mean over all splits of the interval score at 90 %, a proper score: bars
       that miss and bars that are wide both pay. A split where a bar fails counts as much as one where it shines.
    3. It gives way to a cheaper one (per atom, potential included; 10 % is no difference) whose mean is within 5 % of
       its own, and which is as good: on every split either no worse or not significantly worse than the split's best.
       Of energies to the bar of the forces, if that is as good: a gauge has one for all.
    4. The constant bar, where its own mean is smaller, or where on no split the skill against it is surely above 0:
       more than the best of so many bars, on one of so many splits, has by luck in 5 % of cases. Nothing is sure of
       fewer than 5 frames, and rule 3 chooses only what passes this one.

    Rankings (`ranking_frames` by the largest force error of frames, `ranking_atoms` by the force error of atoms): the
    largest mean of Spearman's correlation over all splits on which it is defined for any score (0 for a score whose
    values are all equal there); then rule 3 with a difference of 0.02. None, where on no split the correlation is
    surely above 0 in the sense of rule 4.

    All splits weigh the same: give `compare` the test sets that you care about. What the tables have decides, so
    whoever wants other rules can apply them there.

    | symbol | argument |
    |---|---|
    | | result: of `assay.compare`, whatever it recommends already |
    | | calibrators: those of the result that can't be found by their names |
    """
    unjudged = of_whole_frames(result, calibrators)
    force = recommended_bar(result, "force", unjudged)
    energy = recommended_bar(result, "energy", unjudged, prefer=force.name)
    return Recommendation(
        force,
        energy,
        recommended_ranking(result, "frames"),
        recommended_ranking(result, "atoms"),
        caveats(result, {"force": force, "energy": energy}, unjudged),
    )
