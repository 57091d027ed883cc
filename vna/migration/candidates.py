"""What a walk finds: files that may be instances, and things that can't be."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast


class Fate(StrEnum):
    """What became of one file."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REFUSED = "refused"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The end of one file's way: its fate, and why if it is not in the archive as it should be."""

    name: str
    fate: Fate
    reason: str = ""
    size: int = 0
    sop_instance_uid: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LooseFile:
    """A file of its own."""

    path: Path

    @property
    def name(self) -> str:
        return printable(self.path)

    def open(self) -> BinaryIO:
        """A stream from the start. Raises OSError."""
        return self.path.open("rb", buffering=0)

    def size(self) -> int:
        """In bytes. Raises OSError."""
        return self.path.stat().st_size


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file inside a zip archive; the archive stays open as long as somebody refers to it."""

    path: Path
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return printable(f"{self.path}!{self.info.filename}")

    def open(self) -> BinaryIO:
        """A stream from the start, never longer than `size`. Raises OSError, BadZipFile, RuntimeError."""
        return cast("BinaryIO", self.archive.open(self.info))

    def size(self) -> int:
        """In bytes, as the archive declares it."""
        return self.info.file_size


def printable(path: Path | str) -> str:
    """A path, or a source's words, as text that any terminal, JSON and Postgres take; odd bytes are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


Candidate = LooseFile | ZipMember
