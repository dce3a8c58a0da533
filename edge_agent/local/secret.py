"""Addresses that nobody can guess: one for each room's light, from a secret that only the agent's user can read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING, Final

from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "pages.secret"
_BYTES: Final = 32
TOKEN_DIGITS: Final = 32
"""128 bits in hexadecimal."""


class PagesSecretUnusable(EnvironmentFault):
    """The file from which the addresses of the rooms' lights follow cannot be used."""

    code = "pages_secret"


def load_or_make(folder: Path) -> bytes:
    """The secret in the state folder, made where there is none. Raises `PagesSecretUnusable`."""
    path = folder / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        found = path.read_bytes()
    except OSError as error:
        raise PagesSecretUnusable(
            f"{path} cannot be used: {error.strerror}", fix="run the command as the agent's user"
        ) from None
    if len(found) < _BYTES:
        raise PagesSecretUnusable(
            f"{path} is shorter than {_BYTES} bytes", fix=f"remove {path}, and print the labels of the rooms again"
        )
    return found


def _make(path: Path) -> None:
    """Write it whole or not at all, for the folder's owner alone."""
    _make_folder(path.parent)
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_BYTES))
        file.flush()
        os.fsync(descriptor)
        _give(descriptor, path.parent)
    partial.replace(path)


def _make_folder(folder: Path) -> None:
    """The agent's state folder, where the agent was not started yet."""
    if not folder.exists():
        folder.mkdir(parents=True)
        _give(folder, folder.parent)


def _give(what: int | Path, like: Path) -> None:
    """What root makes belongs to whom its surroundings belong, or the agent could not use it."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(what, owner.st_uid, owner.st_gid)


def token(secret: bytes, school: str, room: str) -> str:
    """The unguessable part of the address of a room's light."""
    return hmac.new(secret, f"light/{school}/{room}".encode(), hashlib.sha256).hexdigest()[:TOKEN_DIGITS]
