"""Random histories of a backend, compared step by step with a dictionary; needs hypothesis."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from storage_backends.base import StorageBackend
from storage_backends.errors import ObjectExists, ObjectNotFound
from storage_backends.testing_tools import put, raises, read

_SEGMENTS = st.sampled_from(("a", "b", "a.b", "a-", "a_", "0", "a.dcm"))
_KEYS = st.lists(_SEGMENTS, min_size=1, max_size=3).map("/".join)
_PREFIXES = st.one_of(_KEYS, st.text("ab0./-", max_size=4))
_DATA = st.binary(max_size=300)


class BackendMachine(RuleBasedStateMachine):
    """put, open, stat, delete and scan in any order."""

    make: Callable[[], StorageBackend]

    def __init__(self) -> None:
        super().__init__()
        self.backend = type(self).make()
        self.model: dict[str, bytes] = {}
        self.used: set[str] = set()

    def teardown(self) -> None:
        self.backend.close()

    @rule(key=_KEYS, data=_DATA)
    def put(self, key: str, data: bytes) -> None:
        if key in self.model:
            with raises(ObjectExists):
                put(self.backend, key, data)
        elif key not in self.used:  # keys are write-once, also after a delete
            put(self.backend, key, data)
            self.model[key] = data
            self.used.add(key)

    @rule(key=_KEYS)
    def delete(self, key: str) -> None:
        self.backend.delete(key)
        self.model.pop(key, None)

    @rule(key=_KEYS, start=st.integers(0, 300), length=st.none() | st.integers(0, 400))
    def open(self, key: str, start: int, length: int | None) -> None:
        data = self.model.get(key)
        if data is None:
            with raises(ObjectNotFound):
                self.backend.open(key, start=start, length=length)
            return
        start = min(start, len(data))
        end = len(data) if length is None else start + length
        assert read(self.backend, key, start, length) == data[start:end]

    @rule(key=_KEYS)
    def stat(self, key: str) -> None:
        data = self.model.get(key)
        if data is None:
            with raises(ObjectNotFound):
                self.backend.stat(key)
        else:
            assert self.backend.stat(key).size == len(data)

    @rule(prefix=_PREFIXES, after=_PREFIXES)
    def scan(self, prefix: str, after: str) -> None:
        wanted = (key for key in self.model if key.startswith(prefix) and key > after)
        expected = [(key, len(self.model[key])) for key in sorted(wanted)]
        assert [(o.key, o.size) for o in self.backend.scan(prefix, after=after)] == expected


def run_histories(make: Callable[[], StorageBackend], examples: int = 15) -> None:
    """Try `examples` histories, each on a backend that `make` returns new and empty."""

    class Machine(BackendMachine):
        pass

    Machine.make = staticmethod(make)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
