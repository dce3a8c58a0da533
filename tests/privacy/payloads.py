"""Payloads of every kind of device there is a driver for, changed at random, and what may leave of them at most."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from device_drivers import cases
from device_drivers.channels import is_channel
from device_drivers.conformance import fixture_cases
from device_drivers.contract import Frame, Settings
from device_drivers.registry import discover, find
from edge_agent.admission import Binding
from edge_agent.privacy.classes import classify
from edge_agent.privacy.rules import Rule
from edge_agent.timing import Timing
from edge_agent.windows import Cadence
from telemetry import BansuiError, ContractViolation, Placement, PrivacyClass, Role, decode_all, quantity
from telemetry.uplink_contract import PADDING, REPORT_PATH, AgentReport, unseal
from tests.documents import ROOT
from tests.edge_agent.harness import DAY, MINUTE, STRICT, Bench, delivered
from tests.privacy.canaries import canaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from device_drivers.contract import Decoded
    from device_drivers.registry import DriverEntry
    from edge_agent.events import Send
    from telemetry import Summary

_PLACES: Final = (
    (Role.ROOM_SENSOR, Placement.INDOOR),
    (Role.ROOM_SENSOR, Placement.OUTDOOR),
    (Role.DISPLAY, Placement.INDOOR),
    (Role.INFRASTRUCTURE, Placement.INDOOR),
    (Role.SAFETY, Placement.INDOOR),
)
_SLOTS: Final = {"n", "expected"}
MOST_TOLD: Final = {
    PrivacyClass.E: (60, {"mean", "min", "max", "delta", "last", "on_permille"} | _SLOTS),
    PrivacyClass.P1: (900, {"mean", "delta", "on_permille"} | _SLOTS),
    PrivacyClass.DA: (900, {"mean", "max", "delta", "last", "on_permille"} | _SLOTS),
    PrivacyClass.DB: (86_400, {"mean", "max", "delta", "on_permille"} | _SLOTS),
    PrivacyClass.S: (1, {"last"}),
}
"""By class, the shortest window and the fields that may leave: the design's table, written here a second time."""
_VALUES: Final = canaries(900, 11)
_JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    10**40,
    "",
    "on",
    [],
    {},
    [[[]]],
    "\0",
    "a,b=c d",
)
MESSAGES_A_MINUTE: Final = 100


