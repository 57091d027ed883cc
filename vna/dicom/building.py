"""DICOM files made of metadata and of bulk data that came apart from it (PS3.18 10.5.2, PS3.10 7.1)."""

from __future__ import annotations

from collections.abc import Mapping

from vna.dicom.build_pixels import OCTET_STREAM, BulkPart, PixelValue, pixel_value
from vna.dicom.element_writer import Chunk
from vna.dicom.exact_values import binary_value
from vna.dicom.from_json import BulkValue, dataset_chunks
from vna.dicom.part10 import file_meta
from vna.dicom.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from vna.errors import InvalidInstance
from vna.model.identifiers import is_keepable_uid
from vna.model.query import JsonElement

SOP_CLASS_UID, SOP_INSTANCE_UID, TRANSFER_SYNTAX_UID = "00080016", "00080018", "00020010"
_PIXEL_DATA, _DOCUMENT = "7FE00010", "00420011"
_DOCUMENT_TYPE, _DOCUMENT_LENGTH = "00420012", "00420015"
_PIXELS_HERE = "\0pixel data"


def build_file(metadata: Mapping[str, JsonElement], parts: Mapping[str, BulkPart]) -> list[Chunk]:
    """A Part 10 file of `metadata`, in pieces that share the bytes of `parts`, keyed as BulkDataURIs name them.

    Pixel data is stored as it came: native, or encapsulated in the transfer syntax that its part and its codestream
    tell. What a codestream or a document tells of itself is added where the metadata leaves it out: the Image Pixel
    module, the number of frames, lossy compression, type and length of the document. Transfer Syntax UID
    (0002,0010) among the metadata counts where a part does not name one.

    Raises InvalidInstance for metadata that can't be written as they are, that name no instance, or that contradict
    the bulk data, and Unsupported for pixel data that no transfer syntax in force can hold.
    """
    attributes = {key.upper(): element for key, element in metadata.items()}
    hint = text_of(attributes, TRANSFER_SYNTAX_UID)
    uids = [_uid(attributes, key) for key in (SOP_CLASS_UID, SOP_INSTANCE_UID)]
    pixels = _pixels(attributes, parts, hint)
    if pixels is not None:
        attributes |= pixels.attributes
        vr = attributes[_PIXEL_DATA].get("vr") or "OW"
        attributes[_PIXEL_DATA] = {"vr": vr, "BulkDataURI": _PIXELS_HERE}
    attributes |= _document(attributes, parts)

    def bulk(uri: str) -> BulkValue:
        if uri == _PIXELS_HERE and pixels is not None:
            return pixels.value
        part = _part(parts, uri)
        if len(part.pieces) > 1:
            raise InvalidInstance(f"several parts are named {uri[:64]!r}, which is not pixel data")
        return BulkValue(part.pieces)

    dataset = dataset_chunks(attributes, bulk)
    syntax = pixels.transfer_syntax_uid if pixels is not None else EXPLICIT_VR_LITTLE_ENDIAN
    return [file_meta(uids[0], uids[1], syntax), *dataset]


def text_of(attributes: Mapping[str, JsonElement], key: str) -> str:
    """The one text value of an attribute, "" when it has none."""
    element = attributes.get(key)
    values = element.get("Value") if isinstance(element, Mapping) else None
    if isinstance(values, list) and values and isinstance(values[0], str):
        return values[0].strip("\0 ")
    return ""


def _uid(attributes: Mapping[str, JsonElement], key: str) -> str:
    uid = text_of(attributes, key)
    if not uid or not is_keepable_uid(uid):
        raise InvalidInstance(f"the metadata has no usable UID in {key}")
    return uid


def _part(parts: Mapping[str, BulkPart], uri: object) -> BulkPart:
    part = parts.get(uri) if isinstance(uri, str) else None
    if part is None:
        raise InvalidInstance(
            f"no part has the Content-Location {str(uri)[:64]!r}; bulk data is never fetched"
        )
    return part


def _pixels(
    attributes: Mapping[str, JsonElement], parts: Mapping[str, BulkPart], hint: str
) -> PixelValue | None:
    element = attributes.get(_PIXEL_DATA)
    if not isinstance(element, Mapping):
        return None
    if "BulkDataURI" in element:
        part = _part(parts, element["BulkDataURI"])
    elif "InlineBinary" in element:
        part = BulkPart((binary_value(element["InlineBinary"], _PIXEL_DATA),))
    else:
        return None
    return pixel_value(attributes, part, hint)


def _document(
    attributes: Mapping[str, JsonElement], parts: Mapping[str, BulkPart]
) -> dict[str, JsonElement]:
    """Type and true length of an encapsulated document, where they are not told (PS3.3 C.24.2)."""
    element = attributes.get(_DOCUMENT)
    uri = element.get("BulkDataURI") if isinstance(element, Mapping) else None
    if uri is None:
        return {}
    part = _part(parts, uri)
    added: dict[str, JsonElement] = {}
    if not attributes.get(_DOCUMENT_TYPE, {}).get("Value") and part.kind != OCTET_STREAM:
        added[_DOCUMENT_TYPE] = {"vr": "LO", "Value": [part.kind]}
    if not attributes.get(_DOCUMENT_LENGTH, {}).get("Value"):
        added[_DOCUMENT_LENGTH] = {"vr": "UL", "Value": [sum(map(len, part.pieces))]}
    return added
