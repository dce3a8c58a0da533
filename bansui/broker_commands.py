"""`bansui broker`: a broker for trials, and password hashes for configuration files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bansui.failures import UsageError

app = typer.Typer(help="A broker for trials, and device passwords.", no_args_is_help=True)


@app.command()
def run(
    config: Annotated[Path | None, typer.Option(help="Clients from an agent's configuration (agent.toml).")] = None,
    clients: Annotated[Path | None, typer.Option(help="Clients from a TOML file of [[client]] tables.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 1883,
) -> None:
    """Run amqtt with the same credentials and ACL as the agent's listener. For trials, not for a school."""
    import asyncio  # noqa: PLC0415 - `bansui --help` stays quick

    from broker.clients import load_agent_clients, load_clients_file  # noqa: PLC0415 - extras stay optional
    from broker.trial import CAVEAT, run_trial  # noqa: PLC0415 - the same

    if clients is not None and config is None:
        credentials = load_clients_file(clients)
    elif config is not None and clients is None:
        credentials = load_agent_clients(config)
    else:
        raise UsageError("say who may connect", fix="give either --config agent.toml or --clients FILE")

    def ready() -> None:
        count = len(credentials.clients)
        print(f"amqtt listens on {host}:{port} for {count} client{'' if count == 1 else 's'}; Ctrl-C ends it.")
        print(CAVEAT, flush=True)

    asyncio.run(run_trial(credentials, host, port, ready))


@app.command()
def hash_password() -> None:
    """Print the hash of a password for `password_hash`; asks for it, or takes the first line of stdin."""
    from broker.credentials import ScryptHash  # noqa: PLC0415 - the same

    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise UsageError("the password is empty", fix="type one, or pipe it: `bansui broker hash-password < FILE`")
    print(ScryptHash.of(password.encode()))