@dataclass(slots=True)
class _Known:
    """A driver for one model and settings, and the frames that are known of it."""

    entry: DriverEntry
    settings: Settings
    frames: list[tuple[Frame, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Recorded:
    """A device, and the frames that are known of it."""

    binding: Binding
    frames: list[tuple[Frame, Any]]
    """With the document that is inside, where it is JSON."""


class _MadeWhenSent:
    """A driver that is made for the first frame: of hundreds of devices a life hears some."""

    def __init__(self, known: _Known) -> None:
        self._known = known
        self._driver: Any = None

    def decode(self, frame: Frame) -> Decoded:
        if self._driver is None:
            self._driver = self._known.entry.create(self._known.settings)
        decoded: Decoded = self._driver.decode(frame)
        return decoded


def recorded() -> list[Recorded]:
    """One device for each driver, model and settings that fixtures are written for, in every kind of place."""
    return [Recorded(_bind(number, known), known.frames) for number, known in enumerate(_known())]


@cache
def _known() -> list[_Known]:
    found: dict[tuple[str, str], _Known] = {}
    drivers = discover()
    for folder in sorted((ROOT / "device_drivers").iterdir()):
        for case in fixture_cases(folder):
            with contextlib.suppress(BansuiError):
                entry = find(case["family"], case.get("model", ""), drivers)
                model = entry.manifest.model_for(case["family"], case.get("model", ""))
                options = {
                    name: case[key]
                    for key, name in cases._STATED.items()
                    if key in case and name in entry.manifest.options
                }
                frame, _ = cases._frame(case, entry.manifest)
                key = entry.id, f"{model} {options}"
                if key not in found:
                    known = _Known(entry, Settings(model, options))
                    entry.create(known.settings)
                    found[key] = known
                found[key].frames.append((frame, _document(frame)))
    return list(found.values())


def _document(frame: Frame) -> Any:
    try:
        return json.loads(frame.payload)
    except ValueError:
        return None


def _bind(number: int, known: _Known) -> Binding:
    role, placement = _PLACES[number % len(_PLACES)]
    manifest = known.entry.manifest
    return Binding(
        device=f"device-{number}",
        building="a",
        room="a-301",
        driver_id=known.entry.id,
        driver=_MadeWhenSent(known),
        channels=manifest.channels,
        cadence=Cadence(MINUTE, 3 * MINUTE),
        rules={name: _rule(name, role, placement) for name in manifest.quantities},
    )


@cache
def _rule(name: str, role: Role, placement: Placement) -> Rule:
    return Rule(quantity(name), classify(quantity(name), placement, role), STRICT, placement)


def changed(rng: Random, known: Recorded) -> Frame:
    """A frame of the device, with something in it that should not be there; one in four as it was recorded."""
    frame, document = rng.choice(known.frames)
    if rng.random() < 0.25:
        return frame
    payload, topic = frame.payload, frame.topic
    if isinstance(document, dict | list):
        payload = json.dumps(_change(rng, document), ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
    elif payload and rng.random() < 0.9:
        at = rng.randrange(len(payload))
        mark = rng.choice((b"", bytes((rng.randrange(256),)), rng.choice(_VALUES).encode()))
        payload = payload[:at] + mark + payload[at + rng.randrange(3) :]
    if topic and rng.random() < 0.2:
        topic = f"{topic.rpartition('/')[0]}/{rng.choice(_VALUES)}"
    return Frame(payload, topic, frame.request, frame.port)


def _change(rng: Random, value: Any) -> Any:
    """A document with some of its keys and values replaced, and with personal ones among them."""
    if isinstance(value, dict):
        found = {_key(rng, name): _change(rng, inner) for name, inner in value.items()}
        if rng.random() < 0.3:
            found[rng.choice(_VALUES)] = rng.choice((rng.choice(_VALUES), rng.randrange(100), {"Temperature": 21}))
        return found
    if isinstance(value, list):
        return [_change(rng, inner) for inner in value]
    lot = rng.random()
    if lot < 0.08:
        return rng.choice(_VALUES)
    if lot < 0.12:
        return rng.choice(_JUNK)
    if lot < 0.3 and isinstance(value, int | float) and not isinstance(value, bool):
        return round(rng.gauss(value, abs(value) + 1), rng.randrange(4))
    return value


def _key(rng: Random, name: str) -> str:
    lot = rng.random()
    if lot < 0.03:
        return rng.choice(_VALUES)
    return f"{name}{rng.choice(('-', '_', ''))}{rng.choice(_VALUES)}" if lot < 0.06 else name


@dataclass(slots=True)
class Egress:
    """All that left of so many payloads."""

    payloads: int = 0
    sends: list[Send] = field(default_factory=list)
    bindings: dict[str, Binding] = field(default_factory=dict)

    @property
    def summaries(self) -> int:
        """How many."""
        return sum(unseal(send.body).count(b"\n") for send in self.sends if send.path != REPORT_PATH)

    def faults(self) -> Iterator[str]:
        """Whatever is outside of the schema, or finer than its class may be told."""
        values = [value.encode() for value in _VALUES]
        for send in self.sends:
            text = unseal(send.body)
            if len(send.body) % PADDING:
                yield f"a body of {len(send.body)} bytes"
            yield from (f"a value in batch {send.batch}" for value in values if value in text)
            try:
                if send.path == REPORT_PATH:
                    AgentReport.from_dict(json.loads(text))
                    continue
                told = decode_all(text)
            except ContractViolation as error:
                yield f"batch {send.batch}: {error.what}"
                continue
            for summary in told:
                yield from (f"{summary}: {fault}" for fault in self._faults_of(summary))

    def _faults_of(self, summary: Summary) -> Iterator[str]:
        series = summary.series
        binding = self.bindings.get(series.device)
        rule = None if binding is None else binding.rules.get(series.quantity)
        if binding is None or rule is None:
            yield "not declared"
            return
        if (series.school, series.building, series.room) != ("cn-002", binding.building, binding.room):
            yield "another place"
        if not is_channel(series.channel, binding.channels):
            yield "a channel that is not declared"
        if rule.privacy_class not in MOST_TOLD:
            yield f"class {rule.privacy_class} leaves"
            return
        shortest_s, fields = MOST_TOLD[rule.privacy_class]
        if series.window_s < shortest_s:
            yield f"a window of {series.window_s} s"
        if not summary.fields.keys() <= fields:
            yield f"fields {sorted(summary.fields)}"
        if summary.fields.get("n", 0) > summary.fields.get("expected", 0):
            yield "more slots than there are"
        if (
            rule.privacy_class is PrivacyClass.P1
            and series.quantity == "carbon_dioxide"
            and summary.fields["mean"] % 50
        ):
            yield "CO2 finer than 50 ppm"


def through_an_agent(folder: Path, rng: Random, payloads: int, devices: list[Recorded]) -> Egress:
    """So many payloads into the core and the store, and a day behind them, so that every window closes and leaves."""
    bench = Bench(
        folder, devices=[each.binding for each in devices], timing=Timing(lateness_ms=2 * MINUTE, report_every_s=3600)
    )
    egress = Egress(payloads, bindings={each.binding.device: each.binding for each in devices})

    def deliver() -> None:
        while bench.sends:
            egress.sends.append(bench.answer(delivered))

    for sent in range(payloads):
        known = rng.choice(devices)
        bench.arrive(known.binding.device, changed(rng, known))
        if sent % MESSAGES_A_MINUTE == MESSAGES_A_MINUTE - 1:
            bench.settle()
            bench.until_closed(MINUTE)
            deliver()
    bench.settle()
    for _ in range(26):
        bench.pass_time(DAY // 24)
        bench.settle()
        deliver()
    bench.stop()
    return egress
