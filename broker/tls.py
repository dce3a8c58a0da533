"""The listener's certificate: read, checked, and read anew when its files change. TLS 1.2 (RFC 5246) and later."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telemetry import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)


class CertificateUnusable(ConfigurationError):
    """A certificate, key or CA that cannot be read, or that do not belong together."""

    code = "certificate_unusable"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files."""

    certificate: Path
    """The server's, and after it those that lead to the CA."""
    key: Path
    """Not encrypted: nobody is there to type a password when the box starts."""
    client_ca: Path | None = None
    """Who signs devices' certificates; with it, a device without one is refused."""


class Certificate:
    """What the listener shows, and whom it asks for the same."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises `CertificateUnusable`."""
        self._files = files
        self._seen = self._versions()
        self._failed = False
        self.context = _context(files)
        """For connections that begin at this moment; a renewal makes another one."""

    def renew(self) -> None:
        """Take over files that changed. One that cannot be used is said once; what was there is shown until it can."""
        try:
            versions = self._versions()
            if versions == self._seen:
                return
            self.context = _context(self._files)  # whole: a context keeps every CA that it was ever given
        except (CertificateUnusable, ssl.SSLError, OSError) as error:
            if not self._failed:
                _log.error("the changed certificate is not used: %s; the one before is shown on", error)
            self._failed = True
            return
        self._seen, self._failed = versions, False
        _log.info("the certificate was renewed")

    def _versions(self) -> tuple[tuple[int, int, int], ...]:
        try:
            files = self._files
            stats = [path.stat() for path in (files.certificate, files.key, files.client_ca) if path is not None]
        except OSError as error:
            raise _unusable(self._files, error) from None
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, _no_password)
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError) as error:
        raise _unusable(files, error) from None
    return context


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    return ""


def _unusable(files: TlsFiles, error: OSError) -> CertificateUnusable:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return CertificateUnusable(
        f"the listener's certificate cannot be used: {(reason or str(error)).lower().replace('_', ' ')}",
        where=str(files.certificate),
        why="devices that connect by TLS would be turned away",
        fix=f"`openssl verify` and `openssl pkey -in {files.key} -check -noout` say what is wrong; the key has to be "
        "the certificate's own, without a password, and readable by this user",
    )
