"""Instances in one zip archive, with a DICOMDIR where it is asked for (PS3.18 8.7.3, PS3.12 V)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from dicomweb.bodies import CHUNK_BYTES, Chunks
from dicomweb.media import ZIP, MediaType
from dicomweb.parameters import truth
from vna.dicom.media_directory import DIRECTORY_NAME, MediaDirectory
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement

_FOLDER = "DICOM"
_ZIP64_BYTES = 2**31 - 2**20

Describe = Callable[[StoredInstance], dict[str, JsonElement]]


@dataclass(frozen=True, slots=True)
class ZippedFile:
    """An instance as a DICOM file in a transfer syntax; `length`: -1 when it is not known."""

    instance: StoredInstance
    transfer_syntax_uid: str
    length: int
    chunks: Chunks


def wants_directory(ranges: Iterable[MediaType], parameter: str) -> bool:
    """Whether a DICOMDIR is asked for: `?dicomdir=true`, or application/zip; dicomdir=true. Raises BadRequest."""
    asked = [parameter, *(found.get("dicomdir") for found in ranges if found.kind == ZIP)]
    said = [truth("dicomdir", value) for value in asked]
    return any(said)


def zip_chunks(files: Iterable[ZippedFile], describe: Describe | None) -> Chunks:
    """A zip archive of `files`, made as it is taken; `describe` gives what a DICOMDIR needs.

    Files are numbered, so no UID becomes a name. They are not compressed any further, but framed as
    deflate streams: readers that see the archive only once can tell where each one ends.
    """
    sink = _Sink()
    directory = MediaDirectory() if describe else None
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        places = _Places()
        for file in files:
            place = places.of(file.instance)
            name = "/".join(place) if directory else "/".join(place[1:]) + ".dcm"
            yield from _entry(archive, sink, name, file)
            if directory is not None and describe is not None:
                header = describe(file.instance)
                directory.add(place, file.instance, file.transfer_syntax_uid, header)
        if directory is not None:
            archive.writestr(DIRECTORY_NAME, directory.encoded())
    yield from sink.taken()


def _entry(archive: zipfile.ZipFile, sink: _Sink, name: str, file: ZippedFile) -> Chunks:
    is_large = not 0 <= file.length < _ZIP64_BYTES
    with closing(file.chunks), archive.open(name, "w", force_zip64=is_large) as entry:
        for chunk in file.chunks:
            entry.write(chunk)
            if sink.held >= CHUNK_BYTES:
                yield from sink.taken()


class _Places:
    """Numbered names that suit a file ID of PS3.10 8.5: a folder for each series."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], list[int]] = {}

    def of(self, instance: StoredInstance) -> Sequence[str]:
        uids = instance.uids
        key = (uids.study_instance_uid, uids.series_instance_uid)
        numbers = self._series.setdefault(key, [len(self._series) + 1, 0])
        numbers[1] += 1
        return (_FOLDER, f"SE{numbers[0]:06}", f"IM{numbers[1]:06}")


class _Sink:
    """A file that is only written to; what it holds is taken from time to time."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.held = 0

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        self.held += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def taken(self) -> Iterator[bytes]:
        """Everything held, in one piece."""
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self.held = 0
            yield data
