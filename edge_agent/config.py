"""What an agent's configuration may say: the tables of agent.toml, checked as a whole."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from broker.clients import ClientTable
from broker.limits import Limits
from broker.listener import Addresses
from broker.tls import TlsFiles
from broker.topics import is_topic_filter
from device_drivers.modbus_tcp import Framing
from edge_agent.addresses import Host, is_loopback, web_address
from edge_agent.client_tls import ClientTls
from edge_agent.timetable import Timetable
from telemetry import Placement, Role
from telemetry.table_file import Table
from telemetry.timetable_table import TimetableTable

if TYPE_CHECKING:
    from pathlib import Path

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
_LONGEST_MQTT_TEXT: Final = 65_535


def _client_id(text: str) -> str:
    if not 0 < len(text.encode()) <= _LONGEST_MQTT_TEXT or "\0" in text:
        raise ValueError("a client id is not empty: by it the broker keeps what comes while the agent is away")
    return text


def _topic_filter(text: str) -> str:
    if not is_topic_filter(text) or len(text.encode()) > _LONGEST_MQTT_TEXT:
        raise ValueError("no topic filter of MQTT: + stands for a whole level, # for the last one only")
    return text


_zones = functools.cache(zoneinfo.available_timezones)  # which opens every file of the database


class AgentTable(Table):
    """[agent]: who this agent is and where it keeps its store."""

    id: Code
    district: Code
    school: Code
    timezone: str
    state: str = "state"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in _zones():
            raise ValueError("not a time zone of the IANA database, such as Asia/Shanghai")
        return name


class HealthTable(Table):
    """[health]: the local page for supervision."""

    port: Port = 9464


class PagesTable(Table):
    """[pages]: what people in the school can look at: what left today, and each room's label."""

    host: Host = "0.0.0.0"  # noqa: S104 - readers are other machines in the school
    port: Port = 9465
    address: str = ""
    """How people in the school reach it, as labels print it; http://HOST:PORT unless stated."""

    @model_validator(mode="after")
    def _reachable(self) -> PagesTable:
        if self.address:
            web_address(self.address, "pages.address is written http://HOST[:PORT]")
        elif self.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            raise ValueError('pages.address is missing: write how people reach this box, as "http://10.0.0.5:9465"')
        return self

    @property
    def base(self) -> str:
        """The address, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.address or f"http://{host}:{self.port}").rstrip("/")


class UplinkTable(Table):
    """[uplink]: the centre, and how often batches go there."""

    url: str
    token_file: str
    ca_file: str = ""
    interval_s: Seconds = 60
    report_s: Seconds = 300
    retry_s: Seconds = 2
    """The first wait after a failed delivery; it doubles up to five minutes, each wait drawn at random below it."""

    @field_validator("url")
    @classmethod
    def _safe_url(cls, url: str) -> str:
        address = web_address(url, "the centre is written https://HOST[:PORT]")
        parts = urlsplit(address)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError("http is for loopback alone: use https")
        return address

    @model_validator(mode="after")
    def _ca_of_https(self) -> UplinkTable:
        if self.ca_file and self.url.startswith("http:"):
            raise ValueError("ca_file is for https: a centre at http shows no certificate")
        return self

    def tls(self, folder: Path) -> ClientTls | None:
        """Whom to believe, None without https; the file's name is relative to `folder`."""
        return None if self.url.startswith("http:") else ClientTls(folder / self.ca_file if self.ca_file else None)


_LIMITS: Final = Limits()


