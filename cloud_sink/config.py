"""A centre's configuration: one TOML file, checked as a whole, every mistake named with its line."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from telemetry import ConfigurationError
from telemetry.places import CODE
from telemetry.plain_words import suggest
from telemetry.policy import policy_named_in
from telemetry.table_file import ConfigurationMistakes, Mistake, Table, dotted, read_tables
from telemetry.timetable_table import TimetableTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from telemetry.policy import Policy
    from telemetry.table_file import Location

_URL: Final = re.compile(r"https?://[^/\s@]+/?")
CHECK: Final = "bansui centre validate"
_LEAST_TOKEN: Final = 16
_HOW_TO_MAKE_ONE: Final = "`bansui centre token --out FILE` makes one"
_NO_SCHOOL: Final = "{!r} is not a [[school]] of this file"
_TOKEN_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


def _code(text: str) -> str:
    if CODE.fullmatch(text) is None:
        raise ValueError("a code is 1 to 32 of a-z, 0-9 and '-'")
    return text


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a time zone of the IANA database, such as Asia/Shanghai") from None
    return text


def _url(text: str) -> str:
    if _URL.fullmatch(text) is None:
        raise ValueError("http:// or https://, a host, and a port where it is not the usual one")
    return text.rstrip("/")


def _token_hash(text: str) -> str:
    if _TOKEN_HASH.fullmatch(text) is None:
        raise ValueError("sha256: and 64 hex digits, as `bansui centre token` prints it")
    return text


Code = Annotated[str, AfterValidator(_code)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Table(Table):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class District(_Table):
    """The district whose schools this centre takes."""

    code: Code
    name_zh: Name
    name_en: Name


class Centre(_Table):
    """Where the centre listens, and where it keeps what it is sent."""

    host: str = "127.0.0.1"
    port: int = Field(default=8086, ge=0, le=65535)
    state: str = "state"
    timezone: Annotated[str, AfterValidator(_timezone)]
    district: District


class School(_Table):
    """A school, as pages name it, and the timetable by which they tell occupied time."""

    code: Code
    name_zh: Name
    name_en: Name
    timetable: TimetableTable | None = None


class Agent(_Table):
    """An agent that may write, for one school, and the token by which it is known."""

    id: Code
    school: Code
    token_file: str | None = None
    token_hash: Annotated[str, AfterValidator(_token_hash)] | None = None

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if (self.token_file is None) == (self.token_hash is None):
            raise ValueError("exactly one of token_file and token_hash")
        return self


class Room(_Table):
    """A room's name, where its code is not enough; rooms without one are known by their first summaries."""

    school: Code
    building: Code
    code: Code
    name_zh: Name
    name_en: Name


class VictoriaMetricsTable(_Table):
    """A VictoriaMetrics that is given everything the embedded store has."""

    url: Annotated[str, AfterValidator(_url)]


class PrivacyTable(_Table):
    """By which policy the centre keeps what it is told."""

    policy: Name = "strict"


class CentreConfig(_Table):
    """The whole file."""

    centre: Centre
    privacy: PrivacyTable = PrivacyTable()
    victoria_metrics: VictoriaMetricsTable | None = None
    school: list[School] = Field(min_length=1)
    agent: list[Agent] = Field(default_factory=list)
    room: list[Room] = Field(default_factory=list)


class LoadedConfig:
    """A valid configuration, its folder, and the hash of each agent's token."""

    def __init__(self, config: CentreConfig, folder: Path, token_hashes: Mapping[str, bytes], policy: Policy) -> None:
        self.config = config
        self.policy = policy
        self.state = folder / config.centre.state
        self.timezone = ZoneInfo(config.centre.timezone)
        self.token_hashes = token_hashes
        self.timetables = {s.code: s.timetable for s in config.school if s.timetable is not None}


def hash_token(token: str) -> bytes:
    """SHA-256 of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def load_config(path: Path) -> LoadedConfig:
    """Read and check a centre's file. Raises `ConfigurationError`, or `ConfigurationMistakes` with them all."""
    file = read_tables(path, CentreConfig, CHECK)
    config = file.tables
    policy = policy_named_in(file, config.privacy.policy, path, CHECK)
    faults = list(_contradictions(config))
    token_hashes = {}
    for index, agent in enumerate(config.agent):
        try:
            token_hashes[agent.id] = _hash_of(agent, path.parent)
        except ConfigurationError as error:
            faults.append((("agent", index, "token_file"), error.what, error.fix))
    mistakes = [Mistake(file.line_of(place), dotted(place), "", what, fix) for place, what, fix in faults]
    if mistakes:
        raise ConfigurationMistakes(path, mistakes, CHECK)
    return LoadedConfig(config, path.parent, token_hashes, policy)


def _hash_of(agent: Agent, folder: Path) -> bytes:
    if agent.token_hash is not None:
        return bytes.fromhex(agent.token_hash.removeprefix("sha256:"))
    file = folder / str(agent.token_file)
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the token of {agent.id!r} cannot be read: {error}", fix=_HOW_TO_MAKE_ONE) from None
    if len(token) < _LEAST_TOKEN:
        what = f"the token of {agent.id!r} has {len(token)} characters, and needs {_LEAST_TOKEN} at least"
        raise ConfigurationError(what, fix=_HOW_TO_MAKE_ONE)
    return hash_token(token)


def _contradictions(config: CentreConfig) -> Iterator[tuple[Location, str, str]]:
    """What no single table can know: references, and names that have to be unique."""
    schools = [school.code for school in config.school]
    agents = [agent.id for agent in config.agent]
    rooms = [(room.school, room.code) for room in config.room]
    for index, code in enumerate(schools):
        if code in schools[:index]:
            yield ("school", index, "code"), f"school {code!r} stands twice", "give each its own"
    for index, agent in enumerate(config.agent):
        if agent.id in agents[:index]:
            yield ("agent", index, "id"), f"agent {agent.id!r} stands twice", "give each its own"
        if agent.school not in schools:
            yield ("agent", index, "school"), _NO_SCHOOL.format(agent.school), suggest(agent.school, schools)
    for index, room in enumerate(config.room):
        if (room.school, room.code) in rooms[:index]:
            yield (
                ("room", index, "code"),
                f"room {room.code!r} of {room.school!r} stands twice",
                "give each its own",
            )
        if room.school not in schools:
            yield ("room", index, "school"), _NO_SCHOOL.format(room.school), suggest(room.school, schools)
