"""A store that takes nothing: both doors say so, nothing is half kept, and all goes on once there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests import samples
from tests.backends.s3_proxy import Fault, Proxy, running_proxy
from tests.dicomweb.multiparts import stow_body
from tests.e2e.client import Item, store
from tests.e2e.process import ArchiveProcess, running_archive
from tests.e2e.test_crash import KIND
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, running_s3

pytestmark = pytest.mark.slow

STUDY, SERIES = "1.2.3", "1.2.3.4"
ROOM, MORE_ROOM = "8m", "64m"
MANY = 60


class Keeper:
    """Sends instances of one series by both doors in turns, and knows which were acknowledged."""

    def __init__(self, archive: ArchiveProcess) -> None:
        self.archive = archive
        self.sent = 0
        self.acknowledged: dict[int, bytes] = {}

    def by_dimse(self) -> int | None:
        """The status of a C-STORE."""
        data = self._next()
        head = 144 + int.from_bytes(data[140:144], "little")
        status = store(self.archive.dicom_port, Item(*KIND, f"{SERIES}.{self.sent}", data[head:]))
        if status == 0:
            self.acknowledged[self.sent] = data
        return status

    def by_web(self) -> int:
        """The status of a STOW-RS request."""
        data = self._next()
        body, content_type = stow_body(data)
        url, headers = f"{self.archive.root}/studies", {"Content-Type": content_type}
        status = requests.post(url, data=body, headers=headers, timeout=120).status_code
        if status == 200:
            self.acknowledged[self.sent] = data
        return status

    def both(self) -> tuple[int | None, int]:
        """The statuses of one by each door."""
        return self.by_dimse(), self.by_web()

    def _next(self) -> bytes:
        self.sent += 1
        return samples.ct_at(STUDY, SERIES, f"{SERIES}.{self.sent}", rows=512, columns=512)

    def check(self) -> None:
        """What was acknowledged is there, bit for bit; what was not is not, not even its object."""
        for number in range(1, self.sent + 1):
            url = f"{self.archive.root}/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.{number}"
            answer = requests.get(url, headers={"Accept": "application/dicom"}, timeout=60)
            data = self.acknowledged.get(number)
            assert answer.status_code == (404 if data is None else 200)
            assert data is None or _dataset(answer.content) == _dataset(data)
        command = [sys.executable, "-m", "vna.cli", "verify", "--young", "0"]
        done = subprocess.run(
            [*command, "--data-dir", str(self.archive.data_dir)],
            env={**os.environ, **self.archive.environment},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert "index and storage agree" in done.stdout, done.stdout + done.stderr


def _dataset(file: bytes) -> bytes:
    return file[144 + int.from_bytes(file[140:144], "little") :]


@contextmanager
def small_disk(place: Path) -> Iterator[Callable[[str], None]]:
    """A file system of its own at `place`; call what is given with other mount options. Skips who may not mount."""
    place.mkdir()
    made = _mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", place)
    if made.returncode:
        pytest.skip(f"no file system of its own can be mounted here: {made.stderr.strip()}")

    def change(options: str) -> None:
        assert _mount("-o", f"remount,{options}", place).returncode == 0

    try:
        yield change
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing may be written below `folder`: as after a remount, which files that are open would forbid."""
    made = subprocess.run(["chattr", "-R", "+i", folder], capture_output=True, text=True)
    try:
        if made.returncode:
            pytest.skip(f"a full store was tried, a read-only one can't be: {made.stderr.strip()}")
        yield
    finally:
        subprocess.run(["chattr", "-R", "-i", folder], capture_output=True)


def _mount(*words: object) -> subprocess.CompletedProcess[str]:
    command = ["mount", *map(str, words)]
    if os.geteuid():
        return subprocess.CompletedProcess(command, 1, "", "only root may")
    return subprocess.run(command, capture_output=True, text=True)


def test_a_full_and_a_read_only_file_system(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    with small_disk(place) as change:
        root = place / "objects"
        with running_archive(
            tmp_path / "data", {"VNA__STORAGE__OPTIONS__ROOT": str(root)}
        ) as archive:
            keeper = Keeper(archive)
            assert keeper.both() == (0, 200)
            while keeper.by_dimse() == 0:
                assert keeper.sent < MANY, "it is not full"
            assert keeper.both() == (0xA700, 507)
            keeper.check()
            change(f"size={MORE_ROOM}")
            assert keeper.both() == (0, 200)
            with read_only(root):
                assert keeper.both() == (0xA700, 507)
                keeper.check()
            assert keeper.both() == (0, 200)
            keeper.check()


@contextmanager
def archive_behind(proxy: Proxy, folder: Path) -> Iterator[ArchiveProcess]:
    """An archive whose requests to the bucket go through `proxy`."""
    options = {
        "ENDPOINT": proxy.endpoint,
        "BUCKET": BUCKET,
        "ACCESS_KEY": ACCESS_KEY,
        "SECRET_KEY": SECRET_KEY,
    }
    environment = {f"VNA__STORAGE__OPTIONS__{name}": value for name, value in options.items()}
    with running_archive(folder, {"VNA__STORAGE__BACKEND": "s3", **environment}) as archive:
        yield archive


def test_a_full_and_a_read_only_bucket(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running_s3(tmp_path / "s3"))
        proxy = stack.enter_context(running_proxy(server))
        keeper = Keeper(stack.enter_context(archive_behind(proxy, tmp_path / "data")))
        assert keeper.both() == (0, 200)
        for status, code in ((507, "XMinioStorageFull"), (403, "AccessDenied")):
            proxy.lasting = Fault(method="PUT", status=status, code=code)
            assert keeper.both() == (0xA700, 507)
            keeper.check()
            proxy.lasting = None
            assert keeper.both() == (0, 200)
        keeper.check()


@pytest.mark.crash
def test_everything_on_one_disk_that_fills_up(tmp_path: Path) -> None:
    """The index and the spool, too: whatever is refused then, what was acknowledged is there once there is room."""
    place = tmp_path / "disk"
    with small_disk(place) as change:
        change("size=96m")
        with running_archive(place / "data") as archive:
            keeper = Keeper(archive)
            statuses = {keeper.by_web() for _ in range(200)} | {
                keeper.by_dimse() for _ in range(20)
            }
            assert statuses <= {200, 507, 503, 0, 0xA700}
            assert statuses - {200, 0}, "it is not full"
            change("size=256m")
            archive.await_ready()
            assert keeper.both() == (0, 200)
            keeper.check()
