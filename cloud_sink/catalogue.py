"""What the centre knows by name: schools, rooms, devices and the agents that may write."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import ForeignKey, LargeBinary, Select, String, delete, event, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from cloud_sink.store import StoreFull
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from cloud_sink.config import CentreConfig, LoadedConfig
    from telemetry import Series


class _Base(DeclarativeBase):
    pass


class _Schools(_Base):
    __tablename__ = "school"
    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    name_zh: Mapped[str] = mapped_column(String(64))
    name_en: Mapped[str] = mapped_column(String(64))


class _Rooms(_Base):
    __tablename__ = "room"
    school: Mapped[str] = mapped_column(ForeignKey("school.code", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    building: Mapped[str] = mapped_column(String(32))
    name_zh: Mapped[str] = mapped_column(String(64))
    name_en: Mapped[str] = mapped_column(String(64))


class _Devices(_Base):
    __tablename__ = "device"
    school: Mapped[str] = mapped_column(ForeignKey("school.code", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room: Mapped[str] = mapped_column(String(32))
    agent: Mapped[str] = mapped_column(String(32))


class _Agents(_Base):
    __tablename__ = "agent"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    school: Mapped[str] = mapped_column(ForeignKey("school.code", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class SchoolRow(NamedTuple):
    """A school and its names."""

    code: str
    name_zh: str
    name_en: str


class RoomRow(NamedTuple):
    """A room of a school; its names are its code until the configuration gives others."""

    school: str
    code: str
    building: str
    name_zh: str
    name_en: str


class DeviceRow(NamedTuple):
    """A device, where it stands, and the one agent that may speak for it."""

    school: str
    id: str
    room: str
    agent: str


class AgentRow(NamedTuple):
    """An agent, its school, and the SHA-256 of its token."""

    id: str
    school: str
    token_hash: bytes


Row = TypeVar("Row", RoomRow, DeviceRow)


@dataclass(frozen=True, slots=True)
class _Names:
    schools: Mapping[str, SchoolRow]
    rooms: Mapping[str, Sequence[RoomRow]]
    devices: Mapping[str, Sequence[DeviceRow]]
    agents: Sequence[AgentRow]


@dataclass(frozen=True, slots=True)
class Seen:
    """A device where an agent's summaries say it is."""

    school: str
    building: str
    room: str
    device: str
    agent: str

    @classmethod
    def of(cls, agent: str, series: Series) -> Seen:
        """What one series says of its device."""
        return cls(series.school, series.building, series.room, series.device, agent)


