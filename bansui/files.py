"""Files that the command writes: whole or not at all, and secrets for their owner alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from telemetry import ConfigurationError, EnvironmentFault


class FileExists(ConfigurationError):
    """A file that would be written and is there already."""

    code = "file_exists"


def write_new(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet. Raises `FileExists`, `EnvironmentFault`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise FileExists("is there already", where=str(path), fix="name another file, or remove this one") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def replace_file(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write a file whole, in place of what is there, keeping its mode unless one is given."""
    try:
        kept = path.stat().st_mode & 0o777 if mode is None and path.exists() else mode or 0o644
        descriptor, scratch = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), kept)
        Path(scratch).replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"cannot be written: {error.strerror}", where=str(path), fix="take a folder that this user may write"
    )
