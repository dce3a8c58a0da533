"""The root of the command: mounting, errors as a person and a program read them, exit codes, start-up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from bansui import cli, failures, help_words
from bansui.free_port import free_port
from telemetry import (
    ConfigurationError,
    ContractViolation,
    DeliveryFault,
    DeviceFault,
    EnvironmentFault,
)
from tests.support.processes import BANSUI, run_bansui

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.processes import Processes

HEAVY = frozenset(
    ("amqtt", "apsw", "duckdb", "fastapi", "httpx", "paho", "pyarrow", "pydantic", "serial", "sqlalchemy", "uvicorn")
)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `bansui fail` a command that raises what it is given."""

    def arrange(error: BaseException) -> None:
        app = typer.Typer(name="bansui", rich_markup_mode=None, pretty_exceptions_enable=False)
        app.callback()(lambda: None)

        @app.command()
        def fail(as_json: bool = typer.Option(False, "--json")) -> None:
            raise error

        monkeypatch.setattr(cli, "build", lambda _first: app)

    return arrange


def test_version() -> None:
    """`bansui --version` is the version of the distribution."""
    done = run_bansui("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("bansui 0.")


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    """Help needs no extra installed and no half second: commands import what they run when they run."""
    code = "import sys, time; from bansui import cli; cli.run(['--help']); print(time.process_time(), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    processor_s, *loaded = done.stdout.splitlines()[-1].split()
    assert float(processor_s) < 0.5
    assert HEAVY.isdisjoint(loaded)


def test_whoever_reads_a_store_does_not_wait_for_the_agent_to_be_imported() -> None:
    """Commands beside an agent need its folder, and neither its network nor its intakes."""
    code = """
import contextlib, sys
from bansui import cli
for command in ("audit", "buffer show", "buffer verify", "buffer repair", "privacy ledger"):
    with contextlib.suppress(SystemExit):
        cli.run([*command.split(), "--config", "absent.toml"])
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("absent.toml") >= 5, "each began"
    loaded = done.stdout.split()
    assert "edge_agent.store.inspection" in loaded
    assert {"edge_agent.agent", "edge_agent.uplink", "httpx", "uvloop"}.isdisjoint(loaded)


def test_a_call_waits_for_its_own_group_alone() -> None:
    """What other groups import, and what their options are made of, is no matter of this one."""
    code = "import sys; from bansui import cli; cli.run(['sim', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert [name for name in loaded if name.endswith("_commands")] == ["bansui.sim_commands"]


@pytest.mark.parametrize(
    ("imports", "unwanted"),
    [
        ("from bansui.demo import run, screen; from cloud_sink import ports", {"duckdb", "fastapi", "sqlalchemy"}),
        ("from cloud_sink import server", {"httpx"}),
        ("from edge_agent import config_file", {"httpx"}),
        ("from bansui import cli; cli.run(['--version']); from edge_agent import agent", {"rich", "pygments"}),
    ],
    ids=["demo", "centre", "a configuration", "agent"],
)
def test_what_is_not_needed_is_not_waited_for(imports: str, unwanted: set[str]) -> None:
    """The demo's own process is no centre; who reads a configuration, or takes batches, asks nobody by HTTP; an agent
    shows no tables."""
    code = f"import sys; {imports}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert unwanted.isdisjoint(done.stdout.split())


def test_every_module_of_commands_is_mounted() -> None:
    """A new `*_commands.py` is a new group, with no file edited."""
    help_text = run_bansui("--help").stdout
    for group in ("agent", "broker", "centre", "driver", "sim"):
        assert f"\n  {group} " in help_text


def test_no_arguments_answer_with_help() -> None:
    """Whoever types the bare command learns what there is."""
    done = run_bansui()
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: bansui")
    assert done.stdout == ""


def test_a_misspelt_command_is_guessed() -> None:
    """A typing mistake gets the likely command and the way to the help."""
    done = run_bansui("drivr", "list")
    assert done.returncode == 2
    assert "Did you mean 'driver'?" in done.stderr
    assert "fix: bansui --help" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_option_is_guessed_in_its_command() -> None:
    """The error says in which command the option is missing."""
    done = run_bansui("driver", "list", "--jsn")
    assert done.returncode == 2
    assert "--json" in done.stderr
    assert "where: bansui driver list" in done.stderr


def test_a_misuse_with_json_is_json() -> None:
    """A program that asked for JSON reads its mistake as JSON on stderr, and nothing on stdout."""
    done = run_bansui("driver", "list", "--json", "--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    [error] = json.loads(done.stderr)["errors"]
    assert error["code"] == "usage"
    assert error["where"] == "bansui driver list"
    assert set(error) == {"code", "what", "where", "why", "fix"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (EnvironmentFault("x"), 3),
        (DeviceFault("x"), 3),
        (DeliveryFault("x"), 3),
        (ContractViolation("x"), 1),
        (KeyboardInterrupt(), 130),
        (typer.Exit(1), 1),
        (typer.Abort(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_exit_code_says_who_acts(
    command: Callable[[BaseException], None], error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each branch of the error tree has its exit code."""
    command(error)
    assert cli.run(["fail"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_is_framed(command: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]) -> None:
    """What, where, why and fix each stand on a line; parts that are not known are left out."""
    command(EnvironmentFault("port 1883 is taken", where="agent.toml:12", fix="stop the other broker"))
    assert cli.run(["fail"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "error: port 1883 is taken",
        "  where: agent.toml:12",
        "  fix: stop the other broker",
    ]


def test_a_person_is_shown_the_first_mistakes_and_a_program_all(
    command: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Four thousand devices with one mistake each fill no screen; `--json` has every line."""
    lines = [f"  agent.toml:{number}: no such key" for number in range(1, 4001)]
    command(ConfigurationError("\n".join(["4000 mistakes", *lines]), fix="mend them"))
    assert cli.run(["fail"]) == 2
    shown = capsys.readouterr().err.splitlines()
    assert shown == ["error: 4000 mistakes", *lines[:20], "  and 3,980 more; --json has them all", "  fix: mend them"]
    assert cli.run(["fail", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["errors"][0]["what"].splitlines()[1:] == lines


@pytest.mark.parametrize(
    ("locale", "word"), [("zh_CN.UTF-8", "错误"), ("zh", "错误"), ("en_GB.UTF-8", "error"), ("C", "error")]
)
def test_the_frame_speaks_the_readers_language(locale: str, word: str) -> None:
    """The words around an error follow the locale."""
    done = run_bansui("nonsense", env={"LC_ALL": locale, "PYTHONUTF8": "1"})
    assert done.stderr.startswith(f"{word}: ")


@pytest.mark.parametrize("args", [("centre", "token", "--json"), ("broker", "hash-password", "--json")])
def test_results_for_programs_are_json_alone(args: tuple[str, ...]) -> None:
    """One JSON document on stdout, nothing on stderr."""
    done = subprocess.run([*BANSUI, *args], input="secret\n", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)
    assert done.stderr == ""


def test_what_runs_says_that_it_is_ready_in_json(processes: Processes, tmp_path: Path) -> None:
    """A supervisor reads one object a line: the broker for trials is ready, on this port."""
    (tmp_path / "pw").write_text("x")
    (tmp_path / "clients.toml").write_text('[[client]]\nid = "a"\npassword_file = "pw"\npublish = ["t/#"]\n')
    port = str(free_port())
    running = processes.bansui(
        *("broker", "run", "--clients", str(tmp_path / "clients.toml"), "--port", port, "--json")
    )
    running.wait_for_output("ready")
    told = json.loads(running.stdout)
    assert (told["event"], told["port"], told["clients"]) == ("ready", int(port), 1)


def test_the_help_is_whole_in_both_languages() -> None:
    """Every command and option has its Chinese help, and no Chinese help is of something that is gone."""
    command = typer.main.get_command(cli.build())
    assert help_words.texts(command) == help_words.chinese().keys()


def test_the_help_speaks_the_readers_language() -> None:
    """What a command does, and what its options mean."""
    chinese = run_bansui("agent", "validate", "--help", env={"LC_ALL": "zh_CN.UTF-8"}).stdout
    assert "检查配置，含驱动和密钥" in chinese
    assert "边缘网关的 TOML 文件。" in chinese
    assert "校内的边缘网关。" in run_bansui("--help", env={"LC_ALL": "zh_CN.UTF-8"}).stdout
    assert "Check the configuration" in run_bansui("agent", "validate", "--help").stdout


def test_errors_of_parallel_tasks_are_told_together(
    command: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A group of our errors is told one by one; a group with a programming error in it stays one."""
    command(ExceptionGroup("tasks", [DeviceFault("one"), ExceptionGroup("more", [ConfigurationError("two")])]))
    assert cli.run(["fail", "--json"]) == failures.EXIT_USAGE
    assert [error["what"] for error in json.loads(capsys.readouterr().err)["errors"]] == ["one", "two"]
    command(ExceptionGroup("tasks", [DeviceFault("one"), KeyError("ours")]))
    with pytest.raises(ExceptionGroup):
        cli.run(["fail"])


def test_a_programming_error_stays_one(command: Callable[[BaseException], None]) -> None:
    """Our own mistakes are not dressed up as the user's."""
    command(KeyError("ours"))
    with pytest.raises(KeyError):
        cli.run(["fail"])


@pytest.mark.parametrize(("group", "package"), [("centre", "duckdb"), ("broker", "amqtt"), ("agent", "apsw")])
def test_a_missing_extra_is_named(
    group: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command whose packages are not installed says what to install."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(lambda: None)

    @app.command(group)
    def run() -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(cli, "build", lambda _first: app)
    assert cli.run([group]) == 3
    shown = capsys.readouterr().err
    assert f"'{package}'" in shown
    assert "fix: pip install 'bansui[" in shown


def test_a_missing_module_of_ours_is_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of our own that is not there is no missing extra."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(lambda: None)

    @app.command("agent")
    def run() -> None:
        raise ModuleNotFoundError("No module named 'edge_agent.x'", name="edge_agent.x")

    monkeypatch.setattr(cli, "build", lambda _first: app)
    with pytest.raises(ModuleNotFoundError):
        cli.run(["agent"])


def test_a_reader_that_stops_early_is_no_error() -> None:
    """`bansui driver list | head` ends without a word."""
    with subprocess.Popen(
        [sys.executable, "-m", "bansui", "driver", "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        shown = process.stderr.read()
        process.wait(30)
    assert b"Traceback" not in shown


def test_ctrl_c_is_quiet(processes: Processes) -> None:
    """Ctrl-C ends a command with 130 and no traceback."""
    code = """
import sys, time, typer
from bansui import cli
app = typer.Typer(); app.callback()(lambda: None)
@app.command()
def wait() -> None:
    print("waiting", flush=True); time.sleep(60)
cli.build = lambda _first: app
sys.exit(cli.run(["wait"]))
"""
    waiting = processes.start(sys.executable, "-c", code)
    waiting.wait_for_output("waiting")
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait() == 130
    assert waiting.stderr == ""
