"""TLS of the connections that this agent makes: whom it believes, and what it shows of itself. TLS 1.2 and later."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import certifi

from telemetry import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_WRONG_VERSION: Final = "WRONG_VERSION_NUMBER"
_NOT_BELIEVED: Final = frozenset({18, 19, 20, 21})
"""X509_V_ERR of chains that end at nobody we believe (OpenSSL, X509_STORE_CTX_get_error)."""


class TrustUnusable(ConfigurationError):
    """A CA, certificate or key of a connection that this agent makes: unreadable, or they do not belong together."""

    code = "trust_unusable"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files."""

    ca: Path | None = None
    """Who signs the other side's certificate; alone believed. Without it: public CAs and those of this machine."""
    certificate: Path | None = None
    """This agent's own, where the other side asks for one."""
    key: Path | None = None
    """Of that certificate, not encrypted."""

    def context(self) -> ssl.SSLContext:
        """As the files stand at this moment. Raises `TrustUnusable`."""
        file = self.ca
        try:
            context = ssl.create_default_context(cafile=file)
            if self.ca is None:
                context.load_verify_locations(certifi.where())
            if self.certificate is not None:
                file = self.certificate
                context.load_cert_chain(self.certificate, self.key, _no_password)
        except OSError as error:
            raise _unusable(file, error) from None
        return context

    def read_ca_again(self, context: ssl.SSLContext) -> None:
        """Let the context believe what the CA's file says by now, too; as long as that cannot be read, what it did."""
        if self.ca is not None:
            with contextlib.suppress(OSError):
                context.load_verify_locations(self.ca)


def context_of(tls: ClientTls | None) -> ssl.SSLContext:
    """As `ClientTls.context`; None, of a connection without TLS, believes nobody: CAs take long to read."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if tls is None else tls.context()


def why_not(error: BaseException) -> str:
    """Why TLS did not come about, as a person would say it; empty where something else went wrong."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            is_strange = cause.verify_code in _NOT_BELIEVED
            return "nobody who is believed has signed its certificate" if is_strange else cause.verify_message
        if isinstance(cause, ssl.SSLError):
            return "what answers does not speak TLS" if cause.reason == _WRONG_VERSION else _reason(cause)
        cause = cause.__cause__ or cause.__context__
    return ""


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    return ""


def _reason(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (reason or str(error)).lower().replace("_", " ")


def _unusable(file: Path | None, error: OSError) -> TrustUnusable:
    return TrustUnusable(
        f"a certificate cannot be used: {_reason(error)}",
        where=str(file),
        why="the connection it is for could not be made",
        fix=f"`openssl x509 -in {file} -noout -text` shows it; a CA is written in PEM, a key has to be the "
        "certificate's own, without a password, and all of them readable by this user",
    )
