"""Faults, each named after what it does, with the invariant it attacks: what there are, and how they are written."""

from __future__ import annotations

import datetime as dt
import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators.devices import is_asked, transport_of
from simulators.kinds import Kind
from simulators.seeding import stream
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulators.scenarios import DeviceModel, Scenario

UPLINK_OUTAGE: Final = "uplink-outage"
CERTIFICATE_EXPIRY: Final = "certificate-expiry"
AGENT_KILL: Final = "agent-kill"
BROKER_RESTART: Final = "broker-restart"
DUPLICATE_STORM: Final = "duplicate-storm"
POWER_CUT: Final = "power-cut"
UNPLUG: Final = "unplug"
CLOCK_STEP: Final = "clock-step"
REORDER: Final = "reorder"
STUCK: Final = "stuck"
DRIFT: Final = "drift"
SPIKE: Final = "spike"
HALF_FRAME: Final = "half-frame"
LATE_ANSWER: Final = "late-answer"
HANG_UP: Final = "hang-up"
BAUD_MISMATCH: Final = "baud-mismatch"
BATTERY_DEATH: Final = "battery-death"
DEVICE_REPLACED: Final = "device-replaced"
FIELD_RENAMED: Final = "field-renamed"


class FaultMalformed(ConfigurationError):
    """A fault that cannot be read, or that this run cannot bring about."""

    code = "fault"


