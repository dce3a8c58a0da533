from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_sink.inbox import KEPT_MS, MOST_WAITING, Batch, ForkedBatch, Inbox, InboxFault, InboxFull, Kind, Tally, file
from cloud_sink.inbox.file import FILE_NAME, check_sqlite
from cloud_sink.inbox.schema import VERSION, InboxTooNew
from telemetry import EnvironmentFault
from telemetry.uplink_contract import GENESIS, BatchId, Told, chain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

EPOCH = "00000000000000aa"
EARLIER_INBOX: Final = Path(__file__).parents[1] / "faults" / "fixtures" / "inbox-1.sql"


class Now:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def batch(
    sequence: int, body: bytes | None = None, *, agent: str = "edge-1", epoch: str = EPOCH, told: Told | None = None
) -> Batch:
    body = f"body {sequence}".encode() if body is None else body
    return Batch(agent, BatchId(epoch, sequence), Kind.SUMMARIES, body, 1, told)


def head(*sequences: int) -> bytes:
    value = GENESIS
    for sequence in sequences:
        value = chain(value, f"body {sequence}".encode())
    return value


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    opened = Inbox(tmp_path, Now())
    yield opened
    await opened.close()


async def test_each_batch_in_order_moves_the_mark_and_the_head(inbox: Inbox) -> None:
    first = await inbox.commit(batch(1))
    second = await inbox.commit(batch(2))
    assert (first.applied, first.head) == (1, head(1))
    assert (second.applied, second.head) == (2, head(1, 2))


async def test_the_same_batch_again_is_acknowledged_and_not_stored_twice(inbox: Inbox) -> None:
    await inbox.commit(batch(1))
    again = await inbox.commit(batch(1))
    assert again.applied == 1
    assert len(await inbox.pending(0, 10)) == 1


async def test_the_same_number_with_other_bytes_is_a_fork_and_changes_nothing(inbox: Inbox) -> None:
    await inbox.commit(batch(1))
    with pytest.raises(ForkedBatch, match="other bytes") as caught:
        await inbox.commit(batch(1, b"forged"))
    assert caught.value.receipt.applied == 1
    assert [stored.body for stored in await inbox.pending(0, 10)] == [b"body 1"]


async def test_batches_out_of_order_leave_the_mark_at_the_last_without_a_gap(inbox: Inbox) -> None:
    assert (await inbox.commit(batch(3))).applied == 0
    assert (await inbox.commit(batch(2))).applied == 0
    last = await inbox.commit(batch(1))
    assert (last.applied, last.head) == (3, head(1, 2, 3))


async def test_a_batch_beyond_the_open_window_is_refused(inbox: Inbox) -> None:
    assert (await inbox.commit(batch(4))).applied == 0
    with pytest.raises(ForkedBatch, match="ahead"):
        await inbox.commit(batch(5))


async def test_refused_batches_leave_no_gap_and_keep_no_bytes(inbox: Inbox) -> None:
    """The agent goes on behind batches that were refused, and the heads of both sides agree."""
    for sequence in range(1, 7):
        await inbox.refuse("edge-1", BatchId(EPOCH, sequence), b"body %d" % sequence)
    last = await inbox.commit(batch(7))
    assert (last.applied, last.head) == (7, head(*range(1, 8)))
    assert [stored.body for stored in await inbox.pending(0, 10)] == [b"body 7"]
    assert await inbox.waiting_after(0) == 1


async def test_a_batch_that_is_no_longer_refused_is_taken(inbox: Inbox) -> None:
    """Refused before the centre's configuration was mended, the same bytes are stored when they come again."""
    await inbox.refuse("edge-1", BatchId(EPOCH, 1), b"body 1")
    assert (await inbox.commit(batch(1))).applied == 1
    assert [stored.body for stored in await inbox.pending(0, 10)] == [b"body 1"]
    await inbox.refuse("edge-1", BatchId(EPOCH, 1), b"body 1")
    assert [stored.body for stored in await inbox.pending(0, 10)] == [b"body 1"], "what is stored stays"


