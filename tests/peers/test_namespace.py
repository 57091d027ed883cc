"""In a private network, nobody outside is reached, and nobody outside reaches in."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.peers import namespace
from tests.peers.namespace import private_network
from tests.peers.peer import LOOPBACK

pytestmark = pytest.mark.skipif(
    not namespace.is_possible(),
    reason="network namespaces need root, and a system that allows them",
)


def test_inside_there_is_only_a_loopback_interface_that_works() -> None:
    with (
        private_network(),
        socket.create_server((LOOPBACK, 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=10) as client,
    ):
        assert namespace.is_private()
        connection, address = listener.accept()
        connection.close()
        assert address == client.getsockname()


def test_neither_side_reaches_the_other() -> None:
    with socket.create_server(("", 0)) as outside, private_network():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, outside.getsockname()[1]), timeout=10)
        inside = socket.create_server(("", 0))
    with inside, pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, inside.getsockname()[1]), timeout=10)


def test_threads_and_processes_started_inside_are_inside_and_the_others_are_not() -> None:
    seen: dict[str, str] = {}

    def look(name: str) -> None:
        seen[name] = str(Path("/proc/thread-self/ns/net").readlink())

    look("before")
    with private_network():
        look("inside")
        thread = threading.Thread(target=look, args=("thread",))
        thread.start()
        thread.join()
        command = ["readlink", "/proc/self/ns/net"]
        seen["process"] = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    look("after")
    assert seen["before"] == seen["after"]
    assert seen["inside"] == seen["thread"] == seen["process"] != seen["before"]


def test_the_network_is_left_when_the_block_fails() -> None:
    before = Path("/proc/thread-self/ns/net").readlink()
    with pytest.raises(KeyError), private_network():
        raise KeyError
    assert Path("/proc/thread-self/ns/net").readlink() == before


def test_a_command_runs_in_a_network_of_its_own() -> None:
    said = "from tests.peers import namespace; print(namespace.is_private())"
    command = [*namespace.COMMAND, sys.executable, "-c", said]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "True"
