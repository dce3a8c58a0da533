"""A simulated projector, spoken to over raw sockets by the rules of the PJLink document."""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from simulators.kinds import Kind
from simulators.pjlink import Projector
from simulators.pjlink_server import ProjectorServer
from simulators.scenarios import DeviceModel, Scenario
from simulators.seeding import stream
from simulators.timetable import RoomTimetable
from telemetry import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PASSWORD = "JBMIAProjectorLink"


def projector(scenario: Scenario, *, pjlink_class: int = 2) -> Projector:
    model = DeviceModel(id="projector-1", room="a-101", kind=Kind.PROJECTOR, pjlink_class=pjlink_class)
    day = RoomTimetable(scenario, None)
    return Projector(model, day, stream(1, "projector-1"), scenario.start_ms)


@asynccontextmanager
async def serving(
    scenario: Scenario, at: str = "08:20", *, password: str = "", idle_s: float = 30.0, pjlink_class: int = 2
) -> AsyncIterator[ProjectorServer]:
    clock = ManualClock(scenario.moment(at))
    device = projector(scenario, pjlink_class=pjlink_class)
    server = ProjectorServer(device, clock, password=password, idle_s=idle_s)
    await server.open()
    try:
        yield server
    finally:
        await server.close()


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def line(self) -> str:
        async with asyncio.timeout(5):
            return (await self._reader.readuntil(b"\r")).decode()

    async def ask(self, text: str) -> str:
        self._writer.write(f"{text}\r".encode())
        return await self.line()

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def is_hung_up(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self._reader.read() == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def calling(server: ProjectorServer) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


async def test_greeting_without_password_and_a_query(school_day: Scenario) -> None:
    async with serving(school_day) as server, calling(server) as caller:
        assert await caller.line() == "PJLINK 0\r"
        assert await caller.ask("%1POWR ?") == "%1POWR=1\r"


async def test_password_is_proved_by_md5_of_challenge_and_password_once(school_day: Scenario) -> None:
    async with serving(school_day, password=PASSWORD) as server, calling(server) as caller:
        greeting = await caller.line()
        assert greeting.startswith("PJLINK 1 ")
        challenge = greeting[9:-1]
        assert len(bytes.fromhex(challenge)) == 4
        proof = hashlib.md5(f"{challenge}{PASSWORD}".encode()).hexdigest()
        assert await caller.ask(f"{proof}%1POWR ?") == "%1POWR=1\r"
        assert await caller.ask("%1CLSS ?") == "%1CLSS=2\r"


@pytest.mark.parametrize("prefix", ["", "0" * 32, hashlib.md5(PASSWORD.encode()).hexdigest()])
async def test_without_proof_the_projector_says_erra_and_hangs_up(school_day: Scenario, prefix: str) -> None:
    async with serving(school_day, password=PASSWORD) as server, calling(server) as caller:
        await caller.line()
        assert await caller.ask(f"{prefix}%1POWR ?") == "PJLINK ERRA\r"
        assert await caller.is_hung_up()


async def test_every_challenge_is_new(school_day: Scenario) -> None:
    greetings = set()
    async with serving(school_day, password=PASSWORD) as server:
        for _ in range(3):
            async with calling(server) as caller:
                greetings.add(await caller.line())
                assert await caller.ask("%1POWR ?") == "PJLINK ERRA\r"
                assert await caller.is_hung_up()
    assert len(greetings) == 3


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("%1POWR ?", r"%1POWR=1"),
        ("%1INPT ?", r"%1INPT=3[12]"),
        ("%1AVMT ?", r"%1AVMT=30"),
        ("%1ERST ?", r"%1ERST=[0-2]{6}"),
        ("%1LAMP ?", r"%1LAMP=[0-9]{1,5} 1"),
        ("%1INST ?", r"%1INST=11 31 32 52"),
        ("%1NAME ?", r"%1NAME=projector-1"),
        ("%1INF1 ?", r"%1INF1=.+"),
        ("%1INF2 ?", r"%1INF2=.+"),
        ("%1INFO ?", r"%1INFO="),
        ("%1CLSS ?", r"%1CLSS=2"),
        ("%2SNUM ?", r"%2SNUM=[0-9]{9}"),
        ("%2SVER ?", r"%2SVER=.+"),
        ("%2IRES ?", r"%2IRES=1920x1080"),
        ("%2RRES ?", r"%2RRES=1920x1200"),
        ("%2FILT ?", r"%2FILT=[0-9]{1,5}"),
        ("%2RLMP ?", r"%2RLMP=.+"),
        ("%2FREZ ?", r"%2FREZ=0"),
        ("%1powr ?", r"%1POWR=1"),
        ("%1FILT ?", r"%1FILT=ERR1"),
        ("%1XXXX ?", r"%1XXXX=ERR1"),
        ("%1POWR 7", r"%1POWR=ERR2"),
        ("%1INPT 99", r"%1INPT=ERR2"),
        ("%1LAMP 1", r"%1LAMP=ERR2"),
    ],
)
async def test_answers_of_a_projector_that_is_on(school_day: Scenario, query: str, form: str) -> None:
    async with serving(school_day) as server, calling(server) as caller:
        await caller.line()
        answer = await caller.ask(query)
        assert re.fullmatch(form + "\r", answer), answer


