"""Runs the checks of `rules.toml` on a driver, and says which grade it has earned."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.conformance import cost_checks, frame_checks, line_checks, modbus_checks, readme, recorded
from device_drivers.conformance.findings import CheckFailed, Finding, Grade, Result
from device_drivers.conformance.subject import Subject
from device_drivers.manifest import FILE_NAME
from device_drivers.registry import at, named
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from device_drivers.registry import DriverEntry

RULES: Final = "rules.toml"
LONGEST_CHECK_S: Final = 30.0
"""A check that takes longer is one whose driver does not come back."""

_CHECKS: Final[dict[str, Callable[[Subject], str]]] = {
    "golden": recorded.golden,
    "sample": readme.sample,
    "garbage": frame_checks.garbage,
    "personal": frame_checks.personal,
    "blocking": cost_checks.blocking,
    "wire": line_checks.wire,
    "cancel": line_checks.cancel,
    "readme": readme.readme,
    "pure": frame_checks.pure,
    "truncation": frame_checks.truncation,
    "bit_flips": frame_checks.bit_flips,
    "range": recorded.observed_range,
    "requests": frame_checks.requests,
    "memory": cost_checks.memory,
    "slow": line_checks.slow,
    "silent": line_checks.silent,
    "unplug": line_checks.unplug,
    "duplicate_address": line_checks.duplicate_address,
    "modbus_tcp": modbus_checks.modbus_tcp,
    "coverage": recorded.coverage,
    "refusals": readme.refusals,
    "bilingual": readme.bilingual,
    "captured": recorded.captured,
    "every_field": recorded.every_field,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A check as `rules.toml` has it."""

    id: str
    grade: Grade
    needs: str
    what: dict[str, str]
    """In each language."""
    is_merit: bool
    """Whether a driver may still lack it."""
    is_exemptible: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of one driver."""

    driver: str
    findings: tuple[Finding, ...]

    @property
    def grade(self) -> Grade:
        """The highest of which, and below which, every check is met."""
        unmet = [finding.grade for finding in self.findings if not finding.result.is_met]
        return Grade(min(unmet, default=Grade.PLATINUM + 1) - 1)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The checks that the driver fails."""
        return tuple(finding for finding in self.findings if finding.result is Result.FAILED)

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        checks = [finding.as_dict() for finding in self.findings]
        return {"driver": self.driver, "grade": self.grade.word, "checks": checks}


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the grades."""
    text = resources.files(__package__).joinpath(RULES).read_text(encoding="utf-8")
    return tuple(
        Rule(
            id=table["id"],
            grade=Grade[table["grade"].upper()],
            needs=table["needs"],
            what={language: table[language] for language in ("en", "zh")},
            is_merit=table.get("merit", False),
            is_exemptible=table.get("exemptible", False),
        )
        for table in tomllib.loads(text)["check"]
    )


def subject_of(target: str) -> Subject:
    """The driver in a folder, or the installed one of that name. Raises `ConfigurationError`."""
    path = Path(target)
    if (path / FILE_NAME).is_file():
        return _whole(at(path))
    if path.is_dir() or "/" in target:
        raise ConfigurationError(
            "there is no driver.toml", where=target, fix="name a driver's folder, or one of `bansui driver list`"
        )
    entry = named(target)
    return _whole(entry)


def _whole(entry: DriverEntry) -> Subject:
    """The driver of an entry. Raises the entry's error."""
    unknown = sorted(entry.manifest.exempt.keys() - {rule.id for rule in rules() if rule.is_exemptible})
    if unknown:
        known = ", ".join(rule.id for rule in rules() if rule.is_exemptible)
        raise ConfigurationError(
            f"no driver can be exempt from {unknown[0]!r}",
            where=str(entry.folder / FILE_NAME),
            fix=f"there is: {known}",
        )
    return Subject(entry, entry.folder)


def examine(subject: Subject) -> Report:
    """Run every check that is for the driver."""
    return Report(subject.entry.id, tuple(check(subject, rule) for rule in rules()))


def examine_all(entries: Iterable[DriverEntry]) -> list[Report]:
    """Every driver; one whose manifest is broken fails by that alone, and keeps no other from being looked at."""
    return [
        examine(_whole(entry))
        if entry.found is not None
        else Report(entry.id, (Finding("manifest", Grade.BRONZE, Result.FAILED, str(entry.error)),))
        for entry in entries
    ]


def check(subject: Subject, rule: Rule) -> Finding:
    """Run one check. Raises nothing, whatever the driver does."""
    result, figure = _checked(subject, rule)
    if result is Result.FAILED and rule.is_merit:
        result = Result.OPEN
    return Finding(rule.id, rule.grade, result, figure)


def _checked(subject: Subject, rule: Rule) -> tuple[Result, str]:
    if not subject.has(rule.needs):
        return Result.NOT_FOR_IT, ""
    if rule.id in subject.entry.manifest.exempt:
        return Result.EXEMPT, subject.entry.manifest.exempt[rule.id]
    try:
        with _limited():
            return Result.PASSED, _CHECKS[rule.id](subject)
    except CheckFailed as failure:
        return Result.FAILED, str(failure)
    except _TookTooLong:
        return Result.FAILED, f"a call does not come back within {LONGEST_CHECK_S:g} s"
    except Exception as error:  # noqa: BLE001 - a driver's code is called
        return Result.FAILED, f"{type(error).__name__}: {error}"


class _TookTooLong(BaseException):
    """Raised in the middle of a driver's call; no `except Exception` of the driver's swallows it."""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Break off what does not come back; signals reach the main thread alone, and elsewhere nothing is broken off."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: object) -> None:
        raise _TookTooLong

    handler = signal.signal(signal.SIGALRM, interrupt)
    left, interval = signal.setitimer(signal.ITIMER_REAL, LONGEST_CHECK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)  # whoever had a limit of their own, as pytest-timeout
        signal.signal(signal.SIGALRM, handler)
