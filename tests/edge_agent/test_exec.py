"""Programs as drivers: a real child process of a real agent, well and ill, and nothing of it left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent.bindings import bind
from edge_agent.config_file import load
from edge_agent.events import Hold, Resume
from edge_agent.intake import availability, exec_keeper, exec_program
from edge_agent.intake.device_intakes import device_intakes
from edge_agent.intake.exec_program import Lines
from telemetry import ConfigurationError, SystemClock
from tests.documents import ROOT
from tests.edge_agent.running import LISTENER, configure, running
from tests.support.waiting import until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES: Final = ROOT / "device_drivers/exec/samples"
DEVICE: Final = """
[[device]]
id = "air"
room = "a-301"
role = "room_sensor"
driver = "exec"
quantities = ["carbon_dioxide", "temperature"]
exec = {{ command = ["./read"]{more} }}
"""
WELL: Final = """
import json, os, sys, time
print(json.dumps({"quantity": "carbon_dioxide", "value": 700}), flush=True)
while True:
    time.sleep(0.05)
    print(json.dumps({"quantity": "temperature", "value": 21.5}), flush=True)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of a person's patience, cut down to a test's."""
    monkeypatch.setattr(availability, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(availability, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(exec_program, "SETTLED_S", 0.3)


def write(folder: Path, code: str, *, name: str = "read") -> Path:
    """A program in Python; it replaces the one that was there, as an update would."""
    folder.mkdir(exist_ok=True)
    path, partial = folder / name, folder / f"{name}.new"
    partial.write_text(f"#!{sys.executable}\n{code}")
    partial.chmod(0o755)
    partial.replace(path)
    return path


def agent_of(folder: Path, code: str, more: str = "") -> Path:
    """The configuration of an agent whose one device is this program."""
    write(folder, code)
    return configure(folder, DEVICE.format(more=f", {more}" if more else ""))


def marked(mark: str) -> list[int]:
    """Processes whose arguments hold this word."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and mark.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def open_files() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """A word in the arguments of every process of a test; whatever it left is ended."""
    word = f"mark-{tmp_path.name}-{os.getpid()}"
    yield word
    for pid in marked(word):
        os.kill(pid, signal.SIGKILL)


async def test_readings_of_a_program(tmp_path: Path) -> None:
    """What it measures comes in, what it does not is dropped and counted, what tells of a person is refused."""
    line = {"quantity": "temperature", "value": 21.5}
    lines = [
        {**line, "channel": "2"}, line, {**line, "unit": "Cel"}, {**line, "quantity": "humidity"},
        {**line, "student": "x"}, {"quantity": "temperature"}, {**line, "value": 900}, {**line, "pad": 5000 * "x"},
    ]  # fmt: skip
    text = "\n".join(["no json", "", *map(json.dumps, lines)])
    code = f"print({text!r}, flush=True)\nimport time; time.sleep(60)"
    async with running(agent_of(tmp_path, code)) as agent:
        await until(lambda: agent.balance["received"] >= 9)
        await agent.stop()
        audit = agent.audit()
    assert audit.faults == []
    assert audit.balance["admitted"] == 3
    assert audit.rejected == {"undeclared": 1, "personal": 1, "malformed": 2, "out_of_range": 1, "too_large": 1}
    counts = agent.agent.core.state.counts
    assert sum(number for key, number in counts.items() if key.stage == "dropped") == 1


async def test_a_program_has_nothing_of_the_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its environment nor its files; it runs in the configuration's folder and is told its cadence."""
    monkeypatch.setenv("SECRET", "of the agent's")
    code = """
import json, os, sys, time
seen = {"environment": dict(os.environ), "folder": os.getcwd(), "arguments": sys.argv[1:],
        "files": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd != "0"
                        and os.path.exists(f"/proc/self/fd/{fd}") or fd in "12"),
        "input": os.readlink("/proc/self/fd/0")}
open("seen.new", "w").write(json.dumps(seen)); os.rename("seen.new", "seen"); time.sleep(60)
"""
    path = agent_of(tmp_path, code)
    path.write_text(path.read_text().replace('["./read"]', '["./read", "--port", "x"]'))
    async with running(path):
        await until((tmp_path / "seen").exists)
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["environment"].keys() - {"LC_CTYPE"} == {"PATH", "LANG", "BANSUI_CADENCE_S"}
    assert seen["folder"] == str(tmp_path)
    assert seen["arguments"] == ["--port", "x"]
    assert seen["input"] == "/dev/null"
    assert all(name.startswith("pipe:") for name in seen["files"] if name != "/dev/null"), seen["files"]
    assert sum(name.startswith("pipe:") for name in seen["files"]) == 2


