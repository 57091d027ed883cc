"""Files of sealed bytes: what they hold, and how a backend that encrypts takes them over."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_backends.base import (
    Digest,
    ObjectInfo,
    StorageBackend,
    SupportsAdopt,
    SupportsAdoptSealed,
)
from storage_backends.digests import digest_of
from storage_backends.encryption import EncryptedBackend
from storage_backends.encryption.envelope import CHUNK_BYTES, sealed_offset, sealed_size
from storage_backends.encryption.files import SealedFile, sealing_buffers
from storage_backends.errors import (
    BackendFull,
    BackendUnavailable,
    IntegrityError,
    InvalidKey,
    ObjectExists,
)
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.s3 import S3Backend
from storage_backends.testing import read, sample
from tests.backends.test_encrypted_contract import keyring
from tests.s3_server import S3Server

STEP = 2**20
SIZES = (1, 5000, CHUNK_BYTES, CHUNK_BYTES + 1, STEP, STEP + CHUNK_BYTES + 17)


class Sealed:
    """A finished file."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data = path, data
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self.file = SealedFile(self.fd, sealing_buffers())
        view = memoryview(data)
        for at in range(0, len(data), STEP):
            self.file.append(view[at : at + STEP], is_last=at + STEP >= len(data))

    def into(self, backend: StorageBackend, key: str = "a/b") -> ObjectInfo:
        """Has it taken over."""
        taker, size = cast("SupportsAdoptSealed", backend), len(self.data)
        key_of_it, digest = self.file.data_key, digest_of(self.data)
        return taker.adopt_sealed(key, self.path, key_of_it, size=size, digest=digest)


Seal = Callable[[bytes], Sealed]


@pytest.fixture
def seal(tmp_path: Path) -> Iterator[Seal]:
    made: list[Sealed] = []

    def sealed(data: bytes) -> Sealed:
        made.append(Sealed(tmp_path / f"spooled{len(made)}", data))
        return made[-1]

    yield sealed
    for one in made:
        os.close(one.fd)


