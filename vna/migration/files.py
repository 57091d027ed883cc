"""A lazy walk over files, folders, zip archives and DICOMDIRs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from vna.migration.candidates import Candidate, Fate, Finding, LooseFile, printable
from vna.migration.dicomdir import referenced_files
from vna.migration.sniff import HEAD_BYTES, Kind, sniff
from vna.migration.zips import zip_members

_ZIP_SUFFIX = ".zip"


def walk(paths: Iterable[Path]) -> Iterator[Candidate | Finding]:
    """Every file at or below `paths` as a candidate, or as a Finding when it can't be one.

    Links are followed; a folder is entered once however many ways lead there, which also ends
    loops. A file is opened here only if it is named itself or ends in ".zip"; the others are told
    apart when they are imported. A DICOMDIR named itself brings in the files it lists. Nothing
    raises: what can't be read is a Finding.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        try:
            status = path.stat()
        except OSError as exc:
            yield _unreadable(path, exc)
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _walk_folder(path, seen)
        elif stat.S_ISREG(status.st_mode):
            yield from _named_file(path)
        else:
            yield _not_a_file(path)


def _named_file(path: Path) -> Iterator[Candidate | Finding]:
    try:
        with path.open("rb", buffering=0) as file:
            kind = sniff(file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size)
    except OSError as exc:
        yield _unreadable(path, exc)
        return
    if kind is Kind.ZIP:
        yield from zip_members(path)
    elif kind is Kind.DICOMDIR:
        yield from referenced_files(path)
    else:
        yield LooseFile(path)


def _walk_folder(top: Path, seen: set[tuple[int, int]]) -> Iterator[Candidate | Finding]:
    """Depth first, files of a folder before its sub-folders, both by name."""
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                continue
            seen.add(identity)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as exc:
            yield _unreadable(folder, exc)
            continue
        below = []
        for entry in entries:
            if _is_folder(entry):
                below.append(Path(entry.path))
            else:
                yield from _entry(entry)
        pending.extend(reversed(below))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entry(entry: os.DirEntry[str]) -> Iterator[Candidate | Finding]:
    path = Path(entry.path)
    try:
        is_file = stat.S_ISREG(entry.stat().st_mode)
    except OSError as exc:  # a link that leads nowhere, or in circles
        yield _unreadable(path, exc)
        return
    if not is_file:
        yield _not_a_file(path)
    elif entry.name.lower().endswith(_ZIP_SUFFIX):
        yield from _named_file(path)
    else:
        yield LooseFile(path)


def _unreadable(path: Path, error: OSError) -> Finding:
    return Finding(printable(path), Fate.FAILED, f"cannot be read: {error.strerror or error}")


def _not_a_file(path: Path) -> Finding:
    return Finding(printable(path), Fate.SKIPPED, "neither a file nor a folder")
