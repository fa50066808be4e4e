"""Brute force: every property computed anew with every member, in worker processes.

    a_m = a(Θ_m),   σ² = Σ_m (a_m − ā)² / (M − 1)

`a` is anything that a potential gives (relaxed, reconverged: whatever the property does), `Θ_m` the members. Reference:
Perez et al., doi:10.48550/arXiv.2502.07104, Sec. III.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator

from assay.execution.workers import Progress
from assay.propagation.members import member_calculator
from assay.propagation.methods.resume import Best, Key, Outcome, resumed
from assay.propagation.methods.workers import Died, as_completed
from assay.propagation.property import NotConverged, Property, Quantities, Structures
from assay.propagation.result import Failed, PropertyResult, finite, with_the_best_fit
from assay.sources.capabilities import Source

NO_NUMBERS = "it has no numbers"


@dataclass(frozen=True)
class Task:
    """One property with one member, from `start`; with the best fit where `member` is `None`."""

    of: Property
    member: int | None
    start: Structures = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.of.name, self.member


@dataclass
class Potentials:
    """Does a task with one of the potentials of a source; the calculator of the last one is kept."""

    source: Source
    _last: tuple[int | None, Calculator] | None = None

    def __call__(self, task: Task) -> Outcome:
        try:
            calculator = self._calculator(task.member)
            if task.member is None:
                return _best(task.of, calculator)
            found, missing = given(task.of, calculator, task.start)
            return Failed(missing, found) if missing else found
        except (ModuleNotFoundError, PermissionError):  # the installation is at fault, not the member
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a potential may raise anything, or exit; the others go on
            self._last = None
            return Failed(reason_of(error))

    def _calculator(self, member: int | None) -> Calculator:
        if self._last is None or self._last[0] != member:
            self._last = None  # the old one is let go before the new one is made
            self._last = (member, member_calculator(self.source, member))
        return self._last[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "_last": None}


def begun(of: Property, calculator: Calculator) -> tuple[Structures, str]:
    """The structures of the best fit that there are, and why others are missing; raises what `start` does where there
    are none."""
    try:
        return of.start(calculator), ""
    except NotConverged as error:
        if not error.structures:
            raise
        return error.structures, reason_of(error)


def _best(of: Property, calculator: Calculator) -> Best:
    start, missing = begun(of, calculator)
    return Best(start, *given(of, calculator, start, missing))


def given(of: Property, calculator: Calculator, start: Structures, missing: str = "") -> tuple[Quantities, str]:
    """The finite quantities of one potential, and why others are missing (besides what is known to be); raises
    `NotConverged` where there are none."""
    reasons = [missing]
    try:
        found = of.quantities(calculator, start)
    except NotConverged as error:
        found = error.partial
        reasons.append(str(error))
    found, lost = finite(found)
    reason = "; ".join(filter(None, [*reasons, lost]))
    if not found:
        raise NotConverged(reason or NO_NUMBERS)
    return found, reason


def reason_of(error: BaseException) -> str:
    """Why a potential gave no numbers, or not all, for people."""
    return str(error) if isinstance(error, NotConverged) else f"{type(error).__name__}: {error}"


def resample(
    source: Source,
    properties: Sequence[Property],
    members: int,
    *,
    workers: int = 1,
    resume: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, PropertyResult], tuple[tuple[str, str], ...]]:
    """Results by the name of the property, with the first `members` members; and `(property, reason)` of those that
    the best fit itself does not give.

    | argument | meaning |
    |---|---|
    | workers | processes, of one thread each; with two or more, a member that ends its process fails alone |
    | resume | file that finished results are added to at once, and taken from |
    | progress | called with (results done, failures among them) |

    Raises `ValueError` for properties that other processes can't have, or a file of something else.
    """
    if workers > 1:
        _require_sendable(properties)
    with resumed(resume, source, properties) as (done, record):

        def run(tasks: list[Task]) -> None:
            with closing(as_completed(Potentials(source), tasks, workers)) as results:
                for index, outcome in results:
                    key = tasks[index].key
                    if isinstance(outcome, Died):
                        outcome = Failed(outcome.reason)  # not recorded: it is tried again when the run is resumed
                    elif not (isinstance(outcome, Failed) and key[1] is None):
                        record(key, outcome)
                    done[key] = outcome
                    if progress:
                        progress(len(done), sum(isinstance(each, Failed) for each in done.values()))

        run([Task(each, None) for each in properties if (each.name, None) not in done])
        bests = [(each, best) for each in properties if isinstance(best := done[each.name, None], Best)]
        tasks = [Task(each, member, best.start) for member in range(members) for each, best in bests]
        run([task for task in tasks if task.key not in done])
    found = {each.name: _result(each.name, best, done, members) for each, best in bests}
    failed = [(each.name, best.reason) for each in properties if isinstance(best := done[each.name, None], Failed)]
    return found, tuple(failed)


def _result(name: str, best: Best, done: Mapping[Key, Outcome], members: int) -> PropertyResult:
    outcomes = [done[name, member] for member in range(members)]
    found = [each for each in outcomes if not isinstance(each, Best)]
    return PropertyResult.collect(name, best.quantities, found, with_the_best_fit(best.missing))


def _require_sendable(properties: Sequence[Property]) -> None:
    for each in properties:
        try:
            pickle.dumps(each)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{each.name} can't be sent to other processes ({error}): put its function in a module, or use one "
                "worker"
            ) from error
