"""What a year came to: totals, purposes, budget, the ledger's state, and who looked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge_agent.privacy.egress import Totals, together
from telemetry import PrivacyClass
from telemetry.uplink_contract import REPORT_PATH, WRITE_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bansui.access_log import Access
    from edge_agent.privacy.egress import Spent
    from edge_agent.store.batches import Verified
    from telemetry.policy import Policy

CONTRACT: Final = f"{WRITE_PATH}, {REPORT_PATH}"
"""The two forms in which anything leaves; the numbers in them are their versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose account it is, and by which programs and rules."""

    year: int
    district: str
    school: str
    agent: str
    made: str
    """Local time, ISO 8601."""
    software: str
    store_schema: int
    policy: Policy
    configuration: bytes
    """SHA-256 of the configuration in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All of it."""

    subject: Subject
    months: Mapping[str, Totals]
    """Those in which anything was sealed, as YYYY-MM."""
    spent: Spent | None
    """None where no count of people was told."""
    verified: Verified
    accesses: Sequence[Access]

    @property
    def whole(self) -> Totals:
        """Of the year."""
        return together(self.months.values())

    def every_month(self) -> list[tuple[str, Totals]]:
        """All twelve."""
        names = [f"{self.subject.year}-{month:02}" for month in range(1, 13)]
        return [(name, self.months.get(name) or Totals()) for name in names]

    def as_dict(self) -> dict[str, Any]:
        """As JSON carries it."""
        subject, policy = self.subject, self.subject.policy
        return {
            "year": subject.year,
            "district": subject.district,
            "school": subject.school,
            "agent": subject.agent,
            "made": subject.made,
            "software": subject.software,
            "contract": CONTRACT,
            "store_schema": subject.store_schema,
            "policy": {"name": policy.name, "version": policy.tables.version, "sha256": policy.digest.hex()},
            "configuration_sha256": subject.configuration.hex(),
            "months": {name: totals.as_dict() for name, totals in self.every_month()},
            "whole": self.whole.as_dict(),
            "classes": {str(each): _class(policy, each) for each in PrivacyClass},
            "budget": None if self.spent is None else dataclasses.asdict(self.spent),
            "ledger": {"whole": not self.verified.faults, **dataclasses.asdict(self.verified)},
            "accesses": [dataclasses.asdict(each) for each in self.accesses],
        }


def _class(policy: Policy, name: PrivacyClass) -> dict[str, Any] | None:
    table = policy.table(name)
    if table is None:
        return None
    purpose = {"zh": table.purpose.zh, "en": table.purpose.en}
    return {"purpose": purpose, "recipients": list(table.recipients), "retention_days": table.retention_days}
