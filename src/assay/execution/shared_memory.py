"""Results of a worker process in a mapped file: through a pipe, design rows take a sixth longer."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import dataclass
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

ALIGNED = 64
MEMORY = Path("/dev/shm")
ROOM = 1 << 30


@dataclass(frozen=True)
class Parcel:
    """A pickle without its arrays, and the file that holds them; `unpack` it once, in the process that receives it."""

    pickled: bytes
    file: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def pack(cls, value: Any, folder: str) -> Parcel:
        """Write the arrays of `value` to a new file in `folder`."""
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        spans = []
        with NamedTemporaryFile(dir=folder, delete=False) as file:
            for buffer in buffers:
                start = file.seek(-(-file.tell() // ALIGNED) * ALIGNED)
                file.write(buffer.raw())
                spans.append((start, file.tell()))
        return cls(pickled, file.name, tuple(spans))

    def unpack(self) -> Any:
        """The value; its arrays keep the memory of the file, which is gone from the folder."""
        path = Path(self.file)
        with path.open("rb") as file:
            memory = memoryview(mmap(file.fileno(), 0, access=ACCESS_COPY) if path.stat().st_size else b"")
        path.unlink()
        return pickle.loads(self.pickled, buffers=[memory[start:end] for start, end in self.spans])


def roomy_folder() -> Path | None:
    """Where parcels go: the file system in memory if it has room (in containers it may not), else the usual folder."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None
