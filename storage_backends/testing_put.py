"""The clauses of the storage contract about `put` and about keys."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast

from storage_backends.base import PROVEN_BY_SOURCE, FreshKey
from storage_backends.digests import digest_of
from storage_backends.errors import IntegrityError, InvalidKey, ObjectExists, StorageError
from storage_backends.streams import MemoryStream
from storage_backends.testing_tools import (
    INVALID_KEYS,
    SIZES,
    ContractCase,
    Halting,
    Unseekable,
    put,
    raises,
    read,
    sample,
)


class PutContract(ContractCase):
    """What a put promises."""

    # put

    def test_what_is_put_comes_back_whatever_its_size(self) -> None:
        for number, size in enumerate(SIZES):
            data = sample(size)
            info = put(self.backend, f"sizes/{number}.dcm", data)
            assert (info.key, info.size) == (f"sizes/{number}.dcm", size)
            assert read(self.backend, f"sizes/{number}.dcm") == data

    def test_put_reads_from_the_position_of_the_source_and_no_further(self) -> None:
        for source in (io.BytesIO(b"skipwantedrest"), Unseekable(b"skipwantedrest")):
            source.read(4)
            key = f"position/{type(source).__name__.lower()}"
            stream = cast("BinaryIO", source)
            self.backend.put(key, stream, size=6, digest=digest_of(b"wanted"))
            assert read(self.backend, key) == b"wanted"
            assert source.read() == b"rest"

    def test_put_takes_a_source_that_comes_in_small_pieces(self) -> None:
        data = sample(100_000)
        source = cast("BinaryIO", Unseekable(data, piece=997))
        self.backend.put("pieces", source, size=len(data), digest=digest_of(data))
        assert read(self.backend, "pieces") == data

    def test_put_checks_other_digests_than_blake3(self) -> None:
        data = sample(1000)
        digest = digest_of(data, "sha256")
        self.backend.put("sha", io.BytesIO(data), size=1000, digest=digest)
        assert read(self.backend, "sha") == data

    def test_put_refuses_what_it_cannot_check(self) -> None:
        digest = digest_of(b"x")
        unknown = type(digest)("rot13", digest.value)
        with raises(IntegrityError):
            self.backend.put("unchecked", io.BytesIO(b"x"), size=1, digest=unknown)
        self.assert_absent("unchecked")

    def test_put_refuses_bytes_that_differ_from_their_digest(self) -> None:
        for data in (b"", b"other", sample(2**20 + 5)):
            with raises(IntegrityError):
                self.backend.put("wrong", io.BytesIO(data), size=len(data), digest=digest_of(b"!"))
            self.assert_absent("wrong")

    def test_put_takes_a_source_whose_digest_is_vouched_for(self) -> None:
        for number, size in enumerate(SIZES):
            data = sample(size)
            source = cast("BinaryIO", MemoryStream(memoryview(data), vouched=digest_of(data)))
            self.backend.put(f"vouched/{number}", source, size=size, digest=digest_of(data))
            assert read(self.backend, f"vouched/{number}") == data
            assert source.tell() == size

    def test_what_is_vouched_for_must_be_what_is_announced(self) -> None:
        data, part = sample(100_000), sample(100_000)[5:]
        for vouched, start, announced in (
            (digest_of(data), 0, digest_of(b"other")),
            (digest_of(b"other"), 0, digest_of(data[:5])),
            (digest_of(data), 5, digest_of(data)),
        ):
            source = cast("BinaryIO", MemoryStream(memoryview(data), vouched=vouched))
            source.seek(start)
            with raises(IntegrityError):
                self.backend.put("vouched", source, size=len(data) - start, digest=announced)
            self.assert_absent("vouched")
        source = cast("BinaryIO", MemoryStream(memoryview(data), vouched=digest_of(data)))
        source.seek(5)
        self.backend.put("vouched", source, size=len(part), digest=digest_of(part))
        assert read(self.backend, "vouched") == part
        source.seek(0)
        with raises(IntegrityError):
            self.backend.put("cut", source, size=10, digest=digest_of(data))
        self.assert_absent("cut")

    def test_put_leaves_the_proof_to_a_source_that_proves_itself(self) -> None:
        for number, size in enumerate(SIZES):
            source = cast("BinaryIO", Unseekable(sample(size)))
            self.backend.put(f"proven/{number}", source, size=size, digest=PROVEN_BY_SOURCE)
            assert read(self.backend, f"proven/{number}") == sample(size)
        for data, fails_after in ((b"short", 100), (sample(3 * 2**20), 2**20)):
            source = cast("BinaryIO", Unseekable(data, fails_after=fails_after, piece=70_001))
            with raises(StorageError, RuntimeError):
                self.backend.put("unproven", source, size=3 * 2**20, digest=PROVEN_BY_SOURCE)
            self.assert_absent("unproven")

    def test_a_fresh_key_is_a_key_like_any_other(self) -> None:
        put(self.backend, FreshKey("fresh/one"), b"data")
        assert read(self.backend, "fresh/one") == b"data"
        with raises(ObjectExists):
            put(self.backend, "fresh/one", b"other")
        for key in INVALID_KEYS:
            with raises(InvalidKey):
                put(self.backend, FreshKey(key), b"data")

    def test_put_refuses_a_source_that_ends_early(self) -> None:
        for source in (io.BytesIO(b"short"), cast("BinaryIO", Unseekable(b"short"))):
            with raises(IntegrityError):
                self.backend.put("short", source, size=6, digest=digest_of(b"short"))
            self.assert_absent("short")

    def test_put_never_overwrites(self) -> None:
        put(self.backend, "once/only", b"first")
        for data in (b"second", b"first"):
            with raises(ObjectExists):
                put(self.backend, "once/only", data)
            assert read(self.backend, "once/only") == b"first"

    def test_a_source_that_fails_leaves_nothing(self) -> None:
        source = cast("BinaryIO", Unseekable(sample(3 * 2**20), fails_after=2**20))
        with raises(StorageError, RuntimeError):
            self.backend.put("broken", source, size=3 * 2**20, digest=digest_of(b""))
        self.assert_absent("broken")

    def test_a_key_whose_put_failed_can_be_used(self) -> None:
        with raises(IntegrityError):
            self.backend.put("again", io.BytesIO(b"bad"), size=3, digest=digest_of(b"good"))
        put(self.backend, "again", b"good")
        assert read(self.backend, "again") == b"good"

    def test_an_object_is_invisible_until_it_is_complete(self) -> None:
        data = sample(2**20 + 1)
        source = Halting(data, halt_at=2**20)
        with ThreadPoolExecutor(1) as pool:
            stream = cast("BinaryIO", source)
            result = pool.submit(
                self.backend.put, "growing", stream, size=len(data), digest=digest_of(data)
            )
            try:
                assert source.halted.wait(30)
                self.assert_absent("growing")
            finally:
                source.go_on.set()
            assert result.result(30).size == len(data)
        assert read(self.backend, "growing") == data

    def test_of_many_puts_to_one_key_exactly_one_wins(self) -> None:
        barrier = threading.Barrier(8)

        def attempt(number: int) -> bytes | None:
            data = bytes([number]) * 5000
            barrier.wait(30)
            try:
                put(self.backend, "race/key", data)
            except ObjectExists:
                return None
            return data

        with ThreadPoolExecutor(8) as pool:
            winners = [data for data in pool.map(attempt, range(8)) if data is not None]
        assert [read(self.backend, "race/key")] == winners

    def test_threads_share_a_backend(self) -> None:
        def work(number: int) -> None:
            for round_ in range(5):
                key, data = f"t{number % 3}/{number}/{round_}", sample(1000 + number + round_)
                put(self.backend, key, data)
                assert read(self.backend, key) == data

        with ThreadPoolExecutor(8) as pool:
            for _ in pool.map(work, range(8)):
                pass
        assert len(list(self.backend.scan())) == 40

    # keys

    def test_a_bad_key_is_refused_everywhere(self) -> None:
        for key in INVALID_KEYS:
            with raises(InvalidKey):
                put(self.backend, key, b"")
            for operation in (self.backend.open, self.backend.stat, self.backend.delete):
                with raises(InvalidKey):
                    operation(key)
        assert list(self.backend.scan()) == []

    def test_keys_may_be_as_long_and_as_deep_as_the_grammar_allows(self) -> None:
        keys = sorted(("a" * 200, "/".join("a" * 100), "a/" * 50 + "b" * 100, "0.-_/0.-_"))
        for key in keys:
            put(self.backend, key, key.encode())
        assert [read(self.backend, key) for key in keys] == [key.encode() for key in keys]
        assert self.keys() == keys

    def test_a_key_may_begin_with_another_key(self) -> None:
        keys = ("a", "a/b", "a/b/c", "a.dcm", "a.dcm/b", "a.dcm/b.dcm/c")
        for key in keys:
            put(self.backend, key, key.encode())
        for key in keys:
            assert read(self.backend, key) == key.encode()
        self.backend.delete("a/b")
        assert read(self.backend, "a/b/c") == b"a/b/c"
        self.assert_absent("a/b")

    def test_the_folder_of_an_object_is_no_object(self) -> None:
        put(self.backend, "folder/object", b"x")
        for key in ("folder", "folder/object/below", "folde", "folder/objec"):
            self.assert_absent(key)
