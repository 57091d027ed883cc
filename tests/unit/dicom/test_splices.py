"""Changes of bytes that stream past, against the same changes of all of them at once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vna.dicom.splices import Splice, Splices


@st.composite
def changes(draw: st.DrawFn) -> tuple[bytes, Splices]:
    """Some bytes, each another one, and splices of them."""
    data = bytes(range(draw(st.integers(0, 40))))
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=10)))
    splices = [
        Splice(
            start,
            stop,
            draw(st.binary(max_size=3).map(lambda new: bytes(200 + b % 50 for b in new))),
        )
        for start, stop in zip(places[::2], places[1::2], strict=False)
    ]
    return data, Splices.of(splices)


def spliced(data: bytes, splices: Splices) -> bytes:
    parts, position = [], 0
    for start, stop, new in splices.splices:
        parts += [data[position:start], new]
        position = stop
    return b"".join((*parts, data[position:]))


@settings(deadline=None)
@given(changes(), st.lists(st.integers(0, 40), max_size=5))
def test_pieces_of_any_size_give_the_same(change: tuple[bytes, Splices], cuts: list[int]) -> None:
    data, splices = change
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:stop] for start, stop in pairwise(places)]
    made = list(splices.applied(pieces))
    assert all(made)
    assert b"".join(made) == spliced(data, splices)
    assert len(spliced(data, splices)) == len(data) + splices.growth


@settings(deadline=None)
@given(changes())
def test_every_byte_knows_where_it_was(change: tuple[bytes, Splices]) -> None:
    data, splices = change
    for offset, byte in enumerate(spliced(data, splices)):
        origin = splices.origin(offset)
        assert (origin == -1) == (byte >= 200)
        assert origin == -1 or data[origin] == byte


@settings(deadline=None)
@given(changes(), st.integers(0, 40))
def test_two_parts_are_the_whole(change: tuple[bytes, Splices], cut: int) -> None:
    data, splices = change
    cut = min(cut, len(data))
    if any(start < cut < stop or start == cut == stop for start, stop, _ in splices.splices):
        return
    head = b"".join(splices.part(0, cut).applied([data[:cut]]))
    behind = b"".join(splices.applied([data[cut:]], cut))
    assert head + behind == spliced(data, splices)
