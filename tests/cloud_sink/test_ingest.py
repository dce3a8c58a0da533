from __future__ import annotations

import gzip
import json
import socket
import zlib
from typing import TYPE_CHECKING

import pytest

from cloud_sink import ingest
from telemetry.uplink_contract import (
    APPLIED_HEADER,
    GENESIS,
    HEAD_HEADER,
    LARGEST_BODY,
    LARGEST_TEXT,
    MOST_LINES,
    REPORT_PATH,
    TOLD_HEADER,
    WRITE_PATH,
    chain,
    seal,
)
from tests.cloud_sink.support import (
    CONFIG,
    EPOCH,
    NOON_MS,
    QUARTER_MS,
    SCHOOLS,
    TOKENS,
    Running,
    refused,
    report,
    running_centre,
    sealed,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry import Summary

LINE = "carbon_dioxide,building=a,device=co2-a-301,room=a-301,school=cn-002,window=900 mean=850,n=15i,expected=15i"
MIDNIGHT_MS = NOON_MS - 12 * 3_600_000


@pytest.fixture(scope="module")
def refusing_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A centre to which only what it must refuse is sent: nothing of it may stay."""
    with running_centre(tmp_path_factory.mktemp("refusing")) as centre:
        yield centre
        assert all(balance["batches"] == 0 for balance in balances(centre))
        assert centre.export() == ""


@pytest.fixture
def refusing(refusing_centre: Running) -> Running:
    """The same for each test in an epoch of its own, since a number is marked with the bytes that were refused."""
    refusing_centre.epoch = f"{int(refusing_centre.epoch, 16) + 1:016x}"
    return refusing_centre


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Running]:
    with running_centre(tmp_path) as running:
        yield running


def balances(centre: Running) -> list[dict[str, object]]:
    answer: list[dict[str, object]] = centre.client.get("/api/v1/balance").json()
    return answer


def test_a_batch_is_acknowledged_with_the_applied_mark_and_the_ledgers_head(centre: Running) -> None:
    first, second = sealed(summary()), sealed(summary(start_ms=NOON_MS + QUARTER_MS))
    answers = [centre.post(first, 1), centre.post(second, 2)]
    assert [answer.status_code for answer in answers] == [204, 204]
    assert [answer.headers[APPLIED_HEADER] for answer in answers] == [f"{EPOCH}-1", f"{EPOCH}-2"]
    heads = [chain(GENESIS, first), chain(chain(GENESIS, first), second)]
    assert [answer.headers[HEAD_HEADER] for answer in answers] == [head.hex() for head in heads]


def test_a_batch_sent_again_is_acknowledged_again_and_stored_once(centre: Running) -> None:
    body = sealed(summary())
    assert [centre.post(body).status_code for _ in range(3)] == [204, 204, 204]
    centre.settle()
    assert centre.export().count("\n") == 1
    assert balances(centre)[0]["batches"] == 1


def test_another_batch_under_the_same_number_is_a_conflict_that_says_where_the_centre_stands(centre: Running) -> None:
    body = sealed(summary())
    centre.post(body)
    forked = centre.post(sealed(summary(fields={"mean": 400})))
    assert "other bytes" in str(refused(forked, 409, "conflict")["message"])
    assert forked.headers[APPLIED_HEADER] == f"{EPOCH}-1"
    assert forked.headers[HEAD_HEADER] == chain(GENESIS, body).hex()
    assert forked.headers[TOLD_HEADER] == f"{NOON_MS}-{NOON_MS + QUARTER_MS}"


def test_a_batch_that_is_both_refused_and_known_with_other_bytes_is_a_conflict(centre: Running) -> None:
    """Its agent was restored: by 422 it would never learn what its other copy has told."""
    centre.post(sealed(summary()))
    forked = centre.post(sealed(summary(start_ms=NOON_MS + 1)))
    refused(forked, 409, "conflict")
    assert forked.headers[TOLD_HEADER] == f"{NOON_MS}-{NOON_MS + QUARTER_MS}"


def test_a_batch_that_is_too_far_ahead_is_told_no_span(centre: Running) -> None:
    """Nobody else has told anything under its number: the agent has more to give, and no copy."""
    ahead = centre.post(sealed(summary()), 6)
    refused(ahead, 409, "conflict")
    assert (ahead.headers[APPLIED_HEADER], TOLD_HEADER in ahead.headers) == (f"{EPOCH}-0", False)


def test_a_refused_batch_does_not_claim_its_devices(centre: Running) -> None:
    centre.post(sealed(summary()))
    assert centre.post(sealed(summary(device="new"))).status_code == 409
    config_line = summary(school="cn-014", device="new")
    assert centre.post(sealed(config_line), agent="edge-2").status_code == 204


def test_batches_behind_refused_ones_are_taken(centre: Running) -> None:
    """An agent that was refused five times in a row is not told that it forked; both sides' heads agree."""
    head = GENESIS
    for sequence in range(1, 6):
        body = sealed(summary(start_ms=NOON_MS + sequence))
        answer = centre.post(body, key=f"{EPOCH}-{sequence}")
        refused(answer, 422, "unprocessable entity")
        head = chain(head, body)
        assert (answer.headers[APPLIED_HEADER], answer.headers[HEAD_HEADER]) == (f"{EPOCH}-{sequence}", head.hex())
    last = sealed(summary())
    taken = centre.post(last, key=f"{EPOCH}-6")
    assert taken.status_code == 204
    assert (taken.headers[APPLIED_HEADER], taken.headers[HEAD_HEADER]) == (f"{EPOCH}-6", chain(head, last).hex())
    centre.settle()
    assert centre.export().count("\n") == 1


def test_a_stored_batch_that_would_be_refused_by_now_is_acknowledged(tmp_path: Path) -> None:
    """Its answer got lost, and the centre was configured anew: its agent must not take it for refused."""
    day = sealed(summary("battery", MIDNIGHT_MS, window_s=86_400))
    with running_centre(tmp_path) as centre:
        assert centre.post(day).status_code == 204
    elsewhere = CONFIG.replace("Asia/Shanghai", "Asia/Kathmandu")
    with running_centre(tmp_path, config=elsewhere) as centre:
        assert centre.post(day).status_code == 204
        refused(centre.post(sealed(summary(start_ms=NOON_MS + 1)), 2), 422, "unprocessable entity")
        refused(centre.post(sealed(summary(start_ms=NOON_MS + 1)), 2), 422, "unprocessable entity")
        centre.settle()
        assert (balances(centre)[0]["batches"], centre.export().count("\n")) == (1, 1)


def test_batches_out_of_order_are_taken_and_applied_up_to_the_gap(centre: Running) -> None:
    bodies = [sealed(summary(start_ms=NOON_MS + index * QUARTER_MS)) for index in range(6)]
    marks = [centre.post(bodies[n - 1], n).headers[APPLIED_HEADER] for n in (2, 4, 1, 3)]
    assert marks == [f"{EPOCH}-0", f"{EPOCH}-0", f"{EPOCH}-2", f"{EPOCH}-4"]
    refused(centre.post(bodies[5], 9), 409, "conflict")


def test_marks_devices_and_numbers_survive_a_restart(tmp_path: Path) -> None:
    body = sealed(summary())
    with running_centre(tmp_path) as before:
        before.write(summary())
    with running_centre(tmp_path) as after:
        again = after.post(body)
        assert (again.status_code, again.headers[HEAD_HEADER]) == (204, chain(GENESIS, body).hex())
        refused(after.post(sealed(summary(device="x"))), 409, "conflict")
        assert after.export().count("\n") == 1
        places = after.client.get("/api/v1/places").json()
        assert places["schools"][0]["rooms"][0]["devices"] == [{"id": "co2-a-301", "agent": "edge-1"}]


def test_an_agents_report_is_numbered_like_a_batch_and_told_in_the_balance(centre: Running) -> None:
    told = report(time_ms=NOON_MS, received=10, admitted=9, rejected=1)
    body = seal(json.dumps(told.as_dict()).encode())
    centre.post(sealed(summary()), 1)
    answer = centre.post(body, 2, path=REPORT_PATH)
    assert (answer.status_code, answer.headers[APPLIED_HEADER]) == (204, f"{EPOCH}-2")
    centre.settle()
    balance = balances(centre)[0]
    assert balance["report"] == told.as_dict()
    assert (balance["batches"], balance["reports"], balance["applied"]) == (1, 1, f"{EPOCH}-2")
    assert (balance["summaries_received"], balance["summaries_stored"]) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [b"[]", b"{", b"null", b'{"time_ms": 1}', b'{"name": "x"}', b"[" * 100_000],
    ids=["list", "cut", "null", "missing", "foreign", "deep"],
)
def test_a_report_outside_its_closed_schema_is_refused(refusing: Running, text: bytes) -> None:
    refused(refusing.post(seal(text), path=REPORT_PATH), 400, "invalid")


