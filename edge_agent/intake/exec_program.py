"""Intake from a program: a child process that writes a reading in each line, kept within limits by `exec_keeper`.

Of what it writes to its standard error the lines are counted, and nothing else: a program's words may be anybody's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from device_drivers.connections import reason
from device_drivers.contract import Frame
from device_drivers.tables.readings import LONGEST_LINE
from edge_agent.events import Arrival, Batch
from edge_agent.intake import exec_keeper
from edge_agent.intake.availability import Availability
from edge_agent.intake.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.admission import Binding
    from edge_agent.config import ExecTable
    from edge_agent.intake import Deliver
    from edge_agent.programs import Program
    from telemetry import Clock

SETTLED_S: Final = 5.0
"""How long a program that failed has to run before it counts as well again."""
LAST_WORD_S: Final = 1.0
FAREWELL_S: Final = 5.0
_READ: Final = 4096
_KEEPER: Final = (sys.executable, "-I", "-S", "-B", exec_keeper.__file__)
_WORDS: Final = {
    exec_keeper.ENDED: "its program ended",
    exec_keeper.ENDED_IN_ERROR: "its program ended with an error",
    exec_keeper.KILLED: "its program was killed",
    exec_keeper.NOT_STARTED: "its program cannot be started",
    exec_keeper.MEMORY: "its program takes more memory than it may",
    exec_keeper.PROCESSES: "its program has more processes than it may",
    exec_keeper.TOLD_TO_END: "its program closed its output",
}


class Pace:
    """How much is taken of a program: a burst, then so much a second; who writes more has to wait."""

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._left = a_second

    async def take(self, amount: float) -> None:
        """Wait until so much more may be taken."""
        self._left -= amount
        if self._left < 0:
            wait_s = -self._left / self._a_second
            await asyncio.sleep(wait_s)
            self._left += wait_s * self._a_second

    def rest(self, seconds: float) -> None:
        """Nothing was taken for so long."""
        self._left = min(self._a_second, self._left + seconds * self._a_second)


class Lines:
    """Cuts a stream into lines; of one that is too long, enough to see that it is."""

    def __init__(self) -> None:
        self._begun = bytearray()

    def cut(self, data: bytes) -> list[bytes]:
        """Every line that `data` ends, but empty ones."""
        *whole, begun = data.split(b"\n")
        lines = []
        for part in whole:
            self._add(part)
            lines += self.rest()
        self._add(begun)
        return lines

    def rest(self) -> list[bytes]:
        """The line that has begun, if one has."""
        line = bytes(self._begun).strip()
        self._begun.clear()
        return [line] if line else []

    def _add(self, part: bytes) -> None:
        self._begun += part[: LONGEST_LINE + 2 - len(self._begun)]  # one for the carriage return, one too many


class ExecIntake:
    """Runs one program, and starts it again when it is over; nothing of it outlives the task, or the agent."""

    def __init__(self, binding: Binding, program: Program, table: ExecTable, *, clock: Clock, deliver: Deliver) -> None:
        self._device = binding.device
        self._table = table
        self._order = json.dumps(
            {
                "command": program.command,
                "folder": program.folder,
                "environment": program.environment,
                "memory_bytes": table.memory_mib << 20,
                "cpu_share": table.cpu_percent / 100,
                "processes": table.processes,
            }
        )
        self._clock = clock
        self._deliver = deliver
        self._may_read = asyncio.Event()
        self._may_read.set()
        self.error_lines = 0
        """How many the program wrote to its standard error."""
        self.availability = Availability(binding.device)

    @property
    def availabilities(self) -> Sequence[Availability]:
        """Of its one device."""
        return (self.availability,)

    def hold(self) -> None:
        """Take nothing in: the program waits in its pipe."""
        self._may_read.clear()

    def resume(self) -> None:
        """Take in again."""
        self._may_read.set()

    async def run(self) -> None:
        """Keep the program running until cancelled."""
        while True:
            what = await self._live()
            await asyncio.sleep(self.availability.down(what))

    async def _live(self) -> str:
        """Run the program once; returns why it is over."""
        try:
            keeper = ChildProcess([*_KEEPER, self._order])
        except OSError as error:
            return reason(error)
        heard: list[asyncio.Task[object]] = []
        why = ""
        try:
            stdout, stderr = await keeper.streams(_READ)
            listening = asyncio.create_task(self._listen(stdout))
            heard += [listening, asyncio.create_task(self._count(stderr))]
            why = await _first_word(listening, keeper)
        finally:
            code = await _end(keeper)
            for task in heard:
                task.cancel()
            await asyncio.gather(*heard, return_exceptions=True)
            keeper.close()
        return why or _WORDS.get(code, "its program's keeper was killed")

    async def _listen(self, stream: asyncio.StreamReader) -> str:
        """Take in lines until there are no more; returns why that is the program's fault, if it is."""
        pace, lines, loop = Pace(self._table.lines_per_s), Lines(), asyncio.get_running_loop()
        started = loop.time()
        silent_s = 0.0
        while True:
            await self._may_read.wait()
            asked = loop.time()
            try:
                async with asyncio.timeout(self._table.silence_s - silent_s):
                    data = await stream.read(_READ)
            except TimeoutError:
                return "its program is silent"
            waited_s = loop.time() - asked
            silent_s += waited_s
            pace.rest(waited_s)
            found = lines.cut(data) if data else lines.rest()
            if found:
                silent_s = 0.0
                if loop.time() - started >= SETTLED_S:
                    self.availability.up()
                self._deliver(Batch([Arrival(Frame(line)) for line in found], self._clock.now(), self._device))
            if not data:
                return ""
            await pace.take(max(len(found), len(data) / LONGEST_LINE))

    async def _count(self, stream: asyncio.StreamReader) -> None:
        pace, loop = Pace(self._table.lines_per_s), asyncio.get_running_loop()
        while True:
            asked = loop.time()
            data = await stream.read(_READ)
            if not data:
                return
            pace.rest(loop.time() - asked)
            self.error_lines += data.count(b"\n")
            await pace.take(len(data) / LONGEST_LINE)


async def _first_word(listening: asyncio.Task[str], keeper: ChildProcess) -> str:
    """Why the program is at fault, if listening to it says so; empty when it is over, and all that it said is heard."""
    ended = asyncio.create_task(keeper.wait())
    await asyncio.wait([listening, ended], return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        return await listening if ended.result() in _WORDS else ""
    if not listening.result():  # its output is closed: it is over, or is so in a moment
        await asyncio.wait([ended], timeout=LAST_WORD_S)
    ended.cancel()
    return listening.result()


async def _end(keeper: ChildProcess) -> int:
    """See the program off, and all that it started; returns what its keeper exited with."""
    keeper.close_input()
    try:
        async with asyncio.timeout(FAREWELL_S):
            code = await keeper.wait()
    except TimeoutError:
        keeper.kill()
        code = await keeper.wait()
    if code not in _WORDS:
        _kill_session(keeper.pid)
    return code


def _kill_session(session: int) -> None:
    """What a keeper that was killed has left behind: the session it led has the keeper's own number (proc(5), stat)."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_bytes()
                if int(stat.rpartition(b")")[2].split()[3]) == session:
                    os.kill(int(folder.name), signal.SIGKILL)
            except (OSError, IndexError):
                continue  # it is gone
