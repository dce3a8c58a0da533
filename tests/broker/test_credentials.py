"""Passwords and their hashes, and the tables that name them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from broker.clients import (
    ClientTable,
    DuplicateClient,
    MalformedClients,
    UnreadablePassword,
    load_agent_clients,
    load_clients,
    load_clients_file,
)
from broker.credentials import Acl, Client, Credentials, MalformedPasswordHash, ScryptHash
from broker.limits import LimitOutOfRange, Limits

if TYPE_CHECKING:
    from pathlib import Path

GOOD = str(ScryptHash.of(b"correct horse"))


def test_a_hash_survives_being_written_down() -> None:
    again = ScryptHash.parse(GOOD)
    assert str(again) == GOOD
    assert again.verify(b"correct horse")
    assert not again.verify(b"wrong horse")


def test_the_hash_is_scrypt_as_rfc_7914_has_it() -> None:
    # RFC 7914 section 12, second vector, cut to the 32 bytes that are kept: scrypt's last step is PBKDF2,
    # whose first blocks do not depend on how many are asked for.
    vector = ScryptHash(
        1024,
        8,
        16,
        b"NaCl",
        bytes.fromhex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"),
    )
    assert vector.verify(b"password")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "secret",
        GOOD.replace("scrypt", "bcrypt"),
        GOOD.rsplit("$", 1)[0],
        GOOD[:-8],
        GOOD.replace("$4096$", "$4095$"),
        GOOD.replace("$4096$", "$1048576$"),
        GOOD.replace("$8$", "$0$"),
        GOOD.replace("$4096$", "$-1$"),
        GOOD + "$more",
    ],
    ids=["empty", "bare", "kind", "no hash", "cut off", "odd cost", "dear", "no blocks", "negative", "more"],
)
def test_what_hash_password_did_not_print_is_refused(bad: str) -> None:
    with pytest.raises(MalformedPasswordHash):
        ScryptHash.parse(bad)


def test_passwords_are_not_shown() -> None:
    assert "hunter2" not in repr(Client("a", b"hunter2"))
    assert "digest" not in repr(ScryptHash.of(b"x"))


def test_a_checked_password_is_remembered_and_its_change_is_not_let_through() -> None:
    credentials = Credentials([Client("h", ScryptHash.of(b"right"))])
    assert credentials.recall("h", b"right") is None
    assert credentials.verify("h", b"right")
    assert credentials.recall("h", b"right") is True
    assert credentials.recall("h", b"wrong") is None
    assert not credentials.verify("h", b"wrong")
    assert credentials.recall("h", b"wrong") is False
    assert credentials.recall("h", b"right") is True


def test_an_acl_denies_what_it_does_not_name() -> None:
    acl = Acl([Client("a", b"", ("own/#", "#"), ("own/+",)), Client("none", b"")])
    assert acl.may_publish("a", "own/x/y")
    assert not acl.may_publish("a", "$SYS/x")
    assert not acl.may_publish("none", "own/x")
    assert not acl.may_publish("unknown", "own/x")
    assert acl.may_subscribe("a", "own/x")
    assert acl.may_subscribe("a", "own/+")
    assert not acl.may_subscribe("a", "own/#")
    assert not acl.may_subscribe("a", "$share/g/own/x")
    assert acl.may_receive("a", "own/x")
    assert not acl.may_receive("a", "own/x/y")
    assert not acl.may_receive("none", "own/x")


def test_clients_come_from_tables_and_password_files(tmp_path: Path) -> None:
    (tmp_path / "pw").write_bytes(b"  from file \r\n")
    tables = [
        ClientTable(id="f", password_file="pw", publish=("a/#",)),
        ClientTable(id="h", password_hash=GOOD, subscribe=("b/#",)),
    ]
    credentials = load_clients(tables, tmp_path)
    assert credentials.verify("f", b"  from file ")
    assert credentials.verify("h", b"correct horse")
    assert credentials.acl.may_publish("f", "a/1")
    assert credentials.acl.may_receive("h", "b/1")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": "a"}, "either password_file or password_hash"),
        ({"id": "a", "password_file": "x", "password_hash": GOOD}, "either password_file or password_hash"),
        ({"id": "a/b", "password_file": "x"}, "pattern"),
        ({"id": "a", "password_file": "x", "publish": ["a/#/b"]}, "not a topic filter"),
        ({"id": "a", "password_file": "x", "publish": ["$SYS/#"]}, r"begin with '\$'"),
        ({"id": "a", "password_hash": "plain"}, "hash-password"),
        ({"id": "a", "password_file": "x", "pubish": []}, "Extra inputs"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClientTable.model_validate(table)


@pytest.mark.parametrize("content", [None, b"", b"\n"])
def test_a_password_file_that_holds_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "pw").write_bytes(content)
    with pytest.raises(UnreadablePassword) as caught:
        load_clients([ClientTable(id="a", password_file="pw")], tmp_path)
    assert str(tmp_path / "pw") in caught.value.where
    assert "install -m 600" in caught.value.fix


def test_two_clients_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DuplicateClient, match="'a'"):
        load_clients([ClientTable(id="a", password_hash=GOOD)] * 2, tmp_path)


def test_every_mistake_of_a_clients_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    file.write_text('[[client]]\nid = "a b"\npassword_file = "x"\n\n[[client]]\nid = "c"\npublish = ["#/x"]\n')
    with pytest.raises(ExceptionGroup) as caught:
        load_clients_file(file)
    mistakes = caught.value.exceptions
    assert all(isinstance(mistake, MalformedClients) for mistake in mistakes)
    assert [str(mistake).partition(": ")[0] for mistake in mistakes] == [f"{file}:2", f"{file}:7"]


@pytest.mark.parametrize("text", ["", "client = 3 3", None])
def test_a_clients_file_without_clients_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "clients.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(MalformedClients):
        load_clients_file(file)


def test_an_agents_configuration_gives_its_devices_and_its_subscriber(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("x")
    file = tmp_path / "agent.toml"
    file.write_text(
        '[agent]\nid = "edge-1"\n[listener]\nport = 1\n[[listener.client]]\nid = "z"\npassword_file = "pw"\n'
        'publish = ["z/#"]\n[subscriber]\nhost = "h"\nusername = "bansui"\npassword_file = "pw"\n'
        'topics = ["z/#", "spBv1.0/school/+/plc/#"]\n'
    )
    acl = load_agent_clients(file).acl
    assert acl.may_publish("z", "z/1")
    assert not acl.may_receive("z", "z/1")
    assert acl.may_subscribe("bansui", "z/#")
    assert not acl.may_publish("bansui", "z/1")
    assert acl.may_publish("bansui", "spBv1.0/school/NCMD/plc"), "a node may be asked for a rebirth"
    assert not acl.may_publish("bansui", "spBv1.0/school/DCMD/plc/probe")


def test_the_sample_configuration_names_clients_a_broker_can_use(tmp_path: Path) -> None:
    sample = tmp_path / "agent.toml"
    shutil.copy("configs/agent.toml", sample)
    for name in ("zigbee.password", "vr.password"):
        (tmp_path / name).write_text("x")
    assert load_agent_clients(sample).acl.may_publish("zigbee", "zigbee2mqtt/co2-a-301")


def test_a_limit_that_lets_nothing_through_is_refused() -> None:
    for wrong in ({"max_unacknowledged": 0}, {"max_unacknowledged": 65_536}, {"max_packet_bytes": 10}):
        with pytest.raises(LimitOutOfRange):
            Limits(**wrong)
    with pytest.raises(LimitOutOfRange):
        Limits(publications_per_s=float("inf"))
