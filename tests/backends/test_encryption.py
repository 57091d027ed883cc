"""What encryption promises beyond the contract: nothing plain at rest, every change noticed, keys that change."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_backends.base import ObjectReader
from storage_backends.digests import digest_of
from storage_backends.encryption import EncryptedBackend, Keyring
from storage_backends.encryption.envelope import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SEALED_BYTES,
    TAG_BYTES,
    plain_size,
    sealed_size,
)
from storage_backends.errors import BackendUnavailable, IntegrityError, InvalidOptions
from storage_backends.memory import MemoryBackend
from storage_backends.testing import put, read, sample
from storage_backends.testing_tools import Unseekable

_SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES, 5 * 2**20 + 7)


def _line(name: str, byte: int) -> str:
    return f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}"


def _keys(*lines: str) -> Keyring:
    return Keyring(lambda: "\n".join(lines), "the test")


class Recording(MemoryBackend):
    """Lets tests see and change what lies there, and counts what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[tuple[int, int | None]] = []

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        self.fetched.append((start, length))
        return super().open(key, start=start, length=length)

    def bytes_of(self, key: str) -> bytes:
        """What lies under `key`."""
        return self._objects[key][0]

    def replace(self, key: str, data: bytes) -> None:
        """Change what lies under `key`."""
        self._objects[key] = (data, self._objects.get(key, (b"", 1.0))[1])


@pytest.fixture
def inner() -> Recording:
    return Recording()


@pytest.fixture
def backend(inner: Recording) -> EncryptedBackend:
    return EncryptedBackend(inner, _keys(_line("one", 1)))


def _fresh(inner: Recording, *lines: str) -> EncryptedBackend:
    """Another process: it knows no envelope yet."""
    return EncryptedBackend(inner, _keys(*(lines or (_line("one", 1),))))


@pytest.mark.parametrize("size", _SIZES)
def test_sizes_are_those_of_the_plain_bytes(
    backend: EncryptedBackend, inner: Recording, size: int
) -> None:
    put(backend, "sized", sample(size))
    assert backend.stat("sized").size == size
    assert [info.size for info in backend.scan()] == [size]
    assert len(inner.bytes_of("sized")) == sealed_size(size)
    assert plain_size(sealed_size(size)) == size


def test_nothing_plain_lies_there(backend: EncryptedBackend, inner: Recording) -> None:
    data = b"PATIENT^NAME" * 30_000
    put(backend, "secret", data)
    put(backend, "again", data)
    assert b"PATIENT" not in inner.bytes_of("secret")
    assert inner.bytes_of("secret")[HEADER_BYTES:] != inner.bytes_of("again")[HEADER_BYTES:]


@pytest.mark.parametrize("size", _SIZES[:-1])
def test_no_bit_can_be_changed(inner: Recording, backend: EncryptedBackend, size: int) -> None:
    put(backend, "object", sample(size))
    sealed = inner.bytes_of("object")
    step = max(1, len(sealed) // 50)
    for position in {*range(0, len(sealed), step), *range(HEADER_BYTES), len(sealed) - 1}:
        changed = bytearray(sealed)
        changed[position] ^= 0x10
        inner.replace("object", bytes(changed))
        with pytest.raises((IntegrityError, BackendUnavailable)) as caught:
            read(_fresh(inner), "object")
        if not 24 <= position < 56:  # the name of the key: another one is not at hand
            assert caught.type is IntegrityError


@pytest.mark.parametrize(
    "cut", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 5, -1, -TAG_BYTES - 1]
)
def test_a_truncated_object_is_noticed(
    inner: Recording, backend: EncryptedBackend, cut: int
) -> None:
    put(backend, "cut", sample(3 * CHUNK_BYTES))
    inner.replace("cut", inner.bytes_of("cut")[:cut])
    with pytest.raises(IntegrityError):
        read(_fresh(inner), "cut")


def test_whole_chunks_cannot_be_dropped_added_or_moved(
    inner: Recording, backend: EncryptedBackend
) -> None:
    put(backend, "chunks", sample(4 * CHUNK_BYTES))
    sealed = inner.bytes_of("chunks")
    header, body = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
    chunks = [body[at : at + SEALED_BYTES] for at in range(0, len(body), SEALED_BYTES)]
    for order in ([0, 1, 2], [0, 2, 1, 3], [0, 1, 1, 3], [1, 0, 2, 3], [3, 0, 1, 2]):
        inner.replace("chunks", header + b"".join(chunks[number] for number in order))
        with pytest.raises(IntegrityError):
            read(_fresh(inner), "chunks")
    inner.replace("chunks", sealed)
    assert read(_fresh(inner), "chunks") == sample(4 * CHUNK_BYTES)


