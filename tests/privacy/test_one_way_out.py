"""One module can connect to the centre, and one kind of line can leave the outbox: in the code, and at work."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent.counts import CountKey
from edge_agent.store import Store, outbox, summaries
from edge_agent.transactions import Kind, NewSummary, SealOrder, Transaction
from telemetry import ContractViolation
from telemetry.uplink_contract import BatchId, unseal
from tests.documents import ROOT
from tests.edge_agent.harness import DAY, MINUTE, Bench, delivered, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOMS: Final = ("telemetry", "device_drivers", "broker", "edge_agent")
"""All that runs in an agent."""
_NETWORK: Final = frozenset(
    """aiohttp aiomqtt asyncssh dns fastapi ftplib gmqtt grpc h11 h2 http httpcore httpx imaplib multiprocessing nntplib
    paho paramiko poplib pycurl pymodbus requests serial serial_asyncio_fast smtplib socket socketserver ssl subprocess
    telnetlib urllib3 uvicorn websockets xmlrpc""".split()  # noqa: SIM905 - words
)
_CALLS: Final = frozenset(
    """connection_for_serial create_connection create_datagram_endpoint create_server create_subprocess_exec
    create_subprocess_shell create_unix_connection create_unix_server execv execve open_connection
    open_unix_connection popen posix_spawn sock_connect sock_sendto start_server start_unix_server urlopen""".split()  # noqa: SIM905 - words
)
MAY: Final = {
    "edge_agent/uplink.py": {"httpx"},  # the one way to the centre
    "edge_agent/certificate_life.py": {"ssl"},  # reads the certificate of that line
    "edge_agent/client_tls.py": {"ssl"},  # whom that line and the one to the broker believe
    "edge_agent/addresses.py": {"httpx"},  # asks what connects whether an address can be one, and opens nothing
    # to devices and to the school's own broker, named in the configuration
    "device_drivers/serial_port.py": {"serial"},
    "device_drivers/connections.py": {"serial_asyncio_fast", "connection_for_serial", "open_connection", "socket"},
    "edge_agent/intake/subscriber.py": {"create_connection"},
    "edge_agent/intake/child_process.py": {"subprocess"},  # the program that the configuration names, and its keeper
    "edge_agent/intake/exec_keeper.py": {"execve"},
    # of devices that have no place yet: by a command alone, never by the agent
    "edge_agent/discovery/pjlink_search.py": {"create_datagram_endpoint"},
    "edge_agent/discovery/serial_ports.py": {"serial"},
    "edge_agent/discovery/telling.py": {"open_unix_connection", "start_unix_server"},  # within the state folder
    # to what the kit puts in a device's place, on loopback; no agent imports it
    "device_drivers/conformance/wire.py": {"create_server"},
    # from devices and from people in the school, who connect to the agent
    "broker/connection.py": {"socket"},
    "broker/listener.py": {"create_server"},
    "broker/tls.py": {"ssl"},
    "broker/tls_server.py": {"create_server", "socket"},
    "edge_agent/local/server.py": {"start_server"},
}
"""Who may touch a network, a line or another process, and by what. Whoever adds to this adds a way out."""
SUMMARIES_COME_FROM: Final = {
    "edge_agent/closing.py",  # a window closes: what its rule tells of it
    "edge_agent/privacy/release.py",  # a slot's people counts, with their noise
    "edge_agent/merging.py",  # of those that wait, longer windows
    "edge_agent/store/summaries.py",  # as they were, out of the store
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not path.name.startswith("test_"):
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def at_work(node: ast.AST) -> Iterator[ast.AST]:
    """What runs: not what stands there for the type checker alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from at_work(child)


def means(tree: ast.Module) -> set[str]:
    """Network modules and calls that a module's code names, however it imports them."""
    found: set[str] = set()
    for node in at_work(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names} & _NETWORK
            found |= {"urllib.request"} & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            found |= ({(node.module or "").partition(".")[0]} & _NETWORK) | (names & _CALLS)
            if (node.module == "urllib" and "request" in names) or node.module == "urllib.request":
                found.add("urllib.request")
        elif isinstance(node, ast.Attribute) and node.attr in _CALLS:
            found.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__":
            found.add("__import__")
        elif isinstance(node, ast.Attribute) and node.attr == "import_module":
            found.add("import_module")
    return found


def test_who_may_touch_a_network() -> None:
    """Exactly these modules, each by exactly these means; drivers and OpenDP are imported by name."""
    found = {name: means(tree) for name, tree in sources()}
    for name in ("device_drivers/registry.py", "edge_agent/privacy/noise.py"):
        found[name] -= {"import_module"}
    assert {name: by for name, by in found.items() if by} == MAY


