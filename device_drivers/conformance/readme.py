"""What a driver's README.md shows, and its sample configuration: both say what the manifest says."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final

from device_drivers.conformance.findings import CheckFailed
from device_drivers.contract import Settings
from device_drivers.field_rows import Transport
from telemetry import BansuiError, ConfigurationError, Role, check_code, quantity

if TYPE_CHECKING:
    from device_drivers.conformance.subject import Subject
    from device_drivers.manifest import Manifest

README: Final = "README.md"
TO_BE_WRITTEN: Final = "<!-- to be written"
"""How a new driver's README.md marks what its author alone knows."""
INTAKE: Final = {
    Transport.MQTT: "mqtt",
    Transport.SERIAL_STREAM: "serial",
    Transport.SERIAL_POLL: "serial",
    Transport.TCP_POLL: "tcp",
    Transport.EXEC: "exec",
}
"""The key of a `[[device]]` that says where the device is."""
_STATED: Final[dict[str, tuple[dict[str, type], dict[str, type]]]] = {
    "mqtt": ({"topic": str}, {}),
    "serial": ({"port": str}, {"baud": int}),
    "tcp": ({"host": str, "port": int}, {"password_file": str, "framing": str}),
    "exec": ({}, {"command": list}),
}
"""What stands there: what has to, and what may."""
_NEEDED: Final = frozenset(("id", "room", "role", "driver"))
_MAY: Final = frozenset(("model", "cadence_s", "stale_after_s", "quantities", "options"))
_PART: Final = re.compile(r"<!-- (sample|fields) -->\n.*?<!-- end -->", re.DOTALL)
_CHINESE: Final = re.compile(r"^## .*[\u4e00-\u9fff]", re.MULTILINE)


def fields_table(manifest: Manifest) -> str:
    """The manifest's fields as README.md shows them."""
    lines = ["| field | quantity | channel | unit | least class |", "|---|---|---|---|---|"]
    for row in manifest.field:
        entry = quantity(row.quantity)
        unit = entry.symbol or "-"
        line = f"| `{row.key}` | `{entry.id}` | {row.channel or '-'} | {unit} | {entry.least_class} |"
        if line not in lines:  # as it is when models have it in different places
            lines.append(line)
    return "\n".join(lines)


def renewed(text: str, manifest: Manifest) -> str:
    """The text of a README.md with the sample and the table of fields of today between their marks.

    Raises `ConfigurationError` where it has no such marks.
    """
    parts = {"sample": f"```toml\n{manifest.sample.strip()}\n```", "fields": fields_table(manifest)}
    missing = sorted(parts.keys() - {match[1] for match in _PART.finditer(text)})
    if missing:
        mark = f"<!-- {missing[0]} -->"
        raise ConfigurationError(
            f"README.md has no part {missing[0]}", fix=f"write the lines {mark} and <!-- end --> where it is to stand"
        )
    return _PART.sub(lambda match: f"<!-- {match[1]} -->\n{parts[match[1]]}\n<!-- end -->", text)


def sample(subject: Subject) -> str:
    """The sample is one `[[device]]` of this driver, where a transport says, and the driver takes its options."""
    manifest = subject.entry.manifest
    try:
        device = tomllib.loads(manifest.sample)["device"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise CheckFailed(f"sample is no [[device]] table: {error}") from None
    if not isinstance(device, list) or len(device) != 1:
        raise CheckFailed("sample is not one [[device]]")
    (table,) = device
    intakes = [INTAKE[transport] for transport in manifest.transports]
    intake = next((each for each in intakes if each in table), intakes[0])
    missing = sorted({*_NEEDED, intake} - table.keys())
    unknown = sorted(table.keys() - _NEEDED - _MAY - {intake})
    if missing or unknown:
        raise CheckFailed(
            f"sample: {', '.join(missing) or 'nothing'} missing, {', '.join(unknown) or 'nothing'} unknown"
        )
    if table["driver"] != manifest.driver.id:
        raise CheckFailed(f"sample binds its device to {table['driver']!r}")
    _check_place(intake, table[intake])
    try:
        Role(table["role"])
        for key in ("id", "room"):
            check_code(table[key], key)
        secrets = {"password": "secret"} if "password_file" in table[intake] else {}
        subject.entry.create(Settings(table.get("model", ""), table.get("options", {}), secrets))
    except (BansuiError, ValueError) as error:
        raise CheckFailed(f"sample: {error}") from None
    return "one device"


def _check_place(intake: str, place: object) -> None:
    needed, may = _STATED[intake]
    if not isinstance(place, dict) or not needed.keys() <= place.keys() <= needed.keys() | may.keys():
        raise CheckFailed(
            f"sample: {intake} states {', '.join(needed)}, and perhaps {', '.join(may) or 'nothing else'}"
        )
    for key, value in place.items():
        if not isinstance(value, (needed | may)[key]):
            raise CheckFailed(f"sample: {intake}.{key} is {value!r}")


def readme(subject: Subject) -> str:
    """README.md has the sample and the table of fields, as they are in the manifest."""
    text = _text(subject)
    manifest = subject.entry.manifest
    if manifest.sample.strip() not in text:
        raise CheckFailed("README.md does not show the sample of driver.toml; `bansui driver readme` writes it")
    if fields_table(manifest) not in text:
        raise CheckFailed("README.md does not show the table of fields; `bansui driver readme` writes it")
    return f"{len(manifest.field)} fields"


def refusals(subject: Subject) -> str:
    """A frame that is refused is recorded, and README.md has a section on what is."""
    refused = [case for case in subject.cases if "error" in case.get("expect", {})]
    if not refused:
        raise CheckFailed("no recorded frame is refused")
    if not re.search(r"^## What is refused", _text(subject), re.MULTILINE):
        raise CheckFailed("README.md has no section `## What is refused`")
    return f"{len(refused)} frames"


def bilingual(subject: Subject) -> str:
    """README.md has a section whose heading is Chinese, and one of sources, and nothing is left to be written."""
    text = _text(subject)
    if missing := text.count(TO_BE_WRITTEN):
        raise CheckFailed(f"README.md has {missing} places that are to be written")
    if not _CHINESE.search(text):
        raise CheckFailed("README.md has no section in Chinese")
    if not re.search(r"^## Sources?", text, re.MULTILINE):
        raise CheckFailed("README.md has no section `## Sources`")
    return "zh, en"


def _text(subject: Subject) -> str:
    try:
        return (subject.folder / README).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise CheckFailed("there is no README.md that could be read") from None
