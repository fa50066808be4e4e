"""Scores, sources, calibrators and properties of other packages: by name where these are installed, or as objects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from copper import COMMITTEE, Files, columns

import assay
from assay import Gauge
from assay.calibration import calibrator_kind
from assay.calibration.bar_name import BarName
from assay.calibration.scale import Scale
from assay.plugins import kinds
from assay.plugins.importing import import_path
from assay.propagation.properties.registry import property_from_spec
from assay.scores.registry import KINDS, resolved
from assay.scores.rigidity.leverage import Leverage
from assay.sources.registry import parse_spec
from assay.storage.archive import GaugeFileError, load_state, save_state

EXAMPLE = Path(__file__).parents[2] / "examples" / "assay-example-plugin"
SOURCE = Path(assay.__file__).parents[1]
ASSAY = str(Path(sys.executable).parent / "assay")

pytestmark = pytest.mark.filterwarnings("ignore:error bar of the:UserWarning")


def ran(*words: object, path: Path, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A command with another folder on PYTHONPATH."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}  # paths may be relative
    env |= {"PYTHONPATH": os.pathsep.join([str(SOURCE), str(path)]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=cwd, env=env, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has installed the example into, offline."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("plugin")
    copy = shutil.copytree(EXAMPLE, folder / "source")  # builds leave files behind
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    ran(*pip, "--target", folder / "target", copy, path=folder, cwd=folder)
    return folder / "target"


@pytest.fixture(scope="module")
def gauge_file(installed: Path, files: Files) -> Path:
    """Built by the names of the plug-in."""
    out = installed.parent / "example.gauge"
    ran(
        ASSAY, "build", "-t", files.train, "-c", files.held_out, "--source", "example:cutoff=4.5", "--score", "example",
        "--error-bar", "example:example", "--ensemble-size", "8", "-o", out, path=installed, cwd=installed.parent,
    )  # fmt: skip
    return out


def test_an_installed_plugin_goes_all_the_way(gauge_file: Path, installed: Path, files: Files, tmp_path: Path) -> None:
    for workers in ("1", "2"):
        words = ("predict", gauge_file, files.test, "-j", workers, "-o", f"{workers}.extxyz", "--json", "-")
        done = ran(ASSAY, *words, path=installed, cwd=tmp_path)
        assert json.loads(done.stdout)["frames"]
    assert (tmp_path / "1.extxyz").read_text() == (tmp_path / "2.extxyz").read_text()
    assert "example" in (tmp_path / "1.extxyz").read_text()
    done = ran(
        ASSAY, "propagate", gauge_file, "example", "example:Cu", "--members", "3", "--json", "-", path=installed,
        cwd=tmp_path,
    )  # fmt: skip
    found = json.loads(done.stdout)["properties"]
    assert found.keys() == {"example", "example:Cu"}
    done = ran(ASSAY, "propagate", "--help", path=installed, cwd=tmp_path)
    assert "energies, function, example." in " ".join(done.stdout.split())
    state = load_state(gauge_file)
    assert state["scores"][0]["plugin"] == {"package": "assay-example-plugin 0.1.0"}
    assert state["source"]["rows"]["plugin"] == {"package": "assay-example-plugin 0.1.0"}
    assert state["calibrator_plugin"] == {"package": "assay-example-plugin 0.1.0"}


def test_the_contracts_hold(installed: Path, tmp_path: Path) -> None:
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, EXAMPLE / "test_contracts.py")
    assert "4 passed" in ran(sys.executable, *words, path=installed, cwd=tmp_path).stdout


def test_a_plugin_is_imported_when_its_name_is_asked_for(installed: Path, tmp_path: Path) -> None:
    code = """
import sys
import assay
from assay.calibration.bar_name import BarName
from assay.propagation.properties.registry import names
from assay.scores.registry import KINDS, resolved
from assay.sources.registry import parse_spec
assay.Gauge
resolved(["leverage"]), BarName.parse("leverage:scale"), parse_spec("snap:twojmax=2")
assert "example" in KINDS.names() and "example" in names()
assert not any(name.startswith("assay_example") for name in sys.modules)
assert resolved(["example"])[0].__name__ == "LargestDeviation"
assert "assay_example.score" in sys.modules and "assay_example.source" not in sys.modules
"""
    ran(sys.executable, "-W", "error", "-c", code, path=installed, cwd=tmp_path)


def test_without_the_package_the_name_and_the_package_are_told(gauge_file: Path) -> None:
    with pytest.raises(
        ModuleNotFoundError,
        match=r"has a \w+ 'example' of the package assay-example-plugin 0\.1\.0, which is not installed here",
    ):
        Gauge.load(gauge_file)


# objects, of modules that have no entry point


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The modules of the example, importable and not installed."""
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from assay_example import calibrator, property, score, source

    class Classes:
        Score = score.LargestDeviation
        Source = source.PairRows
        Calibrator = calibrator.MedianRatio
        Property = property.Expansion

    yield Classes
    for name in [name for name in sys.modules if name.startswith("assay_example")]:
        del sys.modules[name]


