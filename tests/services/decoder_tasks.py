"""What decoder processes are asked to do in tests: the worst that codecs do, and what they find around them."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

from vna.dicom.decode import DecodedFrame
from vna.errors import Unsupported

_HELD: list[bytes] = []


def double(data: bytes | memoryview) -> bytes:
    """Twice the same."""
    return bytes(data) * 2


def first(data: bytes, size: int) -> bytes:
    """The first `size` bytes."""
    return data[:size]


def lengths(frames: Sequence[bytes], *, scale: int) -> list[int]:
    """Of many values."""
    return [len(frame) * scale for frame in frames]


def decoded(data: bytes) -> DecodedFrame:
    """A value of the archive's own kind."""
    return DecodedFrame(data, "RGB", 1)


def process_id() -> int:
    """Who does this call."""
    return os.getpid()


def host_id() -> int:
    """Who forked who does this call."""
    return os.getppid()


def threads_of_host() -> int:
    """How many threads there were when the decoder was forked, and are now."""
    return len(list(Path(f"/proc/{os.getppid()}/task").iterdir()))


def environment() -> dict[str, str]:
    """Its variables."""
    return dict(os.environ)


def open_files() -> list[str]:
    """What its file descriptors are."""
    entries = [Path(f"/proc/self/fd/{number}") for number in range(1000)]
    return [str(entry.readlink()) for entry in entries if entry.is_symlink()]


def core_limit() -> int:
    """Bytes that a core dump may have."""
    return resource.getrlimit(resource.RLIMIT_CORE)[0]


def refuse(text: str) -> None:
    """An error of the archive's own."""
    raise Unsupported(text)


def fault() -> None:
    """An error that nobody foresaw."""
    raise KeyError("nobody foresaw this")


def misunderstood() -> object:
    """A value that no decoder gives."""
    return Path("/")


def unsendable() -> object:
    """A value that can't be sent at all."""
    return lambda: None


def segfault() -> None:
    """What a codec does that writes where it must not."""
    ctypes.string_at(0)


def abort() -> None:
    """What a codec does that finds its heap damaged."""
    os.abort()


def leave() -> None:
    """What a codec does that knows no better."""
    os._exit(0)


def loop_in_python() -> None:
    """For ever, in interpreted code."""
    while True:
        pass


def loop_in_native_code() -> None:
    """For longer than anybody lives, without a look at signals."""
    re.match("(a+)+$", "a" * 64 + "b")


def loop_with_closed_ears() -> None:
    """For ever, deaf to the alarm that ends others."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    loop_in_python()


def swell() -> None:
    """Take memory until there is none."""
    while True:
        _HELD.append(bytes(16 * 2**20))


def swell_and_hide_it() -> None:
    """The same, taken for a damaged frame."""
    try:
        swell()
    except MemoryError as exc:
        _HELD.clear()
        raise Unsupported("a frame can't be decoded") from exc


def swell_natively() -> int:
    """The same in native code, which gets no memory: whether the system would have given it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    taken = 0
    while libc.malloc(16 * 2**20):
        taken += 16 * 2**20
    return taken


def keep(count: int) -> int:
    """Keep so many bytes until the end; who did it."""
    _HELD.append(b"\1" * count)
    return os.getpid()


def kill_host() -> None:
    """End the process that forks decoders."""
    os.kill(os.getppid(), signal.SIGKILL)
    while True:
        signal.pause()


def wait_for(path: str) -> int:
    """Until somebody opens the other end of a named pipe; who did it."""
    with Path(path).open("rb") as pipe:
        pipe.read()
    return os.getpid()


def say_and_loop(path: str) -> None:
    """Say through a named pipe who does this, and never end."""
    Path(path).write_text(str(os.getpid()))
    loop_in_native_code()
