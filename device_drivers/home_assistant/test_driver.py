"""Home Assistant discovery: what is learned, how states are then read, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Driver, Frame, FrameRefused, Settings
from device_drivers.home_assistant.discovery import _ABBREVIATIONS
from device_drivers.home_assistant.driver import MOST_ENTITIES
from device_drivers.home_assistant.templates import TemplateUnread, follow, parse
from device_drivers.registry import named
from device_drivers.units import known_conversion

if TYPE_CHECKING:
    from device_drivers.field_rows import FieldRow

ENTRY = named("home_assistant")
STATE = "esp-1/sensor/x/state"
TEMPERATURE = {"state_topic": STATE, "device_class": "temperature", "unit_of_measurement": "°C"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from((STATE, "temperature", "°C")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("topic", "p", "x")), inner, max_size=3)
    ),
    max_leaves=6,
)


def teach(driver: Driver, document: dict[str, Any] | str, name: str = "x", component: str = "sensor") -> Decoded:
    payload = document if isinstance(document, str) else json.dumps(document)
    return driver.decode(Frame(payload.encode(), topic=f"esp-1/{component}/esp-1/{name}/config"))


def taught(*documents: dict[str, Any], component: str = "sensor") -> Driver:
    driver = ENTRY.create(Settings())
    for number, document in enumerate(documents):
        teach(driver, document, f"entity_{chr(ord('a') + number)}", component)
    return driver


def read(driver: Driver, payload: str, topic: str = STATE) -> dict[str, float]:
    found = driver.decode(Frame(payload.encode(), topic=topic)).measurements
    return {f"{m.quantity}[{m.channel}]" if m.channel else m.quantity: round(m.value, 6) for m in found}


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize("row", ENTRY.manifest.field, ids=lambda row: row.key)
def test_every_row_of_the_table_is_learned_and_yields_its_quantity(row: FieldRow) -> None:
    component, _, device_class = row.key.removesuffix(" (diagnostic)").partition(".")
    units = (
        "",
        "°C",
        "%",
        "ppm",
        "ppb",
        "µg/m³",
        "lx",
        "dB",
        "hPa",
        "m/s",
        "W",
        "VA",
        "var",
        "kWh",
        "V",
        "A",
        "Hz",
        "dBm",
    )
    unit = next((unit for unit in units if known_conversion(unit, row.entry.unit) == (1, 0)), "")
    document = {"state_topic": STATE, "device_class": device_class, "unit_of_measurement": unit}
    if row.key.endswith("(diagnostic)"):
        document["entity_category"] = "diagnostic"
    driver = taught(document, component=component)
    (measurement,) = driver.decode(Frame(b"21" if component == "sensor" else b"ON", topic=STATE)).measurements
    assert (measurement.quantity, measurement.channel) == (row.quantity, row.channel)
    assert measurement.value == (21 if component == "sensor" else row.values["on"])


def test_every_abbreviation_stands_for_its_option() -> None:
    document = {
        "~": "esp-1", "stat_t": "~/s", "dev_cla": "temperature", "unit_of_meas": "°F", "val_tpl": "{{ value_json.t }}",
        "ent_cat": "diagnostic", "avty_t": "status/~", "avty_tpl": "{{ value_json.up }}", "pl_avail": "yes",
        "pl_not_avail": "no", "dev": {"name": "a person's"},
    }  # fmt: skip
    driver = taught(document)
    assert read(driver, '{"t": 212}', "esp-1/s") == {"device_temperature": 100}
    assert read(driver, '{"up": "no"}', "status/esp-1") == {"connectivity": 0}
    switch = {"stat_t": STATE, "stat_on": "1", "stat_off": "0", "pl_on": "x", "pl_off": "y"}
    assert read(taught(switch, component="switch"), "1") == {"switch": 1}
    motion = {"stat_t": STATE, "dev_cla": "motion", "pl_on": "1", "pl_off": "0"}
    assert read(taught(motion, component="binary_sensor"), "0") == {"motion": 0}
    parts = {"cmps": {"t": {"p": "sensor", **TEMPERATURE}}, "avty": [{"t": "up"}]}
    assert read(taught(parts, component="device"), "online", "up") == {"connectivity": 1}
    assert set(_ABBREVIATIONS) <= {*document, *switch, *motion, "cmps", "p", "avty", "t"}


@pytest.mark.parametrize(
    ("device_class", "unit", "published", "value"),
    [
        ("temperature", "°F", "70.7", 21.5),
        ("temperature", "K", "294.65", 21.5),
        ("pressure", "inHg", "29.92", 1013.207490),
        ("voltage", "mV", "3300", 3.3),
        ("energy", "Wh", "1500", 1.5),
        ("power_factor", "%", "95", 0.95),
        ("volatile_organic_compounds", "mg/m³", "0.3", 300),
        ("pm25", "μg/m³", "12", 12),
        ("wind_speed", "km/h", "36", 10),
    ],
)
def test_a_value_is_converted_from_the_unit_declared(
    device_class: str, unit: str, published: str, value: float
) -> None:
    driver = taught({"state_topic": STATE, "device_class": device_class, "unit_of_measurement": unit})
    assert list(read(driver, published).values()) == [pytest.approx(value)]


def test_every_conversion_leads_to_a_unit_of_the_vocabulary() -> None:
    assert {row.quantity for row in ENTRY.manifest.field if row.key.startswith("sensor.")} == {
        row.quantity
        for row in ENTRY.manifest.field
        if row.key.startswith("sensor.") and known_conversion(row.entry.symbol, row.entry.unit) is not None
    }


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{{ value }}", None),
        ("{{value|float}}", None),
        ("{{ value_json.a }}", ("a",)),
        ("{{ value_json.a.b | round(1) }}", ("a", "b")),
        ("{{- value_json['a b'][\"c\"][0] | float(0) | int -}}", ("a b", "c", 0)),
        ("{{ value_json.a | default('', true) | is_defined | string }}", ("a",)),
        ("{{ (value_json.get('a').b | float(default=0)) | round(1, 'floor') }}", ("a", "b")),
    ],
)
def test_a_template_that_names_a_value_is_read(template: str, path: tuple[str | int, ...] | None) -> None:
    assert parse(template) == path


@pytest.mark.parametrize(
    "template",
    [
        "", "21", "{{ value_json }}", "{{ value + 1 }}", "{{ value_json.a / 10 }}", "{{ value_json.a | float / 10 }}",
        "{{ value_json.a | multiply(0.1) }}", "{{ value_json.a | floats }}", "{{ value_json.get(x) }}",
        "{{ value_json.a if value_json.b else 0 }}", "{% set x = 1 %}{{ value }}", "{{ states('sensor.x') }}",
        "{{ value_json.a }}{{ value_json.b }}", "{{ value_json['a' }}", "{{ value.a }}",
        "{{ value_json.a.__class__() }}",
        "{{ value_json" + ".a" * 9 + " }}", "{{ value_json." + "a" * 300 + " }}",
    ],
)  # fmt: skip
def test_a_template_that_does_more_is_not(template: str) -> None:
    with pytest.raises(TemplateUnread):
        parse(template)


def test_a_path_that_leads_nowhere_gives_nothing() -> None:
    assert follow({"a": [1]}, ("a", 1)) is follow({"a": 1}, ("a", "b")) is follow([], ("a",)) is None


@pytest.mark.parametrize("payload", ["nan", "NaN", "unknown", "unavailable", "", "None"])
def test_what_was_not_measured_is_no_reading(payload: str) -> None:
    assert taught(TEMPERATURE).decode(Frame(payload.encode(), topic=STATE)) == Decoded(())


@pytest.mark.parametrize("payload", ["inf", "1e999", "warm", "21,5"])
def test_what_is_no_number_is_dropped(payload: str) -> None:
    assert taught(TEMPERATURE).decode(Frame(payload.encode(), topic=STATE)) == Decoded((), ("temperature",))


def test_sensors_that_measure_the_same_have_channels_that_outlast_a_second_announcement() -> None:
    documents = [TEMPERATURE | {"state_topic": f"esp-1/{name}"} for name in ("a", "b")]
    driver = taught(documents[0])
    teach(driver, documents[1], "wang_wei_outdoor_13800000000")
    for _ in range(2):
        assert [read(driver, "20", f"esp-1/{name}") for name in ("a", "b")] == [
            {"temperature": 20}, {"temperature[outdoor]": 20},
        ]  # fmt: skip
        teach(driver, documents[0], "entity_a")
    teach(driver, TEMPERATURE | {"state_topic": "esp-1/c"}, "temperature_3")
    assert read(driver, "20", "esp-1/c") == {"temperature[3]": 20}


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("co2", ""), ("hall_eco2", ""), ("pm_2_5", ""), ("pm2_5", ""), ("hall-pm10", ""), ("PM1", ""), ("no2", ""),
        ("temperature_scd40", ""), ("temperature_2", "2"), ("co2_2", "2"), ("co22", "22"), ("temp12", "12"),
        ("rpm2", "2"),
    ],
)  # fmt: skip
def test_a_number_that_belongs_to_a_name_is_no_channel(name: str, channel: str) -> None:
    driver = ENTRY.create(Settings())
    teach(driver, TEMPERATURE, name)
    assert read(driver, "20") == {f"temperature[{channel}]" if channel else "temperature": 20}


def test_of_a_whole_device_those_are_numbered_that_measure_the_same() -> None:
    part = {"p": "sensor", **TEMPERATURE}
    one = taught({"cmps": {"id1": part}}, component="device")
    two = taught({"cmps": {"id1": part, "id2": part | {"state_topic": "esp-1/b"}}}, component="device")
    assert read(one, "20") == {"temperature": 20}
    assert read(two, "20") == {"temperature[1]": 20}


def test_availability_may_be_one_table_or_a_list() -> None:
    for availability in ({"topic": "up"}, [{"topic": "up"}]):
        assert read(taught(TEMPERATURE | {"availability": availability}), "online", "up") == {"connectivity": 1}


def test_an_entity_that_is_taken_back_is_no_longer_read() -> None:
    driver = taught(TEMPERATURE)
    teach(driver, "", "entity_a")
    with pytest.raises(FrameRefused, match="no discovery message"):
        driver.decode(Frame(b"21", topic=STATE))


def test_an_entity_that_changes_into_one_that_cannot_be_read_is_forgotten() -> None:
    driver = taught(TEMPERATURE)
    with pytest.raises(FrameRefused, match="unit"):
        teach(driver, TEMPERATURE | {"unit_of_measurement": "furlong"}, "entity_a")
    with pytest.raises(FrameRefused, match="no discovery message"):
        driver.decode(Frame(b"21", topic=STATE))


def test_what_can_be_learned_is_bounded() -> None:
    driver = ENTRY.create(Settings())
    for number in range(MOST_ENTITIES):
        teach(driver, TEMPERATURE, f"entity_{number}")
    with pytest.raises(FrameRefused, match="more than"):
        teach(driver, TEMPERATURE, "one_too_many")
    assert set(read(driver, "21").values()) == {21}


def test_one_devices_lessons_are_not_anothers() -> None:
    taught(TEMPERATURE)
    with pytest.raises(FrameRefused, match="no discovery message"):
        ENTRY.create(Settings()).decode(Frame(b"21", topic=STATE))


@given(st.dictionaries(st.sampled_from((*_ABBREVIATIONS, *_ABBREVIATIONS.values(), "~")), JSON), JSON)
def test_any_message_is_learned_or_refused_and_any_state_after_it_read_or_refused(
    document: dict[str, Any], state: Any
) -> None:
    driver = ENTRY.create(Settings())
    for component in ("sensor", "binary_sensor", "switch", "device"):
        outcome(driver, Frame(json.dumps(document).encode(), topic=f"esp-1/{component}/x/config"))
    outcome(driver, Frame(json.dumps(TEMPERATURE).encode(), topic="esp-1/sensor/y/config"))
    outcome(driver, Frame(json.dumps(state).encode(), topic=STATE))


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    outcome(taught(TEMPERATURE), Frame(payload, topic=STATE))
    outcome(taught(TEMPERATURE | {"value_template": "{{ value_json.t }}"}), Frame(payload, topic=STATE))
    outcome(ENTRY.create(Settings()), Frame(payload, topic="esp-1/sensor/x/config"))