def built(files: Files, example: Any, **more: Any) -> Gauge:
    asked = {"scores": ["leverage", example.Score], "error_bar": ("example", example.Calibrator), **more}
    given = {"calibration": files.held_out, "linear_fit": assay.LinearFit(ensemble_size=8)}
    return assay.build(files.train, source=example.Source(), **given, **asked).gauge


def test_objects_are_built_saved_and_loaded_where_the_user_allows_it(
    files: Files, example: Any, tmp_path: Path, new: list[Atoms]
) -> None:
    gauge = built(files, example, out=tmp_path / "x.gauge")
    assert gauge.bar == "example:example"
    assert isinstance(gauge.calibrators.force, example.Calibrator)
    with pytest.raises(PermissionError, match=r"assay_example\.\w+:\w+ is code of .* --allow-import assay_example"):
        Gauge.load(tmp_path / "x.gauge")
    with pytest.raises(PermissionError, match="--allow-import assay_example"):
        Gauge.load(tmp_path / "x.gauge", allow_import=("assay_example.source",))
    loaded = Gauge.load(tmp_path / "x.gauge", allow_import=("assay_example",))
    before, after = (columns(each.assess(new)) for each in (gauge, loaded))
    assert before.keys() == after.keys()
    for name, column in before.items():
        np.testing.assert_array_equal(after[name], column, err_msg=name)
    loaded.save(tmp_path / "again.gauge")
    assert (tmp_path / "again.gauge").read_bytes() == (tmp_path / "x.gauge").read_bytes()
    found = assay.propagate(loaded, [example.Property("mine", "Cu"), example.Property("again", "Cu")], members=3)
    assert found.properties.keys() == {"mine", "again"}


def test_the_command_line_allows_it_too(files: Files, example: Any, tmp_path: Path) -> None:
    built(files, example, out=tmp_path / "x.gauge")
    path = EXAMPLE / "src"
    for verb in ("info", "export"):
        more = () if verb == "info" else ("-o", tmp_path / "y")
        refused = ran(ASSAY, verb, "x.gauge", *more, path=path, cwd=tmp_path, code=1)
        assert "which is not allowed. If you trust it: --allow-import assay_example" in refused.stderr
    done = ran(ASSAY, "info", "x.gauge", "--allow-import", "assay_example", path=path, cwd=tmp_path)
    assert "example:example" in done.stdout
    done = ran(
        ASSAY, "export", "x.gauge", "-o", "y", "--allow-import", "assay_example", path=path, cwd=tmp_path, code=1
    )
    assert "only a fitted SNAP or ACE potential can be exported" in done.stderr


def test_calibrate_takes_a_class(files: Files, committee: Gauge, example: Any, tmp_path: Path) -> None:
    new = assay.calibrate(
        committee, files.test, error_bar=("heterogeneous_force", example.Calibrator), out=tmp_path / "x"
    )
    assert new.bar == "heterogeneous_force:example"
    back = assay.calibrate(new, files.test, error_bar="heterogeneous_force:scale")
    assert back.calibrator is None
    assert isinstance(back.calibrators.force, Scale)
    with pytest.raises(ValueError, match="no calibrator 'example'; there are scale, ratio"):
        assay.calibrate(back, files.test, error_bar="heterogeneous_force:example")
    assert Gauge.load(tmp_path / "x", allow_import=("assay_example",)).calibrators == new.calibrators


def test_gauges_of_built_ins_say_nothing_of_plugins(committee: Gauge, tmp_path: Path) -> None:
    committee.save(tmp_path / "x.gauge")
    state = load_state(tmp_path / "x.gauge")
    assert all(each.keys() == {"name", "state"} for each in state["scores"])
    assert not {"calibrator", "calibrator_plugin"} & state.keys()
    assert "plugin" not in json.dumps(state["source"], default=str)


