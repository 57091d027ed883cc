"""One part of metadata of a store request as it arrives: each instance as soon as it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from dicomweb.json_items import JsonItems, JsonItemsError
from dicomweb.media import DICOM_XML
from vna.dicom.native_xml import read_xml
from vna.errors import InvalidInstance, VnaError
from vna.model.query import JsonElement

Attributes = dict[str, JsonElement]


class BrokenMetadata(VnaError):
    """The metadata can't be read, or the bulk data do not belong to them; the request is read no further."""


class ReceivedMetadata:
    """The datasets of an array in JSON, one after the other, or the one of an XML document, at its end."""

    def __init__(self, kind: str) -> None:
        """`kind`: the media type of the part."""
        self._xml = bytearray()
        self._items = None if kind == DICOM_XML else JsonItems()

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._xml) if self._items is None else self._items.held

    def feed(self, data: bytes | memoryview) -> Iterator[Attributes]:
        """The datasets that `data` completes. Raises BrokenMetadata."""
        if self._items is None:
            self._xml += data
        else:
            yield from _datasets(self._items.feed(data))

    def finish(self) -> Iterator[Attributes]:
        """The datasets that are left: the part has ended. Raises BrokenMetadata."""
        if self._items is not None:
            yield from _datasets(self._items.finish())
            return
        try:
            yield read_xml(bytes(self._xml))
        except InvalidInstance as exc:
            raise BrokenMetadata(str(exc)) from exc


def _datasets(items: Iterator[bytes]) -> Iterator[Attributes]:
    try:
        for item in items:
            yield orjson.loads(item)
    except JsonItemsError as exc:
        raise BrokenMetadata(f"the JSON metadata are no array of datasets: {exc}") from exc
    except orjson.JSONDecodeError as exc:
        raise BrokenMetadata(f"the JSON metadata can't be read: {exc}") from exc


def bulk_uris(attributes: Mapping[str, object]) -> frozenset[str]:
    """The BulkDataURIs of a dataset and of the items in it, as far as it follows the model."""
    found: set[str] = set()
    waiting: list[object] = [attributes]
    while waiting:
        dataset = waiting.pop()
        elements = dataset.values() if isinstance(dataset, Mapping) else ()
        for element in elements:
            if not isinstance(element, Mapping):
                continue
            uri, values = element.get("BulkDataURI"), element.get("Value")
            if isinstance(uri, str):
                found.add(uri)
            if element.get("vr") == "SQ" and isinstance(values, list):
                waiting += values
    return frozenset(found)
