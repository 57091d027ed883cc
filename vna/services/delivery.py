"""Whole instances on their way out: as stored or in another transfer syntax, page by page."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from storage_backends.base import ObjectReader
from vna.dicom.part10 import file_meta
from vna.dicom.syntaxes import object_syntaxes
from vna.errors import Unsupported
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement
from vna.services.header_json import header_json
from vna.services.piecewise import PiecewiseConversion
from vna.services.pixels import PixelService
from vna.services.retrieve import RetrieveService
from vna.services.spans import Pieces

_PAGE, _FIRST_PAGE = 200, 16
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """The bytes of a DICOM file (PS3.10 7), its first ones made; `length`: -1 when it is not known.

    Closing `chunks` ends the work.
    """

    chunks: Generator[bytes, None, None]
    length: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """As Opened, with spans of files among its `chunks`."""

    chunks: Pieces
    length: int


class Selected:
    """The instances of a selection in the order of delivery; only a page of them is held."""

    def __init__(self, retrieve: RetrieveService, selection: Selection) -> None:
        self._retrieve = retrieve
        if selection.sop_instance_uids:
            self._rows: Sequence[StoredInstance] = retrieve.select(selection)
            self._ids: Sequence[int] = [row.instance_id for row in self._rows]
            syntaxes = [row.transfer_syntax_uid for row in self._rows]
            self.digest = "-".join(row.object_tag for row in self._rows)
            """Equal ones stand for equal objects in equal order."""
        else:
            chosen = retrieve.choose(selection)
            self._rows, self._ids = (), chosen.ids
            syntaxes = [kind.transfer_syntax_uid for kind in chosen.kinds]
            self.digest = chosen.digest
        self.syntaxes = tuple(dict.fromkeys(syntaxes))
        """The transfer syntaxes in which they are stored."""

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Generator[StoredInstance, None, None]:
        """Those that are still there when their turn comes. Raises Unavailable."""
        if self._rows:
            yield from self._rows
            return
        start, size = 0, _FIRST_PAGE  # so that something is on its way soon
        while start < len(self._ids):
            yield from self._retrieve.load(self._ids[start : start + size])
            start, size = start + size, _PAGE


class DeliveryService:
    """Opens instances in the transfer syntax in which somebody takes them."""

    def __init__(
        self, retrieve: RetrieveService, pixels: PixelService, piecewise: PiecewiseConversion
    ) -> None:
        self._retrieve, self._pixels, self._piecewise = retrieve, pixels, piecewise

    def select(self, selection: Selection) -> Selected:
        """What is to be delivered. Raises Unavailable."""
        return Selected(self._retrieve, selection)

    def syntaxes(self, transfer_syntax_uid: str) -> tuple[str, ...]:
        """In which syntaxes what is stored in this one can, as a rule, be had: that one first."""
        return object_syntaxes(transfer_syntax_uid)

    def pieces(self, instance: StoredInstance, transfer_syntax_uid: str) -> Delivered:
        """As `open`, what is stored in a file as spans of it. Raises Corrupt, Unavailable, Unsupported."""
        if transfer_syntax_uid == instance.transfer_syntax_uid:
            return Delivered(*self._retrieve.part10_pieces(instance))
        opened = self.open(instance, transfer_syntax_uid)
        return Delivered(opened.chunks, opened.length)

    def open(self, instance: StoredInstance, transfer_syntax_uid: str) -> Opened:
        """The instance as a file. Raises Corrupt, Unavailable, Unsupported; so may reading it."""
        if transfer_syntax_uid == instance.transfer_syntax_uid:
            reader, length = self._retrieve.open_part10(instance)
            return Opened(_read(reader), length)
        meta = file_meta(
            instance.sop_class_uid, instance.uids.sop_instance_uid, transfer_syntax_uid
        )
        if self._piecewise.can_convert(instance, transfer_syntax_uid):
            dataset = self._piecewise.dataset(instance, transfer_syntax_uid)
            with contextlib.suppress(Unsupported):  # what is odd may yet be read as a whole
                return Opened(_begun(_following(meta, dataset)), -1)
        converted = self._pixels.dataset_as(instance, transfer_syntax_uid)
        return Opened(_following(meta, (converted,)), len(meta) + len(converted))

    def attributes(self, instance: StoredInstance) -> dict[str, JsonElement]:
        """Its header in the DICOM JSON model, without bulk data. Raises Corrupt, Unavailable."""
        return header_json(self._retrieve, instance, lambda path: path)


def _read(reader: ObjectReader) -> Generator[bytes, None, None]:
    with reader:
        while chunk := reader.read(_CHUNK):
            yield chunk


def _following(first: bytes, rest: Iterable[bytes]) -> Generator[bytes, None, None]:
    yield first
    yield from rest


def _begun(pieces: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """`pieces`, the first two of them made: most of what can fail has not failed then."""
    first, second = next(pieces), next(pieces)
    return _following(first, _following(second, pieces))