ILL: Final = {
    "ends": ("", "", "its program ended"),
    "closes its output": ("import os, time\nos.close(1); time.sleep(600)", "", "its program closed its output"),
    "fails": ("raise SystemExit(3)", "", "its program ended with an error"),
    "crashes": ("import os; os.abort()", "", "its program was killed"),
    "hangs": ("import time; time.sleep(600)", "silence_s = 0.3", "its program is silent"),
    "babbles": (
        "import sys, time\nwhile True: sys.stdout.write('x' * 1000); sys.stdout.flush(); time.sleep(0.01)",
        "silence_s = 0.4",
        "its program is silent",
    ),
    "will not end": (
        "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)",
        "silence_s = 0.3",
        "its program is silent",
    ),
    "takes memory": (
        "import time\nkept = []\nwhile True: kept.append(b'x' * (1 << 20)); time.sleep(0.002)",
        "memory_mib = 40",
        "its program takes more memory than it may",
    ),
    "takes it by its children": (
        "import os, time\nfor _ in range(6): os.fork()\nkept = bytearray(8 << 20); time.sleep(600)",
        "memory_mib = 64, processes = 256",
        "its program takes more memory than it may",
    ),
    "takes it at once": (
        "kept = b'x' * (4 << 30)",
        "memory_mib = 40",
        "its program ended with an error",
    ),
    "multiplies": (
        "import os, time\nfor _ in range(10): os.fork()\ntime.sleep(600)",
        "processes = 4",
        "its program has more processes than it may",
    ),
    "forks": (
        "import os, time\nfor _ in range(20): os.fork() or time.sleep(600)\ntime.sleep(600)",
        "processes = 4",
        "its program has more processes than it may",
    ),
}


