"""Serial ports that this box has and no device of the configuration uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from serial.tools.list_ports import comports

from edge_agent.discovery.proposals import Proposal, Source, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_BY_PATH: Final = Path("/dev/serial/by-path")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ._/+()-]")


def free_ports(
    used: Iterable[str], listed: Callable[[], Iterable[Any]] = comports, by_path: Path = _BY_PATH
) -> list[Proposal]:
    """A proposal for each port that is not `used`, by the name that stays when others are plugged in."""
    taken = {_real(name) for name in used}
    found = sorted((port for port in listed() if _real(port.device) not in taken), key=lambda port: str(port.device))
    return [
        Proposal(
            Source.SERIAL,
            Transport.SERIAL,
            _lasting_name(port.device, by_path),
            make=_NOT_PLAIN.sub("", port.description or "").strip()[:40].replace("n/a", ""),
        )
        for port in found
    ]


def _lasting_name(device: str, by_path: Path) -> str:
    """The port by where it is plugged in, if the system knows that."""
    if by_path.is_dir():
        for link in sorted(by_path.iterdir()):
            if _real(str(link)) == _real(device):
                return str(link)
    return device


def _real(name: str) -> str:
    return str(Path(name).resolve())