class Target(enum.StrEnum):
    """What a fault strikes at."""

    UPLINK = "uplink"
    AGENT = "agent"
    BROKER = "broker"
    SCHOOL = "school"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault."""

    attacks: str
    """The invariant that it attacks, as a sentence that must stay true."""
    attacks_zh: str
    strikes: Target
    length: str | None = ""
    """How long it takes where nothing is said; empty where it must be said, None for a moment."""
    suits: Callable[[DeviceModel], bool] = lambda _model: True
    """The devices that it can happen to."""


_BATTERY: Final = (Kind.CLIMATE, Kind.MOTION, Kind.DOOR, Kind.SMOKE, Kind.LEAK, Kind.VR)
_AIR: Final = (
    *(Kind.AIR, Kind.CLIMATE, Kind.TASMOTA_AIR, Kind.ESPHOME, Kind.CHIRPSTACK_AM, Kind.THINGS_STACK_AM),
    *(Kind.AIRGRADIENT, Kind.DECENTLAB, Kind.DRAGINO, Kind.ELSYS, Kind.HOMIE, Kind.LAIRD, Kind.MCU680, Kind.MILESIGHT),
    *(Kind.NETVOX, Kind.OPENMQTTGATEWAY, Kind.SENML, Kind.SENSECAP, Kind.SPARKPLUG_B, Kind.TEKTELIC),
)
_STAMPED: Final = (Kind.AIR, Kind.CLIMATE, Kind.MOTION, Kind.DOOR, Kind.PLUG, Kind.METER, Kind.VR)


def _speaks_unasked(model: DeviceModel) -> bool:
    return transport_of(model) == "mqtt" or (transport_of(model) == "serial" and not is_asked(model))


def _is_serial(model: DeviceModel) -> bool:
    return transport_of(model) == "serial" and not is_asked(model)


def _is_behind_tcp(model: DeviceModel) -> bool:
    return bool(model.framing)


def _is_zigbee(model: DeviceModel) -> bool:
    return model.kind in _STAMPED and model.kind is not Kind.VR


FAULTS: Final = {
    UPLINK_OUTAGE: FaultKind(
        attacks="nothing is lost while the centre cannot be reached, and nothing is sent twice after",
        attacks_zh="中心不可达时不丢数据，恢复后不重复",
        strikes=Target.UPLINK,
    ),
    CERTIFICATE_EXPIRY: FaultKind(
        attacks="nothing is told to a centre whose certificate has expired, and nothing is lost meanwhile",
        attacks_zh="不向证书过期的中心发送，期间不丢数据",
        strikes=Target.UPLINK,
    ),
    AGENT_KILL: FaultKind(
        attacks="acknowledged means on disk: a SIGKILL between receive and acknowledge loses nothing",
        attacks_zh="确认即落盘：收到与确认之间被杀也不丢",
        strikes=Target.AGENT,
        length=None,
    ),
    BROKER_RESTART: FaultKind(
        attacks="a message counts once, though its connection was lost before its acknowledgement",
        attacks_zh="确认前断线的消息只计一次",
        strikes=Target.BROKER,
        length="1m",
    ),
    DUPLICATE_STORM: FaultKind(
        attacks="what is delivered again (DUP) counts once, however often it comes",
        attacks_zh="重复投递（DUP）无论多少次只计一次",
        strikes=Target.BROKER,
        length="10m",
    ),
    POWER_CUT: FaultKind(
        attacks="a gap is drawn as a gap, with its reason, and no value is made up for it",
        attacks_zh="缺口就是缺口，写明原因，不补造数值",
        strikes=Target.SCHOOL,
        length="30m",
    ),
    UNPLUG: FaultKind(
        attacks="a device that is pulled out and put back is read again, and touches no other",
        attacks_zh="拔下再插上的设备会恢复读取，且不影响其他设备",
        strikes=Target.DEVICE,
        length="10m",
    ),
    CLOCK_STEP: FaultKind(
        attacks="a device whose clock is an hour ahead puts nothing into a window of another time",
        attacks_zh="时钟快一小时的设备不会把数值放进别的时段",
        strikes=Target.DEVICE,
        length="30m",
        suits=lambda model: model.kind in _STAMPED,
    ),
    REORDER: FaultKind(
        attacks="a value belongs to the window it was measured in, in whatever order it comes",
        attacks_zh="数值按测量时刻归入时段，与到达顺序无关",
        strikes=Target.DEVICE,
        length="30m",
        suits=lambda model: model.kind in _STAMPED,
    ),
    STUCK: FaultKind(
        attacks="a sensor that says the same for ever is not taken for a quiet room",
        attacks_zh="数值卡死的传感器不被当作安静的房间",
        strikes=Target.DEVICE,
        length="2h",
        suits=lambda model: model.kind in _AIR,
    ),
    DRIFT: FaultKind(
        attacks="a sensor that wanders off by 8 % an hour is not taken for the room",
        attacks_zh="每小时漂移 8% 的传感器不被当作房间变化",
        strikes=Target.DEVICE,
        length="3h",
        suits=lambda model: model.kind in _AIR,
    ),
    SPIKE: FaultKind(
        attacks="one wild value stays one value of its window",
        attacks_zh="单个离群值只影响所在时段的一个值",
        strikes=Target.DEVICE,
        length=None,
        suits=lambda model: model.kind in _AIR,
    ),
    HALF_FRAME: FaultKind(
        attacks="no reading is made of half a frame, and the next whole one is read",
        attacks_zh="半帧不产生读数，下一完整帧照常读取",
        strikes=Target.DEVICE,
        length="10m",
        suits=lambda model: _speaks_unasked(model) or _is_behind_tcp(model),
    ),
    LATE_ANSWER: FaultKind(
        attacks="an answer that comes too late is never taken for the answer to another question",
        attacks_zh="迟到的应答绝不被当作另一次询问的应答",
        strikes=Target.DEVICE,
        length="10m",
        suits=_is_behind_tcp,
    ),
    HANG_UP: FaultKind(
        attacks="a gateway that hangs up on one device is asked for the others all the same",
        attacks_zh="网关因一台设备断开连接，其余设备照常被询问",
        strikes=Target.DEVICE,
        length="10m",
        suits=_is_behind_tcp,
    ),
    BAUD_MISMATCH: FaultKind(
        attacks="no reading is made of a line heard at the wrong speed",
        attacks_zh="波特率不符的线路不产生读数",
        strikes=Target.DEVICE,
        length="10m",
        suits=_is_serial,
    ),
    BATTERY_DEATH: FaultKind(
        attacks="a device that fell silent is shown as silent, and its last values as old",
        attacks_zh="沉默的设备显示为沉默，其最后数值显示为过时",
        strikes=Target.DEVICE,
        length="30m",
        suits=lambda model: model.kind in _BATTERY,
    ),
    DEVICE_REPLACED: FaultKind(
        attacks="with its date of fitting, a counter that begins anew under an old id is not consumption",
        attacks_zh="配置写明更换日期时，同一编号下重新计数的电表不算作用电",
        strikes=Target.DEVICE,
        length=None,
        suits=lambda model: model.kind is not Kind.PROJECTOR and not is_asked(model),
    ),
    FIELD_RENAMED: FaultKind(
        attacks="a field that nobody declared is dropped and counted; the others go on",
        attacks_zh="未声明的字段被丢弃并计数，其余照常",
        strikes=Target.DEVICE,
        length=None,
        suits=_is_zigbee,
    ),
}

_FORM: Final = re.compile(
    r"([a-z-]+)@(?:([0-9]{4}-[0-9]{2}-[0-9]{2})T)?((?:[01][0-9]|2[0-3]):[0-5][0-9])(?:\+([^:]+))?(?::([a-z0-9-]+))?"
)
_DURATION: Final = re.compile(r"(?:(\d{1,2})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s)?")
_FORMS: Final = "use NAME@10:00+1h30m:DEVICE, or NAME@2026-01-04T10:00; `bansui sim list` has the names"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, in simulated time; `until_ms` is `at_ms` for one that has no length."""

    name: str
    at_ms: int
    until_ms: int
    device: str = ""
    """What it happens to, of a fault of one device."""

    @property
    def kind(self) -> FaultKind:
        """What is known of its kind."""
        return FAULTS[self.name]


