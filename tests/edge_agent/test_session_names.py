"""Sessions on disk: never by client id, known again by the next process, and renamed where an earlier version was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.session_names import FILE_NAME, SessionNames
from edge_agent.store import Store, records
from edge_agent.store.engine import StoreUnusable
from tests.edge_agent.harness import MINUTE, Bench, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLIENT = "sensor/张伟的手机"


def nothing(_name_of: object) -> None:
    """There is nothing to rename."""


def test_a_name_lasts_and_tells_nothing(tmp_path: Path) -> None:
    """The same session has the same name after a restart; another agent's key gives another; the key is its owner's."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    name = SessionNames.of(one, nothing)(CLIENT)
    assert SessionNames.of(one, nothing)(CLIENT) == name != SessionNames.of(two, nothing)(CLIENT)
    assert SessionNames.of(one, nothing)("sensor/other") != name
    assert "/" not in name
    assert (one / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_key_cut_short_is_drawn_again(tmp_path: Path) -> None:
    """A power cut while it was written: the agent starts, with another key."""
    (tmp_path / FILE_NAME).write_bytes(b"short")
    SessionNames.of(tmp_path, nothing)
    assert len((tmp_path / FILE_NAME).read_bytes()) == 32


def test_a_start_that_is_cut_short_goes_on_with_the_same_key(tmp_path: Path) -> None:
    """What is renamed on disk would be nobody's otherwise, and copies of its messages would count twice."""
    given: list[str] = []

    def cut_short(name_of: Callable[[str], str]) -> None:
        given.append(name_of(CLIENT))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SessionNames.of(tmp_path, cut_short)
    again: list[str] = []
    names = SessionNames.of(tmp_path, lambda name_of: again.append(name_of(CLIENT)))
    assert given == again == [names(CLIENT)] == [SessionNames.of(tmp_path, nothing)(CLIENT)]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """As of the store itself."""
    with pytest.raises(StoreUnusable, match="cannot be used"):
        SessionNames.of(tmp_path / "nowhere", nothing)


def sessions(bench: Bench) -> set[str]:
    connection = bench.store._connection
    found = {
        name for table in ("receipt", "exchange") for (name,) in connection.execute(f"SELECT session FROM {table}")
    }
    for receipts, exchanges in connection.execute("SELECT receipts, exchanges FROM journal"):
        found |= {name for name, _ in records.unpack_receipts(receipts)}
        found |= {name for name, _ in records.unpack_exchanges(exchanges)}
    return found


def test_an_earlier_versions_sessions_are_renamed_and_known_again(tmp_path: Path) -> None:
    """In the receipts, in the exchanges and in the journal; a copy of a message is still known for one."""
    bench = Bench(tmp_path)
    for packet_id in (1, 2):
        bench.arrive("air", frame(["carbon_dioxide", 600]), session=CLIENT, packet_id=packet_id)
        bench.settle()
        if packet_id == 1:
            bench.checkpoint()
    assert sessions(bench) == {CLIENT}
    bench.stop()
    store = Store(tmp_path, new_epoch=lambda: "0" * 16)
    names = SessionNames.of(tmp_path, store.rename_sessions)
    store.close()
    bench.start()
    assert sessions(bench) == {names(CLIENT)}
    for packet_id in (1, 2):
        arrived: dict[str, Any] = {"packet_id": packet_id, "duplicate": True}
        bench.arrive("air", frame(["carbon_dioxide", 600]), session=names(CLIENT), **arrived)
        bench.settle()
    assert bench.audit().balance["duplicate"] == 2
    bench.until_closed(MINUTE)
    assert bench.audit().closes
