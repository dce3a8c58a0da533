"""`bansui demo` as a stranger runs it: the balance, the three sabotages, its end at any moment, and its pages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bansui.assets import fetch
from tests.support.processes import BANSUI, Spawned
from tests.support.programs import CHROMIUM
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT: Final = ("--rooms", "4", "--seconds", "30")
"""A small school's day, with which a busy machine of two cores still keeps up: three of them at once."""
LONGER: Final = "70"
"""A day during which a browser looks as well."""
FINDS: Final = {"drop": "lost", "double": "doubled", "restamp": "mismatched"}


@dataclass(frozen=True, slots=True)
class Running:
    """A demo in a process of its own; what it leaves behind would lie in `temporary`."""

    spawned: Spawned
    temporary: Path

    @property
    def url(self) -> str:
        """The page's address, once it is printed."""
        wait_until(lambda: "http://" in self.spawned.stdout, 30, "the page's address")
        return self.spawned.stdout.split()[0]

    def processes(self) -> list[int]:
        """The processes that work in the demo's folder."""
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if os.fsencode(self.temporary) in file.read_bytes():
                    found.append(int(file.parent.name))
        return found


def start(folder: Path, *options: str) -> Running:
    """Start `bansui demo` with a place for temporary files that is the test's own."""
    temporary = folder / "temporary"
    temporary.mkdir()
    env = {"TMPDIR": str(temporary), "LC_ALL": "C.UTF-8", "COLUMNS": "160"}
    return Running(Spawned([*BANSUI, "demo", "--no-browser", *options], folder / "demo", env=env), temporary)


def assert_nothing_left(demo: Running) -> None:
    """Neither a process nor a file."""
    assert demo.processes() == []
    assert list(demo.temporary.iterdir()) == []


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One whole demo, which the tests of this file look at."""
    fetch()
    demo = start(tmp_path_factory.mktemp("day"), "--check", "--seconds", LONGER)
    yield demo
    demo.spawned.send_signal(signal.SIGINT)
    demo.spawned.wait(20)
    demo.spawned.kill()


@pytest.fixture
def page(day: Running) -> Iterator[Page]:
    """A page on which an error, or a request off the loopback, fails the test."""
    faults: list[str] = []

    def check(url: str) -> None:
        if urlsplit(url).hostname != "127.0.0.1":
            faults.append(f"request to {url}")

    quiet = ["background-networking", "component-update", "sync", "quic"]
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(executable_path=CHROMIUM.find(), args=arguments)
        opened = browser.new_page()
        opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("request", lambda request: check(request.url))
        yield opened
        browser.close()
    assert faults == []


@pytest.mark.browser
def test_pages_change_while_the_day_goes_by(day: Running, page: Page) -> None:
    """Overview, School and Room, in both languages, show values that change by themselves."""
    room = "/school/cn-002/room/a-101"
    page.goto(f"{day.url}/school/cn-002?lang=en")
    page.locator(f"a[href='{room}']").first.click(timeout=60_000)
    tiles = page.locator("#tiles")
    expect(tiles).to_contain_text("ppm", timeout=20_000)
    before = tiles.inner_text()
    expect(tiles).not_to_have_text(before, timeout=20_000)
    for language in ("zh-CN", "en"):
        for path in ("/", "/school/cn-002", room):
            page.goto(f"{day.url}{path}?lang={language}")
            expect(page.locator("html")).to_have_attribute("lang", language)
            expect(page.locator("h1")).to_contain_text(re.compile("A-101|新鲜|fresh"))
    page.goto("about:blank")


def test_the_balance_closes(day: Running) -> None:
    """An uplink cut for an hour, an agent killed twice: lost 0, doubled 0, every window as the truth has it."""
    assert day.spawned.wait(120) == 0, day.spawned.stdout + day.spawned.stderr
    told = day.spawned.stdout
    print(told[told.index("The balance") :])
    assert "lost 0, doubled 0" in told
    assert "missing 0, mismatched 0" in told
    assert "uplink cut for 60 min, agent killed: 2" in told
    assert re.search(r"first room on the page +[0-9.]+ s after the start", told)
    assert_nothing_left(day)


def test_each_sabotage_is_found(tmp_path: Path) -> None:
    """One frame in a hundred dropped, doubled or restamped between device and wire: exit 1, and the reason named."""
    demos = {}
    for sabotage in FINDS:
        (tmp_path / sabotage).mkdir()
        demos[sabotage] = start(tmp_path / sabotage, "--check", "--json", *SHORT, "--sabotage", sabotage)
    try:
        for sabotage, finds in FINDS.items():
            spawned = demos[sabotage].spawned
            assert spawned.wait(150) == 1, spawned.stderr
            assert finds in json.loads(spawned.stdout)["failures"], f"{sabotage}: {spawned.stdout}"
    finally:
        for demo in demos.values():
            demo.spawned.kill()


@pytest.mark.parametrize("after", ["the folder", "the page"])
def test_ctrl_c_leaves_nothing(tmp_path: Path, after: str) -> None:
    """While processes start as well as while the day goes by, Ctrl-C ends it in order."""
    demo = start(tmp_path, *SHORT)
    if after == "the folder":
        wait_until(lambda: any(demo.temporary.iterdir()), 20, "the demo's folder")
    else:
        assert demo.url
    demo.spawned.send_signal(signal.SIGINT)
    assert demo.spawned.wait(20) == 130, demo.spawned.stderr
    assert "Traceback" not in demo.spawned.stderr
    assert_nothing_left(demo)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """Exit 3 at once, with the port, and nothing started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start(tmp_path, "--port", str(port))
        assert demo.spawned.wait(20) == 3
    assert f"port {port} is taken" in demo.spawned.stderr
    assert_nothing_left(demo)


def test_a_part_that_does_not_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    """A simulator that refuses its call ends the demo: exit 3, what it said, and nothing left."""
    demo = start(tmp_path, "--sabotage", "nonsense")
    assert demo.spawned.wait(30) == 3
    assert "the simulator ended with 2" in demo.spawned.stderr
    assert "'nonsense' is no sabotage" in demo.spawned.stderr
    assert_nothing_left(demo)
