"""Messages into PDUs: nothing too long, nothing odd, nothing lost, nothing copied."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.dimse.fragments import (
    MAX_FRAGMENT_LENGTH,
    Data,
    alike_messages,
    fragment_length,
    message_pdus,
)
from vna.dimse.pdu import Fragment
from vna.dimse.stream import PduStream


def sent(command: bytes, data: Data, maximum: int) -> list[tuple[bool, bool, bytes]]:
    """What a receiver with this maximum PDU length gets: (is command, is last, fragment)."""
    stream = PduStream()
    fragments = []
    for header, body in message_pdus(3, command, data, maximum):
        assert not maximum or len(header) - 6 + len(body) <= max(maximum, 8)
        stream.receive_data(bytes(header) + bytes(body))
        fragment = stream.next_pdu()
        assert isinstance(fragment, Fragment)
        assert fragment.context_id == 3
        fragments.append((fragment.is_command, fragment.is_last, bytes(fragment.data)))
        assert stream.next_pdu() is None
        assert stream.is_between_pdus
    return fragments


@given(
    st.binary(min_size=2, max_size=60),
    st.lists(st.binary(max_size=50), max_size=8),
    st.sampled_from([0, 8, 9, 13, 14, 40, 16384]),
    st.sampled_from(["bytes", "reader", "iterable"]),
)
def test_everything_arrives_in_order(
    command: bytes, chunks: list[bytes], maximum: int, kind: str
) -> None:
    whole = b"".join(chunks)
    kinds: dict[str, Data] = {"bytes": whole, "reader": BytesIO(whole), "iterable": iter(chunks)}
    fragments = sent(command, kinds[kind], maximum)
    commands = [fragment for fragment in fragments if fragment[0]]
    datasets = [fragment for fragment in fragments if not fragment[0]]
    assert fragments == commands + datasets
    assert b"".join(fragment[2] for fragment in commands) == command
    assert b"".join(fragment[2] for fragment in datasets) == whole
    for part in (commands, datasets):
        assert [fragment[1] for fragment in part] == [False] * (len(part) - 1) + [True]
        assert all(len(fragment[2]) % 2 == 0 for fragment in part[:-1])


def test_no_dataset_is_not_an_empty_dataset() -> None:
    assert sent(b"ab", None, 0) == [(True, True, b"ab")]
    assert sent(b"ab", b"", 0) == [(True, True, b"ab"), (False, True, b"")]


@pytest.mark.parametrize(
    ("maximum", "length"),
    [(0, MAX_FRAGMENT_LENGTH), (1, 2), (7, 2), (8, 2), (16383, 16376), (16384, 16378)],
)
def test_fragments_are_even_and_fit(maximum: int, length: int) -> None:
    assert fragment_length(maximum) == length


def test_a_huge_maximum_does_not_make_huge_fragments() -> None:
    assert fragment_length(0xFFFFFFFF) == MAX_FRAGMENT_LENGTH


def test_the_dataset_is_not_copied() -> None:
    data = bytearray(b"abcd")
    pdus = list(message_pdus(1, b"co", data, 0))
    data[0] = ord("X")
    assert bytes(pdus[-1][1]) == b"Xbcd"


def test_a_source_is_read_no_further_ahead_than_needed() -> None:
    pulled = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            pulled.append(number)
            yield bytes(1000)

    pdus = message_pdus(1, b"co", chunks(), 0)
    next(pdus)
    next(pdus)
    assert len(pulled) <= 2


@given(
    st.binary(min_size=2, max_size=60),
    st.lists(st.integers(0, 100).map(lambda half: bytes(2 * half)), max_size=5),
    st.sampled_from([0, 8, 13, 40, 16384]),
)
def test_alike_messages_are_those_that_go_out_one_by_one(
    command: bytes, datasets: list[bytes], maximum: int
) -> None:
    assert_alike(command, datasets, maximum)


@pytest.mark.parametrize("maximum", [0, 16384, 131072])
def test_long_alike_messages_are_cut_as_others_are(maximum: int) -> None:
    sizes = (16376, 16378, 16380, 16384, 16386, 131066, 131068, 300_000)
    assert_alike(b"command!", [bytes(size) for size in sizes], maximum)


def assert_alike(command: bytes, datasets: list[bytes], maximum: int) -> None:
    together = [b"".join(unit) for unit in alike_messages(3, command, datasets, maximum)]
    one_by_one = [
        b"".join(unit) for data in datasets for unit in message_pdus(3, command, data, maximum)
    ]
    assert b"".join(together) == b"".join(one_by_one)
