"""The demo's stage: a folder, a centre, a simulated school and an agent that is started again when it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bansui.demo.children import Child, end_all
from bansui.demo.plan import FAULTS, SCENARIO
from bansui.free_port import free_port
from bansui.sim_configuration import AGENT_FILE, CENTRE_FILE, Timing, agent_files, centre_files
from bansui.sim_wiring import SchoolTables, read
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bansui.demo.plan import Plan
    from simulators.scenarios import Scenario

_POLL_S: Final = 0.02
_START_WITHIN_S: Final = 30.0


class TooSlow(EnvironmentFault):
    """Something that takes a moment took far longer."""

    code = "demo_too_slow"


class Stage:
    """Everything that runs. Built around a folder that is its own."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.agent_config = folder / AGENT_FILE
        self.truth_file = folder / "truth.json"
        self.kills = 0
        self._wiring_file, self._pid_file = folder / "wiring.json", folder / "agent.pid"
        self._listener_port, self.health_port = free_port(), free_port()
        self._centre: Child | None = None
        self._simulator: Child | None = None
        self._agent: Child | None = None

    @property
    def url(self) -> str:
        """The centre's pages."""
        return f"http://127.0.0.1:{self.plan.port}"

    @property
    def agent_is_ready(self) -> bool:
        """Whether the agent that runs now has started."""
        return self._pid_file.exists()

    async def open(self) -> None:
        """Start the centre, the school and the agent. Raises `ChildEnded`, `TooSlow`."""
        plan = self.plan
        clock = ("--clock", plan.clock.option)
        centre_files(_school_of(plan.scenario), plan.port).write(self.folder)
        config = str(self.folder / CENTRE_FILE)
        self._centre = Child("centre", ["centre", "run", "--config", config, *clock], self.folder)
        self._simulator = Child("simulator", [*self._simulator_args(), *clock], self.folder)
        await self.until(self._wiring_file.exists, "the simulator opens its wires")
        ports = {"listener_port": self._listener_port, "health_port": self.health_port, "centre_port": plan.port}
        agent_files(read(self._wiring_file), _timing(plan), **ports).write(self.folder)
        self._start_agent()
        centre = self._centre
        await self.until(lambda: "listening on" in centre.output, "the centre listens")
        await self.until(lambda: self.agent_is_ready, "the agent is ready")

    async def supervise(self) -> None:
        """Start the agent again at once when it was killed, until cancelled. Raises `ChildEnded` for any other end."""
        while True:
            self._check()
            if self._agent is not None and self._agent.was_killed:
                self.kills += 1
                self._start_agent()
            await asyncio.sleep(_POLL_S)

    async def until(self, holds: Callable[[], bool], what: str, timeout_s: float = _START_WITHIN_S) -> None:
        """Wait for a condition while every part runs. Raises `ChildEnded`, `TooSlow`."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            self._check()
            if time.monotonic() > deadline:
                raise TooSlow(f"not within {timeout_s:.0f} s: {what}", fix="give the demo more of the machine's time")
            await asyncio.sleep(_POLL_S)

    async def stop_agent(self) -> None:
        """Let the agent commit what it has and leave. Raises `ChildEnded`, `TooSlow`."""
        agent = self._agent
        assert agent is not None
        self._agent = None
        agent.ask_to_end()
        try:
            await self.until(lambda: agent.ended is not None, "the agent leaves")
            if agent.ended:
                agent.check()
        finally:
            end_all([agent])

    def close(self) -> None:
        """End every process; none is left when it returns."""
        end_all([child for child in (self._agent, self._simulator, self._centre) if child is not None])

    def _check(self) -> None:
        for child in (self._centre, self._simulator):
            if child is not None:
                child.check()
        if self._agent is not None and not self._agent.was_killed:
            self._agent.check()

    def _start_agent(self) -> None:
        self._pid_file.unlink(missing_ok=True)
        args = ["--config", str(self.agent_config), "--clock", self.plan.clock.option]
        self._agent = Child("agent", ["agent", "run", *args, "--pid-file", str(self._pid_file)], self.folder)

    def _simulator_args(self) -> list[str]:
        faults = [word for fault in FAULTS for word in ("--fault", fault)]
        sabotage = ["--sabotage", self.plan.sabotage] if self.plan.sabotage else []
        options = {
            "--rooms": str(len(self.plan.scenario.room)),
            "--seed": str(self.plan.seed),
            "--broker": f"127.0.0.1:{self._listener_port}",
            "--wiring": str(self._wiring_file),
            "--truth": str(self.truth_file),
            "--relay-to": f"127.0.0.1:{self.plan.port}",
            "--agent-pid-file": str(self._pid_file),
        }
        pairs = [word for pair in options.items() for word in pair]
        return ["sim", "run", SCENARIO, *pairs, *faults, *sabotage, "--stay"]


def _school_of(scenario: Scenario) -> SchoolTables:
    """What the centre is told of the school, before its wires are open."""
    return SchoolTables(
        district=scenario.district,
        school=scenario.school,
        timezone=scenario.timezone,
        timetable=scenario.timetable.model_dump(mode="json"),
    )


def _timing(plan: Plan) -> Timing:
    """Hurried, so that people see what is said of the day while it passes."""
    return Timing(interval_s=0.5, report_s=5, retry_s=0.2, checkpoint_s=5, lateness_s=plan.lateness_s)


@contextlib.contextmanager
def open_folder(*, keep: bool) -> Iterator[Path]:
    """A folder of the demo's own; gone afterwards unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="bansui-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
