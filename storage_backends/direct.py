"""Writing past the page cache: what nobody reads soon need not be copied there."""

from __future__ import annotations

import errno
import fcntl
import os

ALIGNMENT = 4096
"""Position, length and place in memory of what goes past the cache are multiples of this (bytes)."""
MIN_LENGTH = 64 * 2**10
"""Less is copied sooner than it is written directly."""

_O_DIRECT = getattr(os, "O_DIRECT", 0)
_NOT_THIS_WAY = frozenset({errno.EINVAL, errno.ENOTSUP})


def write_all(fd: int, data: memoryview, position: int = 0) -> None:
    """Write all of `data`, whole blocks past the page cache where that can be done. Raises OSError.

    `position` (bytes) is where the file stands; it was opened without status flags. The cache is used where
    file system, memory or position forbid to go past it, and for the last block. Nothing is durable
    before an fsync, as ever; what went past the cache is whole on its way out when this returns.
    """
    done = 0
    if len(data) >= MIN_LENGTH and _O_DIRECT and not position % ALIGNMENT:
        done = _write_directly(fd, data[: len(data) & -ALIGNMENT])
    while done < len(data):
        done += os.write(fd, data[done:] if done else data)


def read_at(fd: int, target: memoryview, position: int) -> int:
    """Fill `target` from `position` on; the count of bytes read, fewer at the end of the file. Raises OSError.

    Whole blocks come past the page cache under the same conditions as in `write_all`.
    """
    done = 0
    if len(target) >= MIN_LENGTH and _O_DIRECT and not position % ALIGNMENT:
        done = _read_directly(fd, target[: len(target) & -ALIGNMENT], position)
    while done < len(target):
        count = os.preadv(fd, [target[done:]], position + done)
        if not count:
            break
        done += count
    return done


def _write_directly(fd: int, data: memoryview) -> int:
    """How many bytes went this way: all, or a number of whole blocks."""
    done = 0
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, _O_DIRECT)
    except OSError:
        return done
    try:
        while done < len(data) and not done % ALIGNMENT:
            done += os.write(fd, data[done:])
    except OSError as exc:
        if exc.errno not in _NOT_THIS_WAY:
            raise
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    return done


def _read_directly(fd: int, target: memoryview, position: int) -> int:
    done = 0
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, _O_DIRECT)
    except OSError:
        return done
    try:
        while done < len(target) and not done % ALIGNMENT:
            count = os.preadv(fd, [target[done:]], position + done)
            if not count:
                break
            done += count
    except OSError as exc:
        if exc.errno not in _NOT_THIS_WAY:
            raise
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    return done
