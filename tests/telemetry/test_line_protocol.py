"""The one text in which summaries travel: what is written is read back, and nothing else is read at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry import (
    FIELDS_OF,
    Decoder,
    LineProtocolError,
    Series,
    Summarise,
    Summary,
    UnknownInLine,
    decode_all,
    encode,
    encode_all,
    quantities,
    quantity,
)
from telemetry.summaries import REQUIRED_OF
from tests.telemetry.strategies import summaries

if TYPE_CHECKING:
    import random

HEAD = "carbon_dioxide,building=a,device=co2-a-301,room=a-301,school=cn-002,window=900"
LINE = f"{HEAD} mean=850,n=90i,expected=90i 1760000400000"
SERIES = Series("carbon_dioxide", "cn-002", "a", "a-301", "co2-a-301", 900)


def test_the_documented_line() -> None:
    """The example of the contract, in both directions."""
    summary = Summary(SERIES, 1760000400000, {"mean": 850, "n": 90, "expected": 90})
    assert encode(summary) == LINE
    assert decode_all(f"{LINE}\n".encode()) == [summary]
    assert summary.end_ms == 1760001300000


@given(st.lists(summaries(), max_size=5))
def test_round_trip(batch: list[Summary]) -> None:
    """What was written is read back equal, and written again it is the same bytes."""
    body = encode_all(batch)
    decoded = decode_all(body)
    assert decoded == batch
    assert encode_all(decoded) == body


@given(summaries(), st.randoms(use_true_random=False))
def test_order_of_tags_and_fields_does_not_matter(summary: Summary, order: random.Random) -> None:
    """Any Telegraf may write the tags and fields in its own order."""
    head, fields, stamp = encode(summary).split(" ")
    measurement, *tags = head.split(",")
    pairs = fields.split(",")
    order.shuffle(tags)
    order.shuffle(pairs)
    line = f"{','.join([measurement, *tags])} {','.join(pairs)} {stamp}"
    assert decode_all(line.encode()) == [summary]


@given(summaries())
def test_tags_are_written_sorted(summary: Summary) -> None:
    """Sorted tags make one series one text, and are what InfluxDB advises."""
    _, *tags = encode(summary).split(" ")[0].split(",")
    names = [tag.partition("=")[0] for tag in tags]
    assert names == sorted(names)


@given(summaries(), st.data())
def test_a_changed_line_is_read_as_itself_or_refused(summary: Summary, data: st.DataObject) -> None:
    """No second spelling: a line of ours with one byte changed is refused, or reads as what would be written so."""
    line = encode(summary)
    position = data.draw(st.integers(0, len(line) - 1))
    changed = line[:position] + data.draw(st.sampled_from("0123456789abcxyz-_.,= i\n+")) + line[position + 1 :]
    try:
        decoded = decode_all(changed.encode())
    except LineProtocolError:
        return
    assert [encode(again) for again in decoded] == [changed.removesuffix("\n")]


@given(st.binary(max_size=300))
@example(b"\xff")
@example(b" " * 3)
@example(LINE.encode() + b"\r\n")
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """A sender's bytes can raise the contract's error and no other."""
    try:
        decode_all(body)
    except LineProtocolError as error:
        refused = error
    else:
        return
    assert 1 <= refused.line <= body.count(b"\n") + 1
    assert 1 <= refused.column <= len(body) + 1


def _line(*, head: str = HEAD, fields: str = "mean=850", stamp: str = "1") -> str:
    return f"{head} {fields} {stamp}"


MALFORMED = [
    ("", 1),
    (" ", 1),
    ("# a comment here", 1),
    (f" {LINE}", 1),
    (f"{LINE} ", 1),
    (LINE.replace(" ", "  ", 1), 1),
    (f"{HEAD} mean=850", 1),
    ("mean=850 1", 1),
    (",building=a mean=850 1", 1),
    (_line(head=HEAD.replace("carbon_dioxide", "Carbon Dioxide")), 1),
    (_line(head=HEAD.replace("carbon_dioxide", "carbon\\ dioxide")), 1),
    (_line(head=HEAD.replace("carbon_dioxide", "CO2")), 1),
    (_line(head=f"{HEAD},"), len(HEAD) + 2),
    (_line(head=f"{HEAD},channel"), len(HEAD) + 2),
    (_line(head=f"{HEAD},channel="), len(HEAD) + 2),
    (_line(head=f"{HEAD},=a"), len(HEAD) + 2),
    (_line(head=f"{HEAD},room=b"), len(HEAD) + 2),
    (_line(head=f"{HEAD},channel=a=b"), len(HEAD) + 10),
    (_line(head=f"{HEAD},channel=seventeen-letters"), len(HEAD) + 10),
    (_line(head=HEAD.replace("building=a", "building=A")), 25),
    (_line(head=HEAD.replace("building=a", 'building="a"')), 25),
    (_line(head=HEAD.replace("building=a", "building=a\\,b")), 25),
    (_line(head=HEAD.replace("building=a", f"building={'a' * 33}")), 25),
    (_line(head=HEAD.replace("=900", "=0900")), len(HEAD) - 2),
    (_line(head=HEAD.replace("=900", "=-900")), len(HEAD) - 2),
    (_line(head=HEAD.replace("=900", "=15m")), len(HEAD) - 2),
    (_line(head=f"{HEAD},revision=01"), len(HEAD) + 11),
    (_line(fields=""), len(HEAD) + 2),
    (_line(fields="mean"), len(HEAD) + 2),
    (_line(fields="=850"), len(HEAD) + 2),
    (_line(fields="mean="), len(HEAD) + 7),
    (_line(fields="mean=850,"), len(HEAD) + 11),
    (_line(fields="mean=850,,n=1i"), len(HEAD) + 11),
    (_line(fields="mean=850,mean=850"), len(HEAD) + 11),
    (_line(fields="mean=850.0"), len(HEAD) + 7),
    (_line(fields="mean=850i"), len(HEAD) + 7),
    (_line(fields="mean=0850"), len(HEAD) + 7),
    (_line(fields="mean=-0"), len(HEAD) + 7),
    (_line(fields="mean=+850"), len(HEAD) + 7),
    (_line(fields="mean=8.5e2"), len(HEAD) + 7),
    (_line(fields="mean=NaN"), len(HEAD) + 7),
    (_line(fields="mean=Inf"), len(HEAD) + 7),
    (_line(fields="mean=8_50"), len(HEAD) + 7),
    (_line(fields="mean=true"), len(HEAD) + 7),
    (_line(fields='mean="850"'), len(HEAD) + 7),
    (_line(fields=f"mean=1{'0' * 18}"), len(HEAD) + 7),
    (_line(fields="mean=850,n=90"), len(HEAD) + 13),
    (_line(fields="mean=850,n=90u"), len(HEAD) + 13),
    (_line(fields="mean=850,n=-0i"), len(HEAD) + 13),
    (_line(fields="mean=850,n=09i"), len(HEAD) + 13),
    (_line(fields=f"mean=850,n=1{'0' * 18}i"), len(HEAD) + 13),
    (_line(stamp="01"), len(HEAD) + 11),
    (_line(stamp="-1"), len(HEAD) + 11),
    (_line(stamp="1.0"), len(HEAD) + 11),
    (_line(stamp="1" * 16), len(HEAD) + 11),
    (_line(stamp="1\r"), len(HEAD) + 11),
    (_line(stamp=""), len(HEAD) + 11),
    (_line(fields="mean=８５０"), len(HEAD) + 7),
    (f"\x00{LINE}", 1),
]

OUTSIDE = [
    (_line(head=HEAD.replace("carbon_dioxide", "heart_rate")), 1),
    (_line(head=HEAD.replace(",room=a-301", "")), 1),
    (_line(head=HEAD.replace(",school=cn-002", "")), 1),
    (_line(head=HEAD.replace(",building=a", "")), 1),
    (_line(head=HEAD.replace(",device=co2-a-301", "")), 1),
    (_line(head=HEAD.replace(",window=900", "")), 1),
    (_line(head=f"{HEAD},teacher=li"), len(HEAD) + 2),
    (_line(head=f"{HEAD},host=edge"), len(HEAD) + 2),
    (_line(head=HEAD.replace("=900", "=0")), len(HEAD) - 2),
    (_line(head=HEAD.replace("=900", "=86401")), len(HEAD) - 2),
    (_line(head=f"{HEAD},revision=0"), len(HEAD) + 11),
    (_line(fields="median=850"), len(HEAD) + 2),
    (_line(fields="mean=850,comment=1i"), len(HEAD) + 11),
    (_line(fields="mean=850,delta=3"), len(HEAD) + 11),
    (_line(head=HEAD.replace("carbon_dioxide", "people_in"), fields="last=3"), len(HEAD) - 3),
]


@pytest.mark.parametrize(("line", "column"), MALFORMED)
def test_malformed_lines_are_refused_where_they_fail(line: str, column: int) -> None:
    """Each kind of malformed line is refused, with its line and the column where it begins to be wrong."""
    with pytest.raises(LineProtocolError) as caught:
        decode_all(f"{LINE}\n{line}\n{LINE}\n".encode())
    assert type(caught.value) is LineProtocolError
    assert (caught.value.line, caught.value.column) == (2, column)
    assert caught.value.where == f"line 2, column {column}"


@pytest.mark.parametrize(("line", "column"), OUTSIDE)
def test_lines_outside_the_contract_are_told_apart(line: str, column: int) -> None:
    """A well-formed line with something the contract lacks is another error: a centre answers 422, not 400."""
    with pytest.raises(UnknownInLine) as caught:
        decode_all(f"{LINE}\n{line}\n".encode())
    assert (caught.value.line, caught.value.column) == (2, column)


def test_decimals_are_exactly_the_quantitys() -> None:
    """One number has one text: no trailing zero more or less, no minus before zero."""
    head = HEAD.replace("carbon_dioxide", "temperature")
    assert decode_all(_line(head=head, fields="mean=-0.05").encode())[0].fields == {"mean": -5}
    for text in ("21", "21.5", "21.500", "21.", ".50", "-0.00", f"{'9' * 17}.00"):
        with pytest.raises(LineProtocolError):
            decode_all(_line(head=head, fields=f"mean={text}").encode())


@pytest.mark.parametrize("kind", [kind for kind in Summarise if FIELDS_OF[kind]])
def test_every_kind_of_quantity_has_its_own_fields(kind: Summarise) -> None:
    """A quantity takes the fields of its kind, and refuses those of every other kind."""
    entry = next(entry for entry in quantities() if entry.summarise is kind)
    head = HEAD.replace("carbon_dioxide", entry.id)
    for name in sorted(frozenset().union(*FIELDS_OF.values())):
        count = name in ("on_permille", "band", "n", "expected")
        line = _line(head=head, fields=f"{name}={'1i' if count else entry.to_text(1)}").encode()
        if name in FIELDS_OF[kind] and not REQUIRED_OF[kind]:
            assert decode_all(line)[0].fields == {name: 1}
        else:
            with pytest.raises(UnknownInLine):
                decode_all(line)


def test_a_count_of_people_is_never_without_its_error() -> None:
    """All three fields, in any order, or the line is refused; nor can one be written without them."""
    head = HEAD.replace("carbon_dioxide", "people_count")
    fields = {"value": "31", "error95": "13", "band": "1i"}
    texts = [f"{name}={text}" for name, text in fields.items()]
    for order in (texts, texts[::-1]):
        found = decode_all(_line(head=head, fields=",".join(order)).encode())[0]
        assert found.fields == {"value": 31, "error95": 13, "band": 1}
    for left_out in fields:
        text = ",".join(f"{name}={each}" for name, each in fields.items() if name != left_out)
        with pytest.raises(UnknownInLine, match=f"people_count is not told without its {left_out}"):
            decode_all(_line(head=head, fields=text).encode())
        with pytest.raises(ValueError, match="fields"):
            encode(replace(found, fields={name: 1 for name in fields if name != left_out}))


def test_an_error_quotes_little_of_what_was_sent() -> None:
    """A refused body of a megabyte does not come back as a message of a megabyte."""
    for line in ("x" * 1_000_000, _line(fields="m" * 1_000_000), _line(head=f"{HEAD},{'t' * 1_000_000}=a")):
        with pytest.raises(LineProtocolError) as caught:
            decode_all(line.encode())
        assert len(str(caught.value)) < 200


def test_a_decoder_remembers_no_more_than_it_may() -> None:
    """Series heads are kept for speed, up to a bound that no sender can push."""
    decoder = Decoder(remember=2)
    for room in range(5):
        line = LINE.replace("a-301,school", f"a-{room},school")
        assert decoder.decode(line.encode())[0].series.room == f"a-{room}"
    assert len(decoder._series) == 2


def test_encoding_refuses_what_no_line_can_carry() -> None:
    """A summary with no field, or a field the contract lacks, is a mistake of ours, found at once."""
    for fields in ({}, {"median": 3}, {"mean": 3, "median": 3}):
        with pytest.raises(ValueError, match="fields"):
            encode(Summary(SERIES, 0, fields))


def test_people_counts_as_they_arrive_never_leave() -> None:
    """Entry counters have no line at all: the contract has no field for them."""
    assert not FIELDS_OF[quantity("people_in").summarise]
