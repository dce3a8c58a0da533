"""The centre as a measurement runs it, and what its inbox says afterwards of the batches that came."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import apsw

from bench._agent import DISTRICT, SCHOOL, TOKEN
from bench._processes import answers, ended, until
from telemetry import decode_all
from telemetry.uplink_contract import unseal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from telemetry import Summary

_CONFIG: Final = """
[centre]
port = {port}
timezone = "Asia/Shanghai"
[centre.district]
code = "{district}"
name_zh = "区"
name_en = "District"
[[school]]
code = "{school}"
name_zh = "校"
name_en = "School"
[[agent]]
id = "edge-1"
school = "{school}"
token_file = "token"
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A batch of summaries as the centre's inbox has it."""

    received_ms: int
    size: int
    """Bytes of its body."""
    summaries: Sequence[Summary]


@contextlib.contextmanager
def centre(folder: Path, port: int, *options: str) -> Iterator[None]:
    """A centre that takes the measured agent's batches, with its state in `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(TOKEN)
    path = folder / "centre.toml"
    path.write_text(_CONFIG.format(port=port, district=DISTRICT, school=SCHOOL))
    command = [sys.executable, "-m", "bansui", "centre", "run", "--config", str(path), *options]
    with (folder / "centre.log").open("ab") as log, ended(subprocess.Popen(command, stdout=log, stderr=log)):
        until(lambda: answers(port), "the centre takes connections")
        yield


def arrived(folder: Path) -> list[Arrived]:
    """Every batch of summaries in the inbox of that folder, in order."""
    connection = apsw.Connection(str(folder / "state" / "inbox.sqlite"))
    try:
        rows = connection.execute(
            "SELECT received_ms, bytes FROM mark JOIN body USING (position) WHERE kind = 'summaries' ORDER BY position"
        )
        return [Arrived(received_ms, len(body), decode_all(unseal(body))) for received_ms, body in rows]
    finally:
        connection.close()