class LimitsTable(Table):
    """[listener.limits]: what one device, and all of them together, may ask of the listener."""

    max_connections: Annotated[int, Field(ge=1, le=65_535)] = _LIMITS.max_connections
    max_connections_per_client: Annotated[int, Field(ge=1, le=65_535)] = _LIMITS.max_connections_per_client
    max_packet_bytes: Annotated[int, Field(ge=1_024, le=268_435_460)] = _LIMITS.max_packet_bytes
    max_unacknowledged: Annotated[int, Field(ge=1, le=65_535)] = _LIMITS.max_unacknowledged
    max_unacknowledged_total: Annotated[int, Field(ge=1, le=10_000_000)] = _LIMITS.max_unacknowledged_total
    max_exchanges: Annotated[int, Field(ge=1, le=65_535)] = _LIMITS.max_exchanges
    publications_per_s: Annotated[float, Field(gt=0, le=1_000_000)] = _LIMITS.publications_per_s
    publications_burst: Annotated[int, Field(ge=1, le=10_000_000)] = _LIMITS.publications_burst
    connect_timeout_s: Annotated[float, Field(gt=0, le=3_600)] = _LIMITS.connect_timeout_s
    linger_s: Annotated[float, Field(ge=0, le=60)] = _LIMITS.linger_s

    def limits(self) -> Limits:
        """As the listener takes them."""
        return Limits(**self.model_dump())


def _several(hosts: object) -> object:
    return (hosts,) if isinstance(hosts, str) else hosts


Hosts = Annotated[tuple[Host, ...], Field(min_length=1), BeforeValidator(_several)]
"""One host, or several."""


class TlsTable(Table):
    """[listener.tls]: the same endpoint over TLS, beside the plain port or instead of it."""

    port: Port = 8883
    certificate_file: Annotated[str, Field(min_length=1)]
    key_file: Annotated[str, Field(min_length=1)]
    client_ca_file: str = ""
    required: bool = False
    """Whether the plain port stays closed."""

    def files(self, folder: Path) -> TlsFiles:
        """The files, whose names are relative to `folder`."""
        client_ca = folder / self.client_ca_file if self.client_ca_file else None
        return TlsFiles(folder / self.certificate_file, folder / self.key_file, client_ca)


class ListenerTable(Table):
    """[listener]: the MQTT endpoint that devices connect to."""

    host: Hosts = ("0.0.0.0",)  # noqa: S104 - devices are other machines; credentials and ACL decide who may publish
    port: Port = 1883
    tls: TlsTable | None = None
    limits: LimitsTable = LimitsTable()
    client: tuple[ClientTable, ...] = ()

    @property
    def addresses(self) -> Addresses:
        """Where to listen."""
        plain = None if self.tls is not None and self.tls.required else self.port
        return Addresses(self.host, plain, None if self.tls is None else self.tls.port)


class BrokerTlsTable(Table):
    """[subscriber.tls]: the connection to the school's broker is TLS."""

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    @model_validator(mode="after")
    def _both(self) -> BrokerTlsTable:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file are of one pair: write both, or neither")
        return self

    def files(self, folder: Path) -> ClientTls:
        """The files, whose names are relative to `folder`."""
        return ClientTls(
            *(folder / name if name else None for name in (self.ca_file, self.certificate_file, self.key_file))
        )


class SubscriberTable(Table):
    """[subscriber]: the school's own broker."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    tls: BrokerTlsTable | None = None
    client_id: Annotated[str, AfterValidator(_client_id)]
    username: str = ""
    password_file: str = ""
    topics: Annotated[tuple[Annotated[str, AfterValidator(_topic_filter)], ...], Field(min_length=1)]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port: unless stated, the port that is registered for MQTT, with TLS or without."""
        return self.host, self.port or (8883 if self.tls is not None else 1883)


class WindowsTable(Table):
    """[windows]: how long a window waits for late readings, and which device clocks are believed."""

    lateness_s: Annotated[int, Field(ge=0, le=86_400)] = 120
    clock_ahead_s: Annotated[int, Field(ge=0, le=3600)] = 120
    clock_behind_s: Annotated[int, Field(ge=0, le=30 * 86_400)] = 86_400
    trust_clock: bool = False
    """Believe this machine's clock from the start, with no time service and before the centre has confirmed it."""


class StoreTable(Table):
    """[store]: how the durable store is written, how large it may become, and how long sent bytes are kept."""

    group_commit_ms: Annotated[int, Field(ge=1, le=5000)] = 100
    checkpoint_s: Seconds = 60
    ledger_days: Annotated[int, Field(ge=1, le=3650)] = 180
    buffer_hours: Annotated[int, Field(ge=1, le=87_600)] | None = None
    """For how long the store holds summaries without the centre; with buffer_mib, the smaller of the two counts."""
    buffer_mib: Annotated[int, Field(ge=16, le=16_777_216)] | None = None
    """How large the store may become; without either, as large as the disk lets it."""


