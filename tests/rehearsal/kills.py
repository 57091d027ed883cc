"""kill -9 of a worker, the archive, Postgres and the source, at random moments of one campaign."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests import samples
from tests.e2e.process import ArchiveProcess, free_port
from tests.index.processes import family, kill_all, postmaster_of
from tests.peers import dcmqrscp
from tests.peers.peer import LOOPBACK, await_listener, stop
from tests.rehearsal.book import Book
from tests.rehearsal.commands import Target
from tests.rehearsal.ledger import inside, is_same_instance
from tests.rehearsal.silos import INDEXER

KILLS = 20
RESUMES_WITHIN = 10.0
"""Seconds from the restart of what was killed until the next object is in the archive."""
STUDIES, EACH = 100, 8
_SLOWLY = "2"
_LONGEST = 120.0
_CAMPAIGN = "killed"


@dataclass
class Source:
    """dcmqrscp with all the objects, which can be killed and started again."""

    folder: Path
    given: dict[str, bytes] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def fill(self) -> None:
        """Studies of one month, as files that it knows."""
        storage = self.folder / "storage"
        storage.mkdir(parents=True)
        files: list[Path] = []
        for number in range(STUDIES * EACH):
            study = f"1.2.{number // EACH}"
            day = f"202001{number // EACH % 31 + 1:02}"
            uid = f"{study}.1.{number}"
            uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1"}
            self.given[uid] = samples.small(SOPInstanceUID=uid, StudyDate=day, **uids)
            files.append(storage / f"{number}.dcm")
            files[-1].write_bytes(self.given[uid])
        subprocess.run(
            [str(INDEXER), str(storage), *map(str, files)], check=True, capture_output=True
        )
        text = dcmqrscp.configuration(storage, self.port, {}, "QRSCP", dcmqrscp.TUNED_PDU)
        (self.folder / "dcmqrscp.cfg").write_text(text)

    def start(self) -> None:
        """Have it listen."""
        log = self.folder / "dcmqrscp.log"
        command = [str(dcmqrscp.PROGRAM), "--config", str(self.folder / "dcmqrscp.cfg")]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--log-level", "fatal"],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        await_listener(self.port, self.process, log)

    def kill(self) -> None:
        """With all processes that serve an association."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass
class Scene:
    """Everything that can be killed."""

    folder: Path
    archive: ArchiveProcess
    target: Target
    source: Source
    worker: subprocess.Popen[bytes]

    def kill(self, victim: str) -> None:
        """kill -9 of one of `VICTIMS`, and its restart where nobody else sees to that."""
        VICTIMS[victim](self)

    def objects(self) -> int | None:
        """How many objects the archive has; None as long as Postgres does not answer."""
        rows = self._row("SELECT count(*) FROM location")
        return None if rows is None else int(str(rows[0]))

    def is_done(self) -> bool:
        """Whether the campaign is."""
        return self._row("SELECT state FROM campaign") == ("done",)

    def _row(self, query: str) -> tuple[object, ...] | None:
        sockets = self.target.data_dir / "postgres" / "run"
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(f"postgresql://vna@/vna?host={sockets}") as connection,
        ):
            return connection.execute(query).fetchone()
        return None


def _kill_worker(scene: Scene) -> None:
    scene.worker.kill()
    scene.worker.wait()
    scene.worker = scene.target.worker(scene.folder / "worker.log", until_done=False)


def _kill_archive(scene: Scene) -> None:
    scene.archive.kill_group()
    scene.archive.start()


def _kill_postgres(scene: Scene) -> None:
    kill_all(family(postmaster_of(scene.target.data_dir)))


def _kill_source(scene: Scene) -> None:
    scene.source.kill()
    scene.source.start()


VICTIMS: dict[str, Callable[[Scene], None]] = {
    "worker": _kill_worker,
    "archive": _kill_archive,
    "postgres": _kill_postgres,
    "source": _kill_source,
}
"""What is killed, by its name."""


