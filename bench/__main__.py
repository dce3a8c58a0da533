"""`python -m bench [--write] [NAME ...]`: every measurement that `make bench` makes, or those named.

`--write` puts the figures into bench/README.md. Measurements that take long run only when they are named.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

import bench
from bench._processes import Others
from bench._report import tell, write


def main(arguments: list[str]) -> int:
    """Run them. Each module has `measure()`, and says in its first line what it measures; one that has `ALONE` runs
    only when it is named.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measurements.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--write", action="store_true", help="put the figures into bench/README.md")
    options = parser.parse_args(arguments)
    found = [module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")]
    unknown = sorted(set(options.names) - set(found))
    if unknown:
        parser.error(f"no measurement is called {', '.join(unknown)}; there are: {', '.join(found)}")
    for name in options.names or found:
        module = importlib.import_module(f"bench.{name}")
        if not options.names and hasattr(module, "ALONE"):
            continue
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        others = Others()
        part = module.measure()
        if part is not None:
            tell(part)
            print(f"   other work took {others.share():.0%} of the machine meanwhile", flush=True)
            if options.write:
                write(name, part, others.share())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
