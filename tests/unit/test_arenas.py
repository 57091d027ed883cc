"""Memory that is used again: never while somebody still looks at it, and not more than is worth keeping."""

from __future__ import annotations

import pytest

from vna import arenas as arenas_module
from vna.arenas import PAGE, Arena, ArenaPool


def test_an_arena_that_was_given_back_is_taken_again() -> None:
    pool = ArenaPool(10_000)
    arena = pool.take()
    assert len(arena.memory) == 3 * PAGE
    pool.give(arena, 5000)
    assert pool.take() is arena
    assert pool.take() is not arena


def test_an_arena_that_somebody_looks_at_is_never_taken_again() -> None:
    pool = ArenaPool(PAGE)
    arena = pool.take()
    arena.memory[:3] = b"abc"
    with memoryview(arena.memory)[:3] as view:
        pool.give(arena, 3)
        other = pool.take()
        assert other is not arena
        other.memory[:3] = b"xyz"
        assert bytes(view) == b"abc"


def test_what_waits_keeps_a_bounded_number_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arenas_module, "WARM_BYTES", 3 * PAGE)
    pool = ArenaPool(4 * PAGE)
    taken = [pool.take() for _ in range(3)]
    for arena in taken:
        arena.memory[:] = b"x" * 4 * PAGE
        pool.give(arena, 2 * PAGE + 1)
    assert [arena.warm for arena in taken] == [3 * PAGE, 0, 0]
    assert taken[1].memory[: 3 * PAGE] == bytes(3 * PAGE), "its pages went back to the system"
    assert pool.take() is taken[2]
    pool.give(taken[2], 1)
    assert taken[2].warm == 0


def test_only_so_many_arenas_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arenas_module, "MAX_IDLE", 1)
    pool = ArenaPool(PAGE)
    kept, dropped = pool.take(), pool.take()
    pool.give(kept, 1)
    pool.give(dropped, 1)
    assert dropped.memory.closed
    pool.close()
    assert kept.memory.closed
    assert not pool.take().memory.closed


def test_shrinking_gives_whole_pages_back() -> None:
    arena = Arena(4 * PAGE)
    arena.memory[:] = b"x" * 4 * PAGE
    arena.warm = 4 * PAGE
    arena.shrink(PAGE + 1)
    assert arena.memory[:] == b"x" * 2 * PAGE + bytes(2 * PAGE)
    assert arena.warm == 2 * PAGE
    arena.shrink(4 * PAGE)
    assert arena.warm == 2 * PAGE