def parse(text: str, scenario: Scenario, seed: int = 1) -> Fault:
    """Read `NAME@[DATET]HH:MM[+DURATION][:DEVICE]`, in the scenario's local time. Raises `FaultMalformed`.

    Without a date it is the first day that has the time; without a device the seed picks one that the fault suits.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise _malformed(f"{text!r} is not a fault")
    name, date, time_of_day, duration, device = match.groups()
    if name not in FAULTS:
        raise _malformed(f"no fault is called {name!r}")
    kind = FAULTS[name]
    if (kind.length is None and duration is not None) or (kind.length == "" and duration is None):
        raise _malformed(f"{text!r}: {name} {'has no length' if duration else 'needs a length'}")
    length_ms = _milliseconds(text, duration or kind.length) if kind.length is not None else 0
    at_ms = _moment(text, scenario, date, time_of_day)
    if not scenario.start_ms <= at_ms <= at_ms + length_ms < scenario.end_ms:
        raise FaultMalformed(
            f"{text!r} does not lie within the day",
            where="--fault",
            fix=f"choose times between {scenario.starts} and {scenario.ends}",
        )
    return Fault(name, at_ms, at_ms + length_ms, _victim(text, kind, scenario, device, seed))


def parse_for(texts: Sequence[str], schools: Sequence[Scenario], seed: int) -> list[list[Fault]]:
    """The faults of each school: one that names a device strikes where that is, any other strikes everywhere."""
    found: list[list[Fault]] = [[] for _ in schools]
    for text in texts:
        device = match[5] if (match := _FORM.fullmatch(text)) else None
        owners = [place for place, school in enumerate(schools) if device in {each.id for each in school.device}]
        for place in owners or range(len(schools)):
            found[place].append(parse(text, schools[place], seed))
    return found


def _moment(text: str, scenario: Scenario, date: str | None, time_of_day: str) -> int:
    if date is None:
        moments = [scenario.moment(time_of_day, day) for day in range(scenario.days)]
        return next((moment for moment in moments if moment >= scenario.start_ms), moments[0])
    try:
        day = (dt.date.fromisoformat(date) - scenario.date).days
    except ValueError:
        raise _malformed(f"{text!r}: {date!r} is not a date") from None
    return scenario.moment(time_of_day, day)


def _victim(text: str, kind: FaultKind, scenario: Scenario, device: str | None, seed: int) -> str:
    if kind.strikes is not Target.DEVICE:
        if device is not None:
            raise _malformed(f"{text!r}: this fault is not one of a single device")
        return ""
    suited = [model.id for model in scenario.device if kind.suits(model)]
    if device is None:
        if not suited:
            raise _malformed(f"{text!r}: {scenario.name} has no device that it could happen to")
        return stream(seed, f"fault/{text}").choice(suited)
    if device not in suited:
        known = device in {model.id for model in scenario.device}
        why = "it cannot happen to that device" if known else "there is no such device"
        raise FaultMalformed(f"{text!r}: {why}", where="--fault", fix=f"such as {', '.join(suited[:5]) or 'none here'}")
    return device


def _milliseconds(text: str, duration: str) -> int:
    match = _DURATION.fullmatch(duration)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total == 0:
        raise _malformed(f"{text!r}: {duration!r} is not a duration")
    return total * 1000


def _malformed(what: str) -> FaultMalformed:
    return FaultMalformed(what, where="--fault", fix=_FORMS)
