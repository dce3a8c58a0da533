"""A new driver's folder, of a device that there is not: its tests pass, and its author changes it line by line."""

from __future__ import annotations

import tomllib
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Final

from device_drivers.conformance.readme import README, renewed
from device_drivers.manifest import FILE_NAME, IDS, load
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

KINDS: Final = ("mqtt-json", "serial-stream", "serial-poll", "modbus", "tcp", "binary", "exec")
PROGRAM: Final = "read-device"
_SOURCE: Final = '"source": "built by hand from the manual, page 1", "licence": "CC0-1.0"'
_TEST: Final = '''"""Each check of the conformance suite, as a test."""

from device_drivers.conformance.pytest_plugin import pytest_generate_tests, test_conformance  # noqa: F401
'''
_README: Final = Template("""# $id

<!-- to be written: what the device is, who makes it, and over what it speaks -->

<!-- to be written: 设备名称、厂商与通信方式 -->

## Setting up

$setup_en

<!-- sample -->
<!-- end -->

## 接线与设置

$setup_zh

## Fields

<!-- fields -->
<!-- end -->

## What is refused

$refused

## Sources

<!-- to be written: the maker's manual, its version, and the sections that the table follows -->
""")


def write(name: str, kind: str, into: Path) -> Path:
    """Write the folder of a new driver and return it. Raises `ConfigurationError`."""
    if IDS.fullmatch(name) is None:
        raise ConfigurationError(
            f"{name!r} is no name of a driver", fix="a letter, then a-z, 0-9 and _, 32 at most: acme_co2"
        )
    if kind not in KINDS:
        raise ConfigurationError(f"there is no kind {kind!r}", fix=f"there is: {', '.join(KINDS)}")
    folder = into / name
    text = resources.files("bansui").joinpath("scaffold", f"{kind}.toml").read_text(encoding="utf-8")
    parts = {
        key: Template(part).substitute(id=name, family=name.replace("_", "-"), source=_SOURCE)
        for key, part in tomllib.loads(text).items()
    }
    try:
        (folder / "fixtures").mkdir(parents=True)
        _write(folder, parts)
    except FileExistsError:
        raise ConfigurationError("is there already", where=str(folder), fix="name another, or remove it") from None
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}", where=str(folder)) from None
    return folder


def _write(folder: Path, parts: dict[str, str]) -> None:
    (folder / FILE_NAME).write_text(parts["manifest"].lstrip(), encoding="utf-8")
    (folder / "fixtures" / "cases.jsonl").write_text(parts["cases"].lstrip(), encoding="utf-8")
    (folder / "test_driver.py").write_text(_TEST, encoding="utf-8")
    if "program" in parts:
        program = folder / PROGRAM
        program.write_text(parts["program"].lstrip(), encoding="utf-8")
        program.chmod(0o755)
    text = _README.substitute(id=folder.name, **{key: parts[key] for key in ("setup_en", "setup_zh", "refused")})
    (folder / README).write_text(renewed(text, load(folder)), encoding="utf-8")