@pytest.mark.parametrize("token", ["x", "wrong", TOKENS["edge-1"].upper(), f"{TOKENS['edge-1']}x"])
def test_a_wrong_token_is_refused(refusing: Running, token: str) -> None:
    answer = refusing.post(sealed(summary()), token=token)
    refused(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(("name", "value"), [("org", "pudong"), ("bucket", "cn-014"), ("token", TOKENS["edge-2"])])
def test_a_token_writes_for_its_own_school_and_district_alone(refusing: Running, name: str, value: str) -> None:
    refused(refusing.post(sealed(summary()), 1, "edge-1", **{name: value}), 403, "forbidden")


def test_a_line_of_another_school_is_refused_with_its_number(refusing: Running) -> None:
    answer = refusing.post(sealed(summary(), summary(school="cn-014")))
    assert refused(answer, 403, "forbidden")["line"] == 2
    assert APPLIED_HEADER not in answer.headers, "the agent is to keep it"


@pytest.mark.parametrize("key", ["", "1", "aa-1", f"{EPOCH}-0", f"{EPOCH}--1", f"{EPOCH}-1x"])
def test_a_batch_needs_its_number(refusing: Running, key: str) -> None:
    refused(refusing.post(sealed(summary()), key=key), 400, "invalid")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (f"{LINE} 1760241600000\n{LINE}\n", 2, 1),
        (f"{LINE} -1\n", 1, len(LINE) + 2),
        (f"{LINE.replace('900', '86400')} 253402300800000\n", 1, len(LINE) + 4),
        (f"{LINE} 1760241600000\n\n{LINE} 1760242500000\n", 2, 1),
        ("carbon_dioxide,room 1 1\n", 1, 16),
        (f"{LINE.replace('850', 'NaN')} 0\n", 1, LINE.index("850") + 1),
        (f"{LINE.replace('850', '1e308')} 0\n", 1, LINE.index("850") + 1),
        (f"{LINE.replace('a-301', '教室')} 0\n", 1, LINE.index("co2-a-301") + 5),
    ],
    ids=["no time", "negative", "year 10000", "blank", "no value", "nan", "1e308", "not ascii"],
)
def test_malformed_line_protocol_is_refused_with_line_and_column(
    refusing: Running, text: str, line: int, column: int
) -> None:
    told = refused(refusing.post(seal(text.encode())), 400, "invalid")
    assert (told["line"], told["column"]) == (line, column), told


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (LINE.replace("carbon_dioxide", "mood"), "mood"),
        (LINE.replace("room=", "teacher=wang,room="), "teacher"),
        (LINE.replace("n=15i", "median=1"), "median"),
        (LINE.replace("window=900", "window=90000"), "window"),
        (LINE.replace(",window=900", ""), "window"),
    ],
    ids=["quantity", "tag", "field", "too long", "no window"],
)
def test_a_line_outside_the_contract_is_unprocessable(refusing: Running, wrong: str, said: str) -> None:
    told = refused(refusing.post(seal(f"{wrong} 1760241600000\n".encode())), 422, "unprocessable entity")
    assert said in str(told["message"])
    assert told["line"] == 1


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        (summary(start_ms=NOON_MS + 1000), "does not begin"),
        (summary(start_ms=NOON_MS, window_s=86_400), "does not begin"),
        (summary(start_ms=MIDNIGHT_MS + 8 * 3_600_000, window_s=86_400), "does not begin"),
        (summary(fields={"delta": 1}), "'delta' is not in the contract"),
        (summary("switch", fields={"mean": 1}), "'mean' is not in the contract"),
        (summary("people_in", fields={"mean": 1}), "'mean' is not in the contract"),
        (summary(fields={"mean": 850, "n": 16, "expected": 15}), "n is 16 of 15"),
        (summary(fields={"mean": 850, "n": -1}), "out of range"),
        (summary("occupancy", fields={"on_permille": 1001}), "out of range"),
        (summary("fault", fields={"last": 3}), "does not exist"),
        (summary("fault", fields={"last": 0, "max": 3}), "does not exist"),
        (summary("temperature", window_s=30), "windows of 60 s or more, not of 30"),
        (summary("sound_pressure", window_s=60), "windows of 900 s or more, not of 60"),
        (summary("motion", NOON_MS, {"on_permille": 500}, window_s=300), "windows of 900 s or more, not of 300"),
        (summary("battery", window_s=60), "windows of 900 s or more, not of 60"),
        (summary("headset_worn", fields={"on_permille": 9}), "windows of 86400 s or more, not of 900"),
        (
            summary("people_count", NOON_MS, {"value": 41, "error95": 1, "band": 1}, window_s=3600),
            "error95 is 1: a count of people without noise",
        ),
        (summary("people_count", NOON_MS, {"value": 41, "error95": 13, "band": 1}), "windows of 3600 s, not of 900"),
        (
            summary("people_count", MIDNIGHT_MS, {"value": 41, "error95": 13, "band": 1}, window_s=86_400),
            "windows of 3600 s, not of 86400",
        ),
        (summary("smoke", NOON_MS, {"last": 1}), "windows of 1 s, not of 900"),
    ],
)
def test_a_summary_that_no_agent_of_ours_tells_is_unprocessable(refusing: Running, outside: Summary, said: str) -> None:
    told = refused(refusing.post(sealed(summary(), outside)), 422, "unprocessable entity")
    assert said in str(told["message"])
    assert told["line"] == 2


