"""A driver that is looked at: its manifest, its recorded frames, and as many instances of it as are needed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_drivers.cases import Prepared, prepare
from device_drivers.conformance.conversation import Conversation, meaning, rehearse
from device_drivers.conformance.findings import CheckFailed
from device_drivers.conformance.recorded import fixture_cases
from device_drivers.contract import PollDriver, StreamDriver
from device_drivers.field_rows import Transport
from telemetry import BansuiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from device_drivers.contract import Driver, Settings
    from device_drivers.registry import DriverEntry


@dataclass(frozen=True)
class Subject:
    """One driver, with everything its folder holds."""

    entry: DriverEntry
    folder: Path

    @property
    def drivers(self) -> Mapping[str, DriverEntry]:
        """The driver alone: no other answers for its frames."""
        return {self.entry.id: self.entry}

    @functools.cached_property
    def cases(self) -> list[dict[str, Any]]:
        """Its fixtures. Raises `CheckFailed`."""
        return fixture_cases(self.folder)

    @functools.cached_property
    def recordings(self) -> list[Prepared]:
        """Every frame of its fixtures that a device sends. Raises `CheckFailed` when there is none."""
        found = []
        for case in self.cases:
            try:
                ready = prepare(case, self.drivers)
                ready.driver()
            except BansuiError:
                continue  # `golden` says what is wrong with it, if anything is
            found.append(ready)
        if not found:
            raise CheckFailed("no frame is recorded in fixtures/*.jsonl")
        return found

    @functools.cached_property
    def understood(self) -> list[Prepared]:
        """Those that hold readings. Raises `CheckFailed` when there is none."""
        found = [each for each in self.recordings if meaning(each.driver(), each.frame)]
        if not found:
            raise CheckFailed("no recorded frame gives a reading")
        return found

    @functools.cached_property
    def _shared(self) -> dict[int, Driver]:
        made: dict[str, Driver] = {}
        found = {}
        for each in self.recordings:
            key = repr((each.settings, each.before))
            if key not in made:
                made[key] = each.driver()
            found[id(each)] = made[key]
        return found

    def driver(self, recording: Prepared) -> Driver:
        """One driver for all recordings of such a device, which has heard what came before."""
        return self._shared[id(recording)]

    def create(self, settings: Settings) -> Driver:
        """A driver as the agent would make it for one device. Raises `CheckFailed`."""
        try:
            return self.entry.create(settings)
        except BansuiError as error:
            raise CheckFailed(f"create fails: {error}") from error

    @property
    def transport(self) -> Transport:
        """How its device's bytes come in."""
        return self.entry.manifest.driver.transport

    def has(self, power: str) -> bool:
        """Whether it has what a check needs."""
        is_stream = self.transport is Transport.SERIAL_STREAM
        return {
            "decode": True,
            "mqtt": self.transport is Transport.MQTT,
            "stream": is_stream,
            "poll": self.transport.is_polled,
            "line": is_stream or self.transport.is_polled,
            "modbus": self.entry.manifest.speaks_modbus,
            "serial_poll": self.transport is Transport.SERIAL_POLL or "address" in self.entry.manifest.options,
        }[power]

    @functools.cached_property
    def conversation(self) -> Conversation:
        """A whole round as recorded frames have it. Raises `CheckFailed` when they leave a question unanswered."""
        by_settings: dict[str, list[Prepared]] = {}
        for each in self.recordings:
            by_settings.setdefault(repr(each.settings), []).append(each)
        groups = sorted(by_settings.values(), key=len, reverse=True)
        unanswered = ""
        for group in groups:
            conversation = rehearse(functools.partial(self.poll_driver, group[0].settings), group)
            if conversation.is_whole:
                return conversation
            unanswered = unanswered or conversation.unanswered
        raise CheckFailed(f"no recorded frames answer a round: {unanswered or 'nothing is asked'}")

    def poll_driver(self, settings: Settings) -> PollDriver:
        """A driver that asks."""
        driver = self.create(settings)
        if not isinstance(driver, PollDriver):
            raise CheckFailed("it has no poll")
        return driver

    def stream_driver(self, settings: Settings) -> StreamDriver:
        """A driver that finds frames in a stream."""
        driver = self.create(settings)
        if not isinstance(driver, StreamDriver):
            raise CheckFailed("it has no split")
        return driver

    def stream(self) -> tuple[Settings, list[Prepared]]:
        """Frames of one device that follow each other in a stream. Raises `CheckFailed`."""
        first = self.understood[0].settings
        return first, [each for each in self.understood if each.settings == first]
