"""PJLink: replies by the specification, and a poll against a device on a real TCP connection."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Frame, FrameRefused, PollDriver, Settings
from device_drivers.registry import named
from telemetry import ConfigurationError, DeviceFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PASSWORD = "JBMIAProjectorLink"
DIGEST = b"5d8409bc1c3fa39749434aa3a5c38682"
"""Of the challenge 498e4a67: the example of Class 1 version 1.04, section 5.2."""
CLASS_2_ON = {
    "%1POWR ?": "%1POWR=1", "%1CLSS ?": "%1CLSS=2", "%1ERST ?": "%1ERST=000100", "%1LAMP ?": "%1LAMP=120 1",
    "%1INPT ?": "%1INPT=31", "%1AVMT ?": "%1AVMT=30", "%1INST ?": "%1INST=11 31",
    "%2FILT ?": "%2FILT=99", "%2IRES ?": "%2IRES=1920x1080", "%2RRES ?": "%2RRES=3840x2160",
}  # fmt: skip
COMMANDS = ("POWR", "INPT", "AVMT", "ERST", "LAMP", "INST", "CLSS", "FILT", "IRES", "RRES", "NAME", "XXXX")


def create(password: str = "") -> PollDriver:
    driver = named("pjlink").create(Settings(secrets={"password": password} if password else {}))
    assert isinstance(driver, PollDriver)
    return driver


@dataclass
class Projector:
    """A PJLink device on loopback, written from the specification; it keeps what it was asked."""

    answers: dict[str, str]
    password: str = ""
    asked: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"PJLINK 1 498e4a67\r" if self.password else b"PJLINK 0\r")
        due = hashlib.md5(f"498e4a67{self.password}".encode()).hexdigest() if self.password else ""
        try:
            while True:
                line = (await reader.readuntil(b"\r")).decode().removesuffix("\r")
                if not line.startswith(due):
                    writer.write(b"PJLINK ERRA\r")
                    break
                self.asked.append(line.removeprefix(due))
                due = ""
                writer.write(self.answers.get(self.asked[-1], f"{self.asked[-1][:6]}=ERR1").encode() + b"\r")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


class TcpLine:
    """The agent's side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read_until(self, separator: bytes) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.readuntil(separator), 5)
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            raise DeviceFault("the device is silent") from error

    async def read_exactly(self, count: int) -> bytes:
        return await self.reader.readexactly(count)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@asynccontextmanager
async def connected(projector: Projector) -> AsyncIterator[TcpLine]:
    server = await asyncio.start_server(projector.serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        try:
            yield TcpLine(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()


async def poll(projector: Projector, password: str = "") -> list[Frame]:
    async with connected(projector) as line:
        return [frame async for frame in create(password).poll(line)]


def values(frames: list[Frame]) -> dict[tuple[str, str], float]:
    driver = create()
    return {(m.quantity, m.channel): m.value for frame in frames for m in driver.decode(frame).measurements}


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_published_exchanges(case: dict[str, Any]) -> None:
    check_case(case)


async def test_a_poll_brings_all_that_a_class_2_device_tells() -> None:
    projector = Projector(CLASS_2_ON)
    found = values(await poll(projector))
    assert found["display_power", ""] == 2
    assert found["fault", "cover"] == 1
    assert found["lamp_hours", "1"] == 120
    assert found["filter_hours", ""] == 99
    assert found["vertical_resolution", "recommended"] == 2160
    assert projector.asked == list(dict.fromkeys(projector.asked))
    assert set(projector.asked) == CLASS_2_ON.keys()
    assert projector.connections == 1


async def test_a_poll_asks_and_never_sets() -> None:
    projector = Projector(CLASS_2_ON)
    await poll(projector)
    assert all(line.endswith(" ?") for line in projector.asked)


async def test_a_device_in_standby_is_not_asked_what_it_cannot_answer() -> None:
    answers = CLASS_2_ON | {"%1POWR ?": "%1POWR=0"}
    projector = Projector(answers)
    assert values(await poll(projector))["display_power", ""] == 0
    assert not {"%1INPT ?", "%1AVMT ?", "%1INST ?", "%2IRES ?", "%2RRES ?"} & set(projector.asked)


async def test_a_class_1_device_is_not_asked_in_class_2() -> None:
    projector = Projector(CLASS_2_ON | {"%1CLSS ?": "%1CLSS=1"})
    assert ("protocol_version", "") in values(await poll(projector))
    assert not [line for line in projector.asked if line.startswith("%2")]


async def test_an_answer_of_no_use_ends_no_poll_and_is_no_frame() -> None:
    answers = CLASS_2_ON | {"%1ERST ?": "%1ERST=ERR3", "%1LAMP ?": "%1LAMP=ERR1", "%2IRES ?": "%2IRES=-"}
    frames = await poll(Projector(answers))
    assert len(frames) == len(CLASS_2_ON) - 3
    assert values(frames)["filter_hours", ""] == 99


async def test_a_failure_of_the_device_ends_no_poll_and_is_told() -> None:
    frames = await poll(Projector(CLASS_2_ON | {"%1ERST ?": "%1ERST=ERR4"}))
    results = [outcome(create(), frame) for frame in frames]
    assert [result.reason for result in results if isinstance(result, FrameRefused)] == ["device_error"]
    assert len(frames) == len(CLASS_2_ON)


async def test_the_first_command_carries_the_digest_of_the_password() -> None:
    assert hashlib.md5(b"498e4a67" + PASSWORD.encode()).hexdigest().encode() == DIGEST
    projector = Projector(CLASS_2_ON, PASSWORD)
    assert values(await poll(projector, PASSWORD))["display_power", ""] == 2
    assert set(projector.asked) == CLASS_2_ON.keys()


async def test_a_password_to_a_device_that_asks_for_none_is_not_sent() -> None:
    projector = Projector(CLASS_2_ON)
    await poll(projector, PASSWORD)
    assert set(projector.asked) == CLASS_2_ON.keys()


@pytest.mark.parametrize(("password", "reason"), [("", "password_required"), ("wrong", "authentication")])
async def test_a_password_that_is_missing_or_wrong_ends_the_poll_with_its_reason(password: str, reason: str) -> None:
    with pytest.raises(FrameRefused) as refusal:
        await poll(Projector(CLASS_2_ON, PASSWORD), password)
    assert refusal.value.reason == reason


def test_an_option_or_a_secret_that_the_driver_has_not_is_a_mistake_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        named("pjlink").create(Settings(secrets={"pasword": "x"}))
    with pytest.raises(ConfigurationError, match="option"):
        named("pjlink").create(Settings(options={"class": 2}))


@given(st.binary(max_size=80), st.sampled_from((b"", b"%1POWR ?\r", b"junk")))
def test_any_bytes_are_decoded_or_refused(payload: bytes, request: bytes) -> None:
    outcome(create(), Frame(payload, request=request))


@given(st.sampled_from(COMMANDS), st.text(max_size=20) | st.from_regex(r"[0-9A-Z *x-]{0,20}", fullmatch=True))
def test_any_value_is_decoded_or_refused(command: str, text: str) -> None:
    payload = f"%1{command}={text}\r".encode("utf-8", errors="surrogatepass")
    outcome(create(), Frame(payload, request=f"%1{command} ?\r".encode()))
