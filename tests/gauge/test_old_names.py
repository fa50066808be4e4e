"""Names of arguments of the last version: taken with a remark, by every verb that had them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from copper import COMMITTEE, Files, columns

import assay
from assay import LinearFit, MemberChoice, Run, ScoreFit
from assay.results.warning import AssayFutureWarning
from assay.verbs.arguments import NEW, settled

LINEAR, CHOICE, SCORES, RUN = LinearFit(), MemberChoice(), ScoreFit(), Run()


@settled
def verb(
    calibration: str | None = None,
    linear_fit: LinearFit = LINEAR,
    members: MemberChoice = CHOICE,
    score_fit: ScoreFit = SCORES,
    run: Run = RUN,
) -> dict[str, object]:
    """What it got."""
    return dict(locals())


SAMPLES = {"workers": 2, "ensemble_size": 4, "seed": 3, "skip_bad": True, "allow_import": ("copper",)}


@pytest.mark.parametrize("old", NEW)
def test_an_old_name_is_the_new_one(old: str) -> None:
    value, (argument, field) = SAMPLES.get(old, "bootstrap"), NEW[old]
    with pytest.warns(AssayFutureWarning, match=rf"^verb\({old}=…\) is now verb\({argument}=") as told:
        got = verb(**{old: value})
    assert told[0].filename == __file__
    found = getattr(got[argument], field) if field else got[argument]
    assert found == ("local:2" if old == "workers" else value)
    others = {name: each for name, each in got.items() if name != argument}
    assert all(each == inspect.signature(verb).parameters[name].default for name, each in others.items())


def test_several_go_together_and_with_the_new_ones() -> None:
    with pytest.warns(AssayFutureWarning):
        got = verb(ensemble_size=4, linear_fit=LinearFit(seed=7), workers=2, skip_bad=True)
    assert got["linear_fit"] == LinearFit(seed=7, ensemble_size=4)
    assert got["run"] == Run("local:2", skip_bad=True)


def test_what_is_no_name_of_the_verb_is_refused_as_ever() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        verb(nonsense=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'posterior'"):
        assay.evaluate("x.gauge", "x.extxyz", posterior="pops")
    with pytest.raises(ValueError, match="heldout is the old name of calibration: give one of them"):
        verb(heldout="a", calibration="b")


@pytest.mark.filterwarnings("ignore:error bar of the:UserWarning")
def test_a_gauge_by_old_names_is_the_same(files: Files) -> None:
    new = assay.build(files.train, source=COMMITTEE, calibration=files.held_out, members=MemberChoice(best=3))
    with pytest.warns(AssayFutureWarning):
        old = assay.build(files.train, source=COMMITTEE, heldout=files.held_out, best_members=3, workers=1)
    ours, theirs = (columns(assay.predict(each.gauge, files.test)) for each in (new, old))
    assert ours.keys() == theirs.keys()
    for name, column in ours.items():
        np.testing.assert_array_equal(theirs[name], column, err_msg=name)
