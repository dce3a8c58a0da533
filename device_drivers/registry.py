"""Finds the drivers there are, ours by folder and vendors' by entry point, and makes them for devices.

A vendor's package names its driver in the entry-point group `bansui.drivers`; the value is the dotted name of a
folder with `driver.toml`, and with `driver.py` unless the manifest is a table that says it all:

    [project.entry-points."bansui.drivers"]
    acme_co2 = "acme_bansui.acme_co2"

Nothing of a driver is imported before a device needs it. A driver that is broken stands in the registry with its
error, and takes no other with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from device_drivers import manifest as manifests
from device_drivers.contract import AskingDriver, Decoded, Driver, Layout, PollDriver, StreamDriver
from device_drivers.field_rows import Transport
from device_drivers.manifest import ManifestUnusable, suggest
from telemetry import BansuiError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from importlib.metadata import EntryPoint

    from device_drivers.contract import Connection, Frame, Request, Settings
    from device_drivers.manifest import Manifest

ENTRY_POINT_GROUP: Final = "bansui.drivers"
OURS: Final = "bansui"
MOST_LAYOUTS: Final = 256
"""Remembered as declared, of one device; one that sends more is looked through every time."""

_CODE: Final = "driver.py"
_HERE: Final = Path(__file__).parent
_T = TypeVar("_T")


class UnknownDriver(ConfigurationError):
    """An id, or a family of devices, that no driver answers for."""

    code = "unknown_driver"


class DriverUnusable(ConfigurationError):
    """A driver that is installed and cannot be used."""

    code = "driver_unusable"


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """A driver that is installed, imported or not; a broken one has an `error`."""

    id: str
    source: str
    """The distribution it came in."""
    module: str = ""
    """Where its code is; empty for a driver that is a table."""
    folder: Path = Path()
    found: Manifest | None = None
    error: ConfigurationError | None = None

    @property
    def manifest(self) -> Manifest:
        """What the driver says of itself. Raises the entry's error when it is broken."""
        if self.found is None:
            raise self.error or DriverUnusable(f"driver {self.id} has no manifest")
        return self.found

    def create(self, settings: Settings) -> Driver:
        """Make the driver for one device. Raises `ConfigurationError`; connects to nothing."""
        manifest = self.manifest
        _check_names(self.id, "option", settings.options, manifest.options)
        _check_names(self.id, "secret", settings.secrets, manifest.driver.secrets)
        checked = replace(settings, model=manifest.check_model(settings.model))
        if not self.module:
            return manifest.from_table(checked)  # which yields nothing but its own rows
        module = shielded(self.id, lambda: importlib.import_module(self.module))
        if not callable(getattr(module, "create", None)):
            raise DriverUnusable(
                f"driver {self.id} has no create(settings)", where=str(module.__file__), fix="see docs/vendors.md"
            )
        driver = shielded(self.id, lambda: module.create(checked))
        return _declared(driver, manifest, is_ours=self.source == OURS)


class _Installed(Mapping[str, DriverEntry]):
    """Every driver that is installed, by id, ours first; a manifest is read when its driver is first asked for."""

    def __init__(self) -> None:
        self._ours = _our_folders()
        self._read: dict[str, DriverEntry] = {}

    @cached_property
    def _vendors(self) -> Mapping[str, Callable[[], DriverEntry]]:
        """How to read each of theirs; one with the id of another stands beside it, by its distribution's name."""
        found: dict[str, Callable[[], DriverEntry]] = {}
        source_of = dict.fromkeys(self._ours, OURS)
        for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.name, point.value)):
            source = _source(point)
            if point.name in source_of:
                found[f"{point.name}@{source}"] = partial(_second, point.name, source, source_of[point.name])
            else:
                found[point.name] = partial(_vendors, point)
                source_of[point.name] = source
        return found

    def __getitem__(self, driver_id: str) -> DriverEntry:
        if driver_id not in self._read:
            folder = self._ours.get(driver_id)
            self._read[driver_id] = _ours(folder) if folder is not None else self._vendors[driver_id]()
        return self._read[driver_id]

    def __iter__(self) -> Iterator[str]:
        yield from self._ours
        yield from self._vendors

    def __len__(self) -> int:
        return len(self._ours) + len(self._vendors)


def discover() -> Mapping[str, DriverEntry]:
    """Every driver that is installed, by id, ours first; broken ones too. Only those that are looked at are read."""
    return _Installed()