def test_the_coarsest_window_that_a_class_may_have_is_taken(tmp_path: Path) -> None:
    """The floor is how fine a window may be, by the least that its quantity can be; coarser ones are always taken."""
    taken = [
        summary("temperature", window_s=60, device="mast"),
        summary("sound_pressure", window_s=900),
        summary("sound_pressure", window_s=3600, device="other"),
        summary("battery", MIDNIGHT_MS, window_s=86_400),
        summary("people_count", NOON_MS, {"value": 41, "error95": 13, "band": 1}, window_s=3600),
    ]
    with running_centre(tmp_path) as centre:
        assert centre.post(sealed(*taken)).status_code == 204


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (LINE.replace("mean=850", 'mean="wang-fang"'), 400),
        (LINE.replace("n=15i", 'n="15"'), 400),
        (LINE.replace("mean=850", 'note="wang-fang",mean=850'), 422),
        (LINE.replace("mean=850", 'mean="wang fang"'), 400),
        (LINE.replace("mean=850", "mean=true"), 400),
        (LINE.replace("device=co2-a-301", 'device="wang-fang"'), 400),
        (LINE.replace("device=co2-a-301", "device=王芳"), 400),
    ],
)
def test_no_text_comes_in(refusing: Running, text: str, status: int) -> None:
    """A field is a number, and a tag is a code: a batch with a string anywhere is refused whole."""
    answer = refusing.post(seal(f"{text} {NOON_MS}\n".encode()))
    assert answer.status_code == status, answer.text


