"""A `bansui` command in the test's own process: the same words and exit code, without an interpreter's start."""

from __future__ import annotations

import io
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from bansui import cli


def call_bansui(*args: str) -> subprocess.CompletedProcess[str]:
    """What `run_bansui` gives of a command that leaves nothing behind in its process; an exception goes through."""
    out, err = io.StringIO(), io.StringIO()
    environment = mock.patch.dict(os.environ, {"LC_ALL": "C.UTF-8", "COLUMNS": "120"})
    with environment, redirect_stdout(out), redirect_stderr(err):
        code = cli.run(args)
    return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())
