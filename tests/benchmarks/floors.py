"""What the machine itself can do, measured in the same run: synced files, commits, bytes received."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.e2e.process import free_port


def parallel(threads: int, count: int, work: Callable[[int], None]) -> float:
    """Calls a second of `work(number)`, `count` calls spread over `threads` threads."""

    def run(position: int) -> None:
        for number in range(position, count, threads):
            work(number)

    workers = [threading.Thread(target=run, args=(position,)) for position in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return count / (time.perf_counter() - started)


def synced_writes(directory: Path, size: int, threads: int, count: int) -> float:
    """Files a second of `size` bytes, written and fsynced.

    They stay: ext4 makes new files more slowly for minutes after it has deleted many, which would fall on whatever is
    measured next. The folder of the run is removed at its end.
    """
    directory = directory / f"{size}-{threads}-{time.monotonic_ns()}"
    directory.mkdir(parents=True)
    data = os.urandom(size)

    def write(number: int) -> None:
        with (directory / str(number)).open("wb", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())

    return parallel(threads, count, write)


def commits(url: str, connections: int, count: int) -> float:
    """Single-row synchronous commits a second."""
    opened = [psycopg.connect(url, autocommit=True) for _ in range(connections)]
    opened[0].execute("CREATE TABLE IF NOT EXISTS bench_floor (number int)")

    def commit(number: int) -> None:
        opened[number % connections].execute("INSERT INTO bench_floor VALUES (%s)", [number])

    try:
        return parallel(connections, count, commit)
    finally:
        opened[0].execute("DROP TABLE bench_floor")
        for connection in opened:
            connection.close()


@contextmanager
def discarding_listener() -> Iterator[tuple[str, int]]:
    """The archive's own listener with nothing behind it; its address."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.discard_server", str(port)]
    process = subprocess.Popen(command)
    try:
        await_port(port)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(60)


def await_port(port: int) -> None:
    """Wait until something listens there; raises TimeoutError after 60 s."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")
