"""The other end of `assay.sources.worker`: a potential that runs in a process, maybe of another environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames import FrameError
from assay.sources import worker

ARRAYS = ("forces", "stress", "features", "feature_forces")


class WorkerProcess:
    """A potential in another process, with the interface of those in `assay.sources.models`.

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
        self.python = python
        own = () if python == sys.executable else ("PYTHONPATH", "PYTHONHOME")  # of this environment, not of that one
        environment = {key: value for key, value in os.environ.items() if key not in own}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        try:
            self._process = subprocess.Popen(
                [python, "-c", f"import runpy; runpy.run_path({worker.__file__!r}, run_name='__main__')"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                env=environment,
            )
        except OSError as error:
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
            raise ValueError(f"{calculator} can't be made with {dict(arguments)} by {python}: {told['error']}")

    def predict(
        self, frames: list[Atoms], features: bool = False, feature_forces: bool = False
    ) -> list[dict[str, Any]]:
        """See `assay.sources.models`; raises `FrameError` if the process ends."""
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
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            self.close()
            raise FrameError(f"the worker process of {self.python} ended with exit code {self._process.returncode}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
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
