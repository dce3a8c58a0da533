"""`python -m bench [NAME ...]`: every measurement there is, which also writes bench/README.md, or those named."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench
from bench._report import Figure, write


def main(names: list[str]) -> int:
    """Run the measurements named, or all; each module has `measure()`, and says in its first line what it measures.

    What `measure` returns, if anything, are figures for the table.
    """
    found = [module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")]
    unknown = sorted(set(names) - set(found))
    if unknown:
        print(f"no measurement is called {', '.join(unknown)}; there are: {', '.join(found)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or found:
        module = importlib.import_module(f"bench.{name}")
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        figures += module.measure() or []
    if not names:
        write(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
