"""`bansui broker`: a broker for trials, Mosquitto's files, and password hashes for configuration files."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bansui.failures import UsageError
from bansui.json_option import AsJson, JsonLines

if TYPE_CHECKING:
    from broker.credentials import Credentials

app = typer.Typer(help="A broker for trials, files for Mosquitto, and device passwords.", no_args_is_help=True)

AgentFile = Annotated[Path | None, typer.Option("--config", help="Clients from an agent's configuration (agent.toml).")]
ClientsFile = Annotated[Path | None, typer.Option("--clients", help="Clients from a TOML file of [[client]] tables.")]


@app.command()
def run(
    config: AgentFile = None,
    clients: ClientsFile = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 1883,
    as_json: JsonLines = False,
) -> None:
    """Run amqtt with the same credentials and ACL as the agent's listener. For trials, not for a school."""
    import asyncio

    from broker.trial import CAVEAT, run_trial

    credentials = _load(config, clients)

    def ready() -> None:
        count = len(credentials.clients)
        if as_json:
            told = {"event": "ready", "host": host, "port": port, "clients": count, "caveat": CAVEAT}
            print(json.dumps(told), flush=True)
            return
        print(f"amqtt listens on {host}:{port} for {count} client{'' if count == 1 else 's'}; Ctrl-C ends it.")
        print(CAVEAT, flush=True)

    asyncio.run(run_trial(credentials, host, port, ready))


@app.command()
def mosquitto(
    folder: Annotated[Path, typer.Option(help="Folder to write into.", file_okay=False)],
    config: AgentFile = None,
    clients: ClientsFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the same credentials and ACL as files for Mosquitto."""
    from broker.mosquitto import write_settings

    settings = write_settings(_load(config, clients), folder.resolve())
    if as_json:
        print(json.dumps({"folder": str(settings.parent), "settings": str(settings)}))
        return
    print(f"written; put this line into mosquitto.conf: include_dir {settings.parent}")
    print(f"and let Mosquitto's user read them, and nobody else: chown -R mosquitto: {settings.parent}")


@app.command()
def hash_password(as_json: AsJson = False) -> None:
    """Print the hash of a password for `password_hash`; asks for it, or takes the first line of stdin."""
    from broker.credentials import ScryptHash

    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise UsageError("the password is empty", fix="type one, or pipe it: `bansui broker hash-password < FILE`")
    hashed = str(ScryptHash.of(password.encode()))
    print(json.dumps({"password_hash": hashed}) if as_json else hashed)


def _load(config: Path | None, clients: Path | None) -> "Credentials":
    from broker.clients import load_agent_clients, load_clients_file

    if clients is not None and config is None:
        return load_clients_file(clients)
    if config is not None and clients is None:
        return load_agent_clients(config)
    raise UsageError("say who may connect", fix="give either --config agent.toml or --clients FILE")
