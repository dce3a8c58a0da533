"""A centre that was put back from a copy: what it has lost is offered again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.events import Applied, Delivered, Forked
from edge_agent.timing import Timing
from telemetry.uplink_contract import GENESIS
from tests.edge_agent.harness import (
    MINUTE,
    Bench,
    delivered,
    lines_of,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9))
    yield made
    made.stop()


class TestRestoredCentre:
    """A centre restored from a copy has lost batches that it acknowledged: they are offered again, in order."""

    def settle_all(self, bench: Bench, kept: list[str]) -> None:
        while bench.sends:
            kept += lines_of(bench.answer(delivered))
            bench.until_closed(MINUTE)

    def live(self, bench: Bench) -> list[str]:
        kept: list[str] = []
        for minute in range(20):
            bench.read("mast", ["temperature", minute])
            bench.until_closed(MINUTE)
            if bench.sends:
                kept += lines_of(bench.answer(delivered))
        assert bench.core.state.next_sequence > 8
        return kept

    def head_at(self, bench: Bench, sequence: int) -> bytes:
        query = "SELECT head FROM batch WHERE sequence = ?"
        [(head,)] = bench.store._connection.execute(query, (sequence,)).fetchall()
        assert isinstance(head, bytes)
        return head

    @pytest.mark.parametrize("is_far", [False, True])
    def test_what_it_lost_is_offered_again(self, bench: Bench, is_far: bool) -> None:
        """Far behind it answers 409 and states its mark; a little behind, 204 with a mark before the batch."""
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        last = bench.sends[0].batch.sequence
        applied = Applied(2, self.head_at(bench, 2)) if is_far else Applied(last - 3, self.head_at(bench, last - 3))
        bench.answer(lambda batch: Forked(batch, applied) if is_far else Delivered(batch, applied))
        again = []
        while bench.sends and bench.sends[0].batch.sequence <= last:
            again.append(bench.sends[0].batch.sequence)
            bench.answer(delivered)
        assert again == list(range(applied.sequence + 1, last + is_far)), "the last itself is there after a 204"
        self.settle_all(bench, [])
        found = bench.audit()
        assert found.faults == []
        assert found.balance["acknowledged"] == found.balance["summaries"] > 10

    def test_a_refused_batch_that_it_lost_counts_no_second_time(self, bench: Bench) -> None:
        """Its summaries went on in other batches; offered again for its number, it holds none that are waited for."""
        bench.read("mast", ["temperature", 20], ["wind_speed", 3])
        bench.until_closed(4 * MINUTE)
        assert len(lines_of(bench.sends[0])) == 2
        first = bench.answer(refused).batch.sequence
        head = self.head_at(bench, first - 1) if first > 1 else GENESIS
        self.settle_all(bench, [])
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        bench.answer(lambda batch: Forked(batch, Applied(first - 1, head)))
        assert bench.answer(delivered).batch.sequence == first
        self.settle_all(bench, [])
        found = bench.audit()
        assert found.faults == []
        assert found.balance["acknowledged"] == found.balance["summaries"]

    def test_a_restart_in_the_middle_goes_on(self, bench: Bench) -> None:
        """What is recalled is durable; the centre's next word brings the rest."""
        self.live(bench)
        bench.until_closed(5 * MINUTE)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        head = self.head_at(bench, 2)
        bench.answer(lambda batch: Forked(batch, Applied(2, head)))
        assert bench.answer(delivered).batch.sequence == 3
        bench.restart()
        bench.until_closed(MINUTE)
        mark = bench.sends[0].batch.sequence - 1
        head = self.head_at(bench, mark)
        bench.answer(delivered)
        self.settle_all(bench, [])
        found = bench.audit()
        assert found.faults == []
        assert found.balance["acknowledged"] == found.balance["summaries"]

    def test_a_past_that_is_not_ours_begins_a_new_epoch(self, bench: Bench) -> None:
        """The head it states is on no chain of ours: nothing is offered again under the old name."""
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        old = bench.core.state.epoch
        bench.answer(lambda batch: Forked(batch, Applied(2, bytes(32))))
        bench.until_closed(MINUTE)
        assert bench.core.state.epoch != old
        self.settle_all(bench, [])
        assert bench.audit().faults == []

    def test_a_batch_behind_a_past_that_is_not_ours_is_the_last_of_its_epoch(self, bench: Bench) -> None:
        """The centre has it, and is not told of it again; what follows goes under a new name, with counts closed."""
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        old = bench.core.state.epoch
        sent = lines_of(bench.answer(lambda batch: Delivered(batch, Applied(batch.sequence, bytes(32)))))
        assert bench.core.state.epoch != old
        assert bench.core.people.closed_ms == bench.core.state.spending.closed_until_ms
        bench.read("mast", ["temperature", 51])
        bench.until_closed(4 * MINUTE)
        kept: list[str] = []
        self.settle_all(bench, kept)
        assert kept
        assert not set(kept) & set(sent)
        assert bench.audit().faults == []

    @pytest.mark.parametrize("body", ["NULL", "zeroblob(length(body))"])
    def test_bytes_that_are_gone_begin_a_new_epoch(self, bench: Bench, body: str) -> None:
        """After the ledger's days there are hashes alone, and nothing to offer again; nor what a disk has changed."""
        self.live(bench)
        bench.store._connection.execute(f"UPDATE batch SET body = {body} WHERE sequence = 4")
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        old, head = bench.core.state.epoch, self.head_at(bench, 2)
        bench.answer(lambda batch: Forked(batch, Applied(2, head)))
        assert bench.answer(delivered).batch.sequence == 3
        bench.until_closed(MINUTE)
        assert bench.core.state.epoch != old
        self.settle_all(bench, [])
        assert all(f"batch {old}-4 " in fault for fault in bench.audit().faults)
        bench.restart()
        assert not list(bench.folder.glob("*.corrupt-*")), "its past is no reason to mend it"
