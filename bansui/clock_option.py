"""The `--clock` option: time that several processes share, faster than the machine's."""

from __future__ import annotations

from typing import Annotated

import typer

ClockOption = Annotated[
    str, typer.Option("--clock", help="ORIGIN_MS,STARTED_MS,SPEED: scaled time shared with other processes.")
]
