"""The root of every error a person may read, sorted by who has to act.

    BansuiError
    ├── ConfigurationError   the operator: nothing starts until the file or the call is mended
    ├── EnvironmentFault     the operator: the machine lacks something (a port, a file, a right)
    ├── DeviceFault          nobody at once: the device is marked unavailable and tried again
    ├── DeliveryFault        nobody at once: what was to be delivered is kept and offered again
    └── ContractViolation    the sender: bytes that break a wire contract; refused and counted

A programming error is none of these: it stays a Python exception and ends the process.
"""

from __future__ import annotations

from typing import ClassVar


class BansuiError(Exception):
    """An error that says what happened, where, why it matters and what to do.

    `code` is stable: it names the error in logs, in `--json` and in the documentation.
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def as_dict(self) -> dict[str, str]:
        """The error as `--json` prints it."""
        return {"code": self.code, "what": self.what, "where": self.where, "why": self.why, "fix": self.fix}


class ConfigurationError(BansuiError):
    """A file or a call that cannot be meant; exit code 2."""

    code = "configuration"


class EnvironmentFault(BansuiError):
    """Something the machine should offer is not there; exit code 3."""

    code = "environment"


class DeviceFault(BansuiError):
    """A device that does not answer, or answers with nonsense."""

    code = "device"


class DeliveryFault(BansuiError):
    """A delivery that did not come about; what was to be delivered is kept."""

    code = "delivery"


class ContractViolation(BansuiError):
    """Bytes that break a contract of this project; the sender has to change."""

    code = "contract"
