"""What a session is called on disk: never by its client id, which devices choose and people name.

A name is the session's BLAKE2b under a key that was drawn for this agent and stands in a file of its own: the database
alone tells nothing of client ids, and a restart knows its sessions again.
"""

from __future__ import annotations

import os
import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from edge_agent.store.engine import StoreUnusable, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_NAME: Final = "session.key"
_KEY_BYTES: Final = 32


class SessionNames:
    """Names sessions, the same ones alike for as long as the key is there."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, session: str) -> str:
        """Sixteen hexadecimal digits."""
        return blake2b(session.encode(), key=self._key, digest_size=8).hexdigest()

    @classmethod
    def of(cls, folder: Path, rename: Callable[[Callable[[str], str]], None]) -> SessionNames:
        """Those of the agent whose state is in `folder`. Raises `StoreUnusable`.

        Where there is no key yet one is drawn, and what an earlier version has on disk is renamed by it. The key is on
        disk before, in a file of another name: a start that is cut short is gone on with by the same key.
        """
        path, drawn = folder / FILE_NAME, folder / f"{FILE_NAME}.part"
        try:
            if (key := _read(path)) is not None:
                return cls(key)
            if (key := _read(drawn)) is None:
                key = secrets.token_bytes(_KEY_BYTES)
                _write(drawn, key)
            names = cls(key)
            rename(names)
            drawn.replace(path)
            sync_folder(folder)
        except OSError as error:
            fix = f"let the agent's user own {folder}"
            raise StoreUnusable(f"{path} cannot be used: {error.strerror}", fix=fix) from None
        return names


def _read(path: Path) -> bytes | None:
    """The key in a file; None where there is none, or half of one."""
    key = path.read_bytes() if path.exists() else b""
    return key if len(key) == _KEY_BYTES else None


def _write(path: Path, key: bytes) -> None:
    """On disk when it returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(descriptor)
    sync_folder(path.parent)
