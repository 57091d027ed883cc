"""Multipart bodies as a client reads them, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.migration.parts import BadBody, Parts

TYPE = 'multipart/related; type="application/dicom"; boundary="b o"'


def reader(body: bytes, sizes: list[int]):  # type: ignore[no-untyped-def]
    """A `read` that gives the body in pieces of these sizes, over and over."""
    position, turn = 0, 0

    def read(_: int) -> bytes:
        nonlocal position, turn
        size = sizes[turn % len(sizes)]
        turn += 1
        piece = body[position : position + size]
        position += len(piece)
        return piece

    return read


def body_of(
    parts: list[bytes], head: bytes = b"Content-Type: application/dicom\r\nX: y\r\n"
) -> bytes:
    return b"".join(b"\r\n--b o\r\n" + head + b"\r\n" + part for part in parts) + b"\r\n--b o--\r\n"


def parts_of(body: bytes, sizes: list[int]) -> list[bytes]:
    return [b"".join(bytes(piece) for piece in part) for part in Parts(TYPE, reader(body, sizes))]


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b"\r\n--b", b"\r\n--b o", b"--b o--"]), max_size=4
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.sampled_from([b"", b"Content-Type: application/dicom\r\n"]),
    st.sampled_from([b"", b"preamble\r\n"]),
)
def test_any_pieces_give_the_same_parts(
    parts: list[bytes], sizes: list[int], head: bytes, preamble: bytes
) -> None:
    kept = [part for part in parts if b"\r\n--b o" not in part]
    body = preamble + body_of(kept, head)
    assert parts_of(body, sizes) == kept


def test_a_part_may_be_left_unread() -> None:
    body = body_of([b"one", b"two", b"three"])
    parts = iter(Parts(TYPE, reader(body, [7])))
    next(parts)
    assert b"".join(bytes(piece) for piece in next(parts)) == b"two"


@pytest.mark.parametrize("end", [10, 60, -12])
def test_a_body_that_ends_early_is_bad(end: int) -> None:
    with pytest.raises(BadBody, match="ends in the middle"):
        parts_of(body_of([b"x" * 50])[:end], [8])


def test_what_is_no_multipart_is_bad() -> None:
    with pytest.raises(BadBody, match="not multipart"):
        Parts("text/html", reader(b"", [1]))


def test_endless_headers_are_bad() -> None:
    with pytest.raises(BadBody, match="endless"):
        parts_of(b"--b o\r\n" + b"x" * 200_000, [5000])
