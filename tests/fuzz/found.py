"""Inputs that broke a promise once, as small text files that the suite replays."""

from __future__ import annotations

import hashlib
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz.registry import TARGETS, Target

FOUND = Path(__file__).parent / "found"
SHRINKING_SECONDS = 15.0
_LINE = 96


def found_files() -> list[Path]:
    """Every kept input."""
    return sorted(FOUND.glob("*/*.hex"))


def read_input(path: Path) -> bytes:
    """The bytes of a kept input, or those of any other file as they are."""
    if path.suffix != ".hex":
        return path.read_bytes()
    lines = path.read_text(encoding="utf-8").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def keep(target: Target, data: bytes, said: str, folder: Path = FOUND) -> Path:
    """Write `data` down with what it caused; returns the file."""
    name = hashlib.sha256(data).hexdigest()[:12]
    path = folder / target.name / f"{name}.hex"
    path.parent.mkdir(parents=True, exist_ok=True)
    comment = "".join(f"# {line}\n" for line in textwrap.wrap(said, _LINE)[:4])
    path.write_text(comment + "\n".join(textwrap.wrap(data.hex(), _LINE)) + "\n", encoding="utf-8")
    return path


def shrunk(check: Callable[[bytes], None], data: bytes, kind: type[BaseException]) -> bytes:
    """A smaller input that raises the same kind of error; `data` itself when it does so no more."""
    until = time.monotonic() + SHRINKING_SECONDS
    if not _raises(check, data, kind):
        return data
    size = max(1, len(data) // 2)
    while size and time.monotonic() < until:
        smaller = next(
            (each for each in _without(data, size, until) if _raises(check, each, kind)), None
        )
        if smaller is None:
            size //= 2
        else:
            data = smaller
    return data


def _without(data: bytes, size: int, until: float) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        if time.monotonic() > until:
            return
        yield data[:start] + data[start + size :]


def _raises(check: Callable[[bytes], None], data: bytes, kind: type[BaseException]) -> bool:
    try:
        check(data)
    except kind:
        return True
    except BaseException:  # noqa: BLE001 - whatever it is
        return False
    return False


def told(error: BaseException) -> str:
    """An error with the place where it arose, in a line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"[:300]


def how_to_reproduce(path: Path) -> str:
    """The command that runs one kept input."""
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f".venv/bin/python -m tests.fuzz --replay {shown}"


def target_of(path: Path) -> Target:
    """The target whose folder a kept input lies in. Raises KeyError."""
    return TARGETS[path.parent.name]
