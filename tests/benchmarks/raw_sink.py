"""A C-MOVE destination that costs next to nothing: takes every context, answers Success, keeps nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import raw_pdus
from tests.benchmarks.raw_client import read_pdu
from tests.benchmarks.raw_pdus import PduReader
from tests.peers.peer import LOOPBACK, serving

AE_TITLE = "SINK"


def take(connection: socket.socket) -> None:
    """Receive on one association until it ends."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        try:
            _, request = read_pdu(connection)
            connection.sendall(raw_pdus.associate_accept(request))
            request_elements: dict[int, bytes] = {}
            for context_id, control, data in PduReader(connection).fragments():
                if control & 1:
                    request_elements = raw_pdus.command_elements(data)
                elif control & 2:
                    connection.sendall(raw_pdus.store_response(context_id, request_elements))
        except OSError:
            return


def main() -> None:
    """Listen on the loopback port given on the command line until SIGTERM."""
    with socket.create_server((LOOPBACK, int(sys.argv[1])), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=take, args=(connection,), daemon=True).start()


@contextmanager
def running_sink(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The destination as a process of its own."""
    with serving([sys.executable, "-m", "tests.benchmarks.raw_sink", port], port, log) as process:
        yield process


if __name__ == "__main__":
    main()
