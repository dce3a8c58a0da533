"""`bansui` commands run in the test's own process: for what a command says and answers, not how it starts and ends."""

from __future__ import annotations

import contextlib
import io
from subprocess import CompletedProcess
from typing import TYPE_CHECKING
from unittest import mock

from bansui import cli

if TYPE_CHECKING:
    from collections.abc import Mapping


def call_bansui(*args: str, env: Mapping[str, str] | None = None) -> CompletedProcess[str]:
    """Run one `bansui` command to its end, as `tests.support.processes.run_bansui` does, without a second's start.

    What a command raises that is no error of ours is raised here, too.
    """
    environment = {"LC_ALL": "C.UTF-8", "COLUMNS": "120", **(env or {})}
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict("os.environ", environment),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        code = cli.run(args)
    return CompletedProcess(args, code, stdout.getvalue(), stderr.getvalue())
