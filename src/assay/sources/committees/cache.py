"""What members said of frames, kept on disk: nothing is computed twice, and an interrupted run goes on where it was.

One SQLite file, `evaluations.sqlite`, in the folder that the environment variable `ASSAY_CACHE` names (`off`: none), or
else in the user's folder for caches. A row is found by the identity of the model
(`assay.sources.committees.model_names.identity`) and the frame's content.
"""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.frame import content_hash
from assay.results.prediction import Prediction
from assay.results.warning import warn
from assay.storage.npz import array_of

_TABLE = """
CREATE TABLE IF NOT EXISTS evaluations (
    model TEXT, frame TEXT, energy REAL NOT NULL, forces BLOB NOT NULL, stress BLOB, features BLOB,
    PRIMARY KEY (model, frame)
)
"""


def cache_folder() -> Path | None:
    """Where evaluations are kept; `None` where the user wants none."""
    named = os.environ.get("ASSAY_CACHE", "")
    if named.lower() == "off":
        return None
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"


def frame_key(frame: Atoms) -> str:
    """Digest of what a potential may know of a frame: its content, and charges, magnetic moments and spin if set."""
    key = content_hash(frame)
    more = [f"{name}={frame.info[name]}" for name in ("charge", "spin") if name in frame.info]
    for name in ("initial_charges", "initial_magmoms"):
        if name in frame.arrays and np.any(frame.arrays[name]):
            more.append(f"{name}={hashlib.sha256(frame.arrays[name].tobytes()).hexdigest()}")
    return key + hashlib.sha256(" ".join(more).encode()).hexdigest()[:16] if more else key


class EvaluationCache:
    """Evaluations in a folder; for one process and thread. Several processes may have one open each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(folder / "evaluations.sqlite", timeout=60)
        self._file.execute(_TABLE)

    def get(self, model: str, frame: str, features: bool = False) -> Prediction | None:
        """What a model said; `None` if it is not here, or not with features."""
        row = self._file.execute(
            "SELECT energy, forces, stress, features FROM evaluations WHERE model = ? AND frame = ?", (model, frame)
        ).fetchone()
        if row is None or (features and row[3] is None):
            return None
        stress, own = (None if blob is None else _array(blob) for blob in row[2:])
        return Prediction(energy=row[0], forces=_array(row[1]), stress=stress, features=own)

    def has(self, model: str, frame: str, features: bool = False) -> bool:
        """Whether `get` would find it."""
        asked = "SELECT 1 FROM evaluations WHERE model = ? AND frame = ?" + " AND features NOT NULL" * features
        return self._file.execute(asked, (model, frame)).fetchone() is not None

    def count(self, models: Sequence[str]) -> int:
        """How many evaluations of these models are here."""
        marks = ", ".join("?" * len(models))
        asked = f"SELECT COUNT(*) FROM evaluations WHERE model IN ({marks})"
        return int(self._file.execute(asked, tuple(models)).fetchone()[0])

    def put(self, model: str, frame: str, said: Prediction) -> None:
        """Keep what a model said, from the next `commit` on: other processes can't write until then."""
        blobs = [None if each is None else _bytes(each) for each in (said.forces, said.stress, said.features)]
        self._file.execute(
            "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?, ?)",
            (model, frame, said.energy, *blobs),
        )

    def forget(self, model: str) -> None:
        """Delete all that a model said."""
        self._file.execute("DELETE FROM evaluations WHERE model = ?", (model,))
        self.commit()

    def commit(self) -> None:
        """Make what is new safe on disk."""
        self._file.commit()

    def close(self) -> None:
        self.commit()
        self._file.close()


def _bytes(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _array(blob: bytes) -> Any:
    return array_of(blob)


@lru_cache(maxsize=8)
def _opened(folder: Path, process: int, thread: int) -> EvaluationCache | None:
    try:
        return EvaluationCache(folder)
    except (OSError, sqlite3.Error) as error:
        warn(
            f"evaluations are not kept, and those kept before are not found: {folder} can't be used ({error}). "
            "ASSAY_CACHE names another folder, or is off",
            stacklevel=3,
        )
        return None


def opened_cache() -> EvaluationCache | None:
    """The cache of this process and thread; `None` where the user wants none, or it can't be used."""
    folder = cache_folder()
    return None if folder is None else _opened(folder, os.getpid(), threading.get_ident())


def recalled(identity: Callable[[], str | None], frame: Atoms, features: bool) -> Prediction | None:
    """What is kept of a model's evaluation of a frame; `None` if nothing.

    `identity` gives the name that it is kept under, and is asked only where there is a cache.
    """
    cache = opened_cache()
    model = None if cache is None else identity()
    if cache is None or model is None:
        return None
    try:
        return cache.get(model, frame_key(frame), features)
    except (sqlite3.Error, ValueError):  # damaged, or locked for long: it is computed then
        return None