def test_what_can_not_be_loaded_is_refused_before_anything_is_fitted(
    files: Files, example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = {
        "score": {"scores": [type("Local", (example.Score,), {"name": "local"}), example.Score]},
        "calibrator": {"error_bar": ("leverage", type("Local", (example.Calibrator,), {"name": "local"}))},
    }
    monkeypatch.setattr("assay.frames.dataset.Survey.fit", lambda *_, **__: pytest.fail("it was fitted"))
    for what, given in local.items():
        with pytest.raises(ValueError, match=rf"with the {what} 'local', which is <class .*Local'>: no module has it"):
            built(files, example, out=tmp_path / "x.gauge", **given)
    here = type("Here", (example.Source,), {"kind": "here"})
    with pytest.raises(ValueError, match=r"the source 'here', .*entry point of the group assay\.sources"):
        assay.build(files.train, source=here(), out=tmp_path / "x.gauge")
    assert not list(tmp_path.iterdir())


def test_what_can_not_be_loaded_is_refused_by_save(files: Files, example: Any, tmp_path: Path) -> None:
    class Elsewhere(example.Score):  # type: ignore[misc]
        name = "elsewhere"

    gauge = built(files, example, scores=[Elsewhere], error_bar=("elsewhere", example.Calibrator))
    with pytest.raises(ValueError, match=r"the score 'elsewhere', .*Put the class into a module"):
        gauge.save(tmp_path / "x.gauge")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path", ["os:system", "assay_example.score:np", "assay_example.score:ScoreFacts", "no_such:Score"]
)
def test_a_file_can_not_name_other_code(path: str, example: Any) -> None:
    origin = {"class": path}
    with pytest.raises(PermissionError, match="which is not allowed"):
        KINDS.of_file("x", origin, ("assay_example",) if path.startswith("assay_example") else ())


def test_a_file_names_a_class(example: Any) -> None:
    with pytest.raises(ValueError, match="has no attribute 'Missing'"):
        KINDS.of_file("x", {"class": "assay_example.score:Missing"}, ("assay_example",))
    with pytest.raises(ValueError, match="is a builtin_function_or_method, not a class"):
        KINDS.of_file("x", {"class": "time:sleep"}, ("time",))
    with pytest.raises(ModuleNotFoundError, match="needs the module no_such"):
        KINDS.of_file("x", {"class": "no_such:Score"}, ("no_such",))
    assert KINDS.of_file("x", {"class": "assay_example.score:LargestDeviation"}, ("assay_example",)) is example.Score
    assert KINDS.of_file("leverage", {}) is Leverage
    with pytest.raises(ValueError, match="unknown score 'x' in the gauge file; there are committee_force"):
        KINDS.of_file("x", {})


def test_what_has_an_import_path() -> None:
    assert import_path(Leverage) == "assay.scores.rigidity.leverage:Leverage"
    assert import_path(Leverage.fit) == ""
    assert import_path(type("Leverage", (), {})) == ""
    assert import_path(3) == ""