def at(folder: Path) -> DriverEntry:
    """The driver in a folder that nobody has installed: its code is found from there. Broken ones have an `error`."""
    folder = folder.resolve()
    if folder.parent == _HERE:
        return _ours(folder)
    top, package = folder.parent, folder.name
    while (top / "__init__.py").is_file():
        top, package = top.parent, f"{top.name}.{package}"
    if str(top) not in sys.path:
        sys.path.insert(0, str(top))
    return _read(folder.name, str(folder.parent), package, folder)


def named(driver_id: str, drivers: Mapping[str, DriverEntry] | None = None) -> DriverEntry:
    """The driver of that id. Raises `UnknownDriver` with what might have been meant."""
    drivers = discover() if drivers is None else drivers
    if driver_id not in drivers:
        raise UnknownDriver(f"no driver is called {driver_id!r}", fix=suggest(driver_id, drivers))
    return drivers[driver_id]


def find(family: str, model: str = "", drivers: Mapping[str, DriverEntry] | None = None) -> DriverEntry:
    """The driver that answers for a family of devices, rather one that lists the model. Raises `UnknownDriver`."""
    drivers = discover() if drivers is None else drivers
    whole = [entry for entry in drivers.values() if entry.found is not None]
    answering = [entry for entry in whole if family in entry.manifest.families]
    if not answering:
        families = [name for entry in whole for name in entry.manifest.families]
        raise UnknownDriver("no driver answers for this family", fix=suggest(family, families))
    return next((entry for entry in answering if entry.manifest.known_model(model)), answering[0])


def shielded(driver_id: str, call: Callable[[], _T]) -> _T:
    """Call into a driver; whatever it raises that is no error of ours becomes `DriverUnusable`."""
    try:
        return call()
    except BansuiError:
        raise
    except Exception as error:  # the boundary that keeps one vendor's mistake from the others
        raise DriverUnusable(
            f"driver {driver_id} fails with {_told(error, driver_id)}", fix="ask its vendor, or install another version"
        ) from error


def _told(error: Exception, driver_id: str) -> str:
    """What failed and on which line of the driver's.

    Its own words only where Python says them: others may hold a secret or a frame.
    """
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}, at {error.filename}:{error.lineno}"
    words = f": {error}" if isinstance(error, ImportError) else ""
    places = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    inside = [(path, line) for path, line in places if path.parent.name == driver_id]
    path, line = (inside or places)[-1]
    return f"{type(error).__name__}{words}, at {path}:{line}"


def forget_layouts(drivers: Iterable[Driver]) -> None:
    """Let go of the layouts that are remembered on behalf of drivers: so many at most, and none by a driver."""
    Layout.of.cache_clear()
    for driver in drivers:
        if isinstance(driver, _Declared):
            driver.forget()


def _is_driver(folder: Path) -> bool:
    return (folder / manifests.FILE_NAME).is_file()


@cache  # an agent asks for each device that a bridge announces, and what is ours does not change under it
def _our_folders() -> Mapping[str, Path]:
    return {folder.name: folder for folder in sorted(_HERE.iterdir()) if _is_driver(folder)}


@cache
def _ours(folder: Path) -> DriverEntry:
    return _read(folder.name, OURS, f"{__package__}.{folder.name}", folder)


