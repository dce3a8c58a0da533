"""The root of the `bansui` command: mounts every `bansui/*_commands.py`, and turns errors into exit codes.

A module `agent_commands` offers `app`, a `typer.Typer`, which becomes the group `bansui agent`; where its only
command has the module's own name (`demo`), that command stands at the top. Adding a group edits no file here.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Final

import typer

import bansui
from bansui import failures, help_words
from telemetry import BansuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_SUFFIX: Final = "_commands"
_EXTRAS: Final = {
    "agent": "agent",
    "audit": "agent",
    "buffer": "agent,parquet",
    "broker": "sim",
    "centre": "centre",
    "demo": "agent,centre,sim",
    "driver": "agent",
    "privacy": "agent",
    "sim": "sim",
}
"""What to install for a command whose packages are missing."""
_HTTPX_OWN_COMMAND: Final = "httpx._main"
"""What httpx does without where it cannot be imported: with rich and pygments it would be 4 MB and a fifth of the time
that an agent takes to start."""
_OWN_PACKAGES: Final = frozenset(
    ("bansui", "broker", "cloud_sink", "device_drivers", "edge_agent", "simulators", "telemetry")
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"bansui {version('bansui')}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Bansui 伴随: a school's IoT edge gateway and the IoT centre behind it."""


def build(first: str = "") -> typer.Typer:
    """The command with every group mounted, or with the one alone that a call's `first` word names."""
    app = typer.Typer(
        name="bansui",
        rich_markup_mode=None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    modules = (module.name for module in pkgutil.iter_modules(bansui.__path__))
    names = [name.removesuffix(_SUFFIX) for name in modules if name.endswith(_SUFFIX)]
    for name in [first] if first in names else names:
        _mount(app, name)
    return app


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    sys.modules.setdefault(_HTTPX_OWN_COMMAND, None)  # type: ignore[arg-type] # as the import system's reference has it
    as_json = "--json" in args
    try:
        code = _command(args[0] if args else "")(args, prog_name="bansui", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BansuiError as error:
        return _fail([error], as_json=as_json)
    except BaseExceptionGroup as group:
        ours, others = group.split(BansuiError)
        if ours is None or others is not None:
            raise
        return _fail(_leaves(ours), as_json=as_json)
    except typer.TyperException as error:
        return _refuse_call(error, as_json=as_json)
    except ModuleNotFoundError as error:
        return _fail([_missing_extra(error, args)], as_json=as_json)
    except typer.Abort:
        return failures.EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _command(first: str) -> Callable[..., object]:
    """The command, with its help in the reader's language."""
    command = typer.main.get_command(build(first))
    if failures.language() == "zh":
        help_words.translate(command, help_words.chinese(), failures.translated)
    return command


def _mount(app: typer.Typer, name: str) -> None:
    group: typer.Typer = importlib.import_module(f"bansui.{name}{_SUFFIX}").app
    only_its_own = [command.name for command in group.registered_commands] == [name]
    app.add_typer(group, name=None if only_its_own else name)


def _fail(errors: Sequence[BansuiError], *, as_json: bool) -> int:
    with contextlib.suppress(OSError):  # where stderr is lost too, the exit code says what there is to say
        failures.show(errors, as_json=as_json)
    return failures.exit_code(errors)


def _leaves(group: BaseExceptionGroup[BansuiError]) -> list[BansuiError]:
    errors: list[BansuiError] = []
    for error in group.exceptions:
        errors.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return errors


def _refuse_call(error: typer.TyperException, *, as_json: bool) -> int:
    message, context = _in_plain_words(error), getattr(error, "ctx", None)
    if context is not None and message == context.get_help():  # a group called without a command answers with its help
        typer.echo(message, err=True)
        return failures.EXIT_USAGE
    path = context.command_path if context is not None else "bansui"
    return _fail([failures.UsageError(message, where=path, fix=f"{path} --help")], as_json=as_json)


def _in_plain_words(error: typer.TyperException) -> str:
    """What typer says, in one line; pydantic's own words about a value are for those who write Python."""
    if error.__cause__ is not None:
        from pydantic import ValidationError  # noqa: PLC0415 - waited for where a value failed alone

        from telemetry.plain_words import plainly  # noqa: PLC0415 - as above

        if isinstance(error.__cause__, ValidationError):
            [item, *_] = error.__cause__.errors()
            found = "" if item["type"] == "value_error" else f" (found {item['input']!r})"
            error.message = plainly(item) + found
    return error.format_message()


def _missing_extra(error: ModuleNotFoundError, args: Sequence[str]) -> BansuiError:
    extra = _EXTRAS.get(args[0]) if args else None
    if extra is None or (error.name or "").partition(".")[0] in _OWN_PACKAGES:
        raise error
    return failures.MissingExtra(
        f"the Python package {error.name!r} is not installed",
        where=f"bansui {args[0]}",
        why="a part of Bansui is installed only where it is used",
        fix=f"pip install 'bansui[{extra}]'",
    )
