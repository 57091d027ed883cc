"""Splitting an array of JSON objects: any chunking gives the same, and nonsense an error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.json_items import JsonItems, JsonItemsError

VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a"\\\\{}[],\n é'),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def split(data: bytes, size: int) -> list[object]:
    items, found = JsonItems(), list[bytes]()
    for start in range(0, len(data), size):
        found += items.feed(data[start : start + size])
    found += items.finish()
    assert items.held == 0
    return [json.loads(item) for item in found]


@given(
    st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=4),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_any_chunking(
    documents: list[object], size: int, indent: int | None, is_ascii: bool
) -> None:
    text = json.dumps(documents, indent=indent, ensure_ascii=is_ascii)
    assert split(f" \n{text}\r\n".encode(), size) == documents


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("text", ['{"a": [{"b": "}"}]}', "\ufeff [{}]", "[]", "\ufeff{}"])
def test_one_object_and_a_byte_order_mark(text: str, size: int) -> None:
    expected = json.loads(text.lstrip("\ufeff"))
    assert split(text.encode(), size) == (expected if isinstance(expected, list) else [expected])


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(
    "text",
    ["", " ", "[", "5", "nul", '["x"]', "[1]", "[{}{}]", "[,{}]", "[{},]x", "[{}", "{", "{}{}", "[{}] {}",
     "[[{}]]", "[{},,{}]", "{} x", "[{}],", "]", "}", "[}", "[{}}", '[{}"', '[{"a":"']
)  # fmt: skip
def test_what_is_no_array_of_objects(text: str, size: int) -> None:
    with pytest.raises(JsonItemsError):
        split(text.encode(), size)


@given(st.binary(max_size=60), st.integers(1, 9))
def test_garbage(data: bytes, size: int) -> None:
    items = JsonItems()
    try:
        for start in range(0, len(data), size):
            list(items.feed(data[start : start + size]))
        list(items.finish())
    except JsonItemsError:
        pass


def test_it_holds_one_object_and_looks_for_the_end_of_a_long_one_seldom() -> None:
    items, most = JsonItems(), 0
    for _ in range(1000):
        assert len(list(items.feed(b'[{"a": "' if not most else b', {"a": "'))) == 0
        assert len(list(items.feed(b"x" * 1000 + b'"}'))) == 1
        most = max(most, items.held, 1)
    assert most < 10
    items = JsonItems()
    list(items.feed(b'[{"a": "'))
    for _ in range(20_000):
        assert list(items.feed(b"x" * 100)) == []
    assert len(list(items.feed(b'"}]')) + list(items.finish())) == 1
