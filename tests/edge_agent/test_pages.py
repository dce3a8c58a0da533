"""The agent's pages for people in the school: true, without a device or a person, as of the last full hour, bounded."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from edge_agent.config_file import load
from edge_agent.local import words
from edge_agent.local.pages import BURST
from edge_agent.local.server import MOST_OF_ONE_PEER
from edge_agent.local.words import CATALOGUE, LANGUAGES, negotiate
from edge_agent.privacy.egress import UNKNOWN_CLASS, class_of
from telemetry import ConfigurationError, quantities
from tests.edge_agent.harness import HOUR, MINUTE, lines_of
from tests.edge_agent.looking import DEVICES, PAGES, TEN, Looking, get
from tests.edge_agent.running import LISTENER, SENSOR, configure, running
from tests.edge_agent.test_agent import Bridge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def looking(tmp_path: Path) -> AsyncIterator[Looking]:
    made = Looking(tmp_path)
    await made.pages.start()
    yield made
    await made.pages.stop()
    made.bench.stop()


def test_both_languages_say_the_same() -> None:
    """Every sentence is there in both, with the same values in it, and none is the other's."""
    zh, en = (CATALOGUE[language] for language in LANGUAGES)
    assert zh.keys() == en.keys()
    for key in zh:
        assert sorted(re.findall(r"{\w+}", zh[key])) == sorted(re.findall(r"{\w+}", en[key])), key
    states = {state for entry in quantities() if entry.summarise != "never" for state in entry.states}
    assert states == {key.removeprefix("state.") for key in zh if key.startswith("state.")}


