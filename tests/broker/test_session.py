"""The session as a state machine: any bytes, in any pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.limits import TokenBucket
from broker.session import Session
from tests.broker import device
from tests.broker.fuzzing import LIMITS, admission, drive


def streams_of(level: int) -> st.SearchStrategy[bytes]:
    """What a device of this version may send, and some bytes that it may not."""
    is_v5 = level == 5
    publishes = st.builds(
        device.publish,
        st.sampled_from(["t/1", "t/2", "t/1", "denied", "t/+"]),
        st.binary(max_size=300),
        packet_id=st.one_of(st.none(), st.integers(1, 9)),
        retain=st.booleans(),
        properties=st.just(b"" if is_v5 else None),
    )
    others = st.sampled_from(
        [device.PINGREQ, device.DISCONNECT, device.subscribe("t/#", is_v5=is_v5), device.connect(level=level)]
    )
    return st.builds(
        lambda packets, tail: device.connect(level=level) + b"".join(packets) + tail,
        st.lists(st.one_of(publishes, publishes, others), max_size=12),
        st.binary(max_size=20),
    )


STREAMS = st.one_of(streams_of(4), streams_of(5))


@given(STREAMS, st.lists(st.integers(0, 3_000), max_size=12))
def test_any_split_of_the_same_bytes_has_the_same_result(stream: bytes, cuts: list[int]) -> None:
    whole = drive([stream])
    points = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = drive(stream[start:end] for start, end in pairwise(points))
    assert pieces.publications == whole.publications
    assert pieces.refusal == whole.refusal
    assert pieces.ended == whole.ended


@settings(max_examples=25)
@given(STREAMS)
def test_byte_by_byte_is_the_same_as_at_once(stream: bytes) -> None:
    whole, single = drive([stream]), drive(stream[index : index + 1] for index in range(len(stream)))
    assert single.publications == whole.publications
    assert single.refusal == whole.refusal


@settings(max_examples=300)
@given(st.sampled_from([b"", device.connect(), device.connect(level=5)]), st.binary(max_size=400))
def test_any_bytes_end_in_nothing_worse_than_a_refusal(opening: bytes, rest: bytes) -> None:
    drive([opening + rest])


@settings(max_examples=300)
@given(STREAMS, st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), min_size=1, max_size=5))
def test_flipped_bytes_end_in_nothing_worse_than_a_refusal(stream: bytes, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(stream)
    for position, value in flips:
        if damaged:
            damaged[position % len(damaged)] = value
    drive([bytes(damaged)])


@given(st.permutations(range(1, 6)), st.lists(st.integers(1, 5), max_size=4))
def test_pubacks_keep_the_order_of_arrival(commits: list[int], chunking: list[int]) -> None:
    session = Session(LIMITS, 0.0)
    session.receive(device.connect(), 0.0)
    session.admit(admission(), 0.0)
    session.receive(b"".join(device.publish(packet_id=index) for index in range(1, 6)), 0.0)
    sent = b""
    for size in [*chunking, 5]:
        batch, commits = commits[:size], commits[size:]
        sent += session.acknowledge(batch)[1]
    assert sent == b"".join(device.puback(index) for index in range(1, 6))
    assert session.unacknowledged == 0


def test_a_deadline_follows_whole_packets_and_not_bytes() -> None:
    session = Session(LIMITS, 100.0)
    assert session.deadline == 100.0 + LIMITS.connect_timeout_s
    session.receive(device.connect(keep_alive=10), 101.0)
    session.admit(admission(), 102.0)
    assert session.deadline == 117.0
    session.receive(device.publish()[:-1], 110.0)
    assert session.deadline == 117.0
    session.receive(device.publish()[-1:], 111.0)
    assert session.deadline == 126.0


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 2)), min_size=1, max_size=30))
def test_a_token_bucket_never_lets_more_than_its_rate_through(steps: list[tuple[int, float]]) -> None:
    rate, burst, now, spent = 10.0, 20, 0.0, 0
    bucket = TokenBucket(rate, burst, now)
    for count, pause in steps:
        spent += count
        now += bucket.spend(count, now) + pause
        assert spent <= burst + rate * now + 1e-6