def test_a_day_begins_at_the_schools_midnight_and_an_event_at_its_own_moment(centre: Running) -> None:
    day = summary("operating_time", MIDNIGHT_MS, {"delta": 5}, window_s=86_400)
    smoke = summary("smoke", NOON_MS + 1234, {"last": 1}, window_s=1)
    assert centre.post(sealed(day, smoke)).status_code == 204


def test_too_many_lines_are_unprocessable(refusing: Running) -> None:
    text = "".join(f"{LINE} {NOON_MS + index * QUARTER_MS}\n" for index in range(MOST_LINES + 1))
    refused(refusing.post(seal(text.encode())), 422, "unprocessable entity")


def test_a_gzip_bomb_is_too_large(refusing: Running) -> None:
    bomb = gzip.compress(bytes(4 * LARGEST_TEXT), 9)
    assert len(bomb) < LARGEST_BODY
    refused(refusing.post(bomb), 413, "request too large")


def test_a_body_of_10_mb_is_too_large(refusing: Running) -> None:
    refused(refusing.post(bytes(10 << 20)), 413, "request too large")


def test_a_streamed_body_without_a_length_is_counted_as_it_comes(refusing: Running) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield bytes(LARGEST_BODY // 2)

    answer = refusing.client.post(
        WRITE_PATH,
        params={"org": "changning", "bucket": "cn-002", "precision": "ms"},
        headers={
            "Authorization": f"Token {TOKENS['edge-1']}",
            "Content-Encoding": "gzip",
            "Idempotency-Key": f"{EPOCH}-1",
        },
        content=chunks(),
    )
    refused(answer, 413, "request too large")


@pytest.mark.parametrize(
    "body",
    [
        sealed(summary())[:-1],
        sealed(summary())[:2000],
        sealed(summary()) + b"x",
        b"",
        b"not gzip",
        zlib.compress(b"x"),
        bytes([*sealed(summary())[:-8], 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ids=["one byte short", "half", "trailing", "empty", "text", "zlib", "checksum"],
)
def test_a_body_that_is_not_whole_gzip_is_refused(refusing: Running, body: bytes) -> None:
    refused(refusing.post(body), 400, "invalid")


def test_a_body_that_is_not_said_to_be_gzip_is_refused(refusing: Running) -> None:
    refused(refusing.post(sealed(summary()), encoding="identity"), 400, "invalid")


def test_another_precision_or_a_missing_parameter_is_refused(refusing: Running) -> None:
    refused(refusing.post(sealed(summary()), precision="ns"), 400, "invalid")
    answer = refusing.client.post(WRITE_PATH, params={"org": "changning"})
    assert "bucket" in str(refused(answer, 400, "invalid")["message"])


def test_a_body_cut_short_on_the_wire_leaves_nothing_and_the_centre_answers_on(refusing: Running) -> None:
    body = sealed(summary())
    host, port = refusing.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            f"POST {WRITE_PATH}?org=changning&bucket={SCHOOLS['edge-1']}&precision=ms HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Token {TOKENS['edge-1']}\r\nContent-Encoding: gzip\r\n"
            f"Idempotency-Key: {EPOCH}-1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body[:100]
        )
    assert refusing.client.get("/api/v1/health").json()["status"] == "ok"


def test_a_body_that_does_not_arrive_in_time_is_asked_for_again(
    refusing: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that stalls says nothing of the batch: an agent gives up for good what is refused."""
    monkeypatch.setattr(ingest, "BODY_WITHIN_S", 0.05)
    host, port = refusing.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            f"POST {WRITE_PATH}?org=changning&bucket={SCHOOLS['edge-1']}&precision=ms HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Token {TOKENS['edge-1']}\r\nContent-Encoding: gzip\r\n"
            f"Idempotency-Key: {EPOCH}-1\r\nContent-Length: 100\r\n\r\n".encode()
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_more_open_requests_than_an_agent_may_have_are_told_to_come_back(tmp_path: Path) -> None:
    with running_centre(tmp_path) as centre:
        host, port = centre.url.removeprefix("http://").split(":")
        head = (
            f"POST {WRITE_PATH}?org=changning&bucket=cn-002&precision=ms HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Token {TOKENS['edge-1']}\r\nContent-Encoding: gzip\r\n"
            f"Idempotency-Key: {EPOCH}-1\r\nContent-Length: 4096\r\n\r\n"
        ).encode()
        held = [socket.create_connection((host, int(port))) for _ in range(8)]
        try:
            for raw in held:
                raw.sendall(head)
            answer = centre.post(sealed(summary()))
            while answer.status_code == 204:
                answer = centre.post(sealed(summary()))
            refused(answer, 429, "too many requests")
            assert answer.headers["Retry-After"] == "1"
        finally:
            for raw in held:
                raw.close()