@pytest.mark.parametrize("size", SIZES)
def test_plain_bytes_come_back_and_are_not_in_the_file(seal: Seal, size: int) -> None:
    data = sample(size)
    sealed = seal(data)
    assert sealed.path.stat().st_size == sealed_size(size)
    assert data[-4000:] not in sealed.path.read_bytes() or size == 1
    with io.BufferedReader(sealed.file.stream()) as stream:
        assert stream.read() == data
        stream.seek(size // 2)
        assert stream.read(100) == data[size // 2 :][:100]
    target = bytearray(size + 10)
    assert sealed.file.read_into(memoryview(target), 0) == size
    assert sealed.file.read_into(memoryview(target), size) == 0


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    """A file of many chunks."""
    sealed = Sealed(tmp_path_factory.mktemp("long") / "file", sample(STEP + 5 * CHUNK_BYTES + 17))
    yield sealed
    os.close(sealed.fd)


@given(span=st.tuples(st.integers(0, 2 * STEP), st.integers(0, 2 * STEP)))
@settings(max_examples=40, deadline=None, database=None)
def test_any_part_of_it_can_be_read(span: tuple[int, int], long: Sealed) -> None:
    target = bytearray(span[1])
    count = long.file.read_into(memoryview(target), span[0])
    assert bytes(target[:count]) == long.data[span[0] : sum(span)]


@pytest.mark.parametrize("at", [200, sealed_offset(1) + 5, sealed_offset(2) + 3])
def test_what_was_changed_is_noticed(seal: Seal, at: int) -> None:
    sealed = seal(sample(2 * CHUNK_BYTES + 100))
    raw = bytearray(sealed.path.read_bytes())
    raw[at] ^= 1
    sealed.path.write_bytes(raw)
    with pytest.raises(IntegrityError, match="changed"):
        sealed.file.read_into(memoryview(bytearray(len(sealed.data))), 0)
    os.truncate(sealed.path, 70_000)
    with pytest.raises(IntegrityError, match="cut short"):
        sealed.file.read_into(memoryview(bytearray(10)), len(sealed.data) - 10)


def test_an_unfinished_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        sealed = SealedFile(file.fileno(), sealing_buffers())
        sealed.append(memoryview(bytes(STEP)))
        with pytest.raises(ValueError, match="unfinished"):
            sealed.read_into(memoryview(bytearray(1)), 0)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_system_renames_it(seal: Seal, tmp_path: Path, size: int) -> None:
    inner = FilesystemBackend(tmp_path / "objects")
    backend = EncryptedBackend(inner, keyring("one"))
    assert isinstance(backend, SupportsAdoptSealed)
    assert not isinstance(backend, SupportsAdopt), "a plain file is no object of its"
    sealed = seal(sample(size))
    inode = sealed.path.stat().st_ino
    assert sealed.into(backend).size == size
    assert not sealed.path.exists()
    assert inode in {path.stat().st_ino for path in (tmp_path / "objects").rglob("*")}
    assert read(backend, "a/b") == sealed.data
    with backend.open("a/b", start=size // 2, length=7) as reader:
        assert reader.read() == sealed.data[size // 2 :][:7]
    assert sealed.file.read_into(memoryview(bytearray(size)), 0) == size, "it stays readable"
    later = EncryptedBackend(inner, keyring("two", "one"))
    assert read(later, "a/b") == sealed.data
    backend.close()


def test_elsewhere_it_is_put_as_it_lies(seal: Seal, s3_server: S3Server) -> None:
    inners: list[StorageBackend] = [
        MemoryBackend(),
        S3Backend(s3_server.options(f"sealed/{secrets.token_hex(8)}")),
    ]
    for inner in inners:
        backend = EncryptedBackend(inner, keyring("one"))
        sealed = seal(sample(3 * CHUNK_BYTES + 5))
        body = sealed.path.read_bytes()[128:]
        assert sealed.into(backend).size == len(sealed.data)
        assert not sealed.path.exists()
        assert read(backend, "a/b") == sealed.data
        assert read(inner, "a/b")[128:] == body
        backend.close()


def test_another_file_system_gets_a_copy(seal: Seal) -> None:
    folder = Path("/dev/shm") / secrets.token_hex(8)
    backend = EncryptedBackend(FilesystemBackend(folder), keyring("one"))
    sealed = seal(sample(3 * CHUNK_BYTES + 5))
    sealed.into(backend)
    assert not sealed.path.exists()
    assert read(backend, "a/b") == sealed.data
    backend.delete("a/b")
    backend.close()
    (folder / "a").rmdir()
    (folder / ".incoming").rmdir()
    folder.rmdir()


def test_what_is_not_taken_stays_and_can_be_taken_under_another_key(
    seal: Seal, tmp_path: Path
) -> None:
    backend = EncryptedBackend(FilesystemBackend(tmp_path / "objects"), keyring("one"))
    seal(b"there").into(backend)
    sealed = seal(b"comes late")
    with pytest.raises(ObjectExists):
        sealed.into(backend)
    with pytest.raises(InvalidKey):
        sealed.into(backend, "/no key")
    assert sealed.path.exists()
    assert read(backend, "a/b") == b"there"
    sealed.path.chmod(0o440)
    sealed.into(backend, "c")
    assert read(backend, "c") == b"comes late"
    backend.close()


def test_each_has_a_key_and_a_header_of_its_own(seal: Seal) -> None:
    inner = MemoryBackend()
    backend = EncryptedBackend(inner, keyring("one"))
    for key in ("one", "two"):
        seal(b"the same").into(backend, key)
    one, two = read(inner, "one"), read(inner, "two")
    assert one[128:] != two[128:]
    inner.delete("two")
    inner.put("two", io.BytesIO(one), size=len(one), digest=digest_of(one))
    with pytest.raises(IntegrityError):
        read(backend, "two")


class Unsteady(FilesystemBackend):
    """Fails as told, before or after it has taken a file over."""

    def __init__(self, root: Path, failures: list[Exception], *, after: bool = False) -> None:
        super().__init__(root)
        self.failures, self.after = failures, after

    def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
        if self.failures and not self.after:
            raise self.failures.pop()
        info = super().adopt(key, path, size=size, digest=digest)
        if self.failures:
            raise self.failures.pop()
        return info


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_it_is_tried_again_and_reported(seal: Seal, tmp_path: Path, after: bool) -> None:
    seen: list[tuple[str, int, str]] = []
    failures: list[Exception] = [BackendUnavailable("gone for a moment")]
    unsteady = Unsteady(tmp_path / "objects", failures, after=after)
    metered = MeteredBackend(
        EncryptedBackend(unsteady, keyring("one")),
        lambda operation, _, size, error: seen.append((operation, size, error)),
    )
    backend = RetryingBackend(metered, sleep=lambda _: None)
    assert isinstance(backend, SupportsAdoptSealed)
    sealed = seal(sample(3 * CHUNK_BYTES))
    assert sealed.into(backend).size == len(sealed.data)
    assert not sealed.path.exists()
    assert seen[0] == ("adopt", 0, "BackendUnavailable")
    adopted = ("adopt", len(sealed.data), "")
    assert (adopted in seen) == (not after)
    assert read(backend, "a/b") == sealed.data
    backend.close()


def test_a_full_store_is_said_at_once(seal: Seal, tmp_path: Path) -> None:
    inner = Unsteady(tmp_path / "objects", [BackendFull("no room")])
    backend = RetryingBackend(EncryptedBackend(inner, keyring("one")))
    sealed = seal(b"data")
    with pytest.raises(BackendFull):
        sealed.into(backend)
    assert sealed.path.exists()
    backend.close()


def test_plain_wrappers_take_no_sealed_files(tmp_path: Path) -> None:
    backend = RetryingBackend(FilesystemBackend(tmp_path))
    assert isinstance(backend, SupportsAdopt)
    assert not isinstance(backend, SupportsAdoptSealed)
    backend.close()