def _source(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown"


def _second(name: str, source: str, first: str) -> DriverEntry:
    """A driver with the id of another."""
    error = DriverUnusable(
        f"driver {name} of {source} has the id of another",
        why=f"{first} brought it first",
        fix="give it another id",
    )
    return DriverEntry(f"{name}@{source}", source, error=error)


def _vendors(point: EntryPoint) -> DriverEntry:
    source = _source(point)
    folder = _locate(point.value)
    if folder is None:
        error = DriverUnusable(
            f"driver {point.name} of {source} has no folder {point.value!r}", fix="mend its entry point"
        )
        return DriverEntry(point.name, source, error=error)
    return _read(point.name, source, point.value, folder)


def _read(name: str, source: str, package: str, folder: Path) -> DriverEntry:
    try:
        manifest = manifests.load(folder)
    except ManifestUnusable as error:
        return DriverEntry(name, source, error=error)
    if manifest.driver.id != name:
        misnamed = ManifestUnusable(
            f"driver.id is {manifest.driver.id!r} and not {name!r}",
            where=str(folder / manifests.FILE_NAME),
            why="the id, the folder and the entry point bear one name",
        )
        return DriverEntry(name, source, error=misnamed)
    has_code = (folder / _CODE).is_file()
    if not has_code and manifest.format is None:
        nothing = DriverUnusable(
            f"driver {name} has neither {_CODE} nor a table [format]", where=str(folder), fix="see docs/vendors.md"
        )
        return DriverEntry(name, source, error=nothing)
    return DriverEntry(name, source, f"{package}.driver" if has_code else "", folder, found=manifest)


def _locate(package: str) -> Path | None:
    """The folder of a dotted name, found without running any of its code."""
    top, *rest = package.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module that was put together by hand
        return None
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(place).joinpath(*rest)
        if _is_driver(folder):
            return folder
    return None


def _check_names(driver_id: str, what: str, given: Mapping[str, object], known: frozenset[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(f"driver {driver_id} has no {what} {name!r}", fix=suggest(name, known))


def _declared(driver: object, manifest: Manifest, *, is_ours: bool) -> Driver:
    """`driver`, held to its manifest: to its transport now, and, if it is a vendor's, to its fields at every frame.

    Ours are held to their fields by the conformance tests.
    """
    if manifest.driver.transport is Transport.SERIAL_STREAM and isinstance(driver, StreamDriver):
        return driver if is_ours else _DeclaredStream(driver, manifest.quantities)
    if manifest.driver.transport.is_polled and isinstance(driver, PollDriver):
        return driver if is_ours else _DeclaredPoll(driver, manifest.quantities)
    if manifest.driver.transport in (Transport.MQTT, Transport.EXEC) and isinstance(driver, Driver):
        if is_ours:
            return driver
        if isinstance(driver, AskingDriver):
            return _DeclaredAsking(driver, manifest.quantities)
        return _Declared(driver, manifest.quantities)
    raise DriverUnusable(f"driver {manifest.driver.id} lacks the powers that {manifest.driver.transport} needs")


class _Declared:
    """A driver whose measurements are dropped when its manifest does not declare their quantity."""

    def __init__(self, driver: Driver, quantities: frozenset[str]) -> None:
        self._decode = driver.decode
        self._quantities = quantities
        self._declared: set[Layout] = set()

    def decode(self, frame: Frame) -> Decoded:
        """Understand one frame. Raises `FrameRefused`; applies no plausibility check."""
        decoded, declared = self._decode(frame), self._declared
        for row in decoded.rows:
            if row.layout not in declared and not self._declares(row.layout):
                return self._without_undeclared(decoded)
        return decoded

    def forget(self) -> None:
        """Look through every layout anew."""
        self._declared.clear()

    def _declares(self, layout: Layout) -> bool:
        """Whether every column is declared; a layout is looked through once."""
        declared = all(quantity in self._quantities for quantity, _ in layout.columns)
        if declared and len(self._declared) < MOST_LAYOUTS:
            self._declared.add(layout)
        return declared

    def _without_undeclared(self, decoded: Decoded) -> Decoded:
        kept = tuple(m for m in decoded.measurements if m.quantity in self._quantities)
        undeclared = tuple(m.quantity for m in decoded.measurements if m.quantity not in self._quantities)
        return Decoded.of(kept, decoded.dropped + undeclared)


class _DeclaredStream(_Declared):
    def __init__(self, driver: StreamDriver, quantities: frozenset[str]) -> None:
        super().__init__(driver, quantities)
        self._split = driver.split

    def split(self, buffer: bytearray) -> list[Frame]:
        """Take every whole frame out of `buffer`."""
        return self._split(buffer)


class _DeclaredPoll(_Declared):
    def __init__(self, driver: PollDriver, quantities: frozenset[str]) -> None:
        super().__init__(driver, quantities)
        self._poll = driver.poll

    def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask once for everything; yield each answer."""
        return self._poll(connection)


class _DeclaredAsking(_Declared):
    def __init__(self, driver: AskingDriver, quantities: frozenset[str]) -> None:
        super().__init__(driver, quantities)
        self._requests = driver.requests

    def requests(self, now_ms: int) -> Sequence[Request]:
        """What would have to be asked, for as long as the answer has not come; changes nothing."""
        return self._requests(now_ms)
