"""What was used last, within its bound."""

from __future__ import annotations

from vna.recent import Recent


def test_what_was_not_used_for_longest_makes_room() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    assert recent.put("c", 3) == 3
    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_what_a_value_costs_counts_until_it_goes_or_is_replaced() -> None:
    recent: Recent[str, str] = Recent(10, len)
    recent.put("a", "x" * 6)
    recent.put("a", "y" * 4)
    recent.put("b", "z" * 6)
    assert recent.get("a") == "y" * 4
    recent.put("c", "w")
    assert recent.get("b") is None
    assert recent.get("a") == "y" * 4
    recent.put("d", "v" * 11)  # more than there is room for: nothing is kept
    assert [recent.get(key) for key in "acd"] == [None] * 3
    recent.put("e", "u" * 10)
    assert recent.get("e") == "u" * 10
