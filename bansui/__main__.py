"""`bansui` and `python -m bansui`."""

from __future__ import annotations

import sys

from bansui import cli
from bansui.output import guard_stdout


def main() -> None:
    """Run the command line this process was started with."""
    guard_stdout()
    sys.exit(cli.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
