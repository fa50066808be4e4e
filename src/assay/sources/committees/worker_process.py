"""The other end of `assay.sources.committees.worker`: a potential that runs in a process, maybe of another
environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.frame import FrameError
from assay.sources.committees import worker
from assay.sources.committees.calculators import TIME_LIMIT

START = (  # a terminal's interrupt is for the parent, which ends the worker
    "import runpy, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    f"runpy.run_path({worker.__file__!r}, run_name='__main__')"
)
ARRAYS = ("energy", "forces", "stress", "features", "feature_forces")
NOISE = 1 << 20
"""Bytes: what is printed beyond is thrown away after an evaluation; an answer may have as many, and as many more for
each atom."""
SHOWN = 200
"""Characters of a line that was printed, in messages."""


def interpreter(python: str) -> str:
    """An interpreter's path without `~`, from the root; a bare name stays one of `PATH`."""
    path = Path(python).expanduser()
    return python if path.name == python else str(path.absolute())  # not resolved: an environment's may be a link


class WorkerProcess:
    """A potential in another process, with the interface of those in `assay.sources.committees.models`.

    What it prints is told only if it ends by itself. It ends with this process, whatever ends that.

    | argument | meaning |
    |---|---|
    | python, calculator, arguments | as in `assay.sources.committees.calculators.Member` |
    | threads | of its libraries; theirs to choose without |
    | member | its label, for messages |
    | time_limit | seconds for a frame, and for making the potential; then it is ended |

    Raises
    ------
    FileNotFoundError
        no such interpreter
    ModuleNotFoundError
        its environment lacks the potential's package
    ValueError
        the potential can't be made there, or something else answers
    """

    def __init__(
        self,
        python: str,
        calculator: str,
        arguments: Mapping[str, Any],
        threads: int | None = None,
        *,
        member: str = "",
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self.python = python = interpreter(python)
        self.time_limit = time_limit
        self._late = False
        whose = f"member {member!r}: " if member else ""
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        own = () if python == sys.executable else ("PYTHONPATH", "PYTHONHOME")  # of this environment, not of that one
        environment = {key: value for key, value in os.environ.items() if key not in own}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        try:
            self._process = subprocess.Popen(
                [python, "-c", START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                env=environment,
                process_group=0,  # a script around the interpreter is ended with it
            )
        except OSError as error:
            self._printed.close()
            raise FileNotFoundError(f"{whose}the interpreter {python} can't be run: {error}") from error
        try:
            told = self._ask({"calculator": calculator, "arguments": dict(arguments)}, frames=1, atoms=0)
            if told.get("ready") is not True and not isinstance(told.get("error"), str):
                raise self._strange(json.dumps(told))
        except FrameError as error:
            raise ValueError(f"{whose}{error}. It needs numpy and ase beside the potential's package") from error
        if "error" in told:
            self.close()
            if told.get("missing"):
                raise ModuleNotFoundError(
                    f"{whose}{calculator} needs the module {told['missing']}, which the environment of {python} lacks"
                )
            given = {key: value for key, value in arguments.items() if key != "what"}
            named = f"{calculator}:{arguments['what']}" if "what" in arguments else calculator
            raise ValueError(f"{whose}{named} can't be made by {python} with {given}: {told['error']}")
        batch = told.get("batch_atoms")
        self.batch_atoms: int | None = batch if isinstance(batch, int) else None

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`; raises `FrameError` if the process ends, answers in another form, or
        takes longer than it may."""
        asked = {"features": features, "feature_forces": feature_forces}
        message = {"frames": [worker.written(frame) for frame in frames], **asked}
        results = self._ask(message, frames=len(frames), atoms=sum(map(len, frames))).get("results")
        if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
            raise self._strange(f"{results!r} in place of results")
        if len(results) != len(frames):
            raise self._strange(f"{len(results)} results for {len(frames)} frames")
        return [_arrays(result) for result in results]

    def _ask(self, message: dict[str, Any], *, frames: int, atoms: int) -> dict[str, Any]:
        """The answer to a message; raises `FrameError` where there is none, and the process has ended then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = Timer(self.time_limit * frames, self._out_of_time)
        timer.daemon = True
        timer.start()
        line = begun = b""
        try:
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
                begun = self._process.stdout.peek(1)  # type: ignore[attr-defined]  # of io.BufferedReader
                if begun.startswith(b"{") or not begun:
                    line = self._process.stdout.readline(NOISE * (1 + atoms))
        except KeyboardInterrupt:  # its answer would be taken for that to the next question
            self.kill()
            raise
        finally:
            timer.cancel()
        if self._late:
            self.close()
            limit = f"{self.time_limit:g} s" + (f" a frame, of {frames}" if frames > 1 else "")
            raise FrameError(f"the worker process of {self.python} did not answer within its time_limit, {limit}")
        if begun and not line.endswith(b"\n") and (len(line) == NOISE * (1 + atoms) or not begun.startswith(b"{")):
            raise self._strange(begun.decode("utf-8", "replace"))
        if not line.endswith(b"\n"):  # ended, maybe in the middle of its answer
            told = self._last_words()
            self.close()
            raise FrameError(
                f"the worker process of {self.python} ended with exit code {self._process.returncode}{told}"
            )
        self._forget_noise()
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._strange(line.decode("utf-8", "replace"))
        return answer

    def _out_of_time(self) -> None:
        self._late = True
        self.kill()

    def _strange(self, what: str) -> FrameError:
        """The process, which is ended, says what is no answer."""
        self.kill()
        self.close()
        first = what.strip().partition("\n")[0]
        return FrameError(
            f"the worker process of {self.python} says {_short(first)!r} where its answer should be: is this a Python "
            "that runs what it is given, and prints nothing of its own to standard output?"
        )

    def _last_words(self) -> str:
        """The last lines that it printed, up to three, without a traceback's indented ones before them."""
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - 4096))
        lines: list[str] = []
        for line in self._printed.read().decode("utf-8", "replace").splitlines():
            lines = [] if line.startswith((" ", "Traceback")) else [*lines, _short(line.strip())]
        said = "; ".join([line for line in lines if line][-3:])
        return f": {said}" if said else ""

    def _forget_noise(self) -> None:
        if os.fstat(self._printed.fileno()).st_size > NOISE:
            self._printed.seek(0)  # both processes write to one place
            self._printed.truncate()

    def kill(self) -> None:
        """End the process in the middle of what it does."""
        if self._process.poll() is None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout, self._printed):
            with suppress(OSError):
                assert stream is not None
                stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            with suppress(Exception):
                self.close()


def _arrays(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result with its values as arrays; `{"error": text}` for values that can't be."""
    if "error" in result:
        return {"error": str(result["error"])}
    try:
        return {key: np.array(result[key], dtype=np.float64) for key in ARRAYS if key in result}
    except (TypeError, ValueError) as error:
        return {"error": f"an answer that is no numbers ({_short(str(error))})"}


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