@pytest.mark.parametrize(
    "code",
    [
        "import httpx",
        "import socket as s",
        "from urllib import request",
        "import urllib.request",
        "from asyncio import open_connection",
        "async def f():\n    await asyncio.open_connection('a', 1)",
        "def f():\n    import requests",
        "import os\nos.popen('curl')",
        "__import__('socket')",
        "import importlib\nimportlib.import_module('socket')",
    ],
)
def test_a_second_way_out_is_seen(code: str) -> None:
    """However it is written."""
    assert means(ast.parse(code))


def test_a_name_for_the_type_checker_is_none() -> None:
    """It is never imported."""
    assert not means(ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx"))


def test_where_summaries_are_made() -> None:
    """Exactly these modules make what the outbox takes."""
    makers = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NewSummary"
    }
    assert makers == SUMMARIES_COME_FROM


SERIES: Final = "temperature,building=a,device=mast,room=a-301,school=cn-002,window=60"
SMUGGLED: Final = {
    "a text field": NewSummary(SERIES, DAY, 'mean=5.00,note="张伟"'),
    "a field more": NewSummary(SERIES, DAY, "mean=5.00,people=3i"),
    "another quantity": NewSummary(SERIES.replace("temperature", "name"), DAY, "mean=5.00"),
    "a tag more": NewSummary(f"{SERIES},who=zhang-wei", DAY, "mean=5.00"),
    "another spelling": NewSummary(SERIES, DAY, "mean=5.0"),
    "tags in another order": NewSummary(
        SERIES.replace("building=a,device=mast", "device=mast,building=a"), DAY, "mean=5.00"
    ),
    "a line within a line": NewSummary(SERIES, DAY, f"mean=5.00 {DAY}\n# 张伟\n{SERIES} mean=5.00"),
    "two lines in one": NewSummary(SERIES, DAY, f"mean=5.00 {DAY}\n{SERIES} mean=5.00"),
    "a window that is none": NewSummary(SERIES.replace("window=60", "window=90000"), DAY, "mean=5.00"),
}


@pytest.mark.parametrize("kind", SMUGGLED)
def test_what_is_not_of_the_contract_is_never_sealed(kind: str, tmp_path: Path) -> None:
    """Though it stands in the store with its sum: it is dropped, counted, and takes nothing else with it."""
    bench = Bench(tmp_path)
    bench.read("mast", ["temperature", 5])
    smuggled = [SMUGGLED[kind]]
    connection = bench.store._connection
    summaries.add(connection, smuggled)
    connection.execute("UPDATE counter SET value = value + 1 WHERE stage = 'summaries'")
    sent: list[str] = []
    for _ in range(10):
        bench.until_closed(MINUTE)
        while bench.sends:
            send = bench.answer(delivered)
            sent += lines_of(send) if "write" in send.path else []
    assert [line for line in sent if line.startswith("temperature,") and "mean=5.00" in line]
    assert not any(each.line in sent or part in sent for each in smuggled for part in each.line.splitlines())
    assert bench.audit().balance["refused"] == 1


def test_what_is_not_of_the_contract_costs_none_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are checked a few at a time: all of them are, and those beside one that is refused are sealed."""
    monkeypatch.setattr(outbox, "_CHECKED_AT_ONCE", 2)
    good = [NewSummary(SERIES.replace("device=mast", f"device=mast-{number}"), DAY, "mean=5.00") for number in range(5)]
    store = Store(tmp_path, new_epoch=lambda: "0" * 16)
    summaries.add(store._connection, [*good, SMUGGLED["a field more"], SMUGGLED["a tag more"]])
    order = SealOrder(BatchId(store.epoch, 1), bytes(32), MINUTE, 10)
    written = store.commit(Transaction(kind=Kind.SEAL, seal=order))
    assert written.batch is not None
    assert unseal(written.batch.body).decode().splitlines() == [each.line for each in good]
    assert written.counts == {CountKey("refused"): 2}
    store.close()


def test_a_report_that_is_not_of_the_contract_is_never_sealed(tmp_path: Path) -> None:
    """A field more ends the transaction: it is a mistake of the program's."""
    bench = Bench(tmp_path)
    report = json.dumps({**bench.core.report().as_dict(), "who": 1}).encode()
    order = SealOrder(BatchId(bench.store.epoch, 1), bytes(32), MINUTE, 10, report=report)
    with pytest.raises(ContractViolation):
        bench.store.commit(Transaction(kind=Kind.SEAL, seal=order))
