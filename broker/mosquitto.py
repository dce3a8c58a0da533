"""Mosquitto's configuration, from the same clients as the listener's: password file, ACL file, settings.

Sources: mosquitto.conf(5) and mosquitto_passwd(1) of Mosquitto 2; a password line is
`name:$7$iterations$salt$hash`, PBKDF2 with SHA-512, salt and hash in base64.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from broker.credentials import ScryptHash
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from broker.credentials import Client, Credentials

_ITERATIONS: Final = 1_000


class HashNotForMosquitto(ConfigurationError):
    """A client whose password is only known as a hash that Mosquitto cannot check."""

    code = "mosquitto_hash"


def write_settings(credentials: Credentials, folder: Path) -> Path:
    """Write `passwords`, `acl` and `bansui.conf`, to be included by mosquitto.conf; return the last one's path.

    Raises `HashNotForMosquitto`.
    """
    passwords = "".join(_password_line(client) for client in credentials.clients)
    acl = "\n".join(_acl_lines(client) for client in credentials.clients)
    settings = f"allow_anonymous false\npassword_file {folder / 'passwords'}\nacl_file {folder / 'acl'}\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("passwords", passwords), ("acl", acl), ("bansui.conf", settings)):
        path = folder / name
        path.touch(mode=0o640)
        path.write_text(text, encoding="utf-8")
    return folder / "bansui.conf"


def _password_line(client: Client) -> str:
    if isinstance(client.password, ScryptHash):
        raise HashNotForMosquitto(
            f"the password of client {client.id!r} is given as a scrypt hash",
            why="Mosquitto checks PBKDF2 alone, and a hash cannot be turned into another",
            fix="give this client a password_file",
        )
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", client.password, salt, _ITERATIONS)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"{client.id}:$7${_ITERATIONS}${'$'.join(encoded)}\n"


def _acl_lines(client: Client) -> str:
    topics = [f"topic write {one}\n" for one in client.publish] + [f"topic read {one}\n" for one in client.readable]
    return f"user {client.id}\n{''.join(topics)}"
