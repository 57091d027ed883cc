"""The multipart decoder and encoder: any chunking gives one result, garbage gives an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.multipart import (
    MAX_HEADER_BYTES,
    MAX_PREAMBLE,
    MultipartDecoder,
    MultipartEncoder,
    MultipartError,
    PartBegin,
    PartData,
    PartEnd,
    TruncatedBody,
    events,
)

Parts = list[tuple[dict[str, str], bytes]]


def decode(body: bytes, boundary: str = "b", sizes: list[int] | None = None) -> Parts:
    parts: Parts = []
    data = bytearray()
    for event in events(MultipartDecoder(boundary), pieces(body, sizes or [len(body) or 1])):
        match event:
            case PartBegin(headers):
                parts.append((dict(headers), b""))
                data.clear()
            case PartData(chunk):
                assert len(chunk)
                data += chunk
            case PartEnd():
                parts[-1] = (parts[-1][0], bytes(data))
    return parts


def pieces(body: bytes, sizes: list[int]) -> list[bytes]:
    cut: list[bytes] = []
    position = 0
    while position < len(body):
        size = sizes[len(cut) % len(sizes)]
        cut.append(body[position : position + size])
        position += size
    return cut


def encode(contents: list[bytes], boundary: str = "b") -> bytes:
    encoder = MultipartEncoder("application/dicom", boundary)
    body = b"".join([encoder.begin("application/dicom") + content for content in contents])
    return body + encoder.end()


BODIES = {
    "plain": (b"--b\r\nType: a/b\r\n\r\ndata\r\n--b--\r\n", [({"type": "a/b"}, b"data")]),
    "no end of line behind the end": (b"--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
    "preamble, epilogue": (b"hello\r\n--b\r\n\r\nx\r\n--b--\r\nbye\r\n--b\r\n", [({}, b"x")]),
    "leading newline": (b"\r\n--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
    "no headers, no data": (b"--b\r\n\r\n--b--", [({}, b"")]),
    "headers, no data, one newline": (b"--b\r\nA: 1\r\n\r\n--b--", [({"a": "1"}, b"")]),
    "headers, no data, two newlines": (b"--b\r\nA: 1\r\n\r\n\r\n--b--", [({"a": "1"}, b"")]),
    "padding": (b"--b \t \r\n\r\nx\r\n--b  \r\n\r\ny\r\n--b--", [({}, b"x"), ({}, b"y")]),
    "line feeds only": (b"--b\nA: 1\n\nx\r\n--b--\n--b--\n", [({"a": "1"}, b"x\r")]),
    "longer boundary in data": (b"--b\r\n\r\nx\r\n--bb\r\ny\r\n--b--", [({}, b"x\r\n--bb\r\ny")]),
    "boundary without newline in data": (b"--b\r\n\r\nx--b--y\r\n--b--", [({}, b"x--b--y")]),
    "almost a delimiter": (
        b"--b\r\n\r\n\r\r\n\r\n-\r\n--\r\n--b-\r\n--b--",
        [({}, b"\r\r\n\r\n-\r\n--\r\n--b-")],
    ),
    "folded header": (b"--b\r\nA: 1;\r\n\tx=2\r\n\r\nd\r\n--b--", [({"a": "1; x=2"}, b"d")]),
    "no parts": (b"--b--\r\n", []),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_bodies_decode_the_same_in_any_chunking(name: str, size: int) -> None:
    body, expected = BODIES[name]
    assert decode(body, sizes=[size]) == expected


@given(
    st.lists(st.binary(max_size=200) | st.text("\r\n-b ", max_size=60).map(str.encode), max_size=6),
    st.sampled_from(["b", "boundary", "a'()+_,-./:=? z"]),
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_what_was_encoded_is_decoded(
    contents: list[bytes], boundary: str, sizes: list[int]
) -> None:
    body = encode(contents, boundary)
    whole = decode(body, boundary)
    assert decode(body, boundary, sizes) == whole
    if not any(b"--" + boundary.encode() in content for content in contents):
        assert [data for _, data in whole] == contents


@given(
    st.lists(
        st.sampled_from([b"\r\n", b"\n", b"\r", b"--b", b"--", b"-", b" ", b"\t", b"x", b"A: 1"])
        | st.binary(max_size=3),
        max_size=40,
    ).map(b"".join),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_garbage_gives_one_result_or_one_error_in_any_chunking(
    body: bytes, sizes: list[int]
) -> None:
    def outcome(cut: list[int]) -> Parts | type[MultipartError]:
        try:
            return decode(body, sizes=cut)
        except MultipartError as exc:
            return type(exc)

    assert outcome(sizes) == outcome([len(body) or 1])


@given(st.integers(0, 10_000))
def test_a_cut_body_is_truncated(cut: int) -> None:
    body = encode([b"x" * 100, b"", b"y"]).removesuffix(b"--\r\n")
    with pytest.raises(TruncatedBody):
        decode(body[: cut % (len(body) + 1)])


@pytest.mark.parametrize("boundary", ["", "x" * 201, "trailing ", "ü", "a\r\nb"])
def test_impossible_boundaries_are_refused(boundary: str) -> None:
    with pytest.raises(MultipartError):
        MultipartDecoder(boundary)


def test_endless_headers_are_refused_before_they_are_held() -> None:
    decoder = MultipartDecoder("b")
    decoder.receive_data(b"--b\r\n")
    with pytest.raises(MultipartError, match="exceed"):
        for _ in range(MAX_HEADER_BYTES // 100 + 2):
            decoder.receive_data(b"A: " + b"x" * 97)
            decoder.next_event()


def test_a_header_line_without_a_colon_is_refused() -> None:
    with pytest.raises(MultipartError, match="colon"):
        decode(b"--b\r\nnonsense\r\n\r\nx\r\n--b--")


def test_a_boundary_that_never_comes_is_not_waited_for() -> None:
    decoder = MultipartDecoder("b")
    with pytest.raises(MultipartError, match="no boundary in the first"):
        for _ in range(MAX_PREAMBLE // 10_000 + 2):
            decoder.receive_data(b"x" * 10_000)
            assert decoder.next_event() is None
            assert decoder.held <= 10_001


def test_a_body_may_be_received_where_the_decoder_says() -> None:
    """In pieces of any size, into one buffer that is no larger than a piece needs."""
    body = encode([bytes(range(256)) * 50, b"", b"y" * 1000])
    memory = bytearray(300)
    decoder, found, position = MultipartDecoder("b", memory), [bytearray()], 0
    while position < len(body):
        with decoder.room(100) as room:
            count = min(len(room), len(body) - position, 211)
            room[:count] = body[position : position + count]
        decoder.received(count)
        position += count
        while (event := decoder.next_event()) is not None:
            if isinstance(event, PartData):
                found[-1] += event.data
            elif isinstance(event, PartEnd):
                found.append(bytearray())
    decoder.finish()
    assert decoder.is_finished
    assert found == [bytes(range(256)) * 50, b"", b"y" * 1000, b""]


def test_a_hundred_thousand_empty_parts_are_events_one_at_a_time() -> None:
    body = b"--b\r\n\r\n" + b"\r\n--b\r\n\r\n" * 99_999 + b"\r\n--b--"
    decoder = MultipartDecoder("b")
    ends = 0
    for piece in pieces(body, [65_536]):
        decoder.receive_data(piece)
        while (event := decoder.next_event()) is not None:
            ends += isinstance(event, PartEnd)
    decoder.finish()
    assert ends == 100_000


def test_data_is_handed_on_before_the_part_ends() -> None:
    decoder = MultipartDecoder("b")
    decoder.receive_data(b"--b\r\n\r\n" + b"x" * 1000)
    assert decoder.next_event() == PartBegin()
    event = decoder.next_event()
    assert isinstance(event, PartData)
    assert len(event.data) == 1000
    assert decoder.next_event() is None


def test_the_encoder_names_its_type_and_headers() -> None:
    encoder = MultipartEncoder("application/dicom")
    assert encoder.content_type.startswith('multipart/related; type="application/dicom"; boundary=')
    begin = encoder.begin("application/dicom; transfer-syntax=1.2", content_location="http://h/x")
    assert begin.startswith(f"--{encoder.boundary}\r\n".encode())
    assert b"\r\nContent-Type: application/dicom; transfer-syntax=1.2\r\n" in begin
    assert b"\r\nContent-Location: http://h/x\r\n\r\n" in begin
