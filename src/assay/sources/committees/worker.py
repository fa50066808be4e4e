"""A potential in a process of its own, which may run in another environment: `PYTHON worker.py`.

Packages of universal potentials often can't share an environment. This file needs the standard library, numpy and ase
there, and the potential's package; not Assay. The protocol is a line of JSON for each message, on standard input and
output:

    → {"calculator": "chgnet", "arguments": {"what": "0.3.0"}}    or the import path of an ASE calculator
    ← {"ready": true, "batch_atoms": 128}                         or {"error": …, "missing": module or null}
    → {"frames": [{"numbers", "positions", "cell", "pbc", …}], "features": false, "feature_forces": false}
    ← {"results": [{"energy", "forces", …} or {"error"}]}

until standard input ends. As it ends with the parent, so does this process, even in the middle of an evaluation. What
the potential prints goes to standard error, and it has nothing to read. An interrupt is the parent's to handle.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from ase import Atoms

MODELS = Path(__file__).with_name("models")
PATIENCE = 3.0
"""Seconds that an evaluation may still take when nobody is there to hear of it any more."""


def load(calculator: str, arguments: dict[str, Any]) -> Any:
    """The potential of a family of `models/` by its name, or any ASE calculator by its import path."""
    family, arguments = calculator, dict(arguments)
    if "." in calculator:
        family, arguments = "ase_calculator", {"what": calculator, **arguments}
    name = f"assay_model_{family}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, MODELS / f"{family}.py")
        if spec is None or spec.loader is None:
            raise ImportError(f"{MODELS / family}.py can't be loaded")
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name].Potential(**arguments)


def predict(
    potential: Any, frames: list[Atoms], features: bool = False, feature_forces: bool = False
) -> list[dict[str, Any]]:
    """What the potential says of each frame; where it raises, of each alone: a frame at fault has `{"error": text}`."""
    try:
        asked = {"feature_forces": True} if feature_forces else {}  # not every family knows of them
        results: list[dict[str, Any]] = potential.predict(frames, features, **asked)
        return results
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a foreign package may raise anything, and call sys.exit
        if len(frames) == 1:
            return [{"error": f"{type(error).__name__}: {error}"}]
        return [predict(potential, [frame], features, feature_forces)[0] for frame in frames]


def written(frame: Atoms) -> dict[str, Any]:
    """A frame as JSON values."""
    message = {
        "numbers": frame.numbers.tolist(),
        "positions": frame.positions.tolist(),
        "cell": frame.cell.array.tolist(),
        "pbc": frame.pbc.tolist(),
        "info": {key: _plain(frame.info[key]) for key in ("charge", "spin") if isinstance(frame.info.get(key), Real)},
    }
    for key in ("initial_charges", "initial_magmoms"):
        if key in frame.arrays:
            message[key] = frame.arrays[key].tolist()
    return message


def _plain(number: Any) -> Any:
    """A number as JSON has it."""
    return number.item() if isinstance(number, np.generic) else number


def read(message: dict[str, Any]) -> Atoms:
    """The frame of `written`."""
    arrays = {key: message.pop(key) for key in ("initial_charges", "initial_magmoms") if key in message}
    atoms = Atoms(**message)
    for key, values in arrays.items():
        atoms.set_array(key, np.array(values, dtype=np.float64))
    return atoms


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints, prints to standard error
    sys.stdout = sys.stderr

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message, default=lambda array: array.tolist()) + "\n")
        answers.flush()

    potential = None
    for line in _questions(answers.fileno()):
        message = json.loads(line)
        if "calculator" in message:
            try:
                potential = load(message["calculator"], message["arguments"])
                answer({"ready": True, "batch_atoms": getattr(potential, "batch_atoms", None)})
            except BaseException as error:
                missing = error.name if isinstance(error, ModuleNotFoundError) else None
                answer({"error": f"{type(error).__name__}: {error}", "missing": missing})
        else:
            frames = [read(frame) for frame in message["frames"]]
            asked = message.get("features", False), message.get("feature_forces", False)
            answer({"results": predict(potential, frames, *asked)})


def _questions(answers: int) -> Iterator[bytes]:
    """The lines of standard input, which is listened to all the time: it tells when the parent has gone, who alone has
    the other end of `answers`."""
    standard_input = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    Thread(target=_listen, args=(standard_input, answers, lines), daemon=True).start()
    while (line := lines.get()) is not None:
        yield line


def _listen(file: int, answers: int, lines: SimpleQueue[bytes | None]) -> None:
    parts: list[bytes] = []
    while part := os.read(file, 1 << 16):
        *ends, begun = part.split(b"\n")
        for end in ends:
            lines.put(b"".join([*parts, end]))
            parts = []
        parts.append(begun)
    if last := b"".join(parts):
        lines.put(last)
    lines.put(None)
    if not hasattr(select, "poll"):
        return
    heard = select.poll()
    heard.register(answers, 0)  # what is always told: that nobody has the other end
    heard.poll()
    time.sleep(PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    main()