def kill_again_and_again(folder: Path, seed: int, book: Book, tell: Callable[[str], None]) -> None:
    """Bring one source over while everything is killed in turn; what was lost, and what came twice, into `book`."""
    chance = random.Random(seed)
    victims = [name for name in VICTIMS for _ in range(KILLS // len(VICTIMS))]
    chance.shuffle(victims)
    with _scene(folder) as scene:
        _begin(scene)
        worst = 0.0
        for number, victim in enumerate(victims, 1):
            _wait(chance.uniform(0.1, 2.0))
            if scene.is_done():
                raise RuntimeError(f"the campaign was done before kill {number}")
            scene.kill(victim)
            seconds = _until_progress(scene)
            worst = max(worst, seconds)
            tell(f"kill {number:2}, {victim:8}: goes on after {seconds:.1f} s")
        scene.target.within("change", _CAMPAIGN, "--instances-per-second", "0").expected()
        _await(scene.is_done, "the campaign is not done")
        _check(scene, book)
        is_quick = worst <= RESUMES_WITHIN
        book.note_that("kills", "all", f"{KILLS}: resumes within {RESUMES_WITHIN:.0f} s", is_quick)


def _begin(scene: Scene) -> None:
    port = scene.source.port
    options = {"host": LOOPBACK, "port": port, "called_ae_title": "QRSCP", "retrieve": "get"}
    words = [f"--option={key}={value}" for key, value in options.items()]
    pace = ("--instances-per-second", _SLOWLY, "--associations", "3", "--retry-seconds", "1")
    scope = ("--from", "2020-01-01", "--to", "2020-01-31")
    scene.target.within("add", _CAMPAIGN, "--kind", "dicom", *words, *pace, *scope).expected()
    scene.target.within("inventory", _CAMPAIGN).expected()
    scene.target.within("start", _CAMPAIGN).expected()
    _await(lambda: bool(scene.objects()), "nothing has come")


def _check(scene: Scene, book: Book) -> None:
    given = scene.source.given
    with inside(scene.target) as within:
        rows = within.rows(_CAMPAIGN)
        not_verified = [row.sop_instance_uid for row in rows if row.state != "verified"]
        book.note_none("kills", "all", "instances verified", not_verified, len(given))
        book.note("kills", "all", "rows of the ledger", len(given), len(rows))
        book.note("kills", "all", "objects that the index names", len(given), within.objects())
        kept = within.versions(list(given))
        lost = [uid for uid, data in given.items() if not _has_only(kept.get(uid, []), data)]
        book.note_none("kills", "all", "instances kept once, as given", lost, len(given))


def _has_only(versions: list[bytes], given: bytes) -> bool:
    return len(versions) == 1 and is_same_instance(versions[0], given, keeps_bytes=False)


@contextlib.contextmanager
def _scene(folder: Path) -> Iterator[Scene]:
    source = Source(folder / "source")
    source.fill()
    environment = {"VNA__LOG__LEVEL": "warning"}
    target = Target(folder / "target", environment)
    archive = ArchiveProcess(target.data_dir, environment)
    with contextlib.ExitStack() as stack:
        source.start()
        stack.callback(source.kill)
        archive.start()
        stack.callback(archive.stop)
        worker = target.worker(folder / "worker.log", until_done=False)
        scene = Scene(folder, archive, target, source, worker)
        stack.callback(lambda: stop(scene.worker))
        yield scene


def _until_progress(scene: Scene) -> float:
    """Seconds until one more object is there, from the moment at which everything runs again."""
    before: list[int] = []

    def answers() -> bool:
        found = scene.objects()
        before.extend([] if found is None else [found])
        return bool(before)

    _await(answers, "Postgres does not come back")
    began = time.monotonic()
    _await(lambda: (scene.objects() or 0) > before[0] or scene.is_done(), "it does not go on")
    return time.monotonic() - began


def _await(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _LONGEST
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{otherwise} after {_LONGEST:.0f} s")
        _wait(0.05)


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)