class RoomTable(Table):
    """[[room]]: a place with devices in it."""

    code: Code
    building: Code
    placement: Placement = Placement.INDOOR


class MqttTable(Table):
    """Where a device publishes: `+` stands for one level that is not the last, `/#` at the end for everything below."""

    topic: Annotated[str, StringConstraints(pattern=r"^[^+#\x00]+((/\+)+/[^+#\x00]+)*(/#)?$", max_length=512)]


class SerialTable(Table):
    """The serial line of a device."""

    port: str
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600


class TcpTable(Table):
    """The address of a device that is asked over TCP."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65535)]
    password_file: str = ""
    framing: Framing | None = None
    """What is carried to a Modbus device; Modbus TCP unless stated."""


class ExecTable(Table):
    """The program that reads a device, and what it may take."""

    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=64)] = ()
    """The program and its arguments; none where the driver brings its own."""
    memory_mib: Annotated[int, Field(ge=1, le=4096)] = 64
    cpu_percent: Annotated[int, Field(ge=1, le=100)] = 20
    processes: Annotated[int, Field(ge=1, le=256)] = 8
    lines_per_s: Annotated[float, Field(gt=0, le=10_000)] = 50
    silence_s: Seconds = 900
    """After how long without a line it is ended and started again."""


class DeviceTable(Table):
    """[[device]]: one device, bound to a room, a role and a driver."""

    id: Code
    room: Code
    role: Role
    driver: str
    model: str = ""
    cadence_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    stale_after_s: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """For how long its last value still stands; three cadences unless stated."""
    fitted: dt.date | None = None
    """Since when this unit is there; another date says that another unit took over the id."""
    quantities: tuple[str, ...] = ()
    """What it measures, where that is less than its driver can read; nothing else of it comes in."""
    mqtt: MqttTable | None = None
    serial: SerialTable | None = None
    tcp: TcpTable | None = None
    exec: ExecTable | None = None
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_transport(self) -> DeviceTable:
        if sum(table is not None for table in (self.mqtt, self.serial, self.tcp, self.exec)) != 1:
            raise ValueError("a device has exactly one of mqtt, serial, tcp and exec")
        return self


class PrivacyTable(Table):
    """[privacy]: what may leave the school."""

    policy: Annotated[str, Field(min_length=1)] = "strict"
    """A shipped policy (strict, standard, demo), or a file of one's own that ends in .toml."""


class Configuration(Table):
    """The whole of agent.toml."""

    agent: AgentTable
    health: HealthTable = HealthTable()
    pages: PagesTable | None = None
    uplink: UplinkTable
    privacy: PrivacyTable = PrivacyTable()
    listener: ListenerTable | None = None
    subscriber: SubscriberTable | None = None
    timetable: TimetableTable
    windows: WindowsTable = WindowsTable()
    store: StoreTable = StoreTable()
    room: tuple[RoomTable, ...]
    device: tuple[DeviceTable, ...] = ()

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The school's time zone."""
        return zoneinfo.ZoneInfo(self.agent.timezone)

    @property
    def school_hours(self) -> Timetable:
        """The timetable in the school's time zone."""
        return Timetable.of(self.timetable, self.zone)

    @property
    def own_ports(self) -> list[tuple[str, str, int]]:
        """The ports that this agent opens: the key that says so, the host, the port, which may be 0 for a free one."""
        ports = [("health.port", "127.0.0.1", self.health.port)]
        if self.pages is not None:
            ports.append(("pages.port", self.pages.host, self.pages.port))
        if self.listener is not None:
            where = self.listener.addresses
            ports += [("listener.port", host, where.port) for host in where.hosts if where.port is not None]
            ports += [("listener.tls.port", host, where.tls_port) for host in where.hosts if where.tls_port is not None]
        return ports
