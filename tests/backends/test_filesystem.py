"""The filesystem driver: faults of the disk, planted links, foreign files, order of syncs."""

from __future__ import annotations

import errno
import gc
import io
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage_backends import directories, filesystem
from storage_backends.digests import digest_of
from storage_backends.errors import (
    BackendFull,
    BackendReadOnly,
    BackendUnavailable,
    InvalidKey,
    ObjectExists,
    ObjectNotFound,
    StorageError,
)
from storage_backends.filesystem import INCOMING, FilesystemBackend
from storage_backends.layout import _segment, file_name, folder_name
from storage_backends.testing import put, read, sample

KEY = "2026/11/22/1105/0123.dcm"
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[FilesystemBackend]:
    """A backend below tmp_path/objects."""
    backend = FilesystemBackend(tmp_path / "objects")
    yield backend
    backend.close()


def _fail(code: int, when: Callable[..., bool] = lambda *_: True) -> Callable[[Callable[..., object]], Callable[..., object]]:  # fmt: skip  # noqa: E501
    def wrap(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            if when(*args):
                raise OSError(code, os.strerror(code))
            return real(*args, **options)

        return call

    return wrap


def _is_directory(fd: int) -> bool:
    return stat.S_ISDIR(os.fstat(fd).st_mode)


def _leftovers(root: Path) -> list[Path]:
    return [path for path in (root / INCOMING).rglob("*") if path.is_file() and path.suffix == ""]


STEPS = {
    "write": lambda patch, fail: patch.setattr(os, "write", fail(os.write)),
    "sync of the file": lambda patch, fail: patch.setattr(os, "fsync", fail(os.fsync)),
    "rename": lambda patch, fail: patch.setattr(
        filesystem, "rename_without_replacing", fail(directories.rename_without_replacing)
    ),
    "making a directory": lambda patch, fail: patch.setattr(os, "mkdir", fail(os.mkdir)),
}
CODES = {
    errno.ENOSPC: BackendFull,
    errno.EDQUOT: BackendFull,
    errno.EROFS: BackendReadOnly,
    errno.EIO: BackendUnavailable,
    errno.EACCES: BackendReadOnly,
    errno.EMFILE: BackendUnavailable,
}


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("step", STEPS)
def test_a_failing_disk_is_reported_and_leaves_nothing(
    backend: FilesystemBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    code: int,
) -> None:
    put(backend, "earlier", b"x")
    with monkeypatch.context() as patch:
        STEPS[step](patch, _fail(code))
        with pytest.raises(BackendUnavailable) as caught:
            put(backend, KEY, b"data")
    assert type(caught.value) is CODES[code]
    assert caught.value.transient
    assert KEY in str(caught.value)
    assert [info.key for info in backend.scan()] == ["earlier"]
    assert _leftovers(tmp_path / "objects") == []
    put(backend, KEY, b"data")
    assert read(backend, KEY) == b"data"


def test_a_directory_that_cannot_be_synced_undoes_the_put_and_the_adoption(
    backend: FilesystemBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    put(backend, "2026/11/22/1105/first.dcm", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _fail(errno.EIO, _is_directory)(os.fsync))
        with pytest.raises(BackendUnavailable):
            put(backend, KEY, b"data")
        with pytest.raises(BackendUnavailable):
            backend.adopt(KEY, path, size=4, digest=digest_of(b"data"))
    assert path.read_bytes() == b"data"
    with pytest.raises(ObjectNotFound):
        backend.stat(KEY)
    assert _leftovers(tmp_path / "objects") == []


def test_the_file_is_synced_before_it_has_its_name_and_each_new_directory_after(
    backend: FilesystemBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_sync, real_rename = os.fsync, directories.rename_without_replacing

    def sync(fd: int) -> None:
        steps.append(Path(f"/proc/self/fd/{fd}").readlink().name if _is_directory(fd) else "file")
        real_sync(fd)

    def rename(*args: object) -> None:
        steps.append("rename")
        real_rename(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(filesystem, "rename_without_replacing", rename)
    put(backend, "2026/11/a.dcm", b"1")
    assert steps == ["file", "objects", "2026", "rename", "11"]
    steps.clear()
    put(backend, "2026/11/b.dcm", b"1")
    assert steps == ["file", "rename", "11"]


def test_a_really_full_disk(tmp_path: Path) -> None:
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "none", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode()}")
    try:
        backend = FilesystemBackend(small / "objects")
        put(backend, "fits", sample(2**20))
        with pytest.raises(BackendFull):
            put(backend, "big", sample(2**21))
        assert [info.key for info in backend.scan()] == ["fits"]
        put(backend, "small", sample(2**19))
        outside = tmp_path / "outside"
        outside.write_bytes(b"other file system")
        backend.adopt("copied", outside, size=17, digest=digest_of(b"other file system"))
        assert read(backend, "copied") == b"other file system"
        assert not outside.exists()
        outside.write_bytes(sample(2**21))
        with pytest.raises(BackendFull):
            backend.adopt("big", outside, size=2**21, digest=digest_of(sample(2**21)))
        assert outside.stat().st_size == 2**21
        backend.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_without_renameat2_a_link_does_the_same(
    backend: FilesystemBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directories, "_RENAMEAT2", None)
    put(backend, KEY, b"data")
    with pytest.raises(ObjectExists):
        put(backend, KEY, b"other")
    path = tmp_path / "file"
    path.write_bytes(b"adopted")
    backend.adopt("adopted", path, size=7, digest=digest_of(b"adopted"))
    assert (read(backend, KEY), read(backend, "adopted")) == (b"data", b"adopted")
    assert not path.exists()
    assert _leftovers(tmp_path / "objects") == []


def test_planted_links_are_never_followed(backend: FilesystemBackend, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.dcm").write_bytes(b"secret")
    root = tmp_path / "objects"
    (root / "link").symlink_to(outside)
    (root / "file.dcm").symlink_to(outside / "secret.dcm")
    for key in ("link/secret.dcm", "file.dcm"):
        with pytest.raises(ObjectNotFound):
            backend.open(key)
        with pytest.raises(ObjectNotFound):
            backend.stat(key)
    for key in ("link/new.dcm", "link/secret.dcm", "file.dcm"):
        with pytest.raises(StorageError):
            put(backend, key, b"overwritten")
    backend.delete("link/secret.dcm")
    assert list(backend.scan()) == []
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret.dcm": b"secret"}


def test_an_adopted_path_that_is_a_link_is_refused(
    backend: FilesystemBackend, tmp_path: Path
) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(BackendUnavailable):
        backend.adopt("adopted", tmp_path / "link", size=1, digest=digest_of(b"x"))
    assert (tmp_path / "real").exists()


def test_foreign_files_are_no_objects(backend: FilesystemBackend, tmp_path: Path) -> None:
    root = tmp_path / "objects"
    put(backend, "a/b.dcm", b"x")
    for name in (
        "README",
        "lost+found",
        "a/UPPER.dcm",
        "a/x y",
        "plain",
        ".hidden.dcm",
        "a/z.d=",
        "é.d",
    ):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    os.mkfifo(root / "pipe.dcm")
    (root / "dir.dcm").mkdir()
    (root / "dir=").mkdir()
    assert [info.key for info in backend.scan()] == ["a/b.dcm"]
    for key in ("pipe.dcm", "dir.dcm", "plain"):
        with pytest.raises(ObjectNotFound):
            backend.open(key)


def test_a_file_that_was_cut_is_noticed(backend: FilesystemBackend, tmp_path: Path) -> None:
    put(backend, "a.dcm", sample(1000))
    path = tmp_path / "objects" / "a.dcm"
    path.chmod(0o600)
    with backend.open("a.dcm") as reader:
        reader.read(10)
        os.truncate(path, 500)
        with pytest.raises(StorageError, match="cut short"):
            reader.read()


def test_objects_are_plain_read_only_files_under_their_keys(
    backend: FilesystemBackend, tmp_path: Path
) -> None:
    put(backend, KEY, b"plain")
    path = tmp_path / "objects" / KEY
    assert path.read_bytes() == b"plain"
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0


def test_names_of_files_and_folders_never_meet() -> None:
    for segment in ("a", "a.b", "a.", "0-_."):
        assert file_name(segment) != folder_name(segment)
        assert _segment(file_name(segment), False) == segment  # noqa: FBT003
        assert _segment(folder_name(segment), True) == segment  # noqa: FBT003


def test_a_folder_removed_behind_its_back_is_made_again(
    backend: FilesystemBackend, tmp_path: Path
) -> None:
    put(backend, "x/y/1.dcm", b"1")
    shutil.rmtree(tmp_path / "objects" / "x")
    put(backend, "x/y/2.dcm", b"2")
    assert [info.key for info in backend.scan()] == ["x/y/2.dcm"]


def test_many_folders_need_few_descriptors(backend: FilesystemBackend) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(150):
        put(backend, f"f{number}/a.dcm", b"")
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 70
    assert len(list(backend.scan())) == 150


def test_a_root_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendUnavailable, match="file/below"):
        FilesystemBackend(tmp_path / "file" / "below")


def test_a_closed_backend_answers_with_an_error_of_the_contract(tmp_path: Path) -> None:
    backend = FilesystemBackend(tmp_path)
    put(backend, "a", b"a")
    backend.close()
    for call in (
        lambda: put(backend, "b", b"b"),
        lambda: backend.open("a"),
        lambda: backend.stat("a"),
        lambda: list(backend.scan()),
        lambda: backend.delete("a"),
    ):
        with pytest.raises(BackendUnavailable):
            call()


def test_a_bad_key_does_not_touch_the_source(backend: FilesystemBackend) -> None:
    source = io.BytesIO(b"data")
    with pytest.raises(InvalidKey):
        backend.put("../x", source, size=4, digest=digest_of(b"data"))
    assert source.tell() == 0


def test_a_forked_child_works_on(backend: FilesystemBackend, tmp_path: Path) -> None:
    put(backend, "parent/1.dcm", b"1")
    child = os.fork()
    if child == 0:
        try:
            put(backend, "child/1.dcm", b"2")
            put(backend, "parent/2.dcm", b"3")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert [info.key for info in backend.scan()] == ["child/1.dcm", "parent/1.dcm", "parent/2.dcm"]
    put(backend, "parent/3.dcm", b"4")
    FilesystemBackend(tmp_path / "objects").close()
    assert len([p for p in (tmp_path / "objects" / INCOMING).iterdir() if p.is_dir()]) == 1


def test_who_forgets_to_close_it_loses_no_descriptors(tmp_path: Path) -> None:
    before = len(list(DESCRIPTORS.iterdir()))
    for number in range(5):
        backend = FilesystemBackend(tmp_path / "root")
        put(backend, f"a/b{number}", b"x")
        del backend
    gc.collect()
    assert len(list(DESCRIPTORS.iterdir())) <= before
