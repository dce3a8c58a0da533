"""The centre's state folder: one centre to a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder where there is none, and hold it for this centre alone. Raises `EnvironmentFault`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write there: {error.strerror}", where=str(folder), fix="let the centre's user own this folder"
        ) from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EnvironmentFault(
                "another centre has this state folder open", where=str(folder), fix="stop it, or give this one its own"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def sync(folder: Path) -> None:
    """Bring names that were made or changed in the folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
