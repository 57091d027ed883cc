"""A network of one's own: only the loopback interface, reached by nobody else."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1
_OWN = Path("/proc/thread-self/ns/net")
COMMAND = (sys.executable, "-m", "tests.peers.namespace")
"""What, put before a command, runs it in a network of its own."""


class NoNamespaces(OSError):
    """The system does not let this user make a network namespace."""


def enter() -> None:
    """Move this thread, and what it starts from now on, into a new network whose loopback interface is up.

    An ordinary user gets a user namespace too, in which he stays who he is; that works only while the process has
    a single thread. Raises NoNamespaces.
    """
    if os.geteuid() == 0:
        _call("unshare", _CLONE_NEWNET)
    else:
        user, group = os.geteuid(), os.getegid()
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _raise_loopback()


@contextmanager
def private_network() -> Iterator[None]:
    """`enter` for the duration of the block; this thread is back in the old network after it. Raises NoNamespaces."""
    with _OWN.open("rb") as before:
        enter()
        try:
            yield
        finally:
            _call("setns", before.fileno(), _CLONE_NEWNET)


def is_private() -> bool:
    """Whether this thread sees no interface but the loopback one."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def is_possible() -> bool:
    """Whether `private_network` works here: it needs root, and a system (or container) that allows it."""
    if os.geteuid() != 0:
        return False
    return subprocess.run([*COMMAND, "true"], capture_output=True, check=False).returncode == 0


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise NoNamespaces(number, f"{name}: {os.strerror(number)}")


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        try:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
        except PermissionError as exc:
            raise NoNamespaces(errno.EPERM, "the loopback interface can't be brought up") from exc


def main() -> None:
    """Become the command on the command line, in a network of its own."""
    try:
        enter()
    except NoNamespaces as exc:
        sys.exit(f"no network namespace can be made here: {exc}; run this as root")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main()
