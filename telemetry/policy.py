"""The privacy policy: what each class may tell, how coarsely, to whom, for how long and for what. Data, not code.

The shipped policies are `strict` (the default), `standard` and `demo`; a school may write its own. None can be looser
than the floor that stands here: class X has no table, because nothing of it ever leaves, and P2 leaves with noise or
not at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from telemetry import floors
from telemetry.errors import ConfigurationError
from telemetry.quantities import PrivacyClass, Summarise
from telemetry.spans import HOUR_S, SHORTEST_S, Span
from telemetry.table_file import ConfigurationMistakes, Mistake, Table, read_tables
from telemetry.vocabulary import UnknownQuantity, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from telemetry.table_file import Location, TableFile

FORM: Final = 1
"""The version of the form that a policy is written in."""
SHIPPED: Final = ("strict", "standard", "demo")
_FOLDERS: Final = (Path(__file__).parent / "policies", Path(__file__).parents[1] / "configs" / "policies")
"""In an installed package, and in a checkout."""

Recipient = Literal["school", "district"]
Field_ = Literal["mean", "min", "max", "delta", "last", "on_permille"]
Words = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Purpose(Table):
    """What a class is collected for, in the two languages of those who may ask."""

    zh: Words
    en: Words

    def text(self, language: str) -> str:
        """In `zh` or `en`."""
        return self.zh if language == "zh" else self.en


class ClassTable(Table):
    """What holds of every class: for what, for whom, for how long."""

    purpose: Purpose
    recipients: tuple[Recipient, ...]
    retention_days: Annotated[int, Field(ge=1, le=3650)]


class ToldTable(ClassTable):
    """A class that is told by windows: [E], [P1], [Da], [Db]."""

    window: Span
    fields: Annotated[tuple[Field_, ...], Field(min_length=1)]
    steps: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """To how many of its units a quantity's mean is rounded."""
    hourly: tuple[str, ...] = ()
    """Quantities whose windows are an hour, whatever `window` says."""


class RoomTable(ToldTable):
    """A class that is told of rooms: [P1], [Da]. By itself nothing of it is told outside timetable hours."""

    outside_hours: Literal["all"] | tuple[str, ...] = ()
    """Quantities that are told outside timetable hours too."""


class CountsTable(ClassTable):
    """[P2]: people counts, which leave with noise under a budget, or not at all."""

    export: Literal["none", "campus", "room"]
    """Nothing, one total for the campus, or each room."""
    rho_milli: Annotated[int, Field(ge=1, le=1000)] = 100
    """The budget of one person for one school day, in thousandths of rho (zero-concentrated DP)."""
    rooms_per_slot: Annotated[int, Field(ge=1, le=16)] = 1
    """In how many rooms a person may be counted within one slot."""
    bands: tuple[Annotated[int, Field(ge=1, le=5000)], ...] = (20, 50, 200)
    """Where the noisy value passes from one band to the next, rising."""

    @model_validator(mode="after")
    def _rising(self) -> CountsTable:
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError("bands rise, each above the one before")
        return self


class PolicyTables(Table):
    """The whole of a policy's file."""

    form: Literal[1]
    version: Annotated[int, Field(ge=1)]
    """Of the policy: raised with every change of it."""
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
    E: ToldTable
    P1: RoomTable
    P2: CountsTable
    Da: RoomTable
    Db: ToldTable
    S: ClassTable


_TABLE_OF: Final[Mapping[PrivacyClass, str]] = {
    PrivacyClass.E: "E",
    PrivacyClass.P1: "P1",
    PrivacyClass.P2: "P2",
    PrivacyClass.DA: "Da",
    PrivacyClass.DB: "Db",
    PrivacyClass.S: "S",
}


@dataclass(frozen=True, slots=True)
class _Floor:
    """How fine a class may be told at most."""

    shortest_s: int
    fields: frozenset[str]


_ALL: Final = frozenset({"mean", "min", "max", "delta", "last", "on_permille"})
_FLOORS: Final[Mapping[str, _Floor]] = {
    "E": _Floor(floors.SHORTEST_S[PrivacyClass.E], _ALL),
    "P1": _Floor(floors.SHORTEST_S[PrivacyClass.P1], frozenset({"mean", "delta", "on_permille"})),
    "Da": _Floor(floors.SHORTEST_S[PrivacyClass.DA], _ALL - {"min"}),
    "Db": _Floor(floors.SHORTEST_S[PrivacyClass.DB], frozenset({"mean", "delta", "max", "on_permille"})),
}
_LEAST_STEPS: Final[Mapping[str, float]] = {"carbon_dioxide": 50, "sound_pressure": 1}
"""No finer than this, of class P1."""
_ELECTRICITY: Final = frozenset({"power", "apparent_power", "reactive_power", "power_factor", "energy", "current"})
_HOURLY: Final[Mapping[str, frozenset[str]]] = {"P1": _ELECTRICITY, "Da": _ELECTRICITY | {"fault"}}
"""An hour is the finest of these: room electricity by the lesson is a record of the lesson, and faults need no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy that was read and found no looser than the floor."""

    tables: PolicyTables
    digest: bytes
    """SHA-256 of its file."""

    @property
    def name(self) -> str:
        """As its file says."""
        return self.tables.name

    def table(self, privacy_class: PrivacyClass) -> ClassTable | None:
        """What holds of a class; None for X, of which nothing leaves."""
        name = _TABLE_OF.get(privacy_class)
        return None if name is None else getattr(self.tables, name)

    def told(self, privacy_class: PrivacyClass) -> ToldTable | None:
        """How a class is told by windows; None for those that are not: P2, S and X."""
        table = self.table(privacy_class)
        return table if isinstance(table, ToldTable) else None