class Catalogue:
    """Reads and writes the names; holds none of the measurements."""

    def __init__(self, engine: AsyncEngine, configured: CentreConfig) -> None:
        self._engine = engine
        self._configured = configured
        self._session = async_sessionmaker(engine, expire_on_commit=False)
        self._known: set[Seen] = set()
        self._names: _Names | None = None
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, loaded: LoadedConfig) -> Catalogue:
        """Open the database and bring it to what the configuration says. Raises `EnvironmentFault`."""
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        catalogue = cls(engine, loaded.config)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_Base.metadata.create_all)
            await catalogue._seed(loaded.token_hashes)
        except DatabaseError as error:
            await engine.dispose()
            raise EnvironmentFault(
                f"the catalogue cannot be opened: {error.orig}",
                where=str(path),
                fix="look at the disk; a damaged one may be taken away: the next summaries name the devices again",
            ) from None
        return catalogue

    async def close(self) -> None:
        """Let go of the database."""
        await self._engine.dispose()

    async def schools(self) -> list[SchoolRow]:
        """Every school of the configuration, by code; of one that was taken out of it, what was told is kept unseen."""
        return list((await self._read()).schools.values())

    async def rooms(self, school: str | None = None) -> list[RoomRow]:
        """The rooms of one school, or of all, by building and code."""
        rooms = (await self._read()).rooms
        return [room for told in rooms.values() for room in told] if school is None else list(rooms.get(school, ()))

    async def rooms_in_use(self, school: str) -> list[RoomRow]:
        """The rooms of a school in which a device stands, or which the configuration names, by building and code."""
        held = {device.room for device in await self.devices(school)}
        held.update(room.code for room in self._configured.room if room.school == school)
        return [room for room in await self.rooms(school) if room.code in held]

    async def devices(self, school: str | None = None) -> list[DeviceRow]:
        """The devices of one school, or of all, by id."""
        devices = (await self._read()).devices
        told = devices.values() if school is None else [devices.get(school, [])]
        return [device for some in told for device in some]

    async def agents(self) -> list[AgentRow]:
        """Every agent that may write."""
        return list((await self._read()).agents)

    async def register(self, seen: Sequence[Seen]) -> None:
        """Take up rooms and devices not known yet, and a device's new room or agent; known ones cost nothing.

        Of a device that was seen in several rooms, it is in the last. Raises `StoreFull`.
        """
        devices = {(item.school, item.device) for item in seen if item not in self._known}
        if not devices:
            return
        new = [item for item in seen if (item.school, item.device) in devices]
        try:
            await self._register(new)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise StoreFull("the catalogue's disk is full", fix="make room on it") from None
            raise
        where = {(item.school, item.device): item for item in new}
        self._known = {item for item in self._known if (item.school, item.device) not in where} | set(where.values())

    async def _register(self, new: Iterable[Seen]) -> None:
        async with self._lock, self._session.begin() as session:
            self._names = None
            rooms = [RoomRow(item.school, item.room, item.building, item.room, item.room)._asdict() for item in new]
            await session.execute(insert(_Rooms).on_conflict_do_nothing(), rooms)
            device = insert(_Devices)
            told = {"room": device.excluded.room, "agent": device.excluded.agent}
            devices = [DeviceRow(item.school, item.device, item.room, item.agent)._asdict() for item in new]
            again = device.on_conflict_do_update(index_elements=["school", "id"], set_=told)
            await session.execute(again, devices)

    async def _read(self) -> _Names:
        """Every name, read again only after a change: a page asks for all of them."""
        async with self._lock:
            if self._names is None:
                # plain columns: 12,000 mapped objects took a quarter of a second, and nobody changes them
                async with self._session() as session:
                    rooms = await session.execute(
                        _columns(_Rooms).order_by(_Rooms.school, _Rooms.building, _Rooms.code)
                    )
                    devices = await session.execute(_columns(_Devices).order_by(_Devices.school, _Devices.id))
                    schools = await session.execute(_columns(_Schools).order_by(_Schools.code))
                    agents = await session.execute(_columns(_Agents).order_by(_Agents.id))
                    codes = {school.code for school in self._configured.school}
                    self._names = _Names(
                        {school[0]: SchoolRow._make(school) for school in schools if school[0] in codes},
                        _by_school(map(RoomRow._make, rooms)),
                        _by_school(map(DeviceRow._make, devices)),
                        [AgentRow._make(agent) for agent in agents],
                    )
            return self._names

    async def _seed(self, token_hashes: Mapping[str, bytes]) -> None:
        config = self._configured
        async with self._session.begin() as session:
            await session.execute(delete(_Agents))
            for school in config.school:
                await session.merge(_Schools(code=school.code, name_zh=school.name_zh, name_en=school.name_en))
            await session.flush()
            await session.execute(update(_Rooms).values(name_zh=_Rooms.code, name_en=_Rooms.code))
            for room in config.room:
                await session.merge(_Rooms(**room.model_dump()))
            for agent in config.agent:
                session.add(_Agents(id=agent.id, school=agent.school, token_hash=token_hashes[agent.id]))


def _columns(table: type[_Base]) -> Select[tuple[Any, ...]]:
    """Every column of a table, in its order."""
    return select(*table.__table__.columns)


def _by_school(rows: Iterable[Row]) -> dict[str, list[Row]]:
    return {school: list(told) for school, told in groupby(rows, key=lambda row: row.school)}


def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The system's SQLite may be older than 3.51.3, whose WAL can be corrupted; the rollback journal has no such bug.
    cursor = connection.cursor()
    for pragma in ("journal_mode=DELETE", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
