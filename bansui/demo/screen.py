"""What the demo shows while it runs: one live table on a terminal, plain lines elsewhere, nothing when told so."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol, TextIO
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from bansui.demo.plan import Plan
    from bansui.demo.watching import Sight
    from bansui.demo.words import Words

_LINE_EVERY_S: Final = 3.0


class Screen(Protocol):
    """Where a demo is seen."""

    def opened(self, url: str) -> None:
        """The page is there."""
        ...

    def show(self, sight: Sight) -> None:
        """Another look."""
        ...

    def close(self) -> None:
        """Nothing more is shown live."""
        ...


class LiveScreen:
    """A table that changes in place."""

    def __init__(self, plan: Plan, words: Words) -> None:
        self._plan, self._words = plan, words
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._is_live = False

    def opened(self, url: str) -> None:
        """Print the address, then begin the table."""
        self._console.print(f"[bold]{url}[/]  {self._words('opened')}")
        self._live.start()
        self._is_live = True

    def show(self, sight: Sight) -> None:
        """Change the table."""
        table = Table.grid(padding=(0, 3))
        table.title = f"{self._words('title')}: {self._plan.scenario.school}"
        table.title_justify = "left"
        for label, text in figures(sight, self._plan, self._words):
            style = "bold red" if text.startswith("✕") else ""
            table.add_row(f"[dim]{label}[/]", f"[{style}]{text}[/]" if style else text)
        self._live.update(table)

    def close(self) -> None:
        """Leave the last table where it is."""
        if self._is_live:
            self._live.stop()
            self._is_live = False


class PlainScreen:
    """A line every few seconds, and whenever something breaks or heals."""

    def __init__(self, plan: Plan, words: Words, stream: TextIO = sys.stdout) -> None:
        self._plan, self._words, self._stream = plan, words, stream
        self._next_line = 0.0
        self._state: tuple[str, str] | None = None

    def opened(self, url: str) -> None:
        """Print the address."""
        self._print(f"{url}  {self._words('opened')}")

    def show(self, sight: Sight) -> None:
        """Print a line when it is time for one."""
        state = agent_state(sight, self._words), uplink_state(sight, self._words)
        if time.monotonic() < self._next_line and state == self._state:
            return
        self._state, self._next_line = state, time.monotonic() + _LINE_EVERY_S
        self._print("  ".join(f"{label} {text}" for label, text in figures(sight, self._plan, self._words)))

    def close(self) -> None:
        """Nothing stays open."""

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def figures(sight: Sight, plan: Plan, words: Words) -> list[tuple[str, str]]:
    """What there is to see, as labels and texts."""
    local = datetime.fromtimestamp(sight.time_ms / 1000, ZoneInfo(plan.scenario.timezone))
    rows = [
        (words("time"), f"{local:%H:%M}"),
        (words("rooms"), f"{sight.rooms_fresh}/{len(plan.scenario.room)}"),
        (words("worst"), f"{sight.worst_room.upper()} {sight.worst_ppm:,} ppm" if sight.worst_room else "–"),
    ]
    if sight.agent is not None:
        outbox = {name: sight.agent[name] for name in ("waiting", "acknowledged")}
        rows += [(words("received"), f"{sight.agent['received']:,}"), (words("summaries"), words("outbox", **outbox))]
        rows.append((words("uplink"), uplink_state(sight, words)))
    rows.append((words("agent"), agent_state(sight, words)))
    return rows


def uplink_state(sight: Sight, words: Words) -> str:
    """Whether the agent reaches the centre, by its own word."""
    return words("up" if sight.agent is not None and sight.agent["uplink"] == "up" else "down")


def agent_state(sight: Sight, words: Words) -> str:
    """Whether the agent runs, and how often it was killed."""
    if sight.agent is None:
        return words("killed")
    return words("running.again", kills=sight.kills) if sight.kills else words("running")
