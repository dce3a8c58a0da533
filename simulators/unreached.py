"""Why a device does not reach its broker, as a person would say it."""

from __future__ import annotations

import ssl
from typing import Final

_WRONG_VERSION: Final = "WRONG_VERSION_NUMBER"


def why(error: OSError) -> str:
    """What the system, or TLS, said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason == _WRONG_VERSION:
        return "what answers does not speak TLS"
    return error.strerror or str(error)