def test_objects_cannot_be_swapped(inner: Recording, backend: EncryptedBackend) -> None:
    put(backend, "mine", b"mine")
    put(backend, "yours", b"your")
    mine, yours = inner.bytes_of("mine"), inner.bytes_of("yours")
    for swapped in (
        yours,
        yours[:HEADER_BYTES] + mine[HEADER_BYTES:],
        mine[:HEADER_BYTES] + yours[HEADER_BYTES:],
    ):
        inner.replace("mine", swapped)
        with pytest.raises(IntegrityError):
            read(_fresh(inner), "mine")


def test_a_plain_object_is_not_taken_for_an_encrypted_one(
    inner: Recording, backend: EncryptedBackend
) -> None:
    put(inner, "plain", sample(1000))
    put(inner, "tiny", b"x")
    for key in ("plain", "tiny"):
        with pytest.raises(IntegrityError, match="encrypted"):
            read(backend, key)
    with pytest.raises(IntegrityError):
        backend.stat("tiny")


def test_another_key_of_the_same_name_opens_nothing(
    inner: Recording, backend: EncryptedBackend
) -> None:
    put(backend, "object", sample(100))
    with pytest.raises(IntegrityError, match="'one'"):
        read(_fresh(inner, _line("one", 2)), "object")


def test_a_key_that_is_not_at_hand_can_still_come(
    inner: Recording, backend: EncryptedBackend
) -> None:
    put(backend, "object", sample(100))
    with pytest.raises(BackendUnavailable, match=r"'one'.*add it"):
        read(_fresh(inner, _line("two", 2)), "object")
    assert read(_fresh(inner, _line("two", 2), _line("one", 1)), "object") == sample(100)


def test_rotation_touches_no_object(inner: Recording, backend: EncryptedBackend) -> None:
    put(backend, "old", sample(100_000))
    before = inner.bytes_of("old")
    rotated = _fresh(inner, _line("two", 2), _line("one", 1))
    put(rotated, "new", sample(100_000))
    assert read(rotated, "old") == read(rotated, "new") == sample(100_000)
    assert inner.bytes_of("old") == before
    assert b"two" in inner.bytes_of("new")[:HEADER_BYTES]
    with pytest.raises(BackendUnavailable, match="two"):
        read(_fresh(inner), "new")


def test_a_key_added_to_the_file_is_found_without_a_restart(
    inner: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    path.write_text(_line("one", 1))
    here = EncryptedBackend(inner, Keyring.from_file(path))
    put(_fresh(inner, _line("two", 2)), "elsewhere", b"data")
    path.write_text(_line("two", 2) + "\n" + _line("one", 1))
    with pytest.raises(BackendUnavailable):  # it was read a moment ago
        read(here, "elsewhere")
    monkeypatch.setattr("storage_backends.encryption.keyring._PAUSE", 0.0)
    assert read(here, "elsewhere") == b"data"


@pytest.mark.parametrize("size", [5 * 2**20, 9 * 2**20 + 5])
@pytest.mark.parametrize("kind", ["file", "socket"])
def test_large_objects_are_not_held_in_memory(
    backend: EncryptedBackend, tmp_path: Path, size: int, kind: str
) -> None:
    data = sample(size)
    if kind == "file":
        (tmp_path / "large").write_bytes(data)
        with (tmp_path / "large").open("rb") as source:
            backend.put("large", source, size=size, digest=digest_of(data))
    else:
        stream = cast("BinaryIO", Unseekable(data, piece=70_001))
        backend.put("large", stream, size=size, digest=digest_of(data))
    assert read(backend, "large") == data


def test_a_file_that_changes_while_it_is_stored_is_refused(
    inner: Recording, backend: EncryptedBackend
) -> None:
    data = sample(5 * 2**20)
    changed = data[:-5] + bytes((data[-5] ^ 1,)) + data[-4:]
    source = cast("BinaryIO", Unseekable(changed, piece=70_001))
    with pytest.raises(IntegrityError, match="announced"):
        backend.put("changing", source, size=len(data), digest=digest_of(data))
    assert list(inner.scan()) == []


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 6 * CHUNK_BYTES),
    length=st.none() | st.integers(0, 6 * CHUNK_BYTES),
    size=st.sampled_from(_SIZES[:-1]),
    is_known=st.booleans(),
)
def test_a_range_is_what_it_is_of_the_plain_bytes(
    start: int, length: int | None, size: int, is_known: bool
) -> None:
    inner, data = Recording(), sample(size)
    put(EncryptedBackend(inner, _keys(_line("one", 1))), "object", data)
    backend = _fresh(inner)
    if is_known:
        backend.open("object", start=0, length=0).close()
    start = min(start, size)
    wanted = data[start:] if length is None else data[start : start + length]
    assert read(backend, "object", start, length) == wanted


