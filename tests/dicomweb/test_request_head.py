"""The head of a request in any pieces, and the lane it belongs to."""

from __future__ import annotations

import pytest

from dicomweb.request_head import MAX_HEAD_BYTES, Lane, RequestHead

HEAD = b"GET /dicom-web/studies?limit=1 HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_the_end_is_found_in_any_pieces(size: int) -> None:
    head, whole = RequestHead(), HEAD + b"behind"
    for start in range(0, len(HEAD), size):
        assert (head.is_begun, head.is_complete) == (start > 0, False)
        head.receive(whole[start : start + size])
    assert (head.is_begun, head.is_complete) == (True, True)
    assert head.take().startswith(HEAD)
    assert (head.is_begun, head.is_complete) == (False, False)


@pytest.mark.parametrize(
    ("head", "lane"),
    [
        (HEAD, Lane.ANSWER),
        (b"HEAD / HTTP/1.1\r\n\r\n", Lane.ANSWER),
        (b"GET /healthz HTTP/1.1\r\n\r\n", Lane.PROBE),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Lane.PROBE),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\n", Lane.UPLOAD),
        (b"GET / HTTP/1.1\r\ntransfer-encoding : chunked\r\n\r\n", Lane.UPLOAD),
        (b"POST /dicom-web/studies HTTP/1.1\r\n\r\n", Lane.UPLOAD),
        (b"\r\n\r\n", Lane.UPLOAD),
    ],
)
def test_lanes(head: bytes, lane: Lane) -> None:
    received = RequestHead()
    received.receive(head)
    assert received.lane() is lane


def test_a_target_in_raw_utf8_is_percent_encoded_and_nothing_else_changes() -> None:
    head = RequestHead()
    head.receive("GET /?PatientName=Müller HTTP/1.1\r\nX: ü\r\n\r\nü".encode())
    assert head.take() == b"GET /?PatientName=M%C3%BCller HTTP/1.1\r\n" + "X: ü\r\n\r\nü".encode()


def test_a_head_without_end_is_too_long_some_time() -> None:
    head = RequestHead()
    head.receive(b"x" * MAX_HEAD_BYTES)
    assert not head.is_too_long
    head.receive(b"x")
    assert head.is_too_long
