"""kill -9 in the middle of the work: what was acknowledged is there afterwards, whole; nothing else is visible."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import orjson
import psycopg
import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.e2e.client import Item, associate, get, send
from tests.e2e.process import ArchiveProcess
from tests.e2e.web import fetch
from vna.dimse.errors import DimseError
from vna.index.embedded import EmbeddedPostgres

ASSOCIATIONS = 8
KIND = (samples.CT_IMAGE, samples.EXPLICIT)


class Sender(threading.Thread):
    """Stores instances of one series until the archive is gone; remembers what was acknowledged."""

    def __init__(self, port: int, study: str, enough: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.port, self.study, self.enough = port, study, enough
        self.series = samples.new_uid()
        self.acknowledged: dict[str, bytes] = {}
        self.offered: set[str] = set()

    def run(self) -> None:
        try:
            with associate(self.port, [(KIND[0], (KIND[1],))]) as association:
                while True:
                    item = self._next()
                    self.offered.add(item.sop_instance_uid)
                    if send(association, item) == 0:
                        self.acknowledged[item.sop_instance_uid] = item.dataset
                        self.enough.release()
        except (DimseError, OSError):
            return

    def _next(self) -> Item:
        uid, size = samples.new_uid(), random.choice((16, 64, 256))
        file = samples.ct(
            sop_instance_uid=uid,
            study_instance_uid=self.study,
            series_instance_uid=self.series,
            rows=size,
            columns=size,
        )
        offset = 144 + int.from_bytes(file[140:144], "little")
        return Item(*KIND, uid, file[offset:])


@pytest.mark.parametrize("rounds", [2, pytest.param(8, marks=pytest.mark.crash)])
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path, rounds: int) -> None:
    """In every second round Postgres is killed, too."""
    archive = ArchiveProcess(tmp_path / "data")
    archive.start()
    kept: dict[str, dict[str, bytes]] = {}
    for number in range(rounds):
        study = samples.new_uid()
        enough = threading.Semaphore(0)
        senders = [Sender(archive.dicom_port, study, enough) for _ in range(ASSOCIATIONS)]
        for sender in senders:
            sender.start()
        for _ in range(random.randint(1, 120)):
            assert enough.acquire(timeout=60), archive.log_path.read_text()
        if number % 2:
            archive.kill_postgres()
        archive.kill_group()
        for sender in senders:
            sender.join(60)
        archive.start()
        kept[study] = check(archive, study, senders)
    for study, acknowledged in kept.items():
        received = get(archive.dicom_port, {"StudyInstanceUID": study}, {KIND})
        assert {uid: received.get(uid) for uid in acknowledged} == acknowledged
    assert archive.stop() == 0
    check_objects(archive.data_dir)
    count = sum(map(len, kept.values()))
    print(f"\n{rounds} times killed, {count} acknowledged instances, each identical at the end")
    assert count > rounds


def check(archive: ArchiveProcess, study: str, senders: list[Sender]) -> dict[str, bytes]:
    """Acknowledged: retrievable and identical. Visible: one that was offered, and retrievable whole."""
    acknowledged: dict[str, bytes] = {}
    for sender in senders:
        acknowledged |= sender.acknowledged
    received = get(archive.dicom_port, {"StudyInstanceUID": study}, {KIND})
    assert {uid: received.get(uid) for uid in acknowledged} == acknowledged
    visible = visible_instances(archive, study)
    assert visible == set(received)
    assert visible <= set().union(*(sender.offered for sender in senders))
    assert not list((archive.data_dir / "spool").glob("*")), "the spool was not swept"
    return acknowledged


def check_objects(data_dir: Path) -> None:
    """Every row of the index has its whole object."""
    with EmbeddedPostgres.start(data_dir) as server, psycopg.connect(server.url) as connection:
        rows: dict[str, int] = dict(
            connection.execute('SELECT key, "offset" + length FROM location').fetchall()
        )
    backend = FilesystemBackend(data_dir / "objects")
    sizes = {info.key: info.size for info in backend.scan()}
    backend.close()
    assert rows
    assert {key: sizes.get(key) for key in rows} == rows


def visible_instances(archive: ArchiveProcess, study: str) -> set[str]:
    url = f"{archive.root}/studies/{study}/instances?limit=1000"
    return {record["00080018"]["Value"][0] for record in orjson.loads(fetch(url)[1])}


pytestmark = pytest.mark.slow
