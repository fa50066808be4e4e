"""A benchmark runs and its result has the agreed shape; how fast anything is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    out = tmp_path_factory.mktemp("benchmarks") / "import_time.json"
    command = [sys.executable, "-W", "error", str(BENCHMARKS / "import_time.py"), "--quick", "--json", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("import: ours ")
    return json.loads(out.read_text(encoding="utf-8"))


def test_every_case_says_what_was_compared_and_whether_the_bound_is_met(cases: list[dict]):
    assert [case["case"] for case in cases] == ["import", "import of Gauge"]
    for case in cases:
        assert {"case", "ours", "peer", "ratio", "bound", "met", "unit"} <= case.keys()
        assert case["met"] is (case["ratio"] >= case["bound"])
        assert 0.01 < case["ours"] < 60
        assert 0.01 < case["peer"] < 60


def test_every_case_says_how_it_was_made(cases: list[dict]):
    for case in cases:
        assert case["made"]["command"] == "python benchmarks/import_time.py --quick"
        assert set(case["made"]) == {"command", "commit", "modified", "data", "versions", "cores", "load_average"}


@pytest.mark.parametrize("path", sorted((BENCHMARKS / "results").glob("*.json")), ids=lambda path: path.stem)
def test_committed_results_come_from_full_runs(path: Path):
    for case in json.loads(path.read_text(encoding="utf-8")):
        assert case["made"]["command"] == f"python benchmarks/{path.stem}.py"
        assert len(case["made"]["commit"]) == 40
