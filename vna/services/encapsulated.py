"""What a stored instance is to people who look at it, and the documents and videos inside."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from vna.dicom.documents import VIDEO_TYPES, DocumentType, Form, document_type, form_of
from vna.dicom.json import ElementSpan
from vna.dicom.json_reading import Dataset
from vna.errors import NotFound, Unsupported
from vna.model.instances import StoredInstance
from vna.services.header_bytes import HeaderBytes, header_bytes
from vna.services.header_json import header_json
from vna.services.reading import Read, fragments_reader, layout_reader
from vna.services.retrieve import RetrieveService

_DOCUMENT, _MIME_TYPE, _DOCUMENT_LENGTH = "00420011", "00420012", "00420015"
_MAX_STATE = 16 * 2**20
_CONTENT, _REPRESENTATIVE_FRAME = "0040A730", "00286010"


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was before it was put into DICOM: `read(start, length)` gives its bytes."""

    type: DocumentType
    length: int
    read: Read


class DocumentService:
    """Finds what is no picture in instances: documents, videos, reports, presentation states."""

    def __init__(self, retrieve: RetrieveService, max_bytes: int) -> None:
        """`max_bytes` bounds what a deflated dataset may inflate to in memory."""
        self._retrieve, self._max_bytes = retrieve, max_bytes

    def form(self, instance: StoredInstance) -> Form:
        """What `instance` is; a private one without pixel data is looked into.

        Raises Corrupt, Unavailable.
        """
        form = form_of(instance)
        if form is not Form.DATA:
            return form
        with header_bytes(self._retrieve, instance) as header:
            for path, found in ((_DOCUMENT, Form.DOCUMENT), (_CONTENT, Form.REPORT)):
                if _find(header, instance, path) is not None:
                    return found
        return Form.DATA

    def document_type(self, instance: StoredInstance) -> DocumentType:
        """What an encapsulated document is. Raises Corrupt, Unavailable."""
        known = document_type(instance.sop_class_uid)
        if known.suffix != "bin":
            return known
        with header_bytes(self._retrieve, instance) as header:
            return _declared_type(header, instance)

    def document(self, instance: StoredInstance) -> Document:
        """An encapsulated document. Raises NotFound where there is none, Corrupt, Unavailable."""
        with header_bytes(self._retrieve, instance) as header:
            span = _find(header, instance, _DOCUMENT)
            if span is None:
                raise NotFound(
                    f"instance {instance.uids.sop_instance_uid} holds no encapsulated document"
                )
            kind = _declared_type(header, instance)
            length = _unpadded(header, instance, span, kind)
            offset = header.position(span.offset, instance)
        read = layout_reader(self._retrieve, instance, self._max_bytes)
        return Document(kind, length, _part(read, offset, length))

    def video(self, instance: StoredInstance) -> Document:
        """The stream of a video: its fragments one behind the other. Raises Corrupt, Unavailable."""
        layout = instance.layout
        read = layout_reader(self._retrieve, instance, self._max_bytes)
        length, joined = fragments_reader(read, (layout.pixel_offset, layout.pixel_length))
        kind = VIDEO_TYPES[instance.transfer_syntax_uid]
        suffix = "mp4" if kind == "video/mp4" else "mpg"
        return Document(DocumentType(kind, (), suffix), length, _part(joined, 0, length))

    def header(self, instance: StoredInstance) -> Dataset:
        """Every element but the long binary ones, in the DICOM JSON model. Raises Corrupt, Unavailable."""
        return header_json(self._retrieve, instance, lambda path: path)

    def state(self, instance: StoredInstance) -> Dataset:
        """Every element of a presentation state. Raises Unsupported for one that is too large to be
        true, Corrupt, Unavailable.
        """
        if instance.location.length > _MAX_STATE:
            raise Unsupported(
                f"presentation state {instance.uids.sop_instance_uid} has {instance.location.length} "
                f"bytes, more than the {_MAX_STATE} that are read"
            )
        return header_json(self._retrieve, instance, None)

    def representative_frame(self, instance: StoredInstance) -> int:
        """The frame that stands for all (PS3.3 C.7.6.6), 0 where none is named. Raises Corrupt,
        Unavailable.
        """
        if instance.number_of_frames <= 1:
            return 1
        with header_bytes(self._retrieve, instance) as header:
            named = _number(header, instance, _REPRESENTATIVE_FRAME)
        return named if 1 <= named <= instance.number_of_frames else 0


def _find(header: HeaderBytes, instance: StoredInstance, path: str) -> ElementSpan | None:
    """Where in the header a value lies, None where there is none."""
    with suppress(NotFound, Unsupported):
        return header.find(instance, path)
    return None


def _bytes(header: HeaderBytes, span: ElementSpan) -> bytes:
    return bytes(header.data[span.offset : span.offset + span.length])


def _number(header: HeaderBytes, instance: StoredInstance, path: str) -> int:
    """An unsigned number of two or four bytes, 0 where there is none."""
    span = _find(header, instance, path)
    if span is None or span.length not in {2, 4}:
        return 0
    return int.from_bytes(_bytes(header, span), "big" if span.big_endian else "little")


def _declared_type(header: HeaderBytes, instance: StoredInstance) -> DocumentType:
    span = _find(header, instance, _MIME_TYPE)
    declared = _bytes(header, span)[:256] if span is not None else b""
    return document_type(instance.sop_class_uid, declared.decode("ascii", "replace"))


def _unpadded(
    header: HeaderBytes, instance: StoredInstance, span: ElementSpan, kind: DocumentType
) -> int:
    """The length of a document without the byte that makes it even."""
    told = _number(header, instance, _DOCUMENT_LENGTH)
    if told in {span.length, span.length - 1}:
        return told
    is_text = kind.media_type.startswith("text/")
    padded = is_text and span.length and header.data[span.offset + span.length - 1] == 0
    return span.length - 1 if padded else span.length


def _part(read: Read, offset: int, size: int) -> Read:
    """`size` bytes from `offset` of `read`, as a reader of its own."""
    return lambda start, length: read(offset + start, min(length, size - start))
