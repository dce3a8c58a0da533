"""The pages of a running agent, put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.local.light import Lights
from edge_agent.local.secret import load_or_make
from edge_agent.local.today import TodayReader
from edge_agent.privacy.egress import class_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_agent.config_file import LoadedConfiguration
    from edge_agent.core import Core
    from edge_agent.discovery.proposals import Proposal
    from edge_agent.local.pages import LocalPages
    from telemetry import Clock


def local_pages(
    loaded: LoadedConfiguration, core: Core, folder: Path, clock: Clock, unplaced: Callable[[], Sequence[Proposal]]
) -> LocalPages | None:
    """The pages that [pages] asks for; None without it. Raises `PagesSecretUnusable`."""
    table, bindings = loaded.tables.pages, core.admission.bindings
    if table is None:
        return None
    from edge_agent.local.pages import LocalPages  # noqa: PLC0415 - templates are loaded by who shows pages, alone
    from edge_agent.local.site import Site  # noqa: PLC0415

    site = Site(loaded, bindings)
    return LocalPages(
        site,
        table,
        reader=TodayReader(folder, loaded.tables.zone, class_of(bindings)),
        lights=Lights(bindings.values(), site.lit, lambda: core.state.windows),
        tokens=site.tokens(load_or_make(folder)),
        unplaced=unplaced,
        timetable=lambda: core.state.timetable.timetable,
        clock=clock,
    )