# packages that are no good


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs packages of one module with entry points, by group."""

    def install(name: str, groups: Mapping[str, Mapping[str, str]], code: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = (
            f"[assay.{group}]\n" + "".join(f"{key} = {name}:{what}\n" for key, what in of.items())
            for group, of in groups.items()
        )
        (info / "entry_points.txt").write_text("\n".join(lines))
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return install


GROUPS = {
    "scores": {"odd": "Odd"},
    "sources": {"odd": "Odd"},
    "calibrators": {"odd": "Odd"},
    "properties": {"odd": "Odd"},
}
ASK = {
    "score": lambda: resolved(["odd"]),
    "source": lambda: parse_spec("odd"),
    "calibrator": lambda: BarName.parse("leverage:odd"),
    "property": lambda: property_from_spec("odd", ["Cu"]),
}


@pytest.mark.parametrize("what", ASK)
def test_a_package_that_can_not_be_imported_breaks_nothing_else(what: str, packages: Any) -> None:
    packages("oddities", GROUPS, "import no_such_module_at_all")
    with pytest.raises(
        ModuleNotFoundError,
        match=rf"the {what} 'odd' is of the package oddities 1\.0, which needs the module no_such_module_at_all: "
        r"install that, or the package anew \(pip install --upgrade --force-reinstall oddities\)",
    ):
        ASK[what]()
    packages("faulty", {"scores": {"faulty": "Odd"}}, "1 / 0")
    with pytest.raises(RuntimeError, match=r"of the package faulty 1\.0, which can't be imported \(ZeroDivisionError"):
        resolved(["faulty"])
    assert resolved(["leverage"]) == (Leverage,)
    assert {"odd", "faulty"} <= {*KINDS.names()}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (lambda: resolved(["none"]), "unknown score none; there are committee_force, .*, odd$"),
        (lambda: parse_spec("none"), "unknown source 'none' in 'none'; there are snap, .*, odd$"),
        (lambda: BarName.parse("leverage:none"), "no calibrator 'none'; there are scale, .*, odd$"),
        (lambda: calibrator_kind("none"), "unknown calibrator 'none'; there are scale, .*, odd$"),
        (lambda: property_from_spec("none", ["Cu"]), "unknown property 'none' in 'none'; there are crystals, .*, odd$"),
    ],
)
def test_names_that_are_listed_are_those_of_plugins_too(spec: Any, message: str, packages: Any) -> None:
    packages("oddities", GROUPS, "import no_such_module_at_all")
    with pytest.raises(ValueError, match=message):
        spec()


def test_the_name_of_a_built_in_stays_that(packages: Any) -> None:
    packages("greedy", {"scores": {"leverage": "Mine", "mine": "Mine"}}, "class Mine:\n    name = 'mine'")
    assert resolved(["leverage"]) == (Leverage,)
    with pytest.warns(
        UserWarning, match=r"the package greedy 1\.0 has a score 'leverage', which is the name of one of"
    ):
        names = KINDS.names()
    assert names.count("leverage") == 1
    with pytest.warns(UserWarning, match="greedy"), pytest.raises(ValueError, match="is not a score: it lacks home"):
        resolved(["mine"])


def test_two_packages_of_one_name_and_one_that_is_called_otherwise(packages: Any) -> None:
    code = "class Mine:\n    name = 'mine'"
    packages("first", {"scores": {"mine": "Mine", "yours": "Mine"}}, code)
    packages("second", {"scores": {"mine": "Mine"}}, code)
    with pytest.raises(ValueError, match=r"first 1\.0 and second 1\.0 both have a score 'mine': uninstall one"):
        resolved(["mine"])
    with pytest.raises(ValueError, match=r"of the package first 1\.0, where it says name = 'mine'"):
        resolved(["yours"])


def test_a_name_that_became_built_in(packages: Any) -> None:
    with pytest.raises(ValueError, match="'leverage' of the package old 1, and this Assay has one of its own by that"):
        KINDS.of_file("leverage", {"package": "old 1"})


def test_what_is_no_calibrator_and_no_property(committee: Gauge) -> None:
    with pytest.raises(ValueError, match="is not a calibrator: it lacks name, of_groups, by_order, fit, bar"):
        BarName.of(("leverage", object))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two calibrators are called scale"):
        BarName.of(("leverage", type("Scale", (Scale,), {})))
    with pytest.raises(ValueError, match=r"error bar \('leverage',\) is neither"):
        BarName.of(("leverage",))  # type: ignore[arg-type]
    assert str(BarName.of(("leverage", "mondrian", "species"))) == "leverage:mondrian:species"
    with pytest.raises(ValueError, match="3 is not a property: it lacks name, start, quantities"):
        assay.propagate(committee, [3])  # type: ignore[list-item]


def test_a_committee_needs_no_plugin(files: Files) -> None:
    """A bar by a class of Assay's own is the bar by its name."""
    one, other = (
        assay.build(files.train, source=COMMITTEE, calibration=files.held_out, error_bar=bar).gauge
        for bar in ("committee_force:scale", ("committee_force", Scale))
    )
    assert one.bar == other.bar
    assert one.calibrators == other.calibrators
    assert other.calibrator is None


def test_a_package_other_than_the_file_names_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("example", "someone.elses:Score", KINDS.group)
    monkeypatch.setattr(kinds, "entry_points", lambda group: [entry])
    with pytest.raises(ModuleNotFoundError, match="of the package someone-else 2, which is not installed here, where"):
        KINDS.of_file("example", {"package": "someone-else 2"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.update(bar="committee_force"), "not a gauge that this Assay can read"),
        (lambda state: state["scores"][0].update(plugin="x"), "says of its score"),
        (lambda state: state["scores"][0].update(name="unheard"), "unknown score 'unheard' in the gauge file"),
        (lambda state: state["source"].update(kind="unheard"), "unknown source 'unheard' in the gauge file"),
    ],
)
def test_what_no_gauge_holds_is_said_with_the_name_of_the_file(
    committee: Gauge, tmp_path: Path, change: Any, reason: str
) -> None:
    committee.save(tmp_path / "own.gauge")
    state = load_state(tmp_path / "own.gauge")
    change(state)
    save_state(tmp_path / "odd.gauge", state)
    with pytest.raises(GaugeFileError, match=rf"odd\.gauge: .*{reason}"):
        Gauge.load(tmp_path / "odd.gauge")


def test_members_with_shifted_energies_are_a_source_and_are_loaded_again(
    committee: Gauge, files: Files, tmp_path: Path
) -> None:
    built = assay.build(files.train, calibration=files.held_out, source=committee.source, out=tmp_path / "twice.gauge")
    frames = list(assay.read_frames(files.test))
    expected = columns(built.gauge.assess(frames))
    for name, column in columns(Gauge.load(tmp_path / "twice.gauge").assess(frames)).items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)
