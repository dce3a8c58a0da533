"""Register tables: what a model keeps in which registers, one TOML file a model in `profiles/`."""

from __future__ import annotations

import functools
import struct
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from telemetry import UnknownQuantity, quantity

FOLDER: Final = Path(__file__).parent / "profiles"
MOST_REGISTERS: Final = 40
"""In one answer: as many as every Eastron meter gives; Modbus itself would allow 125."""

Word = Annotated[int, Field(ge=0, le=0xFFFF)]
UnitAddress = Annotated[int, Field(ge=0, le=255)]

_CODES: Final = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "float32": ">f"}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Register(_Table):
    """One value: where it stands, how it is written, and the quantity that it becomes when multiplied by `scale`."""

    address: Word
    type: Literal["u16", "s16", "u32", "s32", "float32"]
    quantity: str
    channel: Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,16}$")] = ""
    scale: float = 1.0
    words: Literal["high_first", "low_first"] = "high_first"
    """Which half of a value of two registers comes first."""

    @field_validator("quantity")
    @classmethod
    def _in_vocabulary(cls, name: str) -> str:
        try:
            return quantity(name).id
        except UnknownQuantity as error:
            raise ValueError(error.what) from None

    @property
    def size(self) -> int:
        """How many registers it takes."""
        return struct.calcsize(_CODES[self.type]) // 2

    def read(self, registers: list[int]) -> float:
        """The value in the vocabulary's unit; a float may be no number."""
        halves = registers if self.words == "high_first" else registers[::-1]
        (number,) = struct.unpack(_CODES[self.type], struct.pack(f">{len(halves)}H", *halves))
        return float(number) * self.scale


class Block(_Table):
    """Registers that are asked for together."""

    function: Literal[3, 4]
    """3 reads holding registers, 4 input registers."""
    start: Word
    count: Annotated[int, Field(ge=1, le=MOST_REGISTERS)]
    value: tuple[Register, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _holds_its_registers(self) -> Self:
        for register in self.value:
            if not self.start <= register.address <= self.start + self.count - register.size:
                raise ValueError(f"register {register.address} does not lie in its block")
        return self


class Profile(_Table):
    """The register table of one model."""

    model: str
    source: str
    """The document it was written from."""
    address: UnitAddress = 1
    """The address a new device answers to."""
    block: tuple[Block, ...] = Field(strict=False)


@functools.cache
def profiles() -> dict[str, Profile]:
    """Every profile, by model."""
    found = [
        Profile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.toml"))
    ]
    return {profile.model: profile for profile in found}
