"""A process with decoders, one idle and one in an endless loop, that says who they are and waits to be killed."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from tests.services import decoder_tasks
from vna.config_decoding import DecodingConfig
from vna.services.decoders import Decoders


def main(directory: Path) -> None:
    """Prints three process ids: of the host, of the busy and of the idle decoder."""
    decoders = Decoders(DecodingConfig(processes=2, seconds=600.0))
    pipe = directory / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=decoders.call, args=(decoder_tasks.say_and_loop, str(pipe))).start()
    busy = int(pipe.read_text())
    host = decoders.call(decoder_tasks.host_id)
    idle = decoders.call(decoder_tasks.process_id)
    os.write(1, f"{host} {busy} {idle}\n".encode())
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
