"""A batch is sealed once: the same bytes for the same text, of a size that says nothing, chained to the one before."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.uplink_contract import (
    GENESIS,
    LARGEST_BODY,
    LARGEST_TEXT,
    MOST_LINES,
    PADDING,
    AgentReport,
    BatchId,
    BatchTooLarge,
    MalformedBatch,
    chain,
    seal,
    unseal,
)

EPOCH = "0123456789abcdef"
REPORT = AgentReport(**{field.name: index for index, field in enumerate(dataclasses.fields(AgentReport))})


@given(st.binary(max_size=20_000))
def test_a_sealed_body_is_gzip_of_padded_size(text: bytes) -> None:
    """Anything that reads gzip reads it; the same text is the same bytes; the length is a multiple of 4 KiB."""
    body = seal(text)
    assert body == seal(text)
    assert len(body) % PADDING == 0
    assert gzip.decompress(body) == text
    assert unseal(body) == text


def test_sizes_tell_little() -> None:
    """A quiet minute and a busy one are bodies of the same length."""
    assert len(seal(b"")) == len(seal(b"a line\n" * 3)) == len(seal(b"another line\n" * 500)) == 4096


def test_every_filling_is_right() -> None:
    """The padding holds at each size around the edge of a block, where one byte more needs a block more."""
    noise = hashlib.shake_256(b"noise").digest(2 * PADDING)
    for length in range(PADDING - 60, PADDING + 10):
        assert len(seal(noise[:length])) in (PADDING, 2 * PADDING)
        assert unseal(seal(noise[:length])) == noise[:length]


def test_a_seal_holds_no_time_and_no_machine() -> None:
    """Nothing in the header tells when or where a batch was sealed."""
    header = seal(b"x")[:10]
    assert header == b"\x1f\x8b\x08\x04" + bytes(4) + b"\x02\xff"


def test_a_bomb_is_refused_without_being_held() -> None:
    """A body that unpacks to a hundred megabytes costs no more memory than the limit allows."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    limit = 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(BatchTooLarge):
            unseal(bomb, largest=limit)
        assert tracemalloc.get_traced_memory()[1] < 3 * limit
    finally:
        tracemalloc.stop()


def test_the_limit_is_exact() -> None:
    """A text of the largest size passes; one byte more does not."""
    assert len(unseal(seal(bytes(1000)), largest=1000)) == 1000
    with pytest.raises(BatchTooLarge):
        unseal(seal(bytes(1001)), largest=1000)
    assert LARGEST_BODY < LARGEST_TEXT
    assert MOST_LINES * 300 < LARGEST_TEXT  # the longest batch of the longest lines fits


@pytest.mark.parametrize("cut", [0, 1, 9, 10, 100, -9, -8, -1])
def test_a_body_cut_short_is_refused(cut: int) -> None:
    """A body that ends early, even within its last checksum, is no batch."""
    with pytest.raises(MalformedBatch):
        unseal(seal(b"a line\n" * 100)[:cut])


def test_bytes_after_the_body_are_refused() -> None:
    """Nothing hides behind a batch: neither bytes nor a second gzip member."""
    for rest in (b"\x00", b"x" * PADDING, seal(b"more")):
        with pytest.raises(MalformedBatch):
            unseal(seal(b"a line\n") + rest)


def test_a_body_that_is_not_gzip_or_was_changed_is_refused() -> None:
    """Plain text, zlib without gzip, and a body with a flipped checksum are no batches."""
    sealed = bytearray(seal(b"a line\n" * 100))
    sealed[-6] ^= 1
    for body in (b"", b"a line\n", zlib.compress(b"a line\n"), bytes(sealed)):
        with pytest.raises(MalformedBatch):
            unseal(body)


@given(st.binary(max_size=500))
def test_any_bytes_unseal_or_are_refused(body: bytes) -> None:
    """A sender's bytes raise the contract's errors and no others."""
    try:
        unseal(body, largest=1000)
    except (MalformedBatch, BatchTooLarge):
        return


def test_the_chain_depends_on_every_batch_and_their_order() -> None:
    """A head proves all before it: change, drop or swap one batch and it is another."""
    first, second = seal(b"1"), seal(b"2")
    head = chain(chain(GENESIS, first), second)
    assert head == hashlib.sha256(chain(GENESIS, first) + hashlib.sha256(second).digest()).digest()
    others = [chain(chain(GENESIS, second), first), chain(GENESIS, second), chain(chain(GENESIS, first), seal(b"3"))]
    assert head not in others
    assert len(GENESIS) == len(head) == 32


@given(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.integers(1, 10**18 - 1))
def test_a_batchs_identity_round_trips(epoch: str, sequence: int) -> None:
    """Epoch and sequence are written as the Idempotency-Key and read back equal."""
    assert BatchId.parse(str(BatchId(epoch, sequence))) == BatchId(epoch, sequence)


@pytest.mark.parametrize(
    "text",
    ["", EPOCH, f"{EPOCH}-", f"{EPOCH}-0", f"{EPOCH}-01", f"{EPOCH}--1", f"{EPOCH[1:]}-1", f"{EPOCH.upper()}-1",
     f"{EPOCH}-1\n", f"{EPOCH}-1{'0' * 18}", f"{EPOCH}-１"],
)  # fmt: skip
def test_what_is_no_identity_is_refused(text: str) -> None:
    """There is one way to write a batch's identity."""
    with pytest.raises(MalformedBatch):
        BatchId.parse(text)


def test_batches_sort_by_sequence_within_an_epoch() -> None:
    """The centre applies the batches of an epoch in their order."""
    assert BatchId(EPOCH, 9) < BatchId(EPOCH, 10)


def test_a_report_round_trips() -> None:
    """A report is numbers alone, and comes back equal."""
    assert AgentReport.from_dict(REPORT.as_dict()) == REPORT
    assert all(type(number) is int for number in REPORT.as_dict().values())


@pytest.mark.parametrize("value", [None, "1", 1.0, True, [1], 1 << 63, -(1 << 63)])
@pytest.mark.parametrize("name", ["received", "certificate_days"])
def test_a_report_holds_64_bit_integers_only(name: str, value: object) -> None:
    """No text, no fraction and no yes-or-no can leave a school in a report."""
    with pytest.raises(MalformedBatch, match=name):
        AgentReport.from_dict({**REPORT.as_dict(), name: value})


def test_a_reports_schema_is_closed() -> None:
    """A field more or a field less is refused by its name."""
    with pytest.raises(MalformedBatch, match="hostname"):
        AgentReport.from_dict({**REPORT.as_dict(), "hostname": 1})
    shorter = REPORT.as_dict()
    del shorter["waiting"]
    with pytest.raises(MalformedBatch, match="waiting"):
        AgentReport.from_dict(shorter)
