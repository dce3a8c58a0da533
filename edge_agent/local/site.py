"""What pages and printed labels are made of: one configuration, as the agent has it or as a command reads it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.local import secret
from edge_agent.local.label import label_of
from edge_agent.local.rendering import qr_code, render
from edge_agent.local.words import Words
from telemetry import Placement
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from edge_agent.admission import Binding
    from edge_agent.config import RoomTable
    from edge_agent.config_file import LoadedConfiguration
    from edge_agent.local.label import Label


@dataclass(frozen=True, slots=True)
class Sheet:
    """A label as it is shown or printed, in one language."""

    words: Words
    label: Label
    page: str
    """Where the label in force can be read; empty without [pages]."""
    has_light: bool
    light: str = ""
    """Where the room's light is shown; only what is printed has it."""

    @property
    def page_code(self) -> Markup:
        """The page's address as a QR code."""
        return qr_code(self.page)

    @property
    def light_code(self) -> Markup:
        """The light's address as a QR code."""
        return qr_code(self.light)


@dataclass(frozen=True, slots=True)
class Site:
    """The rooms of one configuration, and what holds of them."""

    loaded: LoadedConfiguration
    bindings: Mapping[str, Binding]

    @property
    def rooms(self) -> Mapping[str, RoomTable]:
        """By code."""
        return {room.code: room for room in self.loaded.tables.room}

    @property
    def lit(self) -> frozenset[str]:
        """Rooms that have a light: indoors, with a sensor of CO2; none without [pages]."""
        if self.loaded.tables.pages is None:
            return frozenset()
        indoor = {code for code, room in self.rooms.items() if room.placement is Placement.INDOOR}
        return frozenset(
            binding.room
            for binding in self.bindings.values()
            if binding.room in indoor and AIR_QUANTITY in binding.rules
        )

    @property
    def digest(self) -> str:
        """By which a label and the page tell whether they are of the same configuration."""
        return self.loaded.digest[:6].hex()

    def tokens(self, key: bytes) -> dict[str, str]:
        """The room of each light, by the unguessable part of its address."""
        return {secret.token(key, self.loaded.tables.agent.school, room): room for room in self.lit}

    def sheet(self, room: str, language: str, key: bytes | None = None) -> Sheet:
        """A room's label; with the secret, the address of its light stands on it."""
        pages, words = self.loaded.tables.pages, Words(language)
        devices = [binding for binding in self.bindings.values() if binding.room == room]
        label = label_of(devices, self.rooms[room].building, room, self.loaded.policy, words)
        if pages is None:
            return Sheet(words, label, "", has_light=False)
        has_light = room in self.lit
        light = ""
        if has_light and key is not None:
            light = f"{pages.base}/light/{secret.token(key, self.loaded.tables.agent.school, room)}"
        return Sheet(words, label, f"{pages.base}/rooms/{room}/label", has_light, light)

    def label_page(self, sheets: Sequence[Sheet], now_ms: int, *, language_link: str = "") -> str:
        """Labels as one document, one to a sheet of paper."""
        tables = self.loaded.tables
        return render(
            "label.html",
            words=sheets[0].words,
            sheets=sheets,
            school=f"{tables.agent.district}/{tables.agent.school}",
            policy=self.loaded.policy.name,
            version=self.loaded.policy.tables.version,
            digest=self.digest,
            ledger_days=tables.store.ledger_days,
            date=dt.datetime.fromtimestamp(now_ms / 1000, tables.zone).date().isoformat(),
            language_link=language_link,
        )
