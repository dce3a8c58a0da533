"""Programs that some tests need besides Python, and the packages that bring them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Final

_SYSTEM_PATH: Final = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))


@dataclass(frozen=True, slots=True)
class Program:
    """A program by any of its names; `marker` is the mark of the tests that need it."""

    marker: str
    names: tuple[str, ...]
    package: str

    def find(self) -> str | None:
        """Its path, also where only root's PATH would lead."""
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), _SYSTEM_PATH))
        return next((found for name in self.names if (found := shutil.which(name, path=path))), None)


MOSQUITTO: Final = Program("mosquitto", ("mosquitto",), "mosquitto")
MOSQUITTO_CLIENTS: Final = Program("mosquitto", ("mosquitto_sub",), "mosquitto-clients")
CHROMIUM: Final = Program("browser", ("chromium", "chromium-browser", "google-chrome"), "chromium")
VICTORIA_METRICS: Final = Program("victoria_metrics", ("victoria-metrics",), "victoria-metrics")
PROGRAMS: Final = (MOSQUITTO, MOSQUITTO_CLIENTS, CHROMIUM, VICTORIA_METRICS)


def missing(marker: str | None = None) -> list[Program]:
    """The programs that are not there: all, or those that tests with `marker` need."""
    return [program for program in PROGRAMS if marker in (None, program.marker) and program.find() is None]


def in_ci() -> bool:
    """Whether leaving a test out is a failure."""
    return os.environ.get("CI", "").lower() in ("1", "true")