def load_policy(name: str, folder: Path) -> Policy:
    """The shipped policy of that name, or the file of that path, from `folder` on.

    Raises `ConfigurationError`, or `ConfigurationMistakes` with every line that cannot stand.
    """
    path = folder / name
    if not name.endswith(".toml"):
        if name not in SHIPPED:
            choices = ", ".join(SHIPPED)
            raise ConfigurationError(f"no policy is called {name!r}", fix=f"take one of {choices}, or a file NAME.toml")
        path = shipped_policy(name)
    file = read_tables(path, PolicyTables, "bansui agent validate", _looser)
    return Policy(file.tables, hashlib.sha256(file.data).digest())


def policy_named_in(file: TableFile[Any], name: str, path: Path, check: str) -> Policy:
    """The policy that the file at `path` names as `privacy.policy`; a name that there is not is a mistake of the file.

    Raises `ConfigurationMistakes`.
    """
    try:
        return load_policy(name, path.resolve().parent)
    except ConfigurationMistakes:
        raise
    except ConfigurationError as error:
        mistake = Mistake(file.line_of(("privacy", "policy")), "privacy.policy", "", error.what, error.fix)
        raise ConfigurationMistakes(path, [mistake], check) from None


def shipped_policy(name: str) -> Path:
    """The file of a shipped policy."""
    return next(folder for folder in _FOLDERS if folder.is_dir()) / f"{name}.toml"


def _looser(document: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Everything in which a policy is looser than the floor, or speaks of what there is not."""
    for name, floor in _FLOORS.items():
        table = document.get(name)
        if not isinstance(table, dict):
            continue
        yield from _looser_windows(name, table, floor)
        for index, field in enumerate(_listed(table.get("fields"))):
            if field in _ALL and field not in floor.fields:
                yield (name, "fields", index), "may not be told of this class", f"at most {_names(floor.fields)}"
        yield from _unknown_quantities(name, table)
        yield from _steps_of_no_use(name, table)
    yield from _finer_steps(document.get("P1"))


def _looser_windows(name: str, table: dict[str, Any], floor: _Floor) -> Iterator[tuple[Location, str, str]]:
    window = table.get("window")
    if isinstance(window, str) and window in set(Span) and SHORTEST_S[Span(window)] < floor.shortest_s:
        allowed = _names(span for span in Span if SHORTEST_S[span] >= floor.shortest_s)
        yield (name, "window"), "is finer than this class may be told", f"allowed: {allowed}"
    hourly = _listed(table.get("hourly"))
    if hourly and floor.shortest_s > HOUR_S:
        yield (name, "hourly"), "is finer than this class may be told", "remove it: `window` holds for all of the class"
    missing = _HOURLY.get(name, frozenset()) - set(hourly)
    if missing and window not in (Span.HOUR, Span.DAY):
        yield (name, "hourly"), "would let more be told than an hour's worth of these", f"add {_names(missing)}"


def _unknown_quantities(name: str, table: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    steps = table.get("steps")
    places = [((name, "hourly", index), entry) for index, entry in enumerate(_listed(table.get("hourly")))]
    places += [
        ((name, "outside_hours", index), entry) for index, entry in enumerate(_listed(table.get("outside_hours")))
    ]
    places += [((name, "steps", entry), entry) for entry in (steps if isinstance(steps, dict) else ())]
    for place, entry in places:
        try:
            is_known = quantity(entry).summarise is not Summarise.NEVER
        except UnknownQuantity:
            is_known = False
        if not is_known:
            yield place, "no quantity of this name is told", "see docs/vocabulary.md"


def _steps_of_no_use(name: str, table: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Steps below a quantity's resolution, to which nothing can be rounded, or wider than all that it can be."""
    steps = table.get("steps")
    for entry, step in steps.items() if isinstance(steps, dict) else ():
        try:
            of = quantity(entry)
        except UnknownQuantity:
            continue
        finest, widest = of.to_value(1), of.maximum - of.minimum
        if isinstance(step, (int, float)) and step > 0 and not finest <= step <= widest:
            yield (name, "steps", entry), "cannot be rounded to", f"write {finest:g} to {widest:g} {of.symbol}".rstrip()


def _finer_steps(table: object) -> Iterator[tuple[Location, str, str]]:
    steps = table.get("steps") if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return
    found = steps if isinstance(steps, dict) else {}
    for name, least in _LEAST_STEPS.items():
        step = found.get(name)
        if not isinstance(step, (int, float)) or step < least:
            place: Location = ("P1", "steps", name) if name in found else ("P1", "steps") if found else ("P1",)
            unit = quantity(name).symbol
            yield place, f"{name} is to be rounded to {least:g} {unit} or more", f"write `steps.{name} = {least:g}`"


def _listed(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _names(values: Any) -> str:
    return ", ".join(sorted(values))
