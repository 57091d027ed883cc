"""The PDU stream: any chunking gives one result, and no length is believed."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dimse import values
from vna.dimse.associate import encode_accept, encode_request
from vna.dimse.pdu import (
    Abort,
    AbortReason,
    AssociateReject,
    Fragment,
    InvalidPdu,
    Pdu,
    ReleaseReply,
    ReleaseRequest,
)
from vna.dimse.stream import MAX_ASSOCIATE_LENGTH, PduStream

Merged = list[Pdu | tuple[int, bool, bool, bytes]]

pdvs = st.tuples(st.integers(0, 255), st.integers(0, 3), st.binary(max_size=60))
pdus = st.one_of(
    st.builds(lambda items: values.p_data(*items), st.lists(pdvs, min_size=1, max_size=4)),
    values.requests.map(encode_request),
    values.accepts.map(encode_accept),
    st.just(ReleaseRequest().encode()),
    st.just(ReleaseReply().encode()),
    st.builds(Abort, st.integers(0, 2), st.integers(0, 6)).map(Abort.encode),
    st.builds(AssociateReject, st.integers(1, 2), st.integers(1, 3), st.integers(1, 10)).map(
        AssociateReject.encode
    ),
)


def _piece(context_id: int, data: memoryview) -> Fragment:
    return Fragment(context_id, is_command=False, is_last=False, data=data)


def next_either_way(stream: PduStream, context_id: int) -> Pdu | None:
    """The short way for datasets of this context (-1: for none), then the general one."""
    data = stream.next_data(context_id) if context_id >= 0 else None
    return stream.next_pdu() if data is None else _piece(context_id, data)


def take_all(stream: PduStream, chunks: list[bytes], context_id: int = -1) -> Merged:
    """Every PDU, the pieces of each PDV put together again; an error as the last entry."""
    taken: Merged = []
    open_piece: tuple[int, bool, bool, bytes] | None = None
    for chunk in chunks:
        stream.receive_data(chunk)
        while (pdu := next_either_way(stream, context_id)) is not None:
            if not isinstance(pdu, Fragment):
                taken.append(pdu)
                continue
            before = open_piece[3] if open_piece else b""
            open_piece = (pdu.context_id, pdu.is_command, pdu.is_last, before + bytes(pdu.data))
            if not stream._pdv_left:
                taken.append(open_piece)
                open_piece = None
    return taken


@given(st.lists(pdus, max_size=5).map(b"".join), st.lists(st.integers(0, 10**6), max_size=30))
def test_any_chunking_gives_one_result(data: bytes, cuts: list[int]) -> None:
    whole = take_all(PduStream(), [data])
    assert take_all(PduStream(), values.chunked(data, cuts)) == whole
    assert take_all(PduStream(), [bytes((byte,)) for byte in data]) == whole


data_pdus = st.builds(
    lambda items: values.p_data(*items),
    st.lists(
        st.tuples(st.sampled_from([1, 3]), st.integers(0, 3), st.binary(max_size=60)),
        min_size=1,
        max_size=2,
    ),
)


@given(st.lists(data_pdus | pdus, max_size=8).map(b"".join), st.lists(st.integers(0, 999)))
def test_the_short_way_gives_the_same_result(data: bytes, cuts: list[int]) -> None:
    whole = take_all(PduStream(), [data])
    assert take_all(PduStream(), values.chunked(data, cuts), context_id=1) == whole
    assert take_all(PduStream(), [data], context_id=1) == whole


def test_the_short_way_leaves_the_end_of_a_dataset_and_commands_to_the_general_one() -> None:
    stream = PduStream()
    stream.receive_data(values.p_data((1, 0, b"da")) + values.p_data((1, 2, b"ta")))
    assert stream.next_data(3) is None
    first = stream.next_data(1)
    assert first is not None
    assert bytes(first) == b"da"
    assert stream.next_data(1) is None
    last = stream.next_pdu()
    assert isinstance(last, Fragment)
    assert (last.is_last, bytes(last.data)) == (True, b"ta")
    stream.receive_data(values.p_data((1, 1, b"co")))
    assert stream.next_data(1) is None


def test_the_short_way_believes_no_length() -> None:
    stream = PduStream(16384)
    stream.receive_data(b"\x04\0" + struct.pack(">IIBB", 2**32 - 1, 2**32 - 5, 1, 0) + bytes(9))
    assert stream.next_data(1) is None
    with pytest.raises(InvalidPdu):
        stream.next_pdu()
    assert stream.next_data(1) is None


@given(st.lists(pdus, min_size=1, max_size=5))
def test_every_pdu_comes_out(encoded: list[bytes]) -> None:
    stream = PduStream()
    taken = take_all(stream, [b"".join(encoded)])
    assert len(taken) >= len(encoded)
    assert stream.is_between_pdus


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_garbage_gives_the_same_error_in_any_chunking(data: bytes, cuts: list[int]) -> None:
    assert outcome([data]) == outcome(values.chunked(data, cuts))


def outcome(chunks: list[bytes]) -> AbortReason | None:
    stream = PduStream(16384)
    try:
        take_all(stream, chunks)
    except InvalidPdu as exc:
        stream.receive_data(ReleaseRequest().encode())
        assert stream.next_pdu() is None, "after an error the stream stays silent"
        return exc.reason
    return None


def test_fragments_are_views_of_what_was_given() -> None:
    received = bytearray(values.p_data((3, 2, b"abcd")))
    stream = PduStream()
    stream.receive_data(received)
    fragment = stream.next_pdu()
    assert isinstance(fragment, Fragment)
    received[-1] = ord("X")
    assert bytes(fragment.data) == b"abcX"


def test_the_last_flag_is_on_the_last_piece_only() -> None:
    stream = PduStream()
    data = values.p_data((3, 2, b"abcd"))
    stream.receive_data(data[:-2])
    first = stream.next_pdu()
    assert stream.next_pdu() is None
    stream.receive_data(data[-2:])
    second = stream.next_pdu()
    assert isinstance(first, Fragment)
    assert isinstance(second, Fragment)
    assert (first.is_last, bytes(first.data)) == (False, b"ab")
    assert (second.is_last, bytes(second.data)) == (True, b"cd")


def test_several_pdvs_of_command_and_dataset_share_a_pdu() -> None:
    data = values.p_data((1, 1, b"co"), (1, 3, b"mm"), (1, 0, b"da"), (1, 2, b"ta"))
    assert take_all(PduStream(), [data]) == [
        (1, True, False, b"co"),
        (1, True, True, b"mm"),
        (1, False, False, b"da"),
        (1, False, True, b"ta"),
    ]


def test_reserved_bits_of_the_control_header_are_not_checked() -> None:
    assert take_all(PduStream(), [values.p_data((1, 0xFC | 2, b"ab"))]) == [(1, False, True, b"ab")]


HEADERS = {
    "unknown type": (b"\x08\x00\x00\x00\x00\x04", AbortReason.UNRECOGNIZED_PDU),
    "type zero": (b"\x00\x00\x00\x00\x00\x04", AbortReason.UNRECOGNIZED_PDU),
    "http": (b"GET / HTTP/1.1\r\n", AbortReason.UNRECOGNIZED_PDU),
    "request of 4 GiB": (b"\x01\x00\xff\xff\xff\xff", AbortReason.INVALID_PARAMETER),
    "accept of 4 GiB": (b"\x02\x00\xff\xff\xff\xff", AbortReason.INVALID_PARAMETER),
    "abort of 4 GiB": (b"\x07\x00\xff\xff\xff\xff", AbortReason.INVALID_PARAMETER),
    "data of 4 GiB": (b"\x04\x00\xff\xff\xff\xff", AbortReason.INVALID_PARAMETER),
    "release of 5 bytes": (b"\x05\x00\x00\x00\x00\x05", AbortReason.INVALID_PARAMETER),
    "release of 0 bytes": (b"\x05\x00\x00\x00\x00\x00", AbortReason.INVALID_PARAMETER),
    "data without PDV": (b"\x04\x00\x00\x00\x00\x00", AbortReason.INVALID_PARAMETER),
    "data longer than announced": (b"\x04\x00\x00\x00\x40\x07", AbortReason.INVALID_PARAMETER),
    "PDV longer than its PDU": (
        b"\x04\x00\x00\x00\x00\x08\x00\x00\x00\x05\x01\x03",
        AbortReason.INVALID_PARAMETER,
    ),
    "PDV of one byte": (
        b"\x04\x00\x00\x00\x00\x08\x00\x00\x00\x01\x01\x03",
        AbortReason.INVALID_PARAMETER,
    ),
    "rest behind the PDV": (
        b"\x04\x00\x00\x00\x00\x09\x00\x00\x00\x03\x01\x03",
        AbortReason.INVALID_PARAMETER,
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_bad_header_is_refused_at_once(name: str) -> None:
    data, reason = HEADERS[name]
    stream = PduStream(0x4000)
    stream.receive_data(data)
    with pytest.raises(InvalidPdu) as caught:
        stream.next_pdu()
    assert caught.value.reason is reason


def test_a_peer_that_counts_without_the_pdv_header_is_tolerated() -> None:
    stream = PduStream(64)
    assert take_all(stream, [values.p_data((1, 2, bytes(64)))]) == [(1, False, True, bytes(64))]


def test_memory_does_not_follow_a_claimed_length() -> None:
    stream = PduStream(0)
    tracemalloc.start()
    stream.receive_data(b"\x04\x00\xff\xff\xff\xff\xff\xff\xff\xfb\x01\x02")
    assert stream.next_pdu() is None
    piece = bytes(65536)
    for _ in range(64):
        stream.receive_data(piece)
        assert isinstance(stream.next_pdu(), Fragment)
        assert stream.next_pdu() is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 512 * 1024


def test_an_associate_pdu_is_collected_as_it_arrives() -> None:
    stream = PduStream(0)
    tracemalloc.start()
    stream.receive_data(b"\x01\x00" + MAX_ASSOCIATE_LENGTH.to_bytes(4, "big") + bytes(100))
    assert stream.next_pdu() is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024
