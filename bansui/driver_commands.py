"""`bansui driver`: which drivers there are, and what they make of recorded frames."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

app = typer.Typer(
    help="Drivers: what turns the bytes of a device into readings.", no_args_is_help=True, rich_markup_mode=None
)

_STDIN: Final = Path("-")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_drivers(as_json: AsJson = False) -> None:
    """List the drivers that are installed."""
    from bansui import driver_report
    from device_drivers.registry import discover

    entries = list(discover().values())
    if as_json:
        print(json.dumps([driver_report.describe(entry) for entry in entries], ensure_ascii=False, indent=2))
    else:
        driver_report.print_drivers(entries)


@app.command()
def decode(
    cases: Annotated[
        list[Path],
        typer.Option(
            "--cases",
            metavar="FILE",
            help="Recorded frames, one JSON object a line; - is stdin, a folder its *.jsonl files. May be given again.",
        ),
    ],
    driver: Annotated[
        str, typer.Option("--driver", metavar="DRIVER", help="Decode with this driver alone: a folder, or a name.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Decode recorded frames, with the driver that each line's family and model pick; then score each family.

    `--json` prints a line for each case, and no score.
    """
    from bansui import driver_report
    from device_drivers.cases import run_lines
    from device_drivers.conformance.suite import subject_of
    from device_drivers.registry import discover
    from device_drivers.scores import tally

    with ExitStack() as stack:
        files = [stack.enter_context(_lines(path)) for given in cases for path in _files(given)]
        results = run_lines(chain.from_iterable(files), subject_of(driver).drivers if driver else discover())
        if as_json:
            for result in results:
                print(json.dumps(result.as_dict()))
        else:
            every = list(results)
            driver_report.print_results(every)
            driver_report.print_scores(tally(every))


@app.command("test")
def check(
    drivers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DRIVER]...", help="A driver's folder, or the name of an installed one; all, if none."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the conformance suite on drivers, without hardware, and grade them; exit 1 when a check fails."""
    from bansui import driver_grades
    from device_drivers.conformance.suite import examine, examine_all, subject_of
    from device_drivers.registry import discover

    subjects = [subject_of(driver) for driver in drivers or ()]
    reports = [examine(subject) for subject in subjects] if subjects else examine_all(discover().values())
    if as_json:
        print(json.dumps([report.as_dict() for report in reports], ensure_ascii=False, indent=2))
    elif len(reports) == 1:
        driver_grades.print_report(reports[0])
    else:
        driver_grades.print_summary(reports)
    if any(report.failed for report in reports):
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The driver's name, and that of its folder: a-z, 0-9 and _.")],
    kind: Annotated[
        str,
        typer.Option("--kind", help="mqtt-json, serial-stream, serial-poll, modbus, tcp, binary, or exec."),
    ],
    as_json: AsJson = False,
) -> None:
    """Write the folder of a new driver here, whose tests pass at once, to be changed into that of your device."""
    from bansui import driver_scaffold

    folder = driver_scaffold.write(name, kind, Path())
    files = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    if as_json:
        print(json.dumps({"folder": str(folder), "files": files}))
    else:
        print(*files, f"bansui driver test {folder}", sep="\n")


@app.command()
def readme(
    driver: Annotated[Path, typer.Argument(metavar="FOLDER", help="The driver's folder.")], as_json: AsJson = False
) -> None:
    """Write the sample and the table of fields of `driver.toml` into the driver's README.md, between their marks."""
    from device_drivers.conformance.readme import README, renewed
    from device_drivers.manifest import load

    path = driver / README
    try:
        path.write_text(renewed(path.read_text(encoding="utf-8"), load(driver)), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot be read or written: {error.strerror}",
            where=str(path),
            fix="begin with the README.md of a folder that `bansui driver new` writes",
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text", fix="save it as UTF-8") from None
    print(json.dumps({"written": str(path)}) if as_json else f"written: {path}")


@app.command()
def capture(
    driver: Annotated[str, typer.Argument(help="The driver's folder, or the name of an installed one.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to append the cases to.")],
    *,
    serial: Annotated[str, typer.Option("--serial", metavar="PORT", help="The device's serial port.")] = "",
    baud: Annotated[int, typer.Option("--baud", min=300, max=4_000_000, help="Its speed.")] = 9600,
    tcp: Annotated[str, typer.Option("--tcp", metavar="HOST:PORT", help="The device's address.")] = "",
    framing: Annotated[
        str, typer.Option("--framing", help="Of a Modbus device by TCP: modbus-tcp (as usual), or rtu-over-tcp.")
    ] = "",
    broker: Annotated[str, typer.Option("--broker", metavar="HOST:PORT", help="The broker it publishes to.")] = "",
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="Connect to the broker by TLS, believing this CA alone (PEM).")
    ] = None,
    topic: Annotated[str, typer.Option("--topic", help="The topic it publishes on; /# at the end for all below.")] = "",
    username: Annotated[str, typer.Option("--username", help="As whom to connect to the broker.")] = "",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="The password of the broker, or of the device.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The device's model, where the driver needs one.")] = "",
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="An option of the driver, as address=3.")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", min=1, max=1_000, help="How many different frames to keep.")] = 20,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=86_400, help="For how long at most.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Record what a device says as cases for its driver's fixtures; what the driver does not read is masked."""
    import asyncio

    from bansui import driver_capture
    from device_drivers.conformance.suite import subject_of
    from edge_agent.client_tls import ClientTls
    from edge_agent.config_file import first_line

    password = first_line(password_file) if password_file is not None else ""
    entry = subject_of(driver).entry
    stated: dict[str, Any] = {"serial": serial, "baud": baud, "tcp": tcp, "framing": framing}
    stated |= {"broker": broker, "topic": topic, "username": username, "password": password}
    stated["tls"] = None if ca_file is None else ClientTls(ca_file)
    source = driver_capture.source_of(stated, entry)
    settings = driver_capture.settings_of(entry, model, option or [], "" if broker else password)
    recording = asyncio.run(driver_capture.record(entry, settings, source, frames=frames, seconds=seconds))
    try:
        already = len(out.read_bytes().splitlines()) if out.is_file() else 0
        with out.open("a", encoding="utf-8") as file:
            for number, case in enumerate(recording.cases, already + 1):
                file.write(json.dumps(case | {"id": f"captured-{number}"}, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}", where=str(out)) from None
    told = {"cases": len(recording.cases), "withheld": recording.withheld, "file": str(out)}
    print(json.dumps(told) if as_json else f"{out}: {told['cases']} cases; {told['withheld']} frames refused, not kept")


def _files(given: Path) -> list[Path]:
    """The files of a folder of cases, or the file itself."""
    if not given.is_dir():
        return [given]
    found = sorted(given.glob("*.jsonl"))
    if not found:
        raise ConfigurationError(
            "no file of cases in this folder", where=str(given), fix="name a folder with *.jsonl files, or a file"
        )
    return found


@contextmanager
def _lines(path: Path) -> Iterator[Iterable[bytes]]:
    if path == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
        file.peek()  # a folder opens, and cannot be read
    except OSError as error:
        raise ConfigurationError(
            f"cannot be read: {error.strerror}", where=str(path), fix="name a file of cases, or - for stdin"
        ) from None
    with file:
        yield file
