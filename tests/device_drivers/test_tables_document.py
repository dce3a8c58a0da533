"""docs/vendors.md: every table in it is one, reads what stands beside it, and no key of a table is missing."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from device_drivers.cases import CaseReading
from device_drivers.contract import Frame, FrameRefused, Settings
from device_drivers.field_rows import FieldRow, TableRow
from device_drivers.manifest import parse
from device_drivers.tables import documents, entries, frames, lines, readings, registers
from device_drivers.tables.checksums import SUMS, crc16_modbus
from device_drivers.tables.format import REASONS
from device_drivers.units import CONVERSIONS
from tests.documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (ROOT / "docs/vendors.md").read_text()
EXAMPLES = re.findall(r"```toml\n# transport = \"([a-z-]+)\"\n(.*?)```\n\n```json\n(.*?)```", TEXT, re.DOTALL)
HEAD = """
sample = ""
[driver]
id = "acme"
version = "1.0.0"
contract = 1
transport = "{transport}"
name_zh = "例"
name_en = "example"
[families]
acme = ""
"""
KINDS = (
    documents.DocumentFormat, documents.DocumentRow, frames.FrameFormat, frames.FrameRow, entries.EntriesFormat,
    entries.EntryRow, lines.LinesFormat, lines.ReplyRow, registers.RegistersFormat, registers.RegisterRow,
    readings.ReadingsFormat, readings.ReadingRow, TableRow, FieldRow,
)  # fmt: skip


def test_the_whole_manifest_is_one() -> None:
    (text,) = re.findall(r"```toml\n(sample = .*?)```", TEXT, re.DOTALL)
    manifest = parse(text, "docs/vendors.md")
    (device,) = tomllib.loads(manifest.sample)["device"]
    assert device["driver"] == manifest.driver.id
    made = manifest.from_table(Settings(model=manifest.check_model(device["model"])))
    decoded = made.decode(Frame(b'{"co2": 812, "temp": 21.5}'))
    assert [measurement.value for measurement in decoded.measurements] == [812, 21.5]


def test_there_is_an_example_of_every_kind() -> None:
    kinds = {re.search(r'kind = "(\w+)"', body)[1] for _, body, _ in EXAMPLES}  # type: ignore[index] # there is one
    assert kinds == {"json", "frame", "entries", "lines", "registers", "readings"}


@pytest.mark.parametrize(("transport", "body", "case"), EXAMPLES, ids=[transport for transport, _, _ in EXAMPLES])
def test_an_example_reads_what_stands_beside_it(transport: str, body: str, case: str) -> None:
    made = parse(HEAD.format(transport=transport) + body, "docs/vendors.md").from_table(Settings())
    told = json.loads(case)
    payload = bytes.fromhex(told["bytes_hex"]) if "bytes_hex" in told else json.dumps(told["payload"]).encode()
    decoded = made.decode(Frame(payload))
    readings = [CaseReading.of(measurement) for measurement in decoded.measurements]
    found = {f"{r.quantity}[{r.channel}]" if r.channel else r.quantity: r.value for r in readings}
    assert found == told["readings"]
    assert decoded.dropped == () or "ff01" in decoded.dropped


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models_in(field.annotation):
            yield from _keys(inner)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model.__name__)
def test_every_key_of_a_table_is_documented(model: type[BaseModel]) -> None:
    missing = {key for key in _keys(model) if f"`{key}`" not in TEXT and f"{key} =" not in TEXT}
    assert missing == set()


def test_every_reason_sum_and_unit_is_documented() -> None:
    part = TEXT.partition("## 5. A table")[2]
    assert all(f"`{word}`" in part for word in (*REASONS, *SUMS))
    assert all(f"`{unit}`" in part for known in CONVERSIONS.values() for unit in known if unit)


def test_the_registers_of_the_example_have_their_sum() -> None:
    frame = bytes.fromhex(next(json.loads(case)["bytes_hex"] for _, body, case in EXAMPLES if "registers" in body))
    assert crc16_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little")


def test_the_driver_in_python_is_one() -> None:
    """It reads what it says, and refuses what is no JSON, or none that can be read."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "def create" in block]
    names: dict[str, Any] = {"__name__": "driver"}
    exec(compile(code, "docs/vendors.md", "exec"), names)
    driver = names["create"](Settings())
    (found,) = driver.decode(Frame(b'{"co2": 812}')).measurements
    assert (found.quantity, found.value) == ("carbon_dioxide", 812)
    for payload, reason in ((b"{", "malformed"), (b"[" * 100_000, "malformed"), (b'{"co2": true}', "value")):
        with pytest.raises(FrameRefused) as refused:
            driver.decode(Frame(payload))
        assert refused.value.reason == reason
