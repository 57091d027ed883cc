"""The files that a DICOMDIR names (PS3.3 F.3), kept inside its own folder."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from vna.dicom.elements import Encoding, Scanner, Token
from vna.dicom.envelope import find_syntax, read_envelope
from vna.migration.candidates import Candidate, Fate, Finding, LooseFile, printable

_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_REFERENCED_FILE_ID = 0x00041500
_FORBIDDEN = frozenset({"", ".", ".."})


def referenced_files(path: Path) -> Iterator[Candidate | Finding]:
    """The files named by Referenced File ID (0004,1500), each once.

    Names are found whatever their case, with or without a version (";1"), as on old media. A
    reference out of the DICOMDIR's folder is refused, a missing file is a failure.
    """
    folder = _Folder(path.parent)
    try:
        references = read_references(path)
    except (OSError, ValueError) as exc:
        yield Finding(printable(path), Fate.FAILED, f"not readable as a DICOMDIR: {exc}")
        return
    yield Finding(printable(path), Fate.SKIPPED, "a DICOMDIR is read, not stored")
    for parts in references:
        name = printable(f"{path}: {'/'.join(parts)}")
        if not _is_safe(parts):
            yield Finding(name, Fate.REFUSED, "the reference leads out of the DICOMDIR's folder")
            continue
        found = folder.find(parts)
        if found is None:
            yield Finding(name, Fate.FAILED, "named by the DICOMDIR, but there is no such file")
        elif not folder.holds(found):
            yield Finding(name, Fate.REFUSED, "the reference leads out of the DICOMDIR's folder")
        else:
            yield LooseFile(found)


def read_references(path: Path) -> list[tuple[str, ...]]:
    """Each distinct file ID as its components, in order. Raises OSError; ValueError for an empty file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        envelope = read_envelope(buffer)
        syntax = find_syntax(buffer, envelope.dataset_offset, envelope.transfer_syntax_uid)
        scanner, encoding = Scanner(buffer), syntax.encoding
        found: dict[tuple[str, ...], None] = {}
        for sequence in _elements(scanner, envelope.dataset_offset, len(buffer), encoding):
            if sequence[0] != _DIRECTORY_RECORD_SEQUENCE:
                continue
            inner = scanner.children_encoding(sequence, encoding)
            for start, end in scanner.items(sequence, encoding):
                for tag, _, offset, length, _ in _elements(scanner, start, end, inner):
                    if tag == _REFERENCED_FILE_ID and length:
                        found[_components(bytes(buffer[offset : offset + length]))] = None
    return list(found)


def _elements(scanner: Scanner, start: int, end: int, encoding: Encoding) -> list[Token]:
    tokens, _ = scanner.elements(start, end, encoding)
    return tokens


def _components(value: bytes) -> tuple[str, ...]:
    text = value.decode("latin-1").strip(" \0")
    return tuple(part.strip(" ") for part in text.split("\\"))


def _is_safe(parts: tuple[str, ...]) -> bool:
    return not any(part in _FORBIDDEN or "/" in part or "\0" in part for part in parts)


class _Folder:
    """The DICOMDIR's folder; listings are kept, since a medium may name thousands of files."""

    def __init__(self, top: Path) -> None:
        self._top, self._real_top = top, top.resolve()
        self._listings: dict[Path, dict[str, Path]] = {}

    def find(self, parts: tuple[str, ...]) -> Path | None:
        """The file that a medium's reader would take; None when there is none."""
        path = self._top.joinpath(*parts)
        if not path.is_file():
            path = self._top
            for part in parts:
                below = self._listing(path).get(_folded(part))
                if below is None:
                    return None
                path = below
        return path if path.is_file() else None

    def holds(self, path: Path) -> bool:
        """Whether `path` truly lies inside, links followed."""
        return path.resolve().is_relative_to(self._real_top)

    def _listing(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listings:
            try:
                entries = sorted(folder.iterdir(), reverse=True)
            except OSError:
                entries = []
            self._listings[folder] = {_folded(entry.name): entry for entry in entries}
        return self._listings[folder]


def _folded(name: str) -> str:
    return name.casefold().split(";")[0].rstrip(".")
