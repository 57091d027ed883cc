"""The storage contract as test classes: a driver's test is a subclass with `make_backend`.

    class TestMyBackend(BackendContract):
        def make_backend(self, directory: Path) -> StorageBackend:
            return MyBackend(directory)

Run them with pytest. A driver that takes over files inherits from AdoptContract instead.
"""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from storage_backends.base import ObjectInfo, StorageBackend, SupportsAdopt
from storage_backends.digests import digest_of
from storage_backends.errors import (
    IntegrityError,
    InvalidKey,
    InvalidRange,
    ObjectExists,
    ObjectNotFound,
    StorageError,
)
from storage_backends.testing_put import PutContract
from storage_backends.testing_tools import INVALID_KEYS, put, raises, read, sample

__all__ = ["AdoptContract", "BackendContract", "put", "raises", "read", "sample"]


class BackendContract(PutContract):
    """Every clause of StorageBackend's docstrings."""

    # open

    def test_open_gives_exactly_the_range(self) -> None:
        data = sample(1000)
        put(self.backend, "range", data)
        for start in (0, 1, 500, 999, 1000):
            for length in (None, 0, 1, 500, 1000, 10**9):
                expected = data[start:] if length is None else data[start : start + length]
                assert read(self.backend, "range", start, length) == expected

    def test_a_reader_gives_its_bytes_in_pieces(self) -> None:
        data = sample(10_000)
        put(self.backend, "pieces", data)
        with self.backend.open("pieces", start=10, length=5000) as reader:
            pieces = list(iter(lambda: reader.read(333), b""))
            assert reader.read() == b""
        assert b"".join(pieces) == data[10:5010]
        assert max(len(piece) for piece in pieces) <= 333

    def test_open_refuses_an_impossible_range_at_once(self) -> None:
        put(self.backend, "range", b"12345")
        for start, length in ((6, None), (6, 0), (-1, None), (0, -1), (10**15, 1)):
            with raises(InvalidRange):
                self.backend.open("range", start=start, length=length)

    def test_open_of_a_missing_object_fails_at_once(self) -> None:
        for key in ("nothing", "no/thing", "no/thing/here.dcm"):
            with raises(ObjectNotFound):
                self.backend.open(key)
            with raises(ObjectNotFound):
                self.backend.open(key, start=5, length=1)

    def test_readers_do_not_disturb_each_other(self) -> None:
        put(self.backend, "shared", b"0123456789")
        with self.backend.open("shared") as one, self.backend.open("shared", start=5) as two:
            assert (one.read(2), two.read(2), one.read(2), two.read()) == (
                b"01",
                b"56",
                b"23",
                b"789",
            )

    def test_a_reader_is_closed_twice_without_harm(self) -> None:
        put(self.backend, "closed", b"x")
        reader = self.backend.open("closed")
        reader.close()
        reader.close()

    # stat, delete

    def test_stat_tells_what_put_told(self) -> None:
        info = put(self.backend, "stat/me", b"12345")
        assert self.backend.stat("stat/me") == info
        assert list(self.backend.scan()) == [info]
        assert info.modified > 0

    def test_stat_of_a_missing_object_fails(self) -> None:
        with raises(ObjectNotFound):
            self.backend.stat("nothing")

    def test_delete_removes_the_object_and_no_other(self) -> None:
        put(self.backend, "del/1", b"1")
        put(self.backend, "del/2", b"2")
        self.backend.delete("del/1")
        self.assert_absent("del/1")
        assert read(self.backend, "del/2") == b"2"

    def test_delete_of_a_missing_object_is_no_error(self) -> None:
        put(self.backend, "there", b"")
        for key in ("nothing", "no/thing", "there/no", "there"):
            self.backend.delete(key)
            self.backend.delete(key)

    # scan

    def test_scan_goes_by_key(self) -> None:
        keys = ["a", "a-b", "a.b", "a/b", "a/b.c", "a/b/c", "a0", "a_b", "ab", "b", "b.d/x", "b/x"]
        for key in reversed(keys):
            put(self.backend, key, b"")
        assert keys == sorted(keys)
        assert self.keys() == keys

    def test_scan_selects_by_prefix_and_after(self) -> None:
        keys = sorted(f"{a}{b}{c}" for a in ("x", "x.1", "y") for b in ("/", "-") for c in "123")
        for key in keys:
            put(self.backend, key, b"")
        prefixes = ("", "x", "x/", "x.", "x.1/2", "y", "y/", "z", "../", "X", "y//", ".incoming")
        for prefix in prefixes:
            for after in ("", "x", "x/", "x/1", "x.1/2", "y", "y/3", "zzz"):
                expected = [key for key in keys if key.startswith(prefix) and key > after]
                assert self.keys(prefix, after) == expected, (prefix, after)

    def test_scan_streams(self) -> None:
        for number in range(3):
            put(self.backend, f"s/{number}", b"")
        entries = iter(self.backend.scan())
        assert next(entries).key == "s/0"
        cast("Iterator[ObjectInfo] | io.IOBase", entries).close()  # type: ignore[union-attr]

    def test_scan_bears_objects_that_go_meanwhile(self) -> None:
        for number in range(4):
            put(self.backend, f"s/{number}", b"")
        found = []
        for info in self.backend.scan():
            found.append(info.key)
            self.backend.delete("s/2")
        assert found in (["s/0", "s/1", "s/3"], ["s/0", "s/1", "s/2", "s/3"])

    # the rest

    def test_probe_leaves_nothing(self) -> None:
        put(self.backend, "before", b"")
        self.backend.probe()
        assert self.keys() == ["before"]

    def test_it_has_a_name(self) -> None:
        assert self.backend.name

    def test_close_may_be_called_twice(self) -> None:
        self.backend.close()
        self.backend.close()

    def test_random_histories_agree_with_a_dictionary(self) -> None:
        from storage_backends.testing_machine import run_histories

        run_histories(self._another_backend)

    def _another_backend(self) -> StorageBackend:
        return self.make_backend(Path(tempfile.mkdtemp(dir=self.directory)) / "backend")


