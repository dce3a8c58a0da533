"""A seed is a life: whoever runs it again sees the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.timeout(120)
def test_a_seed_replays_exactly_whatever_python_hashes_by() -> None:
    """To the last byte of every batch: nothing in the agent goes by the order of a set."""
    command = [sys.executable, "-m", "tests.faults.simulate", "--seed", "124", "--steps", "300"]
    said = [
        subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    ]
    assert "every promise held" in said[0]
    assert said[0] == said[1]
