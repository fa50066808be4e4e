"""The methods of linear potentials through the verb, beside brute force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator
from pair_rows import pairs
from scaled_lj import Fragile, Several

from assay import Gauge, propagate
from assay.linear.potential import LinearPotential
from assay.propagation.methods.choice import Method
from assay.propagation.property import NotConverged, Quantities, State, Stationary, Structures
from assay.propagation.result import Propagation

SPEC = "crystals:fcc"


@dataclass(frozen=True)
class Empty:
    """A structure without numbers: another one fails."""

    name: str
    reason: str

    def start(self, calculator: Calculator) -> Structures:
        raise NotConverged(self.reason, structures={"fcc": bulk("Cu", a=3.8)})

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        return {}

    def stationary(self, start: Structures) -> dict[str, Stationary]:
        return {}

    def of_states(self, states: Mapping[str, State]) -> Quantities:
        return {}


def gauge(potential: LinearPotential) -> Gauge:
    return Gauge(potential, scores=(), r_cut=5.0, bar="", species=("Cu",))


@pytest.fixture(scope="module")
def potential() -> LinearPotential:
    return pairs(members=24, size=0.004)


@pytest.fixture(scope="module")
def brute(potential: LinearPotential) -> Propagation:
    return propagate(gauge(potential), SPEC, members=20)


@pytest.mark.parametrize(("method", "names"), [("implicit", 3), ("linear", 4)])
def test_a_method_gives_what_every_member_gives(
    method: Method, names: int, potential: LinearPotential, brute: Propagation
) -> None:
    result = propagate(gauge(potential), SPEC, members=20, method=method)
    assert (result.method, result.members, result.failed) == (method, 20, ())
    assert len(result[SPEC].quantities) == names
    assert ("the implicit derivative does not give fcc bulk modulus: resample" in result[SPEC].notes) == (names == 3)
    for name, found in result[SPEC].quantities.items():
        exact = brute[SPEC][name]
        assert found.unit == exact.unit
        assert found.value == pytest.approx(exact.value, rel=1e-4)  # forces below 1e-3 eV/Å
        assert found.members.shape == (20,)
        assert np.abs(found.members - exact.members).max() < 0.3 * exact.std
        assert np.corrcoef(found.members, exact.members)[0, 1] > 0.99
        assert found.std == pytest.approx(exact.std, rel=0.05)


def test_a_structure_that_the_best_fit_lacks_is_left_out_and_said(potential: LinearPotential) -> None:
    result = propagate(gauge(potential), Several(best="start"), method="linear")["several"]
    assert list(result.quantities) == ["fcc energy"]
    assert result.notes[0] == "left out, as the best fit does not give it: sc: no start"


def test_a_property_that_has_no_numbers_is_said(potential: LinearPotential) -> None:
    asked = [Empty("one", "the only slab fails"), Empty("other", "so does this")]
    message = r"no property could be computed; one: the only slab fails.*; other: so does this"
    for method in ("implicit", "linear", "resample"):
        with pytest.raises(RuntimeError, match=message):
            propagate(gauge(potential), asked, method=method)


def test_linear_with_three_members_is_refused_before_it_runs(potential: LinearPotential) -> None:
    with pytest.raises(ValueError, match="three evaluations or more, 3 members as many"):
        propagate(gauge(potential), SPEC, members=3, method="linear")


def test_other_members_of_the_same_fit_are_another_potential(tmp_path: Path, potential: LinearPotential) -> None:
    kept = tmp_path / "kept.jsonl"
    first = replace(potential, members=potential.members[:3])
    propagate(gauge(first), Fragile(), resume=kept)
    before = kept.read_text()
    other = replace(potential, members=potential.members[3:6])
    with pytest.raises(ValueError, match="results of another potential"):
        propagate(gauge(other), Fragile(), resume=kept)
    assert kept.read_text() == before
    same = replace(potential, members=potential.members[:3])
    again = propagate(gauge(same), Fragile(), resume=kept)
    assert kept.read_text() == before
    assert again["fragile"]["energy"].count == 3
