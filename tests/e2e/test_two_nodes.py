"""Two archives on one Postgres and one bucket are one: one is killed under load, nothing acknowledged is lost."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import orjson
import psycopg
import pytest

from tests import samples
from tests.e2e.client import Item, associate, get, send
from tests.e2e.process import ArchiveProcess
from tests.e2e.test_commitment import Modality, ask_in_vain
from tests.e2e.test_crash import KIND
from tests.e2e.web import fetch
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, running_s3
from vna.dimse.errors import DimseError
from vna.index.embedded import EmbeddedPostgres

pytestmark = pytest.mark.slow

ASSOCIATIONS = 8
SHARED = "1.2.840.1"
"""The study that both nodes receive."""
BEFORE, AFTER = 120, 80
"""Acknowledged instances before a node is killed, and those that the other one takes after it."""


def item(study: str, series: str, number: int) -> Item:
    """The same bytes whoever makes it."""
    uid = f"{series}.{number}"
    file = samples.ct_at(study, series, uid, rows=(16, 64, 256)[number % 3])
    return Item(*KIND, uid, file[144 + int.from_bytes(file[140:144], "little") :])


class Sender(threading.Thread):
    """Stores the instances of one series in their order until it is told to stop, or the node is gone."""

    def __init__(
        self, port: int, study: str, series: str, acknowledged: threading.Semaphore
    ) -> None:
        super().__init__(daemon=True)
        self._port, self._study, self._series = port, study, series
        self._each = acknowledged
        self.enough = threading.Event()
        self.acknowledged: dict[str, bytes] = {}
        self.statuses: set[int | None] = set()

    def run(self) -> None:
        try:
            with associate(self._port, [(KIND[0], (KIND[1],))]) as association:
                for number in itertools.count(1):
                    if self.enough.is_set():
                        return
                    sent = item(self._study, self._series, number)
                    status = send(association, sent)
                    self.statuses.add(status)
                    if status == 0:
                        self.acknowledged[sent.sop_instance_uid] = sent.dataset
                        self._each.release()
        except (DimseError, OSError):
            return


class Nodes:
    """Two archives, and what they share."""

    def __init__(
        self, folder: Path, database_url: str, server: S3Server, modality: Modality
    ) -> None:
        options = {
            "ENDPOINT": server.endpoint,
            "BUCKET": BUCKET,
            "ACCESS_KEY": ACCESS_KEY,
            "SECRET_KEY": SECRET_KEY,
        }
        self.environment = {
            "VNA__DATABASE__URL": database_url,
            "VNA__STORAGE__BACKEND": "s3",
            **{f"VNA__STORAGE__OPTIONS__{name}": value for name, value in options.items()},
            **modality.environment,
        }
        self.modality, self.url = modality, database_url
        self.dying, self.living = (
            ArchiveProcess(folder / name, self.environment) for name in ("dying", "living")
        )

    def verify(self, *options: str) -> str:
        """What `vna verify` prints."""
        command = [sys.executable, "-m", "vna.cli", "verify", "--young", "0", *options]
        done = subprocess.run(
            [*command, "--data-dir", str(self.living.data_dir)],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=200,
        )
        return done.stdout + done.stderr

    def counts(self) -> tuple[int, int, int]:
        """Rows of instances, of locations and of conflicts."""
        statement = (
            "SELECT (SELECT count(*) FROM instance), (SELECT count(*) FROM location),"
            " (SELECT count(*) FROM conflict)"
        )
        with psycopg.connect(self.url) as connection:
            row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0], row[1], row[2]


def _kill(archive: ArchiveProcess) -> None:
    with suppress(ProcessLookupError):
        archive.kill_group()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with ExitStack() as stack:
        server = stack.enter_context(running_s3(tmp_path / "s3"))
        postgres = stack.enter_context(EmbeddedPostgres.start(tmp_path / "shared"))
        both = Nodes(tmp_path, postgres.url, server, Modality())
        both.dying.start()
        stack.callback(_kill, both.dying)
        both.living.start()
        stack.callback(both.living.stop)
        yield both


def senders(nodes: Nodes, each: threading.Semaphore) -> tuple[list[Sender], list[Sender]]:
    """Of both nodes: half of the associations send the same instances to each, a quarter others of the same
    study, the rest studies of their own.
    """
    found: tuple[list[Sender], list[Sender]] = ([], [])
    for node, (archive, its) in enumerate(zip((nodes.dying, nodes.living), found, strict=True)):
        for number in range(ASSOCIATIONS):
            same = number < ASSOCIATIONS // 2
            study = SHARED if number < ASSOCIATIONS * 3 // 4 else f"{SHARED}.{node}.{number}"
            series = f"{SHARED}.9.{number}" if same else f"{SHARED}.9.{node}.{number}"
            its.append(Sender(archive.dicom_port, study, series, each))
    return found


def test_a_node_is_killed_and_the_other_goes_on(nodes: Nodes) -> None:
    load_both_and_kill_one(nodes, BEFORE, AFTER)


def load_both_and_kill_one(nodes: Nodes, before: int, after: int) -> None:
    """The whole story, with so many instances before and after the death."""
    stored = threading.Semaphore(0)
    of_dying, of_living = senders(nodes, stored)
    for sender in (*of_dying, *of_living):
        sender.start()
    acquire(stored, before, nodes)
    transaction = ask_in_vain(nodes.modality, nodes.dying, [f"{SHARED}.9.0.1"])
    nodes.dying.kill_group()
    for sender in of_dying:
        sender.join(60)
        assert not sender.is_alive()
    while stored.acquire(blocking=False):
        pass
    acquire(stored, after, nodes)
    for sender in of_living:
        sender.enough.set()
        sender.join(60)
        assert sender.statuses == {0}
    with nodes.modality.listening():  # what the dead one was asked for is done by the other
        event_type, report = nodes.modality.next_report()
    assert (event_type, report.TransactionUID) == (1, transaction)
    check(nodes, [*of_dying, *of_living])


def acquire(semaphore: threading.Semaphore, count: int, nodes: Nodes) -> None:
    for _ in range(count):
        assert semaphore.acquire(timeout=60), nodes.living.log_path.read_text()


def check(nodes: Nodes, everybody: list[Sender]) -> None:
    """Acknowledged by whichever node: there, once, bit for bit; and nothing that is there is doubled or half."""
    acknowledged: dict[str, bytes] = {}
    for sender in everybody:
        acknowledged |= sender.acknowledged
    received: dict[str, bytes] = {}
    for record in orjson.loads(fetch(f"{nodes.living.root}/studies?limit=1000")[1]):
        study = record["0020000D"]["Value"][0]
        received |= get(nodes.living.dicom_port, {"StudyInstanceUID": study}, {KIND})
    assert {uid: received.get(uid) for uid in acknowledged} == acknowledged
    instances, locations, conflicts = nodes.counts()
    assert (instances, locations, conflicts) == (len(received), len(received), 0)
    nodes.verify("--repair")
    assert "index and storage agree" in (said := nodes.verify()), said
    adopted, _, conflicts = nodes.counts()
    assert conflicts == 0
    assert adopted >= instances


@pytest.mark.crash
@pytest.mark.parametrize("number", range(3))
def test_again_and_longer(nodes: Nodes, number: int) -> None:
    load_both_and_kill_one(nodes, 300 * (number + 1), 500)
