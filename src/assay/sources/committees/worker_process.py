"""The other end of `assay.sources.committees.worker`: a potential that runs in a process, maybe of another
environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.frame import FrameError
from assay.sources.committees import worker

START = (  # a terminal's interrupt is for the parent, which ends the worker
    "import runpy, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    f"runpy.run_path({worker.__file__!r}, run_name='__main__')"
)
ARRAYS = ("forces", "stress", "features", "feature_forces")


def interpreter(python: str) -> str:
    """An interpreter's path without `~`, from the root; a bare name stays one of `PATH`."""
    path = Path(python).expanduser()
    return python if path.name == python else str(path.absolute())  # not resolved: an environment's may be a link


class WorkerProcess:
    """A potential in another process, with the interface of those in `assay.sources.committees.models`.

    What it prints is told only if it ends by itself.

    Raises
    ------
    FileNotFoundError
        no such interpreter
    ModuleNotFoundError
        its environment lacks the potential's package
    ValueError
        the potential can't be made there
    """

    def __init__(self, python: str, calculator: str, arguments: Mapping[str, Any], threads: int | None = None) -> None:
        self.python = python = interpreter(python)
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
                encoding="utf-8",
                env=environment,
            )
        except OSError as error:
            self._printed.close()
            raise FileNotFoundError(f"the interpreter {python} can't be run: {error}") from error
        try:
            told = self._ask({"calculator": calculator, "arguments": dict(arguments)})
        except FrameError as error:
            raise ValueError(f"{error}. It needs numpy and ase beside the potential's package") from error
        if "error" in told:
            self.close()
            if told["missing"]:
                raise ModuleNotFoundError(
                    f"{calculator} needs the module {told['missing']}, which the environment of {python} lacks"
                )
            given = {key: value for key, value in arguments.items() if key != "what"}
            named = f"{calculator}:{arguments['what']}" if "what" in arguments else calculator
            raise ValueError(f"{named} can't be made by {python} with {given}: {told['error']}")
        self.batch_atoms: int | None = told.get("batch_atoms")

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        """See `assay.sources.committees.models`; raises `FrameError` if the process ends."""
        asked = {"features": features, "feature_forces": feature_forces}
        told = self._ask({"frames": [worker.written(frame) for frame in frames], **asked})
        for result in told["results"]:
            for key in ARRAYS:
                if key in result:
                    result[key] = np.array(result[key], dtype=np.float64)
        return list(told["results"])

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        try:
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
        except KeyboardInterrupt:  # its answer would be taken for that to the next question
            self.kill()
            raise
        if not line.endswith("\n"):  # ended, maybe in the middle of its answer
            told = self._last_words()
            self.close()
            raise FrameError(
                f"the worker process of {self.python} ended with exit code {self._process.returncode}{told}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        """The last lines that it printed, up to three, without a traceback's indented ones before them."""
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - 4096))
        lines: list[str] = []
        for line in self._printed.read().decode("utf-8", "replace").splitlines():
            lines = [] if line.startswith((" ", "Traceback")) else [*lines, line.strip()]
        said = "; ".join([line for line in lines if line][-3:])
        return f": {said}" if said else ""

    def kill(self) -> None:
        """End the process in the middle of what it does."""
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
            self._process.kill()
            self._process.wait()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            with suppress(Exception):
                self.close()
