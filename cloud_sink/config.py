"""A centre's configuration: one TOML file, checked as a whole, every mistake named with its line."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cloud_sink.timetable import Timetable
from telemetry import ConfigurationError
from telemetry.places import CODE
from telemetry.toml_file import locate, syntax_error_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

_URL: Final = re.compile(r"https?://[^/\s@]+/?")
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


class _Table(BaseModel):
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
    timetable: Timetable | None = None


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


class CentreConfig(_Table):
    """The whole file."""

    centre: Centre
    victoria_metrics: VictoriaMetricsTable | None = None
    school: list[School] = Field(min_length=1)
    agent: list[Agent] = Field(default_factory=list)
    room: list[Room] = Field(default_factory=list)


class ConfigurationMistakes(ConfigurationError):
    """Every mistake of a configuration file, one to a line."""

    code = "centre_configuration"

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes), fix=f"mend {path}, then `bansui centre validate --config {path}`")
        self.mistakes = mistakes


class LoadedConfig:
    """A valid configuration, its folder, and the hash of each agent's token."""

    def __init__(self, config: CentreConfig, folder: Path, token_hashes: Mapping[str, bytes]) -> None:
        self.config = config
        self.state = folder / config.centre.state
        self.timezone = ZoneInfo(config.centre.timezone)
        self.token_hashes = token_hashes
        self.timetables = {s.code: s.timetable for s in config.school if s.timetable is not None}


def hash_token(token: str) -> bytes:
    """SHA-256 of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def load_config(path: Path) -> LoadedConfig:
    """Read and check a centre's file. Raises `ConfigurationMistakes` with all of them at once."""
    text = _read(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationMistakes(path, [f"{path}:{syntax_error_line(error)}: {error}"]) from None
    line_of = locate(text)
    try:
        config = CentreConfig.model_validate(document)
    except ValidationError as error:
        details = sorted(error.errors(), key=lambda detail: line_of(detail["loc"]))
        mistakes = [f"{path}:{line_of(detail['loc'])}: {_sentence(detail)}" for detail in details]
        raise ConfigurationMistakes(path, mistakes) from None
    faults = list(_contradictions(config))
    token_hashes = {}
    for index, agent in enumerate(config.agent):
        try:
            token_hashes[agent.id] = _hash_of(agent, path.parent)
        except ValueError as error:
            faults.append((("agent", index, "token_file"), str(error)))
    if faults:
        mistakes = [f"{path}:{line}: {said}" for line, said in sorted((line_of(loc), said) for loc, said in faults)]
        raise ConfigurationMistakes(path, mistakes)
    return LoadedConfig(config, path.parent, token_hashes)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationMistakes(path, [f"{path}: cannot be read: {error}"]) from None


def _hash_of(agent: Agent, folder: Path) -> bytes:
    if agent.token_hash is not None:
        return bytes.fromhex(agent.token_hash.removeprefix("sha256:"))
    file = folder / str(agent.token_file)
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"token_file of {agent.id!r} cannot be read: {error}") from None
    if len(token) < 16:
        raise ValueError(f"token_file of {agent.id!r} holds {len(token)} characters; a token has at least 16")
    return hash_token(token)


def _contradictions(config: CentreConfig) -> Iterable[tuple[tuple[str | int, ...], str]]:
    schools = [school.code for school in config.school]
    agents = [agent.id for agent in config.agent]
    rooms = [(room.school, room.code) for room in config.room]
    for index, code in enumerate(schools):
        if code in schools[:index]:
            yield ("school", index, "code"), f"school {code!r} stands twice"
    for index, agent in enumerate(config.agent):
        if agent.id in agents[:index]:
            yield ("agent", index, "id"), f"agent {agent.id!r} stands twice"
        if agent.school not in schools:
            yield ("agent", index, "school"), _unknown(agent.school, schools)
    for index, room in enumerate(config.room):
        if (room.school, room.code) in rooms[:index]:
            yield ("room", index, "code"), f"room {room.code!r} of {room.school!r} stands twice"
        if room.school not in schools:
            yield ("room", index, "school"), _unknown(room.school, schools)


def _unknown(given: str, allowed: list[str]) -> str:
    return f"{given!r} is not a [[school]] of this file ({', '.join(allowed)}){_did_you_mean(given, allowed)}"


def _sentence(detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    given = "" if isinstance(detail["input"], dict) else f", not {detail['input']!r}"
    if detail["type"] == "extra_forbidden":
        allowed = _allowed(detail["loc"][:-1])
        key = str(detail["loc"][-1])
        return f"{where}: no such key; allowed are {', '.join(allowed)}{_did_you_mean(key, allowed)}"
    if detail["type"] == "missing":
        return f"{where}: is missing"
    said = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else detail["msg"]
    return f"{where}: {said}{given}"


def _allowed(path: tuple[str | int, ...]) -> list[str]:
    tables: dict[tuple[str, ...], type[BaseModel]] = {
        (): CentreConfig,
        ("centre",): Centre,
        ("centre", "district"): District,
        ("school",): School,
        ("school", "timetable"): Timetable,
        ("agent",): Agent,
        ("room",): Room,
        ("victoria_metrics",): VictoriaMetricsTable,
    }
    return sorted(tables[tuple(part for part in path if isinstance(part, str))].model_fields)


def _did_you_mean(given: str, allowed: Iterable[str]) -> str:
    near = difflib.get_close_matches(given, list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
