"""Names what a store has sealed since it was made, or since the centre last refused to go on with it."""

from __future__ import annotations

import secrets


def new_epoch() -> str:
    """A name no other database has: 64 random bits in hexadecimal."""
    return secrets.token_hex(8)
