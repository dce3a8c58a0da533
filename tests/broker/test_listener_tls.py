"""The listener over TLS, and over IPv4 and IPv6: on asyncio's loop, and on uvloop as the agent runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bansui.free_port import free_port
from broker import listener as listener_module
from broker.limits import Limits
from broker.listener import Addresses
from broker.ports import PortUnavailable
from broker.tls import Certificate, CertificateUnusable, TlsFiles
from tests.broker.device import DISCONNECT, Device, connect, packet, publish
from tests.support.certificates import Authority
from tests.support.programs import MOSQUITTO_CLIENTS
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.conftest import Listen, Running

HOSTS: Final = ("127.0.0.1", "::1")
EVERYWHERE: Final = Addresses(HOSTS, 0, 0)
ON_BOTH = pytest.mark.parametrize("host", HOSTS)
QUICK: Final = Limits(linger_s=0.1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def running(listen: Listen, authority: Authority) -> Running:
    return await listen(QUICK, addresses=EVERYWHERE, tls=authority.server(), at_once=True)


async def dial(running: Running, trust: Path, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Device:
    """A device that has shaken hands."""
    context = context or ssl.create_default_context(cafile=trust)
    device = Device(*await asyncio.open_connection(host, running.listener.tls_port, ssl=context))
    running.devices.append(device)
    return device


@ON_BOTH
@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5], ids=["3.1.1", "5"])
@pytest.mark.parametrize("is_secure", [True, False], ids=["tls", "plain"])
async def test_paho_publishes_over_both_families(
    running: Running, authority: Authority, host: str, version: MQTTProtocolVersion, is_secure: bool
) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, "paho", protocol=version)
    client.username_pw_set("sensor", "secret")
    if is_secure:
        client.tls_set(str(authority.file))
    await asyncio.to_thread(client.connect, host, running.listener.tls_port if is_secure else running.port)
    client.loop_start()
    sent = [client.publish("t/1", f"{number}", qos=1) for number in range(50)]
    await until(lambda: all(one.is_published() for one in sent))
    client.disconnect()
    client.loop_stop()
    assert [one.payload for one in running.received] == [b"%d" % number for number in range(50)]
    assert running.listener.counters["refused"] == {}


@pytest.mark.mosquitto
@ON_BOTH
async def test_mosquitto_pub_publishes_with_its_cafile(running: Running, authority: Authority, host: str) -> None:
    found = MOSQUITTO_CLIENTS.find()
    assert found is not None
    args = ("-h", host, "-p", str(running.listener.tls_port), "--cafile", str(authority.file))
    process = await asyncio.create_subprocess_exec(
        found.removesuffix("sub") + "pub", *args, "-u", "sensor", "-P", "secret", "-q", "1", "-t", "t/1", "-m", "x"
    )
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    assert [one.payload for one in running.received] == [b"x"]


async def test_a_device_that_does_not_trust_us_is_counted(running: Running, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(ssl.SSLCertVerificationError):
        await dial(running, stranger.file)
    await until(lambda: running.refused("tls") == 1)
    assert running.listener.counters["connections"] == 0


async def test_words_in_the_clear_at_the_tls_port_are_refused(running: Running) -> None:
    device = await Device.dial(running.listener.tls_port)
    await device.send(connect())
    await device.read_to_end()
    await device.close()
    await until(lambda: running.refused("tls") == 1)
    assert running.listener.counters["connections"] == 0


async def test_a_handshake_at_the_plain_port_is_no_mqtt(running: Running, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.file)
    with pytest.raises((ssl.SSLError, OSError)):
        await asyncio.open_connection("127.0.0.1", running.port, ssl=context)
    assert running.refused("first_packet") == 1


async def test_a_handshake_that_does_not_come_is_timed_out_and_had_its_place(
    listen: Listen, authority: Authority
) -> None:
    limits = Limits(connect_timeout_s=0.3, max_connections=1, linger_s=0.1)
    running = await listen(limits, addresses=EVERYWHERE, tls=authority.server())
    silent = await Device.dial(running.listener.tls_port)
    await until(lambda: running.listener.counters["half_open"] == 1)
    surplus = await Device.dial(running.listener.tls_port)
    assert await surplus.read_to_end() == b""
    assert running.refused("too_many_connections") == 1
    await silent.read_to_end()
    await until(lambda: running.listener.counters["connections"] == 0)
    assert running.refused("tls") == 1
    await silent.close()
    await surplus.close()
    device = await dial(running, authority.file)
    await device.send(connect())
    assert (await device.read_packet())[1] == b"\0\0"


async def test_a_connect_in_the_segment_that_ends_the_handshake_is_read(running: Running, authority: Authority) -> None:
    """As TLS 1.3 allows: the client's last word of the handshake and its first of MQTT come in one piece."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=authority.file)
    engine = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    device = await Device.dial(running.listener.tls_port)
    running.devices.append(device)
    while True:
        try:
            engine.do_handshake()
            break
        except ssl.SSLWantReadError:
            if outgoing.pending:
                await device.send(outgoing.read())
            incoming.write(await device.reader.read(65_536))
    engine.write(connect() + publish(packet_id=1))
    await device.send(outgoing.read())
    answer = b""
    while len(answer) < 8:
        try:
            answer += engine.read()
        except ssl.SSLWantReadError:
            incoming.write(await device.reader.read(65_536))
    assert answer == b"\x20\x02\0\0" + b"\x40\x02\0\1"