class AdoptContract(BackendContract):
    """The contract of a backend that takes over files, on top."""

    def test_it_says_so(self) -> None:
        assert isinstance(self.backend, SupportsAdopt)

    def test_an_adopted_file_is_the_object_and_its_path_is_gone(self) -> None:
        for number, data in enumerate((b"", b"abc", sample(2**20 + 3))):
            path = self._file(data)
            info = self._adopt(f"adopted/{number}.dcm", path, data)
            assert info == self.backend.stat(f"adopted/{number}.dcm")
            assert info.size == len(data)
            assert read(self.backend, f"adopted/{number}.dcm") == data
            assert not path.exists()

    def test_adopt_never_overwrites_and_keeps_the_path(self) -> None:
        put(self.backend, "taken", b"first")
        path = self._file(b"second")
        with raises(ObjectExists):
            self._adopt("taken", path, b"second")
        assert path.read_bytes() == b"second"
        assert read(self.backend, "taken") == b"first"

    def test_adopt_refuses_a_bad_key_and_keeps_the_path(self) -> None:
        path = self._file(b"data")
        for key in INVALID_KEYS:
            with raises(InvalidKey):
                self._adopt(key, path, b"data")
        assert path.read_bytes() == b"data"

    def test_adopt_refuses_another_size_and_keeps_the_path(self) -> None:
        path = self._file(b"data")
        with raises(IntegrityError):
            self._adopt("size", path, b"data!")
        assert path.read_bytes() == b"data"
        self.assert_absent("size")

    def test_adopt_of_what_is_no_file_fails(self) -> None:
        for path in (self.directory / "missing", self.directory):
            with raises(StorageError):
                self._adopt("nofile", path, b"")
            self.assert_absent("nofile")

    def _adopt(self, key: str, path: Path, data: bytes) -> ObjectInfo:
        backend = cast("SupportsAdopt", self.backend)
        return backend.adopt(key, path, size=len(data), digest=digest_of(data))

    def _file(self, data: bytes) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.directory)) / "file"
        path.write_bytes(data)
        return path
