"""What members said of frames, kept on disk: nothing is computed twice, and an interrupted run goes on where it was.

One SQLite file, `evaluations.sqlite`, in the folder that the environment variable `ASSAY_CACHE` names (`off`: none), or
else in the user's folder for caches. A row is found by the identity of the model
(`assay.sources.committees.model_names.identity`) and the frame's content, and carries a digest of all that it holds:
one that was damaged is computed anew. `evaluations.lock` beside it is for processes that share the work.
"""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from assay.frames.frame import content_hash
from assay.results.prediction import Prediction
from assay.results.warning import warn
from assay.storage.locks import Claims
from assay.storage.npz import array_of

_TABLE = """
CREATE TABLE evaluations (
    model TEXT, frame TEXT, energy REAL NOT NULL, forces BLOB NOT NULL, stress BLOB, features BLOB, digest TEXT,
    PRIMARY KEY (model, frame)
)
"""
_BEFORE_DIGESTS = ["model", "frame", "energy", "forces", "stress", "features"]
"""The columns of a file of an earlier Assay."""
_ROW = "SELECT energy, forces, stress, features, digest FROM evaluations WHERE model = ? AND frame = ?"


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
    """Evaluations in a folder; for one process and thread. Several processes may have one open each, and share the work
    by their claims.

    `put_of` counts what was kept through this object, by model.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "evaluations.sqlite"
        self._file = sqlite3.connect(self._path, timeout=60)
        self._file.text_factory = lambda data: data.decode("utf-8", "replace")  # a damaged digest matches nothing
        with _named_errors():
            self._file.execute("PRAGMA journal_mode = TRUNCATE")  # the quickest commits that are safe on network file
            self._file.execute("PRAGMA synchronous = NORMAL")  # systems, too: there is one for each evaluation
            _make_table(self._file)
        self._claims = Claims(folder / "evaluations.lock")
        self.put_of: Counter[str] = Counter()

    def get(self, model: str, frame: str, features: bool = False) -> Prediction | None:
        """What a model said; `None` if it is not here, or damaged, or not with features."""
        row = self._row(model, frame, features)
        if row is None:
            return None
        stress, own = (None if blob is None else _array(blob) for blob in row[2:])
        return Prediction(energy=row[0], forces=_array(row[1]), stress=stress, features=own)

    def has(self, model: str, frame: str, features: bool = False) -> bool:
        """Whether `get` would find it."""
        return self._row(model, frame, features) is not None

    def _row(self, model: str, frame: str, features: bool) -> tuple[Any, ...] | None:
        with _named_errors():
            found = self._file.execute(_ROW, (model, frame)).fetchone()
        if found is None or (features and found[3] is None):
            return None
        row = found[:-1]
        if found[-1] != _digest(model, frame, *row):
            warn(
                f"{self._path}: the evaluation of model {model} and frame {frame} is damaged (its digest does not "
                "match): it is computed anew",
                stacklevel=4,
            )
            return None
        return tuple(row)

    def count(self, models: Sequence[str]) -> int:
        """How many evaluations of these models are here."""
        marks = ", ".join("?" * len(models))
        asked = f"SELECT COUNT(*) FROM evaluations WHERE model IN ({marks})"
        return int(self._file.execute(asked, tuple(models)).fetchone()[0])

    def put(self, model: str, frame: str, said: Prediction) -> None:
        """Keep what a model said, from the next `commit` on: other processes can't write until then."""
        blobs = [None if each is None else _bytes(each) for each in (said.forces, said.stress, said.features)]
        assert said.energy is not None
        row = (model, frame, float(said.energy) + 0.0, *blobs)  # SQLite has no -0.0
        self._file.execute("INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, _digest(*row)))
        self.put_of[model] += 1

    def claim(self, model: str, frame: str) -> bool:
        """Whether this process is the one to compute an evaluation; not if another process is at it."""
        return self._claims.take(_place(model, frame))

    def release(self, model: str, frame: str) -> None:
        """Once it is kept, or can't be computed."""
        self._claims.give_back(_place(model, frame))

    def wait_for(self, model: str, frame: str) -> None:
        """Until no other process computes this evaluation: it is kept then, could not be computed, or the process
        ended."""
        self._claims.wait(_place(model, frame))

    def forget(self, model: str) -> None:
        """Delete all that a model said."""
        self._file.execute("DELETE FROM evaluations WHERE model = ?", (model,))
        self.commit()

    def commit(self) -> None:
        """Make what is new safe on disk."""
        self._file.commit()

    def trouble(self, error: sqlite3.Error) -> OSError:
        """What to say and do about an error of the file."""
        if getattr(error, "sqlite_errorname", "") in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
            return OSError(
                f"{self._path} is damaged ({error}): move it away, and what it held is computed anew; or ASSAY_CACHE "
                "names another folder"
            )
        return OSError(
            f"{self._path}: evaluations can't be kept ({error}): is the disk full? ASSAY_CACHE names another folder"
        )

    def close(self) -> None:
        self.commit()
        self._file.close()


@contextmanager
def _named_errors() -> Iterator[None]:
    """SQLite's own errors where its message is not even text, as it quotes what is damaged."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise sqlite3.DatabaseError("names in it are damaged") from error


def _make_table(file: sqlite3.Connection) -> None:
    """The table, where it is not there, and digests of a file of an earlier Assay, once: from then on, a row without
    its digest is damaged."""
    if _columns(file) not in ([], _BEFORE_DIGESTS):
        return
    with file:
        file.execute("BEGIN IMMEDIATE")  # waits for another process that does the same
        found = _columns(file)
        if not found:
            file.execute(_TABLE)
        elif found == _BEFORE_DIGESTS:
            file.execute("ALTER TABLE evaluations ADD COLUMN digest TEXT")
            file.create_function("digest_of", 6, _digest, deterministic=True)
            file.execute("UPDATE evaluations SET digest = digest_of(model, frame, energy, forces, stress, features)")


def _columns(file: sqlite3.Connection) -> list[str]:
    return [column[1] for column in file.execute("PRAGMA table_info(evaluations)")]


def _digest(*parts: Any) -> str:
    """SHA-256 of texts, numbers, arrays' bytes and their absence, whose borders and types count."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        total.update(f"{type(part).__name__} {len(data)} ".encode() + data)
    return total.hexdigest()


def _place(model: str, frame: str) -> int:
    """Where the claim of an evaluation is; below 2⁵⁶."""
    return int.from_bytes(hashlib.sha256(f"{model} {frame}".encode()).digest()[:7])


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
    except (sqlite3.Error, ValueError) as error:  # damaged, or locked for long: it is computed then
        why = cache.trouble(error) if isinstance(error, sqlite3.Error) else error
        warn(f"{why}. What it keeps is computed anew", stacklevel=2)
        return None