@pytest.mark.parametrize("deed", ILL)
async def test_a_program_that_is_ill(tmp_path: Path, deed: str, mark: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is ended with all it started, said once with its reason, tried again; mended, it is well again, said once."""
    caplog.set_level("INFO", "edge_agent.intake.availability")
    code, more, why = ILL[deed]
    path = agent_of(tmp_path, code, more)
    path.write_text(path.read_text().replace('["./read"]', f'["./read", "{mark}"]'))
    async with running(path) as agent:
        await until(lambda: agent.agent._unavailable() == 1, 20)
        assert f"device air is unavailable: {why}" in caplog.text
        write(tmp_path, WELL)
        await until(lambda: agent.agent._unavailable() == 0, 20)
        await until(lambda: agent.balance["admitted"] >= 2)
        assert (len(marked(mark)), len(busy(mark))) == (2, 1), "a keeper and its program"
        await agent.stop()
        assert agent.audit().faults == []
    assert marked(mark) == []
    said = [record.getMessage() for record in caplog.records if "device air" in record.getMessage()]
    assert len(said) == 2
    assert said[1] == "device air is back"


async def test_a_flood_waits_in_its_pipe(tmp_path: Path) -> None:
    """No more is taken in a second than `lines_per_s`, and the agent does not grow."""
    code = """
while True: print('{"quantity": "temperature", "value": 21.5}', flush=True)
"""
    async with running(agent_of(tmp_path, code, "lines_per_s = 100")) as agent:
        await until(lambda: agent.balance["admitted"] > 0)
        began, before = time.monotonic(), agent.balance["received"]
        await until(lambda: time.monotonic() - began > 2, 10)
        rate = (agent.balance["received"] - before) / (time.monotonic() - began)
        await agent.stop()
        assert agent.audit().faults == []
    assert 20 < rate < 220


async def test_a_full_disk_makes_a_program_wait(tmp_path: Path) -> None:
    """While the agent takes nothing in, its lines wait in the pipe; then each of them comes."""
    code = """
for number in range(500): print('{"quantity": "temperature", "value": 21.5, "time_ms": %d}' % (1760000400000 + number))
print('{"quantity": "carbon_dioxide", "value": 700}', flush=True)
import time; time.sleep(60)
"""
    async with running(agent_of(tmp_path, code, "lines_per_s = 10000")) as agent:
        agent.agent._do(Hold())
        seen = agent.balance["received"]
        await asyncio.sleep(0.5)
        assert agent.balance["received"] == seen < 500
        agent.agent._do(Resume())
        await until(lambda: agent.balance["received"] == 501)
        await agent.stop()
        assert agent.audit().rejected == {}


async def test_the_share_of_a_processor(tmp_path: Path, mark: str) -> None:
    """A busy loop, and one in its child, have together what they may have, after a burst."""
    path = agent_of(tmp_path, "import os\nos.fork()\nwhile True: pass", "cpu_percent = 10")
    path.write_text(path.read_text().replace('["./read"]', f'["./read", "{mark}"]'))
    async with running(path):
        await until(lambda: len(marked(mark)) == 3)
        await until(lambda: sum(map(exec_keeper.processor_s, busy(mark))) > 1, 20)
        began, before = time.monotonic(), sum(map(exec_keeper.processor_s, busy(mark)))
        await until(lambda: time.monotonic() - began > 4, 20)
        used = sum(map(exec_keeper.processor_s, busy(mark))) - before
        assert used / (time.monotonic() - began) < 0.3


def busy(mark: str) -> list[int]:
    return [pid for pid in marked(mark) if b"exec_keeper" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


_HIDING: Final = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
    os._exit(0)
print('{"quantity": "temperature", "value": 21.5}', flush=True)
time.sleep(600)
"""


async def test_what_hides_is_found(tmp_path: Path, mark: str) -> None:
    """A daemon in a session of its own ends with its program."""
    path = agent_of(tmp_path, _HIDING)
    path.write_text(path.read_text().replace('["./read"]', f'["./read", "{mark}"]'))
    async with running(path) as agent:
        await until(lambda: agent.balance["admitted"] == 1)
        await until(lambda: len(marked(mark)) == 3)
        await agent.stop()
    assert marked(mark) == []


@pytest.mark.parametrize("rounds", range(1, 8))
async def test_an_intake_that_is_cancelled_while_its_program_starts(tmp_path: Path, mark: str, rounds: int) -> None:
    """In whatever round of the loop: nothing of it is left, neither process nor pipe."""
    path = agent_of(tmp_path, WELL)
    path.write_text(path.read_text().replace('["./read"]', f'["./read", "{mark}"]'))
    loaded = load(path)
    intakes = device_intakes(loaded, bind(loaded), SystemClock(), lambda _batch: None)
    files = open_files()
    [task] = [asyncio.create_task(intake.run()) for _, intake in intakes]
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0.01)  # for transports that close in the loop's next round
    assert open_files() == files
    assert marked(mark) == []


async def test_a_program_may_tidy_up(tmp_path: Path) -> None:
    """It is asked to end before it is killed, by a signal that nobody has made it ignore."""
    path = agent_of(tmp_path, "")
    reading = '{"quantity": "temperature", "value": 21.5}'
    (tmp_path / "read").write_text(
        f"#!/bin/sh\ntrap 'echo bye > bye; exit' TERM\necho '{reading}'\nwhile :; do sleep 0.05; done\n"
    )
    async with running(path) as agent:
        await until(lambda: agent.balance["admitted"] == 1)
        await agent.stop()
    assert (tmp_path / "bye").read_text() == "bye\n"


