"""Memory that is used again: never while somebody still looks at it, and not more than is worth keeping."""

from __future__ import annotations

import errno

import pytest

from vna import arenas as arenas_module
from vna.arenas import PAGE, Arena, ArenaPool


def test_an_arena_that_was_given_back_is_taken_again() -> None:
    pool = ArenaPool(10_000)
    arena = pool.take()
    memory = arena.memory
    assert len(memory) == 3 * PAGE
    pool.give(arena, 5000)
    assert pool.take().memory is memory
    assert pool.take().memory is not memory


def test_who_has_given_an_arena_back_can_touch_it_no_more() -> None:
    pool = ArenaPool(PAGE)
    arena = pool.take()
    pool.give(arena, 1)
    other = pool.take()
    other.memory[:3] = b"xyz"
    with pytest.raises(ValueError, match="closed"):
        arena.memory[:3] = b"abc"
    pool.give(arena, 1)
    assert pool.take().memory is not other.memory, "one memory for two holders"
    assert other.memory[:3] == b"xyz"


def test_an_arena_whose_pages_the_system_does_not_take_back_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EAGAIN, "not now")

    monkeypatch.setattr(arenas_module, "WARM_BYTES", 0)
    monkeypatch.setattr(Arena, "shrink", fail)
    pool = ArenaPool(PAGE)
    arena = pool.take()
    memory = arena.memory
    pool.give(arena, 1)
    assert memory.closed
    assert not pool.take().memory.closed


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
    memories = [arena.memory for arena in taken]
    for arena in taken:
        arena.memory[:] = b"x" * 4 * PAGE
        pool.give(arena, 2 * PAGE + 1)
    assert memories[1][: 3 * PAGE] == bytes(3 * PAGE), "its pages went back to the system"
    again = pool.take()
    assert (again.memory, again.warm) == (memories[2], 0)
    pool.give(again, 1)
    assert [pool.take().warm for _ in memories] == [0, 0, 3 * PAGE]


def test_only_so_many_arenas_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arenas_module, "MAX_IDLE", 1)
    pool = ArenaPool(PAGE)
    first, second = pool.take(), pool.take()
    kept, dropped = first.memory, second.memory
    pool.give(first, 1)
    pool.give(second, 1)
    assert (kept.closed, dropped.closed) == (False, True)
    pool.close()
    assert kept.closed
    assert not pool.take().memory.closed


def test_shrinking_gives_whole_pages_back() -> None:
    arena = ArenaPool(4 * PAGE).take()
    arena.memory[:] = b"x" * 4 * PAGE
    arena.warm = 4 * PAGE
    arena.shrink(PAGE + 1)
    assert arena.memory[:] == b"x" * 2 * PAGE + bytes(2 * PAGE)
    assert arena.warm == 2 * PAGE
    arena.shrink(4 * PAGE)
    assert arena.warm == 2 * PAGE
