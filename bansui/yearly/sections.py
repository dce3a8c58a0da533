"""The account as titled tables: the same ones for the spreadsheet and for the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bansui.yearly.account import CONTRACT
from edge_agent.privacy.egress import UNKNOWN_CLASS
from telemetry import PrivacyClass, quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bansui.yearly.account import Account
    from bansui.yearly.words import Words
    from edge_agent.privacy.egress import Totals

_NANO: Final = 10**9


@dataclass(frozen=True, slots=True)
class Section:
    """A title, what is to be said about the table, and the table."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    notes: Sequence[str] = field(default=())


def sections(account: Account, words: Words) -> list[Section]:
    """All of them, in order."""
    return [
        _subject(account, words),
        _months(account, words),
        _quantities(account.whole, words),
        _classes(account, words),
        _budget(account, words),
        _ledger(account, words),
        _accesses(account, words),
    ]


def _subject(account: Account, words: Words) -> Section:
    subject, policy = account.subject, account.subject.policy
    version = words("version", version=policy.tables.version)
    rows = (
        (words("school"), f"{subject.district}/{subject.school}"),
        (words("agent"), subject.agent),
        (words("made"), subject.made),
        (words("software"), f"bansui {subject.software}"),
        (words("contract"), CONTRACT),
        (words("store_schema"), f"{subject.store_schema}"),
        (words("policy"), f"{policy.name}, {version}, SHA-256 {policy.digest.hex()}"),
        (words("configuration"), subject.configuration.hex()),
    )
    return Section(words("subject"), (), rows)


def _months(account: Account, words: Words) -> Section:
    keys = ("month", "batches", "summaries", "bytes", "acknowledged", "waiting", "refused", "forked")
    head = [words(key) for key in (*keys, "hash_batches", "hash_summaries", "unreadable")]
    rows = [_month(name, totals) for name, totals in account.every_month()]
    return Section(words("months"), head, [*rows, _month(words("total"), account.whole)], (words("hash_note"),))


def _month(name: str, totals: Totals) -> list[str | int]:
    whole, gone = totals.whole, totals.only_hash
    states = [each.batches for each in totals.states.values()]
    return [
        name,
        whole.batches,
        whole.summaries,
        whole.bytes,
        *states,
        gone.batches,
        gone.summaries,
        totals.unreadable.batches,
    ]


def _quantities(whole: Totals, words: Words) -> Section:
    rows = []
    for name, number in sorted(whole.quantities.items()):
        entry = quantity(name)
        rows.append((name, words.of(entry.name_zh, entry.name_en), number))
    return Section(words("quantities"), (words("quantity"), "", words("summaries")), rows)


def _classes(account: Account, words: Words) -> Section:
    rows: list[tuple[str | int, ...]] = []
    for each in PrivacyClass:
        table, number = account.subject.policy.table(each), account.whole.classes[each.value]
        if table is None:
            rows.append((each.value, number, words("nothing_leaves"), words("none"), 0))
            continue
        recipients = ", ".join(words(f"recipient.{name}") for name in table.recipients) or words("none")
        purpose = words.of(table.purpose.zh, table.purpose.en)
        rows.append((each.value, number, purpose, recipients, table.retention_days))
    if number := account.whole.classes[UNKNOWN_CLASS]:
        rows.append((words("unknown"), number, "", "", ""))
    head = [words(key) for key in ("class", "summaries", "purpose", "recipients", "days")]
    return Section(words("classes"), head, rows, (words("class_note"),))


def _budget(account: Account, words: Words) -> Section:
    spent, limit = account.spent, account.subject.policy.tables.P2.rho_milli
    if spent is None:
        return Section(words("budget"), (), (), (words("budget_none"),))
    rows = (
        (words("budget_slots"), spent.slots),
        (words("budget_rho"), f"{spent.rho_nano / _NANO:.6f}"),
        (words("budget_most"), f"{spent.most_in_a_day_nano / _NANO:.6f}"),
        (words("budget_limit"), f"{limit / 1000:.3f}"),
        (words("budget_sigma"), f"{spent.least_sigma_milli / 1000:.3f}"),
    )
    return Section(words("budget"), (), rows)


def _ledger(account: Account, words: Words) -> Section:
    head = [words(key) for key in ("epoch", "batches", "only_hash", "head")]
    rows = [(each.epoch, each.batches, each.only_hash, each.head) for each in account.verified.heads]
    faults = account.verified.faults
    return Section(words("ledger"), head, rows, (words("broken"), *faults) if faults else (words("whole"),))


def _accesses(account: Account, words: Words) -> Section:
    rows = [(each.time, each.account, each.command) for each in account.accesses]
    return Section(
        words("accesses"), [words(key) for key in ("time", "account", "command")], rows, (words("access_note"),)
    )