async def test_a_keeper_that_is_killed(tmp_path: Path, mark: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its program goes with it, and another is started."""
    path = agent_of(tmp_path, "import os, time\nif not os.fork(): time.sleep(600)\n" + WELL)
    path.write_text(path.read_text().replace('["./read"]', f'["./read", "{mark}"]'))
    async with running(path) as agent:
        await until(lambda: len(marked(mark)) == 3)
        before = marked(mark)
        [keeper] = set(before) - set(busy(mark))
        os.kill(keeper, signal.SIGKILL)
        await until(lambda: "keeper was killed" in caplog.text)
        await until(lambda: len(set(marked(mark)) - set(before)) == 3)
        assert not set(marked(mark)) & set(before)
        await agent.stop()


def test_an_agent_that_is_killed(tmp_path: Path, mark: str) -> None:
    """SIGKILL of the agent: a moment later nothing of the program is left."""
    path = agent_of(tmp_path, _HIDING)
    path.write_text(path.read_text().replace('["./read"]', f'["./read", "{mark}"]'))
    command = [
        sys.executable,
        "-m",
        "bansui",
        "agent",
        "run",
        "--config",
        str(path),
        "--pid-file",
        str(tmp_path / "pid"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
        try:
            wait_until(lambda: len(marked(mark)) == 3, 20)
        finally:
            agent.kill()
    wait_until(lambda: not marked(mark), 20)


async def test_what_it_says_of_errors_is_counted_and_never_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A name on standard error stands in no log and in no file of the agent's."""
    code = "import sys, time\nfor _ in range(300): print('Zhang Wei failed', file=sys.stderr)\n" + WELL
    async with running(agent_of(tmp_path, code)) as agent:
        await until(lambda: agent.agent.health._health.program_errors() == 300)
        await until(lambda: agent.balance["admitted"] > 1)
        await agent.stop()
    assert "Zhang" not in caplog.text
    for file in (tmp_path / "state").rglob("*"):
        assert not file.is_file() or b"Zhang" not in file.read_bytes()


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_lines_are_cut_however_they_come(size: int) -> None:
    """Whatever the pieces are: every line once, and of a long one no more than shows that it is."""
    stream = b"one\r\n\n\ntwo\n" + b"x" * 9000 + b"\nthree"
    lines, found = Lines(), []
    for begin in range(0, len(stream), size):
        found += lines.cut(stream[begin : begin + size])
    found += lines.rest()
    assert [line[:5] for line in found] == [b"one", b"two", b"xxxxx", b"three"]
    assert 4096 < len(found[2]) < 4100


@pytest.mark.parametrize(
    ("before", "after", "mistake"),
    [
        ('command = ["./read"]', "", "brings no program: exec.command is missing"),
        ('"./read"', '"./reed"', "reed; write the path of the program"),
        ('"./read"', '"no-such-program"', "there is no program 'no-such-program'"),
        ('quantities = ["carbon_dioxide", "temperature"]', "", "has to name its quantities"),
        ('driver = "exec"', 'driver = "zigbee2mqtt"', "driver zigbee2mqtt reads no program"),
        ('exec = { command = ["./read"] }', 'mqtt = { topic = "t" }', "driver exec reads a program"),
        ('command = ["./read"]', 'command = ["./read"], memory_mib = 0', "exec.memory_mib"),
        ('command = ["./read"]', 'command = ["./read"], cpu_percent = 101', "exec.cpu_percent"),
        ('command = ["./read"]', 'command = ["./read"], shell = true', "exec.shell: no such key"),
    ],
)
def test_mistakes_of_a_configuration(tmp_path: Path, before: str, after: str, mistake: str) -> None:
    """Each is named before anything starts."""
    path = agent_of(tmp_path, WELL)
    path.write_text(path.read_text().replace(before, after) + LISTENER)
    with pytest.raises(ConfigurationError, match=r"agent\.toml") as failure:
        bind(load(path))
    assert mistake in str(failure.value)


async def test_the_sample_in_shell(tmp_path: Path) -> None:
    """As it stands in the folder, with a sensor that is a file."""
    (tmp_path / "temp1_input").write_text("21437\n")
    command = f'["{SAMPLES / "read-air.sh"}", "temp1_input"]'
    path = configure(tmp_path, DEVICE.format(more="").replace('["./read"]', command))
    async with running(path) as agent:
        await until(lambda: agent.balance["admitted"] >= 1)
        await agent.stop()
        assert agent.audit().rejected == {}


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler: the sample in C is not tried")
async def test_the_sample_in_c(tmp_path: Path) -> None:
    """Compiled without a warning, against a sensor on a real pseudo-terminal."""
    _compile(SAMPLES / "read-air.c", tmp_path / "read")
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    path = configure(tmp_path, DEVICE.format(more="").replace('"./read"', f'"./read", "{os.ttyname(slave)}"'))
    asked = bytearray()

    def ask() -> bool:
        with contextlib.suppress(BlockingIOError):
            asked.extend(os.read(master, 64))
        return len(asked) >= 9

    try:
        async with running(path) as agent:
            await until(ask)
            assert asked == bytes.fromhex("ff0186000000000079")
            os.write(master, bytes.fromhex("ff860260470000 00d1"))  # the manual's own answer: 608 ppm
            await until(lambda: agent.balance["admitted"] == 1)
            await agent.stop()
    finally:
        os.close(master)
        os.close(slave)


def _compile(source: Path, program: Path) -> None:
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-O2", "-o", program, source], check=True)
