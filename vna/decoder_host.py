"""A process without threads that loads codecs once and forks the decoder processes, which do calls."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import pickle
import resource
import selectors
import signal
import socket
import struct
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from vna.errors import VnaError

RETURNED, RAISED, FAULT = "returned", "raised", "fault"
"""What came of a call: a value, a VnaError, or the traceback of something else."""

OUT_OF_MEMORY = 70
"""The exit code of a decoder whose memory was used up."""

STATUS = struct.Struct("<i")
"""How a decoder ended, as it goes over its leash: an exit code, or the negative number of a signal."""

MAX_ORDER = 256
"""Bytes of an order for a new decoder: the name of the module that its first call needs."""

PROTOCOL = 5
PIECE = 64 * 2**10

_PR_SET_PDEATHSIG = 1
_PAGE = resource.getpagesize()
_SPENT = 4
"""A decoder that has kept a quarter of its memory after a call makes room for a fresh one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a decoder may take: `memory_bytes` beyond its code, `seconds` for a call."""

    memory_bytes: int
    seconds: float


class Sender:
    """Takes what a pickler writes to a socket, large values without a copy."""

    def __init__(self, conversation: socket.socket) -> None:
        self._conversation = conversation

    def write(self, data: bytes, /) -> None:
        """All of `data` at once. Raises OSError."""
        self._conversation.sendall(data)


class Host:
    """Forks a decoder for each order that comes over `control`, until its other end is closed.

    An order brings two sockets: the conversation, which the decoder gets, and the leash. The host says over
    the leash how the decoder ended, and kills it when the other end of the leash is closed.
    """

    def __init__(self, control: socket.socket, limits: Limits) -> None:
        self._control = control
        self._limits = limits
        self._leashes: dict[int, socket.socket] = {}
        self._selector = selectors.PollSelector()
        self._woken, self._wake = socket.socketpair()
        self._process_id = os.getpid()

    def run(self) -> None:
        """Returns when nobody is left to order anything; decoders that still work are killed then."""
        for end in (self._woken, self._wake):
            os.set_blocking(end.fileno(), False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while self._handle(self._selector.select()):
            self._reap()
        for process_id in self._leashes:
            os.kill(process_id, signal.SIGKILL)

    def _handle(self, events: list[tuple[selectors.SelectorKey, int]]) -> bool:
        """Whether somebody may still order decoders."""
        for key, _ in events:
            if key.fileobj is self._control:
                if not self._take_order():
                    return False
            elif key.fileobj is self._woken:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            else:
                self._selector.unregister(key.fileobj)
                os.kill(key.data, signal.SIGKILL)
        return True

    def _take_order(self) -> bool:
        try:
            module, descriptors, _, _ = socket.recv_fds(self._control, MAX_ORDER, 2)
        except ConnectionError:
            return False
        ends = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        if len(ends) == 2:
            load(module.decode())
            self._fork(*ends)
        return bool(module)

    def _fork(self, conversation: socket.socket, leash: socket.socket) -> None:
        with conversation:
            try:
                process_id = os.fork()
            except OSError:  # both ends closed without a word: no decoder now
                leash.close()
                return
            if process_id == 0:
                self._leave(leash)
                decode(conversation, self._limits, self._process_id)
        self._leashes[process_id] = leash
        self._selector.register(leash, selectors.EVENT_READ, process_id)

    def _leave(self, leash: socket.socket) -> None:
        """In the child: nothing of the host is its own."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._control, self._woken, self._wake, leash, *self._leashes.values()):
            end.close()

    def _reap(self) -> None:
        """Say of each decoder that has ended how it did."""
        while self._leashes:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if process_id == 0:
                return
            leash = self._leashes.pop(process_id)
            with contextlib.suppress(KeyError):
                self._selector.unregister(leash)
            with leash, contextlib.suppress(OSError):
                leash.send(STATUS.pack(os.waitstatus_to_exitcode(status)))


def load(module: str) -> None:
    """Import what the decoders forked from now on share; what can't be imported fails in them, and says why."""
    with contextlib.suppress(Exception):
        importlib.import_module(module)


# --- in the decoder -------------------------------------------------------------------------------


def decode(conversation: socket.socket, limits: Limits, host: int) -> NoReturn:
    """Do calls until nobody asks for any; it never returns into what was forked."""
    code = 1
    try:
        _bind(limits, host)
        _converse(conversation, limits)
        code = 0
    except OSError:
        code = 0  # nobody waits for the answer
    except MemoryError:
        code = OUT_OF_MEMORY
    finally:
        os._exit(code)


def _converse(conversation: socket.socket, limits: Limits) -> None:
    base, sender = size(), Sender(conversation)
    spare = limits.memory_bytes // _SPENT
    is_spent = False
    with conversation.makefile("rb") as reader:
        while not is_spent and reader.peek(1):
            signal.setitimer(signal.ITIMER_REAL, limits.seconds)
            kind, value = _outcome(reader)
            is_spent = kind == FAULT or size() - base > spare
            pickle.dump((kind, value, is_spent), sender, PROTOCOL)
            del value
            signal.setitimer(signal.ITIMER_REAL, 0)
        while reader.read(PIECE):  # who closes first loses what the other has not read
            pass


def _outcome(reader: BinaryIO) -> tuple[str, object]:
    """Read a call and do it. Raises MemoryError, also for a codec that has made another error of it."""
    try:
        function, args, keywords = pickle.load(reader)  # noqa: S301 – from the archive itself
        return RETURNED, function(*args, **keywords)
    except MemoryError:
        raise
    except VnaError as exc:
        if _is_want_of_memory(exc):
            raise MemoryError from exc
        return RAISED, exc
    except BaseException:  # noqa: BLE001 – a panic of Rust code is no Exception
        return FAULT, traceback.format_exc(limit=-8)


def _is_want_of_memory(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__ or error.__context__
    return error is not None


def _bind(limits: Limits, host: int) -> None:
    """Take away what a decoder does not need: a life after its host, memory, core dumps, a voice."""
    gc.freeze()  # what was loaded stays shared with the host
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):  # when memory gets short, the system takes it from here
            Path("/proc/self/oom_score_adj").write_text("1000")
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = size() + limits.memory_bytes
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    if os.getppid() != host:
        os._exit(0)


def size() -> int:
    """Bytes of address space that this process has, 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123 – for each call: no detours
            return int(file.read(64).split()[0]) * _PAGE
    except OSError:
        return 0


def main() -> None:
    """`python -m vna.decoder_host MEMORY_BYTES SECONDS`, with the control socket as standard input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the process that it works for
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    Host(control, Limits(int(sys.argv[1]), float(sys.argv[2]))).run()
    os._exit(0)


if __name__ == "__main__":
    main()
