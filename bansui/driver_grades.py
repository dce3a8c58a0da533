"""What the conformance suite found of drivers, as tables for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bansui.driver_report import print_table, table
from bansui.failures import language

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.conformance.findings import Finding
    from device_drivers.conformance.suite import Report

_MARKS: Final = {"passed": "✓", "failed": "✕", "open": "○", "exempt": "–", "not_for_it": ""}
_WORDS: Final = {
    "en": {"passed": "passed", "failed": "failed", "open": "open", "exempt": "exempt", "not_for_it": "not for it"},
    "zh": {"passed": "通过", "failed": "未通过", "open": "尚缺", "exempt": "豁免", "not_for_it": "不适用"},
}
_HEADS: Final = {
    "en": ("check", "grade", "result", "figure", "what has to hold"),
    "zh": ("检查", "等级", "结果", "数据", "要求"),
}
_GRADES: Final = {
    "en": {"none": "none", "bronze": "bronze", "silver": "silver", "gold": "gold", "platinum": "platinum"},
    "zh": {"none": "未定级", "bronze": "铜", "silver": "银", "gold": "金", "platinum": "铂金"},
}


def print_report(report: Report) -> None:
    """Print every check of one driver, and its grade."""
    from device_drivers.conformance.suite import rules  # noqa: PLC0415 - as its command does

    words = _GRADES[language()]
    rows = table(*_HEADS[language()])
    for rule, finding in zip(rules(), report.findings, strict=True):
        rows.add_row(rule.id, words[rule.grade.word], _result(finding), finding.figure, rule.what[language()])
    print_table(rows)
    print(f"{report.driver}: {words[report.grade.word]}")


def print_summary(reports: Sequence[Report]) -> None:
    """Print the grade of each driver, and what keeps it from a better one."""
    words = _GRADES[language()]
    heads = {"en": ("driver", "grade", "failed or open"), "zh": ("驱动", "等级", "未通过或尚缺")}
    rows = table(*heads[language()])
    for report in reports:
        unmet = [finding for finding in report.findings if not finding.result.is_met]
        first = [f"{_MARKS[finding.result]} {finding.check}: {finding.figure}" for finding in unmet]
        rows.add_row(report.driver, words[report.grade.word], "\n".join(first))
    print_table(rows)


def _result(finding: Finding) -> str:
    return f"{_MARKS[finding.result]} {_WORDS[language()][finding.result]}".strip()
