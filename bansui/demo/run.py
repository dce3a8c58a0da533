"""One demo from beginning to end: start everything, let the day go by, wait for the last windows, draw the balance."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bansui.demo.balance import Balance, draw_up
from bansui.demo.stage import Stage, open_folder
from bansui.demo.watching import CentreSilent, Watcher
from bansui.demo.windows import TruthWindows
from edge_agent.bindings import bind
from edge_agent.config_file import load
from edge_agent.store.audit import audit
from edge_agent.timetable import CompiledTimetable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bansui.demo.plan import Plan
    from bansui.demo.screen import Screen

_POLL_S: Final = 0.2
_DELIVERED_WITHIN_S: Final = 60.0
_CONFIRMED_WITHIN_S: Final = 90.0
"""The simulator itself gives up after a minute."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a demo."""

    balance: Balance
    first_room_s: float | None
    """Seconds from the start until a room was on the page."""
    folder: Path


async def run(plan: Plan, screen: Screen, *, began: float, opened: Callable[[str], None]) -> Result:
    """Live the day; whatever happens, leave no process behind, and no folder but one to be kept.

    `began` is when the user asked for it, in monotonic seconds; `opened` gets the page's address once it is there.
    Raises `BansuiError` when a part does not start, or ends.
    """
    with open_folder(keep=plan.keep) as folder, contextlib.closing(Stage(plan, folder)) as stage:
        await stage.open()
        screen.opened(stage.url)
        opened(stage.url)
        async with contextlib.aclosing(Watcher(stage, began)) as watcher:
            async with asyncio.TaskGroup() as group:
                background = [group.create_task(stage.supervise()), group.create_task(watcher.run(screen.show))]
                await _until_the_day_is_over(stage)
                evidence = Evidence(stage)
                await evidence.until_delivered(watcher)
                for task in background:
                    task.cancel()
            screen.close()
            await stage.stop_agent()
            return Result(await evidence.balance(watcher), watcher.first_room_s, folder)


async def _until_the_day_is_over(stage: Stage) -> None:
    clock = stage.plan.clock
    await asyncio.sleep(clock.until(stage.plan.settled_ms))
    await stage.until(stage.truth_file.exists, "everything sent is confirmed", _CONFIRMED_WITHIN_S)


class Evidence:
    """What a day left behind: the truth, the agent's store, the centre's summaries."""

    def __init__(self, stage: Stage) -> None:
        self._loaded = load(stage.agent_config)
        self._bindings = bind(self._loaded).bindings
        self._timetable = self._loaded.tables.school_hours
        self._truth: dict[str, Any] = json.loads(stage.truth_file.read_text(encoding="utf-8"))
        self._windows = TruthWindows(
            self._truth["windows"],
            lambda device, quantity: self._bindings[device].rules[quantity],
            CompiledTimetable(self._timetable),
            stage.plan.scenario.end_ms,
        )

    async def until_delivered(self, watcher: Watcher) -> None:
        """Wait until nothing waits in the agent and every window that is due is at the centre; not for ever."""
        deadline = time.monotonic() + _DELIVERED_WITHIN_S
        looked_at = -1
        while time.monotonic() < deadline:
            with contextlib.suppress(CentreSilent):
                agent = await watcher.agent()
                if agent is not None and not agent["waiting"] and (stored := await watcher.stored()) != looked_at:
                    if not self._windows.missing(await watcher.exported()):
                        return
                    looked_at = stored  # reading them all again would tell nothing until there are more
            await asyncio.sleep(_POLL_S)

    async def balance(self, watcher: Watcher) -> Balance:
        """The balance, once the agent has left."""
        found = audit(self._loaded.folder / self._loaded.tables.agent.state, self._timetable, self._bindings)
        return draw_up(self._truth, self._windows, found, await watcher.exported(), await watcher.stored())
