"""The registry: ours by folder, vendors' by entry point, and one broken driver that takes no other with it."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from device_drivers import manifest, registry
from device_drivers.contract import Frame, PollDriver, Settings, StreamDriver
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from device_drivers.manifest import Manifest

MANIFEST = """
sample = ""
[driver]
id = "{id}"
version = "1.0.0"
contract = {contract}
transport = "{transport}"
name_zh = "二氧化碳"
name_en = "CO2"
[families]
{id} = ""
[[field]]
key = "co2"
quantity = "{quantity}"
"""
DRIVER = """
from device_drivers.contract import Decoded, Measurement

def create(settings):
    return Driver()

class Driver:
    def decode(self, frame):
        value = float(frame.payload)
        return Decoded.of((Measurement("carbon_dioxide", value), Measurement("people_count", 3.0)), ("noise",))
"""


class Vendor:
    """A vendor's package, installed into a folder of its own on sys.path."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self.points: list[str] = []

    def add(
        self, driver_id: str, *, code: str = DRIVER, contract: object = 1, transport: str = "mqtt",
        quantity: str = "carbon_dioxide", point: str = "", table: str = "",
    ) -> None:  # fmt: skip
        folder = self.site / "acme_bansui" / driver_id
        folder.mkdir(parents=True)
        if not table:
            (folder / "driver.py").write_text(code)
        text = MANIFEST.format(id=driver_id, contract=contract, transport=transport, quantity=quantity)
        text = text.replace("[[field]]", f"{table.strip()}\n[[field]]")
        (folder / "driver.toml").write_text(text, encoding="utf-8")
        self.name(point or driver_id, f"acme_bansui.{driver_id}")

    def name(self, point: str, value: str) -> None:
        self.points.append(f"{point} = {value}")
        dist = self.site / "acme_drivers-1.0.dist-info"
        dist.mkdir(exist_ok=True)
        (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-drivers\nVersion: 1.0\n")
        (dist / "entry_points.txt").write_text("[bansui.drivers]\n" + "\n".join(self.points) + "\n")
        importlib.invalidate_caches()


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Vendor(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("acme_bansui"):
            del sys.modules[name]


def test_a_vendors_driver_is_found_by_its_entry_point_and_works(vendor: Vendor) -> None:
    vendor.add("acme_co2")
    entry = registry.discover()["acme_co2"]
    assert entry.source == "acme-drivers"
    decoded = entry.create(Settings()).decode(Frame(b"420"))
    assert [(m.quantity, m.value) for m in decoded.measurements] == [("carbon_dioxide", 420.0)]


def test_a_vendors_table_needs_no_code(vendor: Vendor) -> None:
    vendor.add("acme_table", table='[format]\nkind = "json"\n')
    entry = registry.discover()["acme_table"]
    assert (entry.source, entry.error, entry.module) == ("acme-drivers", None, "")
    decoded = entry.create(Settings()).decode(Frame(b'{"co2": 420, "noise": 1}'))
    assert [(m.quantity, m.value) for m in decoded.measurements] == [("carbon_dioxide", 420.0)]
    assert decoded.dropped == ("noise",)


def test_a_folder_with_neither_code_nor_a_table_is_an_error_entry_and_says_so(vendor: Vendor) -> None:
    vendor.add("acme_empty", table=" ")
    error = registry.discover()["acme_empty"].error
    assert error is not None
    assert "neither driver.py nor a table [format]" in error.what


def test_a_table_with_a_mistake_stands_in_the_registry_with_its_line(vendor: Vendor) -> None:
    vendor.add("acme_table", table='[format]\nkind = "jason"\n')
    assert "driver.toml:13: format.kind" in str(registry.discover()["acme_table"].error)


def test_a_quantity_that_the_manifest_does_not_declare_is_dropped_by_name(vendor: Vendor) -> None:
    vendor.add("acme_co2")
    decoded = registry.named("acme_co2").create(Settings()).decode(Frame(b"420"))
    assert decoded.dropped == ("noise", "people_count")


def test_nothing_of_a_driver_is_imported_before_it_is_needed(vendor: Vendor) -> None:
    vendor.add("acme_co2", code="raise RuntimeError('imported')")
    assert registry.discover()["acme_co2"].error is None
    assert not [name for name in sys.modules if name.startswith("acme_bansui")]


def test_no_manifest_is_read_but_those_that_are_asked_for(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor.add("acme_co2")
    read: list[str] = []
    load = manifest.load

    def noted(folder: Path) -> Manifest:
        read.append(folder.name)
        return load(folder)

    monkeypatch.setattr(manifest, "load", noted)
    registry._ours.cache_clear()  # another test may have read them in this process
    drivers = registry.discover()
    assert "plantower" in drivers
    assert drivers["acme_co2"] is drivers["acme_co2"]
    assert sorted(read) == ["acme_co2", "plantower"]
    assert len(list(drivers.values())) == len(drivers) == len(set(read))


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("raise RuntimeError('a secret')", r"RuntimeError, at .*acme_co2/driver.py:1$"),
        ("class Odd(Exception): pass\nraise Odd", r"Odd, at .*acme_co2/driver.py:2$"),
        ("def create(:", r"SyntaxError: invalid syntax, at .*acme_co2/driver.py:1$"),
        ("\nimport nothing_of_this_name", r"No module named 'nothing_of_this_name', at .*acme_co2/driver.py:2$"),
        ("", r"has no create\(settings\)$"),
        ("import json\ndef create(settings): return json.loads('{')", r"JSONDecodeError, at .*acme_co2/driver.py:2$"),
        ("def create(settings): return object()", "powers"),
    ],
)
def test_a_driver_that_fails_when_it_is_made_is_unusable_and_says_how(vendor: Vendor, code: str, what: str) -> None:
    vendor.add("acme_co2", code=code)
    with pytest.raises(registry.DriverUnusable, match=what):
        registry.named("acme_co2").create(Settings())
    registry.named("zigbee2mqtt").create(Settings())


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        ({"contract": 2}, "contract"),
        ({"transport": "pigeon"}, "transport"),
        ({"quantity": "happiness"}, "happiness"),
        ({"point": "another_name"}, "another_name"),
    ],
)
def test_a_broken_manifest_stands_in_the_registry_with_its_error_and_the_rest_work(
    vendor: Vendor, manifest: dict[str, Any], what: str
) -> None:
    vendor.add("acme_bad", **manifest)
    vendor.add("acme_co2")
    entries = registry.discover()
    broken = entries[manifest.get("point", "acme_bad")]
    assert what in str(broken.error)
    with pytest.raises(ConfigurationError):
        broken.create(Settings())
    for whole in ("acme_co2", "pjlink"):
        entries[whole].create(Settings())


