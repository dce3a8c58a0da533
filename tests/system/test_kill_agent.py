"""The agent is killed with SIGKILL, at every boundary of the durable path: the balance is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.crashing_agent import BOUNDARIES
from tests.system.school import School

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.store.audit import Audit
    from tests.support.processes import Processes


def assert_balanced(school: School, audit: Audit) -> None:
    """Every reading sent is in the balance once, and every summary is at the centre once."""
    balance = audit.balance
    assert audit.closes, audit.faults
    received_once = balance["received"] - balance["duplicate"]
    assert (received_once, balance["rejected"]) == (school.devices.readings, 0)
    stored = school.summaries()
    keys = {(summary.series, summary.start_ms) for summary in stored}
    assert len(stored) == len(keys) == balance["acknowledged"] == balance["summaries"]


def test_killed_before_and_after_every_step(tmp_path: Path, processes: Processes, tell: Callable[[str], None]) -> None:
    """Commit, acknowledge, seal, send and mark: each is hit on both sides, and the balance closes over them all."""
    school = School(tmp_path, processes)
    for boundary in BOUNDARIES:
        agent = school.start_crashing_agent(boundary, nth=3)
        school.send_while(agent, seconds=20)
        assert not agent.is_running(), f"{boundary} was not reached: {agent.stderr}"
    agent = school.start_agent()
    audit = school.settle(agent)
    hits = school.hits.read_text().split()
    twice = audit.balance["duplicate"]
    assert hits == list(BOUNDARIES)
    assert_balanced(school, audit)
    assert twice > 0, "no message came twice: the kills after a commit proved nothing"
    tell(f"killed {' '.join(hits)}; {school.devices.readings} readings, lost 0, doubled 0, {twice} known as copies")


def test_killed_while_a_device_gets_rid_of_what_it_kept(
    tmp_path: Path, processes: Processes, tell: Callable[[str], None]
) -> None:
    """4,000 messages kept while nobody was there, which paho sends at once, MQTT 5 or not: each is taken in once."""
    school = School(tmp_path, processes)
    for _ in range(4_000):
        school.devices.send()
    for boundary in ("after:commit", "before:acknowledge"):
        assert school.start_crashing_agent(boundary, nth=2).wait(30) != 0
    audit = school.settle(school.start_agent())
    assert_balanced(school, audit)
    twice = audit.balance["duplicate"]
    most = 2 * 2 * 1_000 * school.devices.READINGS_A_MESSAGE
    assert 0 < twice <= most, "a kill costs at most what was under way, and the PUBACKs that were: not all of it again"
    tell(f"{school.devices.readings} readings kept, killed twice, lost 0, doubled 0, {twice} known as copies")
