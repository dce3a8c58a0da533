"""At which CO2 a room's air asks for attention, and for an open window: one table for the school and the district."""

from __future__ import annotations

from typing import Final

AIR_QUANTITY: Final = "carbon_dioxide"
AIR_WATCH_PPM: Final = 800
AIR_ACT_PPM: Final = 1000
"""The number of GB/T 17226-2017, whose daily mean the centre's limits judge."""