def test_a_frame_far_inside_costs_its_own_chunks(
    inner: Recording, backend: EncryptedBackend
) -> None:
    put(backend, "frames", sample(100 * CHUNK_BYTES))
    other = _fresh(inner)
    inner.fetched.clear()
    start = 90 * CHUNK_BYTES + 5
    assert read(other, "frames", start, 10) == sample(100 * CHUNK_BYTES)[start : start + 10]
    assert inner.fetched == [(0, HEADER_BYTES), (HEADER_BYTES + 90 * SEALED_BYTES, SEALED_BYTES)]
    inner.fetched.clear()
    read(other, "frames", start, 10)
    assert inner.fetched == [(HEADER_BYTES + 90 * SEALED_BYTES, SEALED_BYTES)]
    third = _fresh(inner)
    inner.fetched.clear()
    read(third, "frames", 0, 10)
    assert inner.fetched == [(0, HEADER_BYTES + SEALED_BYTES)]


# where keys come from


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEYS", f"{_line('two', 2)},{_line('one', 1)}")
    keys = Keyring.from_environment("TEST_KEYS")
    assert keys.current() == ("two", bytes([2]) * 32)
    assert keys.named("one") == bytes([1]) * 32


def test_keys_come_from_a_program(tmp_path: Path) -> None:
    script = tmp_path / "keys.py"
    script.write_text(f"print('# from the vault')\nprint({_line('vault', 7)!r})")
    keys = Keyring.from_command(f"{sys.executable} {script}")
    assert keys.current() == ("vault", bytes([7]) * 32)


def _broken_sources(folder: Path) -> Iterator[tuple[str, Callable[[], Keyring]]]:
    yield "can't be read", lambda: Keyring.from_file(folder / "none")
    yield "is not set", lambda: Keyring.from_environment("NO_SUCH_VARIABLE_HERE")
    yield "can't be read", lambda: Keyring.from_command("/no/such/program")
    yield (
        "can't be read",
        lambda: Keyring.from_command(f"{sys.executable} -c 'raise SystemExit(3)'"),
    )
    yield "holds no key", lambda: _keys("", "# nothing")
    yield "line 2", lambda: _keys(_line("one", 1), "two:c2hvcnQ=")
    yield "line 1", lambda: _keys("no key at all")
    yield "line 1", lambda: _keys(_line("a name with blanks", 1))
    yield "twice", lambda: _keys(_line("one", 1), _line("one", 2))


def test_a_source_without_keys_is_refused_by_name_and_shows_no_key(tmp_path: Path) -> None:
    for message, make in _broken_sources(tmp_path):
        with pytest.raises(InvalidOptions, match=message) as caught:
            make()
        assert "c2hvcnQ" not in str(caught.value)


def test_a_source_that_breaks_later_keeps_the_keys_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(_line("one", 1))
    keys = Keyring.from_file(path)
    path.unlink()
    with pytest.raises(BackendUnavailable, match="can't be read"):
        keys.reload()
    assert keys.named("one") == bytes([1]) * 32


def test_an_attempt_that_comes_late_is_read_by_its_own_header() -> None:
    """A put whose answer was lost is repeated, and the first one replaces the second after that was read."""
    inner, late, data = MemoryBackend(), MemoryBackend(), sample(200_000)
    backend = EncryptedBackend(inner, _keys(_line("one", 1)))
    for target in (backend, EncryptedBackend(late, _keys(_line("one", 1)))):
        put(target, "k", data)
    assert read(backend, "k") == data
    inner.delete("k")
    put(inner, "k", read(late, "k"))
    with pytest.raises(IntegrityError):
        read(backend, "k")
    assert read(backend, "k") == data
    assert read(backend, "k", 100_000, 50) == data[100_000:100_050]
