"""Names of objects."""

from __future__ import annotations

from storage_backends.base import check_key
from vna.model.keys import new_object_key


def test_keys_are_new_and_neighbours_in_time_are_neighbours_in_order() -> None:
    keys = [new_object_key() for _ in range(2000)]
    assert len(set(keys)) == len(keys)
    assert {len(check_key(key)) for key in keys} == {43}
    # Those of one 64th of a millisecond come in any order.
    moments = [key[:19] for key in keys]
    assert moments == sorted(moments)


def test_a_key_has_a_hundred_random_bits() -> None:
    tails = {new_object_key()[19:39] for _ in range(500)}
    assert len(tails) == 500
    for place in range(20):
        assert len({tail[place] for tail in tails}) == 32
