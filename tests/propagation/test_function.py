"""Python functions as properties: what they may return, and whose code may run."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from assay.propagation.methods.resume import digest
from assay.propagation.properties.function import Function
from assay.propagation.properties.registry import property_from_spec
from assay.propagation.property import Quantity

MODULE = """
from ase.build import bulk
from assay.propagation.property import Quantity

def lattice_energies(calculator):
    energies = [calculator.get_potential_energy(bulk("Cu", a=a)) for a in (3.5, 3.6)]
    return {"curve": energies, "difference": energies[1] - energies[0], "own": Quantity(1.0, "K")}

def number(calculator):
    return calculator.get_potential_energy(bulk("Cu", a=3.6))

def table(calculator):
    return [[1.0]]

not_a_function = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "a_module_of_properties"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_numbers_curves_and_quantities(module: str) -> None:
    found = property_from_spec(f"function:{module}.lattice_energies,unit=eV", ["Cu"], [module])
    found = pickle.loads(pickle.dumps(found))
    assert found.start(EMT()) == {}
    curve, difference, own = found.quantities(EMT(), {}).values()
    expected = [EMT().get_potential_energy(bulk("Cu", a=a)) for a in (3.5, 3.6)]
    assert np.asarray(curve.value) == pytest.approx(expected)
    assert (curve.unit, list(curve.x)) == ("eV", [0, 1])
    assert (difference.value, difference.unit) == (pytest.approx(expected[1] - expected[0]), "eV")
    assert own == Quantity(1.0, "K")


def test_one_number_has_the_name_of_its_function(module: str) -> None:
    found = property_from_spec(f"function:{module}.number", ["Cu"], [module]).quantities(EMT(), {})
    assert list(found) == [f"{module}.number"]


def test_only_what_is_allowed_runs(module: str) -> None:
    for path in (f"{module}.number", "os.getcwd", f"{module}.bulk"):
        allowed = [module] if path.endswith("bulk") else []
        with pytest.raises(PermissionError, match="--allow-import"):
            Function.from_words([path], {}, ["Cu"], allowed).start(EMT())


def test_what_is_no_function_of_a_calculator_is_an_error(module: str) -> None:
    for path, error, message in (
        (f"{module}.missing", ValueError, "missing"),
        (f"{module}.not_a_function", PermissionError, "no module"),
        ("no_such_module.f", ModuleNotFoundError, "no_such_module"),
    ):
        with pytest.raises(error, match=message):
            Function.from_words([path], {}, ["Cu"], [module, "no_such_module"]).start(EMT())
    with pytest.raises(TypeError, match="one-dimensional"):
        Function.from_words([f"{module}.table"], {}, ["Cu"], [module]).quantities(EMT(), {})
    with pytest.raises(ValueError, match="needs one package"):
        Function.from_words(["number"], {}, ["Cu"])


def energy(calculator: Calculator) -> float:
    return float(calculator.get_potential_energy(bulk("Cu")))


def test_functions_at_hand_travel_if_other_processes_can_import_them() -> None:
    here = Function.of(energy, "eV")
    there = pickle.loads(pickle.dumps(here))
    assert there.given is None
    assert there.quantities(EMT(), {}) == here.quantities(EMT(), {})
    with pytest.raises(ValueError, match="can't import"):
        pickle.dumps(Function.of(lambda calculator: 1.0))


def test_what_is_allowed_is_no_setting_of_results() -> None:
    few, more = (Function.from_words(["a.b"], {}, ["Cu"], allowed) for allowed in (["a"], ["a", "c"]))
    assert digest(few) == digest(more)
    assert digest(few) != digest(Function.from_words(["a.b"], {"unit": "eV"}, ["Cu"], ["a"]))
