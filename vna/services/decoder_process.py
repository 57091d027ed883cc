"""The other end of decoder processes: how they are ordered, asked, and found to have ended."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vna.config_decoding import DecodingConfig
from vna.decoder_host import FAULT, OUT_OF_MEMORY, PIECE, PROTOCOL, STATUS, Sender
from vna.errors import DecoderFailed, Unavailable, VnaError

_PATIENCE = 30
"""Seconds for which a decoder that should have killed itself is waited for, on top of its own."""
_STATUS_SECONDS = 5.0

_KEPT_VARIABLES = ("HOME", "LANG", "LC_", "LD_LIBRARY_PATH", "PATH", "PYTHON", "TMPDIR", "TZ")
_VARIABLES = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(8 * 2**20),  # pages of a frame stay warm, those of a film go back
    "MALLOC_TRIM_THRESHOLD_": str(16 * 2**20),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call, in the words of `vna.decoder_host`; `is_spent`: it was that decoder's last."""

    kind: str
    value: object
    is_spent: bool


class DecoderProcess:
    """One decoder process, asked by one thread at a time."""

    def __init__(
        self, conversation: socket.socket, leash: socket.socket, settings: DecodingConfig
    ) -> None:
        self._conversation, self._leash, self._settings = conversation, leash, settings
        bound = struct.pack("ll", int(settings.seconds) + _PATIENCE, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conversation.setsockopt(socket.SOL_SOCKET, option, bound)
        self._reader = conversation.makefile("rb", PIECE)
        self._sender = Sender(conversation)
        self.is_killed = False

    def has_left(self) -> bool:
        """Whether it will answer no call any more."""
        try:
            return not self._conversation.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def ask(
        self, function: Callable[..., object], args: tuple[object, ...], keywords: dict[str, object]
    ) -> Answer:
        """Have it call `function`. After an exception it is of no more use.

        Raises DecoderFailed, Unavailable; TypeError and its like for what can't be sent.
        """
        call = function, tuple(map(_sendable, args)), _sendable_values(keywords)
        overdue = time.monotonic() + self._settings.seconds
        try:
            pickle.dump(call, self._sender, PROTOCOL)
        except OSError as exc:
            raise self._ended() from exc
        try:
            return Answer(*_Answers(self._reader).load())
        except MemoryError:
            raise
        except Exception as exc:
            if self.has_left() or time.monotonic() > overdue:
                raise self._ended() from exc
            raise DecoderFailed(f"a decoder's answer can't be read: {exc}", FAULT) from exc

    def kill(self) -> None:
        """Have the host kill it; whoever waits for its answer gets Unavailable."""
        self.is_killed = True
        with contextlib.suppress(OSError):
            self._leash.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let it go, dead or alive."""
        self._reader.close()
        self._conversation.close()
        self._leash.close()

    def _ended(self) -> VnaError:
        """Why there is no answer."""
        status = self._status()
        if status is None:
            return Unavailable("the processes that decode pixels have ended; ask again")
        if status == -signal.SIGALRM:
            limit = f"the {self._settings.seconds:g} s of decoding.seconds"
            return DecoderFailed(f"decoding took longer than {limit}", "time")
        if status == OUT_OF_MEMORY:
            return DecoderFailed("decoding took more than decoding.memory_bytes", "memory")
        return DecoderFailed(f"the decoder crashed: it ended with {_name(status)}")

    def _status(self) -> int | None:
        """The exit code that the host tells, negative for a signal; None when there is no host."""
        self._leash.settimeout(_STATUS_SECONDS)
        try:
            told = self._leash.recv(STATUS.size)
        except TimeoutError:
            return -signal.SIGALRM  # it still runs: its end comes when the leash is closed
        except OSError:
            return None
        return STATUS.unpack(told)[0] if len(told) == STATUS.size else None


class DecoderHost:
    """The process that forks decoders, started when the first is ordered. Shared by threads."""

    def __init__(self, settings: DecodingConfig) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def order(self, module: str) -> DecoderProcess:
        """A new decoder whose first call is of `module`. Raises Unavailable."""
        conversation, far = socket.socketpair()
        leash, far_leash = socket.socketpair()
        with far, far_leash:
            try:
                self._send(module.encode(), [far.fileno(), far_leash.fileno()])
            except OSError as exc:
                conversation.close()
                leash.close()
                raise Unavailable(f"no process for decoding pixels can be started: {exc}") from exc
        return DecoderProcess(conversation, leash, self._settings)

    def stop(self) -> None:
        """End it, and with it all its decoders; the next order starts another."""
        with self._lock:
            self._stop()

    def _send(self, order: bytes, descriptors: list[int]) -> None:
        with self._lock:
            try:
                socket.send_fds(self._running(), [order], descriptors)
            except OSError:  # it has ended since
                self._stop()
                socket.send_fds(self._running(), [order], descriptors)

    def _running(self) -> socket.socket:
        if self._control is None or self._process is None:
            control, far = socket.socketpair()
            with far:
                self._process = subprocess.Popen(  # noqa: S603
                    [
                        *(sys.executable, "-m", "vna.decoder_host"),
                        *(str(self._settings.memory_bytes), str(self._settings.seconds)),
                    ],
                    stdin=far.fileno(),
                    env=environment(os.environ),
                )
            self._control = control
        return self._control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(_STATUS_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


class _Answers(pickle.Unpickler):
    """Reads answers of a decoder, which may have been taken over: they can make values, and call nothing."""

    def find_class(self, module: str, name: str) -> type:
        """The classes of values and errors. Raises UnpicklingError for anything else."""
        if module == "vna.errors" or module.startswith(("vna.dicom.", "vna.model.")):
            found = super().find_class(module, name)
            if "." not in name and isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"a decoder answered with {module[:80]}.{name[:80]}")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What decoders get of `variables`: no address, no secret; each uses one core."""
    kept = {name: text for name, text in variables.items() if name.startswith(_KEPT_VARIABLES)}
    return kept | _VARIABLES


def _sendable(value: object) -> object:
    return pickle.PickleBuffer(value) if isinstance(value, memoryview) else value


def _sendable_values(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _sendable(value) for key, value in values.items()}


def _name(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
