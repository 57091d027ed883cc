"""Memory that bytes pass through: used again, never shared, filled from any source."""

from __future__ import annotations

import io
import os
from typing import BinaryIO, cast

import pytest

from storage_backends.buffers import Buffers
from storage_backends.streams import read_into
from storage_backends.testing import sample
from storage_backends.testing_tools import Unseekable


def test_a_buffer_is_used_again_and_never_by_two_at_once() -> None:
    buffers = Buffers(4096, 1)
    with buffers.lend() as first:
        first[:5] = b"first"
        with buffers.lend() as second:
            assert bytes(second[:5]) == bytes(5)
    with buffers.lend() as again:
        assert bytes(again[:5]) in {b"first", bytes(5)}
        with buffers.lend() as fresh:
            assert bytes(fresh[:5]) == bytes(5)
    buffers.clear()


def test_a_buffer_whose_holder_failed_is_not_lent_again() -> None:
    buffers = Buffers(4096, 8)
    with pytest.raises(RuntimeError), buffers.lend() as held:
        held[:4] = b"left"
        raise RuntimeError
    with buffers.lend() as next_one:
        assert bytes(next_one[:4]) == bytes(4)


def test_a_forked_child_has_memory_of_its_own() -> None:
    buffers = Buffers(4096, 8)
    with buffers.lend() as memory:
        memory[:4] = b"ours"
    child = os.fork()
    if not child:
        with buffers.lend() as memory:
            memory[:4] = b"mine"
        os._exit(0)
    os.waitpid(child, 0)
    with buffers.lend() as memory:
        assert bytes(memory[:4]) == b"ours"


@pytest.mark.parametrize("size", [0, 1, 4096, 5000])
@pytest.mark.parametrize("kind", [io.BytesIO, lambda data: Unseekable(data, piece=997)])
def test_any_source_fills_a_buffer(size: int, kind: object) -> None:
    data = sample(size)
    source = cast("BinaryIO", kind(data))  # type: ignore[operator]
    target = bytearray(4096)
    count = read_into(source, memoryview(target))
    assert count == min(size, 4096)
    assert target[:count] == data[:count]
    assert source.read() == data[count:][: 997 if kind is not io.BytesIO else None]
