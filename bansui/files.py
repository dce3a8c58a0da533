"""Files that the command writes: whole or not at all, and secrets for their owner alone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from telemetry import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileExists(ConfigurationError):
    """A file that would be written and is there already."""

    code = "file_exists"


def make_folder(path: Path) -> None:
    """Make a folder, unless it is there. Raises `EnvironmentFault`."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def write_new(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet; nor is it, where it cannot be written to its end.

    Raises `FileExists`, `EnvironmentFault`.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise FileExists("is there already", where=str(path), fix="name another file, or remove this one") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def replace_file(path: Path, text: str) -> None:
    """Write a file whole in place of the one there, keeping its mode and its owner. Raises `EnvironmentFault`."""
    with writing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        before = path.stat()
        os.fchmod(file.fileno(), before.st_mode & 0o777)
        with contextlib.suppress(PermissionError):  # only root may give a file away
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, text: str) -> None:
    """Write a file, over one that is there. Raises `EnvironmentFault`."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file to write into, which takes the place of `path` when the block ends well, and is gone when it does not.

    Raises `EnvironmentFault`.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
        os.fchmod(descriptor, 0o644)
        os.close(descriptor)
        try:
            yield Path(name)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"cannot be written: {error.strerror}",
        where=str(path),
        fix="make the folder first"
        if isinstance(error, FileNotFoundError)
        else "take a folder that this user may write",
    )
