"""The layout of `src/assay`: a folder for each word, each importing only what its rule allows, and no circle.

Every import counts: deferred ones, and those for type checkers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import assay

SOURCE = Path(assay.__file__).parent
STAGES = ("results", "storage", "metrics", "calibration", "regions", "frames", "execution", "sources", "scores")
FITTED = (*STAGES, "plugins", "linear", "ensembles")
ACTIONS = (*FITTED, "gauge")
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "plugins": ("results",),
    "results": (),
    "storage": (),
    "metrics": ("results",),
    "calibration": ("plugins", "results", "metrics"),
    "regions": ("results", "metrics"),
    "frames": ("results", "storage", "metrics", "regions"),
    "execution": ("frames",),
    "sources": ("plugins", "results", "frames", "regions", "execution", "storage"),
    "scores": ("plugins", "results", "execution"),
    "linear": STAGES,
    "ensembles": STAGES,
    "gauge": FITTED,
    "evaluation": ACTIONS,
    "comparison": ACTIONS,
    "selection": ACTIONS,
    "propagation": ACTIONS,
    "distillation": (*ACTIONS, "evaluation"),
    "report": ("results", "evaluation", "comparison", "propagation", "distillation", "storage"),
    "testing": (*ACTIONS, "propagation"),
    "verbs": (*ACTIONS, "evaluation", "comparison", "selection", "propagation", "distillation", "report"),
    "cli": ("verbs", "results", "storage"),
}
"""By folder: the other folders that it may import."""
RECORDS = ("results", "storage")
"""The folders of which `report` may call functions: of the others it reads records and constants alone."""
STILL_CALLED = {
    "comparison.overview": {"bars_of", "mark_of"},
    "comparison.reasons": {"number", "two"},
    "evaluation.barred": {"barred", "width"},
    "propagation.ranking": {"alike"},
    "propagation.references": {"against", "mean_ratios"},
    "propagation.tables": {"decimals", "fixed", "written"},
}
"""By module: the functions that `report` calls all the same. To be made fewer, never more."""
PUBLIC = "assay"
"""The package itself names what is public, so it imports everything; its version is all that others take of it."""


def modules(source: Path) -> dict[str, Path]:
    """Files by the name of the module, `assay.…`."""
    found = {}
    for path in source.rglob("*.py"):
        parts = [PUBLIC, *path.relative_to(source).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: Path) -> dict[str, set[str]]:
    """The modules of Assay that each of its modules imports, wherever in the file."""
    files = modules(source)

    def named(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, "relative imports are not used"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in files else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)

    return {
        module: {name for node in ast.walk(ast.parse(path.read_text())) for name in named(node)} & files.keys()
        - {module, PUBLIC}
        for module, path in files.items()
    }  # fmt: skip


def folder(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def circle(source: Path) -> list[str]:
    """Modules that import each other in a ring; none if there is no such ring."""
    try:
        TopologicalSorter(imports(source)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def forbidden(source: Path) -> list[str]:
    """`module → module` for each import from a folder whose rule does not allow it."""
    return [
        f"{module} → {other}"
        for module, others in sorted(imports(source).items())
        for other in sorted(others)
        if module != PUBLIC and folder(module) != folder(other) and folder(other) not in MAY_IMPORT[folder(module)]
    ]


def called_by_report(source: Path) -> dict[str, set[str]]:
    """By module outside `RECORDS`: the functions that `report` imports from it."""
    files, found = modules(source), dict[str, set[str]]()
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())) if folder(module) == "report" else ():
            if isinstance(node, ast.ImportFrom) and node.module in files:
                if folder(node.module) in ("", "report", *RECORDS):
                    continue
                body = ast.parse(files[node.module].read_text()).body
                functions = {each.name for each in body if isinstance(each, ast.FunctionDef)}
                if names := functions & {alias.name for alias in node.names}:
                    found.setdefault(node.module.removeprefix("assay."), set()).update(names)
    return found


def loose(source: Path) -> list[str]:
    """Modules beside the folders."""
    return sorted(path.name for path in source.glob("*.py") if path.name != "__init__.py")


def test_no_module_imports_itself_by_way_of_others():
    assert circle(SOURCE) == []


def test_no_folder_imports_what_its_rule_forbids():
    assert forbidden(SOURCE) == []


def test_reports_read_records():
    assert called_by_report(SOURCE) == STILL_CALLED


def test_every_module_is_in_a_folder_with_a_rule():
    assert loose(SOURCE) == []
    assert {folder(module) for module in modules(SOURCE)} - {""} <= MAY_IMPORT.keys()


def test_rules_run_in_one_direction():
    """What a folder may import may not import it."""
    assert tuple(TopologicalSorter(MAY_IMPORT).static_order())


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A tree with a circle, an import that runs back up, both of them hidden, and a loose file."""
    for path, text in {
        "loose.py": "",
        "scores/one.py": "def f():\n    from assay.scores.two import g",
        "scores/two.py": "if TYPE_CHECKING:\n    import assay.scores.one",
        "results/record.py": "from assay.gauge import gauge\ndef view():\n    pass",
        "evaluation/judge.py": "class Judged:\n    pass\ndef judge():\n    pass",
        "report/page.py": "from assay.evaluation.judge import Judged, judge\nfrom assay.results.record import view",
        "gauge/gauge.py": "from assay.results import record_of_another_name",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_it_sees_what_is_wrong(bad: Path):
    assert set(circle(bad)) == {"assay.scores.one", "assay.scores.two"}
    assert forbidden(bad) == ["assay.results.record → assay.gauge.gauge"]
    assert loose(bad) == ["loose.py"]
    assert called_by_report(bad) == {"evaluation.judge": {"judge"}}
