"""Before the tests: install the programs some of them need, or say which tests are left out and why.

`python -m tests.prerequisites`; exit code 1 only in CI, where leaving a test out is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.programs import in_ci, missing


def main() -> int:
    """Install what may be installed; tell of the rest."""
    packages = {program.package for program in missing()} | _fonts()
    if packages:
        _install(sorted(packages))
    absent = missing()
    for program in absent:
        print(f"left out: tests marked {program.marker!r}, for want of {program.names[0]}")
        print(f"  fix: sudo apt-get install {program.package}")
    return 1 if absent and in_ci() else 0


def _fonts() -> set[str]:
    """The package with Chinese letters, where a browser would draw boxes instead."""
    if shutil.which("fc-list") is None:
        return {"fonts-noto-cjk"}
    found = subprocess.run(["fc-list", ":lang=zh", "family"], capture_output=True, text=True, check=False)
    return set() if found.stdout.strip() else {"fonts-noto-cjk"}


def _install(packages: list[str]) -> None:
    refusal, prefix = _right_to_install()
    if refusal:
        print(f"not installed: {', '.join(packages)} ({refusal})")
        return
    print(f"installing by apt: {', '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = [*prefix, "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*apt, *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip(), file=sys.stderr)
            return


def _right_to_install() -> tuple[str, list[str]]:
    """Why apt may not be used here, or the words to put before it."""
    if not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None:
        return "not a Debian", []
    if os.geteuid() == 0:
        return "", []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return "", ["sudo", "-n"]
    return "neither root nor passwordless sudo", []


if __name__ == "__main__":
    sys.exit(main())
