"""The generated parts of docs/: `python -m tests.documents --write` writes them, `--check` says which are stale.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end of generated -->`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperCommand, TyperGroup

from bansui import cli
from bansui.explanations import Explanation, explanations
from device_drivers.conformance.suite import rules
from device_drivers.units import CONVERSIONS
from telemetry import Quantity, quantities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parent.parent
_PART: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)


def commands() -> Iterator[tuple[str, TyperCommand]]:
    """Every visible command with its full name, in the order of the help."""
    yield from _walk("bansui", typer.main.get_command(cli.build()))


def _walk(path: str, command: object) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _walk(f"{path} {name}", child)
    elif isinstance(command, TyperCommand) and not command.hidden:
        yield path, command


def _cli() -> str:
    return "\n".join(_describe(path, command) for path, command in commands())


def _describe(path: str, command: TyperCommand) -> str:
    lines = [f"### `{path}`", "", " ".join((command.help or "").split()), ""]
    rows = parameters(command)
    if rows:
        lines += ["| parameter | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(meaning)} |" for name, meaning in rows]
        lines.append("")
    return "\n".join(lines)


def parameters(command: TyperCommand) -> list[tuple[str, str]]:
    """Each visible argument and option but --help, as the help shows it, with its meaning."""
    context = typer.Context(command)
    records = [parameter.get_help_record(context) for parameter in command.params]
    return [(name.strip(), meaning) for name, meaning in filter(None, records)]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _vocabulary() -> str:
    lines = ["| id | English | 中文 | unit (UCUM) | shown as | decimals | plausible | class | kind |"]
    lines += ["|---|---|---|---|---|---|---|---|---|", *map(_quantity, quantities()), ""]
    return "\n".join(lines)


def _quantity(entry: Quantity) -> str:
    states = ": " + ", ".join(entry.states) if entry.states else ""
    return (
        f"| `{entry.id}` | {entry.name_en} | {entry.name_zh} | `{entry.unit}` | {entry.symbol} | {entry.decimals} "
        f"| {entry.minimum:g} to {entry.maximum:g} | {entry.least_class} | {entry.summarise}{states} |"
    )


def _errors() -> str:
    lines = ["| code | exit code | meaning, and what to do | 含义与处理 |", "|---|---|---|---|"]
    lines += [_explained(entry, f"{entry.exit_code} | ") for entry in explanations() if entry.kind == "error"]
    return "\n".join([*lines, ""])


def _reasons() -> str:
    lines = ["| reason | meaning, and what to do | 含义与处理 |", "|---|---|---|"]
    lines += [_explained(entry) for entry in explanations() if entry.kind == "reason"]
    return "\n".join([*lines, ""])


def _balance() -> str:
    lines = ["| word | meaning, and what to do | 含义与处理 |", "|---|---|---|"]
    lines += [_explained(entry) for entry in explanations() if entry.kind == "stage"]
    return "\n".join([*lines, ""])


def _units() -> str:
    lines = ["| the vocabulary's | a device's |", "|---|---|"]
    lines += [f"| `{to}` | {', '.join(f'`{unit}`' for unit in known if unit)} |" for to, known in CONVERSIONS.items()]
    return "\n".join([*lines, ""])


def _checks() -> str:
    lines = ["| check | grade | of | what has to hold | 要求 |", "|---|---|---|---|---|"]
    for rule in rules():
        may = [word for word, holds in (("open", rule.is_merit), ("exempt", rule.is_exemptible)) if holds]
        grade = rule.grade.word + (f", may be {' or '.join(may)}" if may else "")
        lines.append(f"| `{rule.id}` | {grade} | {_NEEDS[rule.needs]} | {rule.what['en']} | {rule.what['zh']} |")
    return "\n".join([*lines, ""])


def _explained(entry: Explanation, column: str = "") -> str:
    english, chinese = (
        _cell(separator.join(part[language] for part in (entry.what, entry.why, entry.fix)))
        for language, separator in (("en", " "), ("zh", ""))
    )
    return f"| `{entry.code}` | {column}{english} | {chinese} |"


_NEEDS: Final = {
    "decode": "every driver",
    "mqtt": "devices over MQTT",
    "line": "devices on a line",
    "modbus": "devices with Modbus registers",
    "poll": "devices that are asked",
    "serial_poll": "devices that are asked over serial, or have an address",
}
_PARTS: Final[dict[str, Callable[[], str]]] = {
    "balance": _balance,
    "checks": _checks,
    "cli": _cli,
    "errors": _errors,
    "reasons": _reasons,
    "units": _units,
    "vocabulary": _vocabulary,
}


def renew(text: str) -> str:
    """The document with every generated part as it should be today."""
    return _PART.sub(lambda match: match[1] + "\n" + _PARTS[match[2]]() + match[3], text)


def stale() -> list[Path]:
    """The documents whose generated parts are not what the code says."""
    return [path for path in sorted((ROOT / "docs").glob("*.md")) if renew(path.read_text()) != path.read_text()]


def main(args: list[str]) -> int:
    """Write the stale documents, or name them."""
    if args not in (["--write"], ["--check"]):
        print("usage: python -m tests.documents --write | --check", file=sys.stderr)
        return 2
    found = stale()
    for path in found:
        if args == ["--write"]:
            path.write_text(renew(path.read_text()))
            print(f"written: {path.relative_to(ROOT)}")
        else:
            print(f"stale: {path.relative_to(ROOT)}; fix: make docs", file=sys.stderr)
    return 1 if found and args == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