async def test_a_device_hears_why_over_tls_too(running: Running, authority: Authority) -> None:
    device = await dial(running, authority.file)
    await device.send(connect(level=5) + publish("t/+", properties=b""))
    assert (await device.read_packet())[0] == 0x20
    assert await device.read_to_end() == packet(0xE0, b"\x90")
    await until(lambda: running.listener.counters["connections"] == 0)


async def test_a_tls_connection_is_read_no_further_than_its_window(listen: Listen, authority: Authority) -> None:
    running = await listen(replace(QUICK, max_unacknowledged=4), addresses=EVERYWHERE, tls=authority.server())
    device, witness = await dial(running, authority.file), await running.admitted("witness")
    payload = b"x" * 60_000
    writing = asyncio.create_task(
        device.send(connect() + b"".join(publish("t/1", payload, packet_id=index) for index in range(1, 201)))
    )
    await until(lambda: len(running.received) >= 4)
    for _ in range(20):
        await witness.expect_silence()
    assert len(running.received) < 40
    running.at_once = True
    running.acknowledge(running.tokens)
    await device.read_packet()
    assert await device.pubacks(200) == list(range(1, 201)), "nothing is lost"
    await writing


async def test_a_listener_with_tls_stops_at_once(listen: Listen, authority: Authority) -> None:
    running = await listen(QUICK, addresses=EVERYWHERE, tls=authority.server())
    device = await dial(running, authority.file)
    await device.send(connect(level=5))
    await device.read_packet()
    shaking = await Device.dial(running.listener.tls_port)
    await until(lambda: running.listener.counters["connections"] == 2)
    async with asyncio.timeout(5):
        await running.listener.stop()
    assert await device.read_to_end() == packet(0xE0, b"\x8b")
    await shaking.close()
    assert running.listener.counters["refused"] == {"shutting_down": 2}


@pytest.mark.parametrize("is_known", [True, False], ids=["with a certificate", "without"])
async def test_a_client_ca_asks_every_device_for_a_certificate(
    listen: Listen, authority: Authority, tmp_path: Path, is_known: bool
) -> None:
    devices = Authority(tmp_path / "devices")
    running = await listen(QUICK, addresses=EVERYWHERE, tls=authority.server(client_ca=devices.file), at_once=True)
    context = ssl.create_default_context(cafile=authority.file)
    if is_known:
        context.load_cert_chain(*devices.client())
    try:
        device = await dial(running, authority.file, context=context)
        await device.send(connect())
        answer = await device.read_to_end() if not is_known else (await device.read_packet())[1]
    except (ssl.SSLError, ConnectionError):  # TLS 1.3 tells a client behind its own handshake
        answer = b""
    assert answer == (b"\0\0" if is_known else b"")
    if not is_known:
        await until(lambda: running.refused("tls") == 1)
    assert running.listener.counters["connects"] == is_known