async def test_class_1_projector_knows_no_class_2_command(school_day: Scenario) -> None:
    async with serving(school_day, pjlink_class=1) as server, calling(server) as caller:
        await caller.line()
        assert await caller.ask("%2FILT ?") == "%2FILT=ERR1\r"
        assert await caller.ask("%1CLSS ?") == "%1CLSS=1\r"


@pytest.mark.parametrize("query", ["INPT ?", "AVMT ?", "INPT 31", "AVMT 31"])
async def test_standby_answers_err3_to_what_needs_light(school_day: Scenario, query: str) -> None:
    async with serving(school_day, "12:15") as server, calling(server) as caller:
        await caller.line()
        assert await caller.ask("%1POWR ?") == "%1POWR=0\r"
        assert await caller.ask(f"%1{query}") == f"%1{query[:4]}=ERR3\r"
        assert (await caller.ask("%1LAMP ?")).endswith(" 0\r")


@pytest.mark.parametrize(
    ("time_of_day", "power"),
    [("07:57", "0"), ("07:58", "3"), ("07:59", "1"), ("11:29", "1"), ("11:31", "2"), ("11:32", "0")],
)
async def test_power_goes_through_warming_and_cooling(school_day: Scenario, time_of_day: str, power: str) -> None:
    async with serving(school_day, time_of_day) as server, calling(server) as caller:
        await caller.line()
        assert await caller.ask("%1POWR ?") == f"%1POWR={power}\r"


async def test_commands_switch_it_and_are_refused_while_it_cools(school_day: Scenario) -> None:
    async with serving(school_day) as server, calling(server) as caller:
        await caller.line()
        assert await caller.ask("%1INPT 32") == "%1INPT=OK\r"
        assert await caller.ask("%1INPT ?") == "%1INPT=32\r"
        assert await caller.ask("%1POWR 0") == "%1POWR=OK\r"
        assert await caller.ask("%1POWR ?") == "%1POWR=2\r"
        assert await caller.ask("%1POWR 1") == "%1POWR=ERR3\r"


def test_lamp_hours_rise_with_the_hours_it_burns(school_day: Scenario) -> None:
    device = projector(school_day)

    def hours(time_of_day: str) -> int:
        return int(device.answer("LAMP", "?", of_class=1, at_ms=school_day.moment(time_of_day)).text.split()[0])

    assert hours("11:00") - hours("07:50") == 3
    assert hours("12:50") == hours("11:40")


async def test_second_caller_is_turned_away_and_the_first_stays(school_day: Scenario) -> None:
    async with serving(school_day) as server, calling(server) as first:
        await first.line()
        async with calling(server) as second:
            assert await second.is_hung_up()
        assert await first.ask("%1POWR ?") == "%1POWR=1\r"


async def test_silence_ends_the_connection(school_day: Scenario) -> None:
    async with serving(school_day, idle_s=0.05) as server, calling(server) as caller:
        await caller.line()
        assert await caller.is_hung_up()


@pytest.mark.parametrize("noise", [b"hello\r", b"%3POWR ?\r", b"%1POWR\r", b"\xff\xfe\r"])
async def test_what_is_no_command_is_passed_over(school_day: Scenario, noise: bytes) -> None:
    async with serving(school_day) as server, calling(server) as caller:
        await caller.line()
        caller.say(noise)
        assert await caller.ask("%1POWR ?") == "%1POWR=1\r"


async def test_endless_line_ends_the_connection(school_day: Scenario) -> None:
    async with serving(school_day) as server, calling(server) as caller:
        await caller.line()
        caller.say(b"%1POWR " + b"x" * 10_000)
        assert await caller.is_hung_up()


async def test_answers_are_counted_with_their_readings(school_day: Scenario) -> None:
    counted: list[tuple[int, bool]] = []
    async with serving(school_day) as server:
        server._on_answer = lambda readings, delivered: counted.append((readings, delivered))
        async with calling(server) as caller:
            await caller.line()
            for query in ("%1POWR ?", "%1ERST ?", "%1NAME ?"):
                await caller.ask(query)
    assert counted == [(1, False), (1, True), (6, False), (6, True), (0, False), (0, True)]
