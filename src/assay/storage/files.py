"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile, gettempdir, mkstemp
from typing import IO, Any

_OPEN_ALREADY = re.compile(r"/dev/(stdin|stdout|stderr)|(?:/dev/fd|/proc/self/fd)/(\d+)")


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that it is there whole or not at all: temporary file beside it, fsync, rename.

    A symbolic link stays, and what it points to is written. What is no regular file (a device, a pipe) is never
    replaced: it gets the whole content, or nothing where `write` fails. An `OSError` names the file.
    """
    path = Path(path)
    with named(path):
        if is_stream(path):
            _write_through(path, write)
        else:
            _replace(Path(os.path.realpath(path)), write)


def is_stream(path: str | Path) -> bool:
    """Whether a path is no regular file that could be replaced, but a device, a pipe or a descriptor of the process."""
    if _OPEN_ALREADY.fullmatch(str(path)):
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    try:
        handle, name = mkstemp(dir=path.parent, prefix=f".{path.name[:50]}-")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist") from error
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_through(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    with scratch() as whole:
        write(whole)
        whole.seek(0)
        known = _OPEN_ALREADY.fullmatch(str(path))
        if known is None:
            opened = os.open(path, os.O_WRONLY)
        else:
            opened = os.dup(int(known[2]) if known[2] else ("stdin", "stdout", "stderr").index(known[1]))
        with named(path), os.fdopen(opened, "wb") as file:
            shutil.copyfileobj(whole, file)


def append(path: str | Path, data: bytes) -> None:
    """Put bytes at the end of a file by one call of the system, so that all of them are there or none.

    An `OSError` names the file, which is then as it was.
    """
    path = Path(path)
    with named(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            before = os.fstat(descriptor)
            regular = stat.S_ISREG(before.st_mode)
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
                if regular:
                    os.fsync(descriptor)
            except OSError:
                if regular:
                    os.ftruncate(descriptor, before.st_size)
                raise
        finally:
            os.close(descriptor)


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """An `OSError` that names no file, such as that of a full disk, is raised in it with the name of this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextmanager
def scratch() -> Iterator[IO[bytes]]:
    """A file without a name, for what is not finished; errors as in `unfinished`."""
    with unfinished(), TemporaryFile("w+b") as file:
        yield file


@contextmanager
def unfinished() -> Iterator[None]:
    """A full disk in it, told without a file, is that of the folder for temporary files: which one, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename is not None:
            raise
        told = f"{os.strerror(error.errno)} (the environment variable TMPDIR names another folder)"
        raise OSError(error.errno, told, gettempdir()) from error


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write JSON atomically."""
    data = json_text(content).encode(
        "utf-8", "backslashreplace"
    )  # half characters, as of odd names of files: JSON's \u
    write_atomically(path, lambda file: file.write(data))


def json_text(content: dict[str, Any]) -> str:
    """What `write_json` writes."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