@pytest.mark.parametrize(("contract", "fix"), [(2, "a newer Bansui"), (0, "a newer version of the driver")])
def test_a_driver_of_another_contract_is_told_so_and_nothing_else_is_guessed(
    vendor: Vendor, contract: int, fix: str
) -> None:
    vendor.add("acme_new", contract=contract, table='[format]\nkind = "telepathy"\nwhere = "everywhere"\n')
    error = registry.discover()["acme_new"].error
    assert error is not None
    assert error.code == "driver_manifest"
    assert error.what == f"driver.contract: the driver is written for contract {contract}"
    assert error.where.endswith("driver.toml:6")
    assert error.why == "this Bansui has driver contract 1"
    assert fix in error.fix


@pytest.mark.parametrize("value", ["acme_bansui.gone", "no_package_of_this_name", "json"])
def test_an_entry_point_that_leads_nowhere_is_an_error_entry(vendor: Vendor, value: str) -> None:
    vendor.name("acme_gone", value)
    entry = registry.discover()["acme_gone"]
    assert entry.error is not None
    assert entry.error.code == "driver_unusable"


def test_a_vendor_cannot_replace_a_driver_of_ours(vendor: Vendor) -> None:
    vendor.add("pjlink")
    entries = registry.discover()
    assert entries["pjlink"].source == registry.OURS
    assert entries["pjlink@acme-drivers"].error is not None


@pytest.mark.parametrize("transport", ["serial-stream", "tcp-poll", "serial-poll"])
def test_a_driver_without_the_power_its_transport_needs_is_unusable(vendor: Vendor, transport: str) -> None:
    vendor.add("acme_co2", transport=transport)
    with pytest.raises(registry.DriverUnusable, match=transport):
        registry.named("acme_co2").create(Settings())


def test_the_powers_of_a_driver_survive_the_registry() -> None:
    assert isinstance(registry.named("plantower").create(Settings(model="PMS5003")), StreamDriver)
    assert isinstance(registry.named("pjlink").create(Settings()), PollDriver)
    assert not isinstance(registry.named("vr_station").create(Settings()), (StreamDriver, PollDriver))


def test_an_unknown_driver_is_refused_with_what_may_have_been_meant() -> None:
    with pytest.raises(registry.UnknownDriver) as error:
        registry.named("zigbe2mqtt")
    assert "did you mean 'zigbee2mqtt'?" in error.value.fix
    assert isinstance(error.value, ConfigurationError)


@pytest.mark.parametrize(
    ("family", "model", "driver", "configured"),
    [
        ("plantower-pms3003", "", "plantower", "PMS3003"),
        ("plantower-pmsx003", "pms7003", "plantower", "PMS7003"),
        ("plantower-pms5003t", "made up", "plantower", "PMS5003T"),
        ("zigbee2mqtt", "TS0601", "zigbee2mqtt", "TS0601"),
    ],
)
def test_a_family_and_a_model_pick_the_driver_and_its_model(
    family: str, model: str, driver: str, configured: str
) -> None:
    entry = registry.find(family, model)
    assert entry.id == driver
    assert entry.manifest.model_for(family, model) == configured


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(registry.UnknownDriver) as error:
        registry.find("pjlnk")
    assert "pjlink" in error.value.fix