async def test_a_renewed_certificate_is_shown_without_a_restart(
    listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that are connected stay; a certificate that cannot be used is said once and the last good one shown."""
    caplog.set_level(logging.INFO, "broker.tls")
    monkeypatch.setattr(listener_module, "RENEW_EVERY_S", 0.02)
    own = Authority(tmp_path / "own")
    files = own.server()
    running = await listen(QUICK, addresses=EVERYWHERE, tls=files)

    async def shown() -> bytes:
        device = await dial(running, own.file)
        channel = device.writer.get_extra_info("ssl_object")
        await device.close()
        return bytes(channel.getpeercert(binary_form=True))

    first, device = await shown(), await dial(running, own.file)
    await device.send(connect())
    await device.read_packet()
    own.server()
    await until(lambda: "was renewed" in caplog.text)
    second = await shown()
    assert second != first
    files.certificate.write_bytes(Authority(tmp_path / "other").server().certificate.read_bytes())
    await until(lambda: "is not used" in caplog.text)
    assert await shown() == second, "one that is not the key's"
    files.certificate.unlink()
    assert await shown() == second
    own.server()
    await until(lambda: caplog.text.count("was renewed") == 2)
    assert await shown() not in (first, second)
    assert caplog.text.count("is not used") == 1
    await device.expect_silence()
    await device.send(DISCONNECT)


async def test_a_renewed_client_ca_is_asked_for_without_a_restart(
    listen: Listen,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Devices of the CA that was there before are turned away, those of the one in its place are let in."""
    caplog.set_level(logging.INFO, "broker.tls")
    monkeypatch.setattr(listener_module, "RENEW_EVERY_S", 0.02)
    before, after = Authority(tmp_path / "before"), Authority(tmp_path / "after")
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(before.file.read_bytes())
    running = await listen(QUICK, addresses=EVERYWHERE, tls=authority.server(client_ca=trusted), at_once=True)

    async def is_let_in(devices: Authority) -> bool:
        context = ssl.create_default_context(cafile=authority.file)
        context.load_cert_chain(*devices.client())
        try:
            device = await dial(running, authority.file, context=context)
            await device.send(connect())
            answer = await device.read_packet()
            await device.close()
        except (OSError, asyncio.IncompleteReadError):
            return False
        return bool(answer)

    assert (await is_let_in(before), await is_let_in(after)) == (True, False)
    trusted.write_bytes(after.file.read_bytes())
    await until(lambda: "was renewed" in caplog.text)
    assert (await is_let_in(before), await is_let_in(after)) == (False, True)


def test_a_certificate_that_cannot_be_used_is_named(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.server(), Authority(tmp_path).server()
    for files in (
        replace(good, certificate=tmp_path / "absent.pem"),
        replace(good, key=other.key),
        replace(good, client_ca=good.key),
        TlsFiles(good.key, good.certificate),
    ):
        with pytest.raises(CertificateUnusable) as caught:
            Certificate(files)
        assert "openssl" in caught.value.fix


async def test_where_one_address_cannot_be_had_none_is_taken(listen: Listen) -> None:
    port = free_port()
    with pytest.raises(PortUnavailable, match=r"192\.0\.2\.1"):
        await listen(QUICK, addresses=Addresses(["127.0.0.1", "192.0.2.1"], port))
    running = await listen(QUICK, addresses=Addresses(["127.0.0.1"], port))
    assert running.port == port


async def test_without_a_plain_port_there_is_tls_alone(listen: Listen, authority: Authority) -> None:
    running = await listen(QUICK, addresses=Addresses(["127.0.0.1"], None, 0), tls=authority.server())
    assert running.port == 0
    assert running.listener.tls_port > 0
    device = await dial(running, authority.file)
    await device.send(connect())
    assert (await device.read_packet())[1] == b"\0\0"