async def test_agents_and_epochs_have_marks_of_their_own(inbox: Inbox) -> None:
    await inbox.commit(batch(1))
    await inbox.commit(batch(2))
    assert (await inbox.commit(batch(1, agent="edge-2"))).applied == 1
    assert (await inbox.commit(batch(1, epoch="00000000000000bb"))).applied == 1
    first, second = await inbox.tallies()
    assert (first.agent, first.batches, first.lines, first.applied) == ("edge-1", 3, 3, "00000000000000bb-1")
    assert (second.agent, second.batches, second.applied) == ("edge-2", 1, f"{EPOCH}-1")


async def test_a_batch_refused_once_and_good_now_counts_once(inbox: Inbox) -> None:
    await inbox.refuse("edge-1", BatchId(EPOCH, 1), b"body 1")
    await inbox.commit(Batch("edge-1", BatchId(EPOCH, 2), Kind.REPORT, b"report", 0))
    for _ in range(2):
        await inbox.commit(batch(1))
    assert await inbox.tallies() == [Tally("edge-1", 1, 1, 1, f"{EPOCH}-2")]


async def test_who_was_heard_is_looked_up_from_the_end(tmp_path: Path) -> None:
    """Each agent's last, and all since a moment; a clock that was set back in between hides none."""
    now = Now()
    inbox = Inbox(tmp_path, now)
    await inbox.commit(batch(1, agent="silent"))
    await inbox.commit(batch(1))
    now.ms += 3 * KEPT_MS
    since = now.ms
    await inbox.commit(batch(2))
    now.ms -= KEPT_MS // 2
    await inbox.commit(batch(1, agent="set-back"))
    now.ms += KEPT_MS
    await inbox.commit(batch(2, agent="set-back"))
    first = since - 3 * KEPT_MS
    assert await inbox.heard(since) == [("silent", first), ("edge-1", since), ("set-back", since + KEPT_MS // 2)]
    await inbox.close()


async def test_a_log_that_is_there_is_written_again_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before SQLite reads it: of what an fsync failed to bring to the disk nothing shows there."""
    written: list[bytes] = []
    monkeypatch.setattr(file, "_rewrite", lambda log, _vfs: written.append(log.read_bytes()))
    before = Inbox(tmp_path, Now())
    await before.commit(batch(1))
    content = (tmp_path / f"{FILE_NAME}-wal").read_bytes()
    before._broken = InboxFault("an end that was not planned")
    await before.close()
    after = Inbox(tmp_path, Now())
    assert written == [content]
    await after.close()


async def test_a_tally_that_is_another_than_the_marks_say_is_counted_anew(tmp_path: Path) -> None:
    before = Inbox(tmp_path, Now())
    await before.commit(batch(1))
    before._connection.execute("UPDATE tally SET lines = 7")
    await before.close()
    after = Inbox(tmp_path, Now())
    assert len(after.set_aside) == 1
    assert [tally.lines for tally in await after.tallies()] == [1]
    await after.close()


def _logs(folder: Path) -> Iterator[Path]:
    return folder.glob("*.corrupt-*-wal")


async def test_of_damaged_files_the_newest_are_kept(tmp_path: Path) -> None:
    """A disk that fails again and again would fill with them; by a clock that was set back the last is the newest."""
    await Inbox(tmp_path, Now()).close()
    for number in (10, 9, 8, 1 << 62):
        (tmp_path / f"{FILE_NAME}.corrupt-{number}").touch()
        (tmp_path / f"{FILE_NAME}.corrupt-{number}-wal").touch()
    (tmp_path / f"{FILE_NAME}.corrupt-of-march").touch()
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1000)
    inbox = Inbox(tmp_path, Now())
    kept = [f"{FILE_NAME}.corrupt-{name}" for name in ("10", 1 << 62, (1 << 62) + 1, "of-march")]
    assert inbox.set_aside == kept
    assert len(list(_logs(tmp_path))) == 2
    assert (tmp_path / kept[2]).read_bytes().startswith(b"no database")
    await inbox.close()


async def test_a_mark_that_cannot_be_read_far_behind_the_last_is_passed_over(tmp_path: Path) -> None:
    """Positions go on behind what stores have, and may leave millions out: none of them is looked for."""
    before = Inbox(tmp_path, Now())
    await before.commit(batch(1))
    before._connection.execute("UPDATE sqlite_sequence SET seq = 50000000 WHERE name = 'mark'")
    await before.commit(batch(1, agent="edge-2"))
    await before.commit(batch(1, agent="edge-3"))
    before._connection.execute("UPDATE mark SET kind = CAST(x'61ff' AS TEXT) WHERE agent = 'edge-2'")
    await before.close()
    after = Inbox(tmp_path, Now())
    assert [tally.agent for tally in await after.tallies()] == ["edge-1", "edge-3"]
    await after.close()


@pytest.mark.parametrize("place", [0, 10])
async def test_of_a_page_of_marks_that_cannot_be_read_no_other_is_lost(tmp_path: Path, place: int) -> None:
    before = Inbox(tmp_path, Now())
    agents = [f"edge-{number}" for number in range(1000)]
    for start in range(0, len(agents), 50):
        await asyncio.gather(*(before.commit(batch(1, agent=agent)) for agent in agents[start : start + 50]))
    leaf = "SELECT pageno, ncell FROM dbstat WHERE name = 'mark' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET ?"
    page, marks = next(before._connection.execute(leaf, (place,)))
    await before.close()
    content = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(content[: (page - 1) * 4096] + b"\xff" * 4096 + content[page * 4096 :])
    after = Inbox(tmp_path, Now())
    assert len(await after.tallies()) == len(agents) - marks
    await after.close()


async def test_a_restart_keeps_marks_heads_and_gaps(tmp_path: Path) -> None:
    before = Inbox(tmp_path, Now())
    await before.commit(batch(1))
    await before.commit(batch(3))
    await before.close()
    after = Inbox(tmp_path, Now())
    receipt = await after.commit(batch(2))
    assert (receipt.applied, receipt.head) == (3, head(1, 2, 3))
    assert [stored.body for stored in await after.pending(0, 10)] == [b"body 1", b"body 3", b"body 2"]
    await after.close()


async def test_bytes_are_dropped_when_a_day_old_and_projected_and_marks_stay(tmp_path: Path) -> None:
    now = Now()
    inbox = Inbox(tmp_path, now)
    for sequence in (1, 2, 4):
        await inbox.commit(batch(sequence))
    now.ms += KEPT_MS
    assert await inbox.prune(10) == 0
    now.ms += 1
    assert await inbox.prune(1) == 1
    assert await inbox.prune(10) == 2
    assert (await inbox.commit(batch(1))).applied == 2
    with pytest.raises(ForkedBatch):
        await inbox.commit(batch(2, b"forged"))
    assert (await inbox.commit(batch(3))).head == head(1, 2, 3, 4)
    await inbox.close()


async def test_batches_that_wait_together_share_a_commit_and_each_gets_its_own_answer(inbox: Inbox) -> None:
    answers = await asyncio.gather(
        *(inbox.commit(item) for item in (batch(1), batch(2), batch(1, b"forged"), batch(2))), return_exceptions=True
    )
    assert [type(answer).__name__ for answer in answers] == ["Receipt", "Receipt", "ForkedBatch", "Receipt"]


async def test_more_batches_than_may_wait_are_told_to_come_back(inbox: Inbox) -> None:
    commits = [asyncio.create_task(inbox.commit(batch(n, epoch=f"{n:016x}"))) for n in range(1, MOST_WAITING + 3)]
    answers = await asyncio.gather(*commits, return_exceptions=True)
    assert sum(isinstance(answer, InboxFull) for answer in answers) == 2


async def test_after_a_failed_write_nothing_is_acknowledged_any_more(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_batches: object) -> None:
        raise apsw.IOError("fsync")

    monkeypatch.setattr(inbox, "_commit_group", fail)
    with pytest.raises(InboxFault, match="fsync"):
        await inbox.commit(batch(1))
    monkeypatch.undo()
    with pytest.raises(InboxFault):
        await inbox.commit(batch(1))
    assert inbox.broken is not None


def test_an_old_sqlite_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_sink.inbox.file.apsw.sqlite_lib_version", lambda: "3.45.1")
    with pytest.raises(EnvironmentFault, match=r"3\.45\.1 is too old"):
        check_sqlite()


async def test_an_inbox_of_version_1_is_brought_up_to_date_with_everything_in_it(tmp_path: Path) -> None:
    earlier = apsw.Connection(str(tmp_path / FILE_NAME))
    earlier.execute(EARLIER_INBOX.read_text())
    earlier.close()
    inbox = Inbox(tmp_path, Now(), projected=1)
    assert [stored.body for stored in await inbox.pending(0, 10)] == [b"body 2", b"body 4"]
    assert (await inbox.commit(batch(3))).head == head(1, 2, 3, 4)
    assert [tally.applied for tally in await inbox.tallies()] == [f"{EPOCH}-4", f"{EPOCH}-1"]
    with pytest.raises(ForkedBatch) as caught:
        await inbox.commit(batch(4, b"forged"))
    assert caught.value.told is None, "what version 1 took has no span, and nobody may say that nothing was told"
    await inbox.commit(batch(5, told=Told(1000, 2000)))
    with pytest.raises(ForkedBatch) as caught:
        await inbox.commit(batch(5, b"forged"))
    assert caught.value.told == Told(1000, 2000)
    await inbox.close()


async def test_an_inbox_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    await Inbox(tmp_path, Now()).close()
    later = apsw.Connection(str(tmp_path / FILE_NAME))
    later.pragma("user_version", VERSION + 1)
    with pytest.raises(InboxTooNew, match=f"schema {VERSION + 1}"):
        Inbox(tmp_path, Now())
    assert later.pragma("user_version") == VERSION + 1
    later.close()


async def test_a_fork_is_told_what_its_other_copy_told_since_in_whatever_epoch(inbox: Inbox) -> None:
    """The other copy may have turned to a new epoch since; what another agent told is another matter."""
    await inbox.commit(batch(1, told=Told(1000, 2000)))
    await inbox.commit(batch(2, told=Told(2000, 3000)))
    await inbox.commit(Batch("edge-1", BatchId(EPOCH, 3), Kind.REPORT, b"report", 0))
    await inbox.commit(batch(1, epoch="00000000000000bb", told=Told(500, 4000)))
    await inbox.commit(batch(1, agent="edge-2", told=Told(0, 9000)))
    for sequence, told in ((1, Told(500, 4000)), (2, Told(500, 4000)), (3, Told(500, 4000))):
        with pytest.raises(ForkedBatch) as caught:
            await inbox.commit(batch(sequence, b"forged"))
        assert caught.value.told == told


async def test_a_fork_from_a_batch_that_was_refused_first_is_told_what_came_between(inbox: Inbox) -> None:
    """Refused once more it keeps its place; taken at last, it stands behind those that came after it."""
    body = b"refused at first"
    await inbox.refuse("edge-1", BatchId(EPOCH, 1), body)
    await inbox.commit(batch(2, told=Told(1000, 2000)))
    await inbox.refuse("edge-1", BatchId(EPOCH, 1), body)
    for told in (Told(1000, 2000), Told(1000, 4000)):
        with pytest.raises(ForkedBatch) as caught:
            await inbox.commit(batch(1, b"forged"))
        assert caught.value.told == told
        await inbox.commit(batch(1, body, told=Told(3000, 4000)))


async def test_a_fork_from_a_report_has_been_told_nothing(inbox: Inbox) -> None:
    await inbox.commit(Batch("edge-1", BatchId(EPOCH, 1), Kind.REPORT, b"report", 0))
    with pytest.raises(ForkedBatch) as caught:
        await inbox.commit(batch(1))
    assert caught.value.told == Told(0, 0)


def arrivals() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, 6), max_size=20)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=arrivals())
async def test_any_order_and_repetition_ends_at_the_same_mark_and_head(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    inbox = Inbox(tmp_path_factory.mktemp("inbox"), Now())
    for sequence in [*order, 1, 2, 3, 4, 5, 6]:
        try:
            receipt = await inbox.commit(batch(sequence))
        except ForkedBatch:
            continue
    assert (receipt.applied, receipt.head) == (6, head(1, 2, 3, 4, 5, 6))
    assert len(await inbox.pending(0, 100)) == 6
    await inbox.close()
