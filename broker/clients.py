"""Clients as configuration files name them: `[[listener.client]]` of an agent, `[[client]]` of a trial broker."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from broker.command_topics import requests
from broker.credentials import Client, Credentials, MalformedPasswordHash, ScryptHash
from broker.topics import is_topic_filter
from telemetry import ConfigurationError
from telemetry.plain_words import plainly
from telemetry.toml_file import locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


_Model = TypeVar("_Model", bound=BaseModel)


class UnreadablePassword(ConfigurationError):
    """A password file that is missing, empty or not for us to read."""

    code = "password_file"


class DuplicateClient(ConfigurationError):
    """Two clients with one id."""

    code = "duplicate_client"


class MalformedClients(ConfigurationError):
    """A clients file that does not say who may connect."""

    code = "clients_file"


def _check_filter(topic_filter: str) -> str:
    if not is_topic_filter(topic_filter):
        raise ValueError("not a topic filter: '+' stands for a whole level, '#' for the last ones (MQTT section 4.7)")
    if topic_filter.startswith("$"):
        raise ValueError("topics that begin with '$' are the broker's own and never open to a client")
    return topic_filter


def _check_hash(text: str) -> str:
    try:
        ScryptHash.parse(text)
    except MalformedPasswordHash as error:
        raise ValueError(f"{error.what}; {error.fix}") from None
    return text


TopicFilter = Annotated[str, AfterValidator(_check_filter)]
# No '/': session ids join the client's id and the MQTT client identifier with one.
ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class ClientTable(BaseModel):
    """One `[[listener.client]]`: its login, what it may publish, and what it may subscribe to besides its commands."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    id: ClientId
    password_file: Annotated[str, Field(min_length=1)] | None = None
    password_hash: Annotated[str, AfterValidator(_check_hash)] | None = Field(default=None, repr=False)
    publish: tuple[TopicFilter, ...] = ()
    subscribe: tuple[TopicFilter, ...] = ()

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password_file is None) == (self.password_hash is None):
            raise ValueError("give either password_file or password_hash")
        return self


class _ClientsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client: tuple[ClientTable, ...] = ()


class _ListenerSection(BaseModel):
    client: tuple[ClientTable, ...] = ()


class _SubscriberSection(BaseModel):
    username: ClientId
    password_file: Annotated[str, Field(min_length=1)]
    topics: tuple[TopicFilter, ...]


class _AgentFile(BaseModel):
    """Of an agent's configuration, the parts a broker needs; the agent itself checks the rest."""

    listener: _ListenerSection = Field(default_factory=_ListenerSection)
    subscriber: _SubscriberSection | None = None


def load_client(table: ClientTable, base_folder: Path) -> Client:
    """The client of one table; its password file is relative to `base_folder`. Raises `UnreadablePassword`."""
    if table.password_hash is not None:
        return Client(table.id, ScryptHash.parse(table.password_hash), table.publish, table.subscribe)
    assert table.password_file is not None
    return Client(table.id, read_password(base_folder / table.password_file), table.publish, table.subscribe)


def load_clients(tables: Iterable[ClientTable], base_folder: Path) -> Credentials:
    """The credentials of validated tables. Raises `UnreadablePassword`, `DuplicateClient`."""
    clients: dict[str, Client] = {}
    for table in tables:
        if table.id in clients:
            raise DuplicateClient(
                f"client {table.id!r} is there twice",
                why="two devices with one login cannot be told apart, nor can one of them be shut out",
                fix="give every device an id of its own",
            )
        clients[table.id] = load_client(table, base_folder)
    return Credentials(clients.values())


def read_password(path: Path) -> bytes:
    """The password in a file, without the newline that editors leave behind. Raises `UnreadablePassword`."""
    fix = f"write the password into it, readable by this user alone: `install -m 600 /dev/stdin {path}`"
    try:
        password = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        what = f"the password file cannot be read: {error.strerror}"
        raise UnreadablePassword(what, where=str(path), fix=fix) from None
    if not password:
        raise UnreadablePassword("the password file is empty", where=str(path), fix=fix)
    return password


def load_clients_file(path: Path) -> Credentials:
    """Credentials from a file of `[[client]]` tables. Raises `ConfigurationError`, or a group with every mistake."""
    return _load_some(_parse(path, _ClientsFile).client, path)


def load_agent_clients(path: Path) -> Credentials:
    """Credentials from an agent's configuration: devices publish, its subscriber reads and asks. Raises as above."""
    parsed = _parse(path, _AgentFile)
    tables: list[ClientTable] = list(parsed.listener.client)
    if parsed.subscriber is not None:
        reader = parsed.subscriber
        tables.append(
            ClientTable(
                id=reader.username,
                password_file=reader.password_file,
                publish=requests(reader.topics),
                subscribe=reader.topics,
            )
        )
    return _load_some(tables, path)


def _load_some(tables: Sequence[ClientTable], path: Path) -> Credentials:
    if not tables:
        raise MalformedClients(
            "no client is configured",
            where=str(path),
            why="without one, nobody may connect",
            fix="add a table with id, password_file and publish",
        )
    return load_clients(tables, path.parent)


def _parse(path: Path, model: type[_Model]) -> _Model:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        fix = "name a file that exists and that this user may read"
        raise MalformedClients(f"cannot be read: {error.strerror}", where=str(path), fix=fix) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MalformedClients(f"not TOML: {error}", where=str(path), fix="mend the syntax") from None
    try:
        return model.model_validate(document)
    except ValidationError as invalid:
        line_of = locate(text)
        raise ExceptionGroup(
            "clients",
            [
                MalformedClients(
                    f"{mistake['loc'][-1]}: {plainly(mistake)}",
                    where=f"{path}:{line_of(mistake['loc'])}",
                    fix="a client is: id, one of password_file and password_hash, publish = [topic filters]",
                )
                for mistake in invalid.errors()
            ],
        ) from None