@pytest.mark.parametrize(
    ("asked", "accepted", "answer"),
    [
        ("", "", "zh"),
        ("", "en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("", "fr,zh-TW;q=0.4,en;q=0.3", "zh"),
        ("en", "zh-CN", "en"),
        ("xx", "en", "en"),
        ("", "en;q=high", "zh"),
    ],
)
def test_the_language_is_the_readers(asked: str, accepted: str, answer: str) -> None:
    assert negotiate(asked, accepted) == answer
    assert words.Words(answer).language == answer


async def test_what_left_today_is_what_left(looking: Looking) -> None:
    """Summaries and bytes are those of the batches that were sealed until the last full hour, no earlier or later."""
    looking.live(75)
    status, headers, body = await looking.get("/")
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "Set-Cookie" not in headers
    connection = looking.bench.store._connection
    count, length = next(
        connection.execute("SELECT sum(summaries), sum(length(body)) FROM batch WHERE sealed_ms < ?", (TEN,))
    )
    all_of_it = next(connection.execute("SELECT sum(summaries) FROM batch"))[0]
    assert 0 < count < all_of_it
    plain = body.replace("\N{NARROW NO-BREAK SPACE}", "")
    assert f"Today until 10:00, {count} summaries left this school, {length} bytes." in plain
    numbers = re.findall(r'<th scope="row">[^<]+</th><td class="number">(\d+)</td><td class="number">(\d+)', plain)
    assert sum(int(summaries) for summaries, _ in numbers) == count
    assert "今天截至 10:00" in (await looking.get("/?lang=zh"))[2]


async def test_the_lines_are_those_that_left(looking: Looking) -> None:
    """Each shown line stood in a batch that the centre has, byte for byte but for the device; its meaning is told."""
    sent: list[str] = []
    looking.live(1)
    take = looking.bench.answer

    def answer(kind):  # type: ignore[no-untyped-def]
        send = take(kind)
        if "write" in send.path:
            sent.extend(lines_of(send))
        return send

    looking.bench.answer = answer  # type: ignore[method-assign]
    looking.live(74)
    _, _, body = await looking.get("/")
    shown = re.findall(r"<li><code>([^<]+)</code>", body)
    masked = {re.sub(r"device=[^,]+", "device=…", line) for line in sent}
    assert len(shown) > 2
    assert set(shown) <= masked
    assert re.search(
        r"CO2, A-301, 09:\d\d–(09:\d\d|10:00): mean 650\N{NARROW NO-BREAK SPACE}ppm, slots with a reading: \d+ of 15",
        body,
    )


def test_a_count_of_people_has_its_class_though_no_device_told_it() -> None:
    ask = class_of({device.device: device for device in DEVICES})
    assert (ask("campus", "people_count"), ask("qx-7f3a", "carbon_dioxide")) == ("P2", "P1")
    assert ask("gone", "temperature") == UNKNOWN_CLASS


async def test_nobody_off_the_box_sees_less_than_an_hour(looking: Looking) -> None:
    """Within an hour the page does not change, whatever leaves; with the hour it does."""
    looking.live(61)
    first = (await looking.get("/"))[2]
    looking.live(20, co2=1900)
    assert (await looking.get("/"))[2] == first
    looking.live(40)
    assert (await looking.get("/"))[2] != first


async def test_before_the_first_full_hour_there_is_nothing_to_see(looking: Looking) -> None:
    looking.bench.pass_time(15 * HOUR + 10 * MINUTE)
    assert "Today until 00:00, nothing left this school." in (await looking.get("/"))[2]


async def test_no_page_names_a_device_or_a_person(looking: Looking) -> None:
    """Neither a device's code nor anything it said of people stands on any page."""
    looking.live(61)
    for path in (
        "/",
        "/rooms/a-301/label",
        "/rooms/roof/label",
        *(f"/light/{token}" for token in looking.pages._tokens),
    ):
        for language in LANGUAGES:
            status, _, body = await looking.get(f"{path}?lang={language}")
            assert status.endswith("200 OK")
            for device in DEVICES:
                assert device.device not in body
            assert not any(token in body for token in looking.pages._tokens), (
                "only the printed label has a light's address"
            )


@pytest.mark.parametrize(
    "path",
    [
        "/rooms/b-999/label",
        "/rooms/a-301",
        "/light/",
        f"/light/{'0' * 32}",
        "/light/x/y",
        "/metrics",
        "/healthz",
        "//",
        "/..%2f",
    ],
)
async def test_what_is_not_there_is_told_in_one_form(looking: Looking, path: str) -> None:
    """A wrong guess at a light's address is answered with the very bytes of any other wrong address."""
    assert await looking.get(path) == await looking.get("/nothing")
    assert (await looking.get(path))[0] == "HTTP/1.1 404 Not Found"


async def test_who_asks_too_often_is_turned_away(looking: Looking) -> None:
    """After a burst each reader has so many requests a second; each page was made once."""
    [path] = [f"/light/{token}" for token in looking.pages._tokens]
    answers = [(await looking.get(path))[0] for _ in range(int(BURST) + 5)]
    assert answers.count("HTTP/1.1 200 OK") == BURST
    assert answers[-1] == "HTTP/1.1 429 Too Many Requests"
    looking.bench.clock.advance(2000)
    assert (await looking.get(path))[0] == "HTTP/1.1 200 OK"


async def test_only_reading_is_answered(looking: Looking) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", looking.pages.port)
    writer.write(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 405")
    writer.close()


async def test_a_ledger_that_cannot_be_read_is_said(looking: Looking) -> None:
    """In words, with whom to ask; the next reader gets the page."""
    folder = looking.config.parent / "state"
    (folder / "agent.db").rename(folder / "away.db")
    status, headers, body = await looking.get("/")
    assert (status, headers["Retry-After"]) == ("HTTP/1.1 503 Service Unavailable", "60")
    assert "bansui doctor" in body
    (folder / "away.db").rename(folder / "agent.db")
    assert (await looking.get("/"))[0].endswith("200 OK")


async def test_a_flood_of_readers_does_not_keep_the_agent_from_its_work(tmp_path: Path) -> None:
    """While hundreds ask at once, every message is still acknowledged, and each page is made once an hour at most."""
    path = configure(tmp_path, PAGES, LISTENER, SENSOR)
    async with running(path, speed=1.0) as agent:
        pages = agent.agent.pages
        assert pages is not None
        bridge = await asyncio.to_thread(Bridge, agent.agent)
        stop = asyncio.Event()
        answers: list[str] = []

        async def ask() -> None:
            while not stop.is_set():
                reader, writer = await asyncio.open_connection("127.0.0.1", pages.port)
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                try:
                    answers.append((await reader.readline()).decode())
                except ConnectionError:
                    answers.append("")
                writer.close()

        readers = [asyncio.create_task(ask()) for _ in range(2 * MOST_OF_ONE_PEER)]
        infos = [bridge.publish() for _ in range(200)]
        for info in infos:
            await asyncio.to_thread(info.wait_for_publish, 30)
        assert all(info.is_published() for info in infos)
        stop.set()
        await asyncio.gather(*readers)
        await asyncio.to_thread(bridge.stop)
        assert agent.balance["received"] == 400
        assert len(answers) > BURST
        assert {answer[9:12] for answer in answers} <= {"200", "429", ""}
        assert pages.times_made <= 2


async def test_a_running_agent_shows_its_rooms_light(tmp_path: Path) -> None:
    """From the devices' messages to the page, on a fast clock: bad air for five minutes, and the light says so."""
    path = configure(tmp_path, PAGES, LISTENER, SENSOR)
    async with running(path, speed=60.0) as agent:
        pages = agent.agent.pages
        assert pages is not None
        [address] = [f"/light/{token}" for token in pages._tokens]
        bridge = await asyncio.to_thread(Bridge, agent.agent)
        shown = {""}
        async with asyncio.timeout(60):
            while "Open a window." not in shown:
                bridge.publish('{"co2": 1500}')
                await asyncio.sleep(0.5)  # half a minute of the school's
                _, _, body = await get(pages.port, address)
                shown = {said for said in ("Open a window.", "The CO2 sensor has told nothing lately") if said in body}
                assert shown, "nothing was measured yet, or the air is bad: never anything else"
        await asyncio.to_thread(bridge.stop)


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ("[pages]", "pages.address is missing"),
        ('[pages]\nhost = "::"', "pages.address is missing"),
        ('[pages]\naddress = "10.0.0.5"', "written http://HOST"),
        ('[pages]\naddress = "http://x/?a=b"', "written http://HOST"),
    ],
)
def test_the_address_that_is_printed_has_to_lead_somewhere(tmp_path: Path, table: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(mistake)):
        load(configure(tmp_path, f"\n{table}\n", LISTENER))


def test_without_the_table_there_are_no_pages(tmp_path: Path) -> None:
    assert load(configure(tmp_path, LISTENER)).tables.pages is None
