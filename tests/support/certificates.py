"""Certificates of an authority that a test makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trustme

from broker.tls import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Authority:
    """A CA and the folder it writes into."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        """What a client trusts."""
        self._ca.cert_pem.write_to_path(str(self.file))

    def server(
        self, names: Sequence[str] = ("localhost", "127.0.0.1", "::1"), *, client_ca: Path | None = None
    ) -> TlsFiles:
        """A server's certificate and key; a second call writes others into the same files."""
        return TlsFiles(*self._issue("server", names), client_ca)

    def mosquitto(self, *, asks: bool = False) -> str:
        """A Mosquitto's settings for TLS alone, that may ask for one; it stays root, if it is, to read them."""
        files = self.server()
        settings = f"user root\nallow_anonymous true\ncertfile {files.certificate}\nkeyfile {files.key}\n"
        return settings + (f"cafile {self.file}\nrequire_certificate true\n" if asks else "")

    def client(self, name: str = "device-1") -> tuple[Path, Path]:
        """A device's certificate and key."""
        return self._issue(name, [f"{name}.devices.example"])

    def _issue(self, name: str, names: Sequence[str]) -> tuple[Path, Path]:
        issued = self._ca.issue_cert(*names)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key
