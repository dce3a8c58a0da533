"""Connections by TLS to a centre and to a broker that a CA of the district's own vouches for, and to impostors."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent.bindings import prepare
from edge_agent.client_tls import ClientTls, TrustUnusable
from edge_agent.config_file import load
from edge_agent.intake import availability
from edge_agent.uplink import probe
from telemetry import ConfigurationError
from tests.edge_agent.running import LISTENER, SENSOR, SUBSCRIBER, configure, running
from tests.edge_agent.servers import DURABLE, Centre, serving
from tests.support.certificates import Authority
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.edge_agent.running import Running

STRANGE: Final = "nobody who is believed has signed its certificate"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "district")


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    """A Mosquitto that speaks TLS alone, and asks for a certificate."""
    started = Mosquitto(tmp_path / "mosquitto", authority.mosquitto(asks=True))
    yield started
    started.stop()


def served_by(authority: Authority) -> ssl.SSLContext:
    """What a centre of this authority's shows."""
    files, context = authority.server(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


def subscribing(folder: Path, port: int, ca: Path, pair: tuple[Path, Path] | None) -> Path:
    own = "" if pair is None else f'certificate_file = "{pair[0]}"\nkey_file = "{pair[1]}"\n'
    tls = f'[subscriber.tls]\nca_file = "{ca}"\n{own}'
    return configure(folder, SUBSCRIBER.format(port=port), tls, SENSOR)


def is_granted(agent: Running) -> bool:
    return agent.agent._subscriber is not None and agent.agent._subscriber.is_subscribed


def publish(broker: Mosquitto, authority: Authority, value: int) -> None:
    certificate, key = authority.client("sensor")
    where = ("-h", broker.host, "-p", str(broker.port), "-t", "zigbee2mqtt/co2", "-q", "1")
    who = ("--cafile", str(authority.file), "--cert", str(certificate), "--key", str(key))
    subprocess.run(["mosquitto_pub", *where, *who, "-m", json.dumps({"co2": value})], check=True, timeout=20)


@pytest.mark.mosquitto
async def test_a_broker_that_asks_for_a_certificate_is_subscribed_to(
    tmp_path: Path, authority: Authority, broker: Mosquitto
) -> None:
    """Both sides know each other by the district's CA, and what is published comes in."""
    path = subscribing(tmp_path / "agent", broker.port, authority.file, authority.client("edge-1"))
    async with running(path) as agent:
        await until(lambda: is_granted(agent), 20)
        await asyncio.to_thread(publish, broker, authority, 600)
        await until(lambda: agent.balance["admitted"] == 1, 20)
        await agent.stop()
        assert agent.audit().faults == []


@pytest.mark.mosquitto
async def test_a_broker_that_nobody_vouches_for_hears_nothing_until_its_ca_is_there(
    tmp_path: Path, authority: Authority, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is said once, in words; a file that is mended is read without a restart."""
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Authority(tmp_path / "other").file.read_bytes())
    path = subscribing(tmp_path / "agent", broker.port, trusted, authority.client("edge-1"))
    async with running(path) as agent:
        await until(lambda: STRANGE in caplog.text, 20)
        assert "zigbee2mqtt" not in broker.log
        trusted.write_bytes(authority.file.read_bytes())
        await until(lambda: is_granted(agent), 20)
    said = [record.getMessage() for record in caplog.records if record.name == availability.__name__]
    assert said[0] == f"device broker is unavailable: 127.0.0.1:{broker.port}: {STRANGE}"


@pytest.mark.mosquitto
async def test_a_broker_without_tls_is_named_as_that(
    tmp_path: Path, authority: Authority, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is ever sent in the clear where TLS is configured."""
    path = subscribing(tmp_path / "agent", mosquitto.port, authority.file, None)
    async with running(path) as agent:
        await until(lambda: f"127.0.0.1:{mosquitto.port}: " in caplog.text, 20)
        assert not is_granted(agent)
    assert "bansui-edge-1" not in mosquitto.log


async def test_a_centre_is_believed_by_its_ca_alone(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Under another CA nothing leaves; when the file names the right one, it does, without a restart."""
    centre, trusted = Centre(DURABLE), tmp_path / "trusted.pem"
    trusted.write_bytes(Authority(tmp_path / "other").file.read_bytes())
    async with serving(centre.answer, tls=served_by(authority)) as port:
        path = configure(tmp_path / "agent", LISTENER, SENSOR, centre=f"https://127.0.0.1:{port}")
        text = path.read_text()
        path.write_text(
            text.replace('token_file = "token"', f'token_file = "token"\nreport_s = 0.2\nca_file = "{trusted}"')
        )
        async with running(path):
            await until(lambda: f"no connection ({STRANGE})" in caplog.text, 20)
            assert centre.requests == []
            trusted.write_bytes(authority.file.read_bytes())
            await until(lambda: centre.requests, 20)


@pytest.mark.parametrize(
    ("names", "tells"), [(["127.0.0.1"], ""), (["centre.example"], "IP address mismatch"), (None, STRANGE)]
)
async def test_a_look_at_the_centre_says_what_is_wrong_with_its_certificate(
    authority: Authority, tmp_path: Path, names: list[str] | None, tells: str
) -> None:
    """As `bansui agent doctor` shows it; None: signed by somebody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signer = authority if names is not None else Authority(tmp_path / "other")
    files = signer.server(names or ["127.0.0.1"])
    context.load_cert_chain(files.certificate, files.key)
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    async with serving(Centre(refusal).answer, tls=context) as port:
        seen = await asyncio.to_thread(
            probe, f"https://127.0.0.1:{port}", "a-token", ClientTls(authority.file), timeout_s=5
        )
    assert (seen.knows_token, bool(seen.failure)) == (not tells, bool(tells))
    assert tells in seen.failure


@pytest.mark.parametrize(
    ("key", "content", "tells"),
    [
        ("uplink.ca_file", None, "no such file or directory"),
        ("uplink.ca_file", "no certificate", "no certificate or crl found"),
        ("subscriber.tls", "no certificate", "no certificate or crl found"),
    ],
)
def test_a_ca_that_cannot_be_read_is_named_before_the_agent_starts(
    tmp_path: Path, key: str, content: str | None, tells: str
) -> None:
    """With its place in the configuration."""
    file = tmp_path / "agent" / "ca.pem"
    if key.startswith("uplink"):
        path = configure(tmp_path / "agent", LISTENER, SENSOR, centre="https://centre.example")
        path.write_text(path.read_text().replace("[timetable]", 'ca_file = "ca.pem"\n[timetable]'))
    else:
        path = subscribing(tmp_path / "agent", 8883, file, None)
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError) as found:
        prepare(load(path))
    assert key in str(found.value)
    assert f"a certificate cannot be used: {tells}" in str(found.value)


@pytest.mark.parametrize(
    ("found", "text", "tells"),
    [
        ("https://centre.example", 'certificate_file = "a.pem"', "certificate_file and key_file are of one pair"),
        ("http://127.0.0.1:8080", None, "ca_file is for https"),
    ],
)
def test_half_of_a_configuration_is_refused(tmp_path: Path, found: str, text: str | None, tells: str) -> None:
    """Rather than taken for something else."""
    tls = "" if text is None else f"{SUBSCRIBER.format(port=8883)}[subscriber.tls]\n{text}\n"
    path = configure(tmp_path / "agent", tls or LISTENER, SENSOR, centre=found)
    if text is None:
        path.write_text(path.read_text().replace("[timetable]", 'ca_file = "ca.pem"\n[timetable]'))
    with pytest.raises(ConfigurationError, match=tells):
        load(path)


async def test_a_centre_that_speaks_no_tls_is_named_as_that(authority: Authority) -> None:
    """An address that should have begun with http, or a port that is another's."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(answer) as port:
        url = f"https://127.0.0.1:{port}"
        seen = await asyncio.to_thread(probe, url, "a-token", ClientTls(authority.file), timeout_s=5)
    assert seen.failure == "what answers does not speak TLS"


def test_an_agents_own_certificate_has_to_fit_its_key(authority: Authority) -> None:
    """What is named is the file that does not fit."""
    certificate, _ = authority.client("edge-1")
    _, key = authority.client("edge-2")
    with pytest.raises(TrustUnusable, match="key values mismatch") as found:
        ClientTls(authority.file, certificate, key).context()
    assert str(certificate) in str(found.value)


def test_without_a_ca_public_ones_are_believed() -> None:
    """And never nobody's: a certificate and its name are always asked for."""
    context = ClientTls().context()
    assert len(context.get_ca_certs()) > 50
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
