"""Frames of stored instances: as stored without looking at anything else, converted when asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage_backends.base import ObjectReader, span_of
from vna.dicom.decode import PixelDescription
from vna.dicom.frame_conversion import convert_frame
from vna.dicom.syntaxes import (
    DEFLATED_EXPLICIT_VR,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    FRAME_TARGETS,
    IMPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
    can_transcode,
)
from vna.errors import NotFound, Unsupported
from vna.interrupts import check_interrupt
from vna.model.found_frames import FoundFrames
from vna.model.identifiers import InstanceUids
from vna.model.instances import StoredInstance
from vna.recent import Recent
from vna.services.decoders import Decoding
from vna.services.frame_reading import cut_frame, only_fragment, read_frames
from vna.services.header_bytes import is_deflated
from vna.services.header_json import header_json
from vna.services.pixels import Frame, PixelService, describe
from vna.services.reading import check_frame_size
from vna.services.retrieve import RetrieveService
from vna.services.spans import FileSpan, Pieces

_NATIVE = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR,
    }
)
_FLOATING = ("7FE00008", "7FE00009")
_DESCRIPTIONS = 1000
_MUCH_MORE = 2
_LEAST_SPAN = 64 * 2**10
"""Bytes from which on it is worth while to have the kernel send a part of a file."""


class FrameService:
    """Finds and delivers single frames; whoever stops asking stops the work."""

    def __init__(
        self, retrieve: RetrieveService, pixels: PixelService, decoders: Decoding, max_bytes: int
    ) -> None:
        self._retrieve, self._pixels, self._decoders = retrieve, pixels, decoders
        self._max_bytes = max_bytes
        self._descriptions: Recent[int, PixelDescription] = Recent(_DESCRIPTIONS)

    def find(self, uids: InstanceUids, numbers: Sequence[int]) -> FoundFrames:
        """The frames `numbers` (from 1) of an instance, not yet read, in one round trip.

        Raises NotFound where there is no such instance or frame, Unavailable.
        """
        found = self._retrieve.find_frames(uids, numbers)
        name = uids.sop_instance_uid
        if found is None:
            raise NotFound(
                f"the archive has no instance {name} in series {uids.series_instance_uid}"
            )
        if not found.count:
            raise NotFound(
                f"instance {name} has no frames that can be told apart; "
                "pixel data such as video can be had as a whole through its BulkDataURI"
            )
        if not found.spans:
            missing = next(n for n in found.numbers if not 1 <= n <= found.count)
            raise NotFound(f"instance {name} has {found.count} frames, no frame {missing}")
        return found

    def syntaxes(self, found: FoundFrames) -> list[str]:
        """In which syntaxes the frames can be had: the first as stored; the few without a media type
        of their own (big endian, deflated, RLE of 32 bits) as explicit little endian.
        """
        stored = found.instance.transfer_syntax_uid
        is_odd = stored == RLE_LOSSLESS and found.bits_allocated == 32
        return [syntax for syntax in self.syntaxes_of(stored) if not (is_odd and syntax == stored)]

    def syntaxes_of(self, transfer_syntax_uid: str) -> list[str]:
        """As `syntaxes`, of frames that are stored in this one, as a rule."""
        others = FRAME_TARGETS if can_transcode(transfer_syntax_uid) else ()
        return list(dict.fromkeys((_given_as(transfer_syntax_uid), *others)))

    def read(self, found: FoundFrames, transfer_syntax_uid: str) -> Iterator[Frame]:
        """The frames in the order asked for, in one of their `syntaxes`, read as they are taken.

        Raises Corrupt, Unavailable, Unsupported.
        """
        instance = found.instance
        source = _given_as(instance.transfer_syntax_uid)
        if transfer_syntax_uid == source:
            yield from self._as_kept(found)
            return
        description = self._description(instance)
        for frame in self.read_verified(found):
            check_interrupt()
            data = self._decoders.call(
                convert_frame, frame.data, source, transfer_syntax_uid, description
            )
            yield Frame(frame.number, data, transfer_syntax_uid)

    def read_verified(self, found: FoundFrames) -> Iterator[Frame]:
        """As `read`, in the first of the `syntaxes`, for who makes something else of them.

        Of an object that is little more than its one frame all is read and compared with its digest: damage would
        become another picture. Of many frames that would cost far more than what is asked for.
        """
        instance = found.instance
        is_much_more = _MUCH_MORE * found.spans[0][1] < instance.location.length
        if (
            found.numbers != (1,) or is_much_more or is_deflated(instance)
        ):  # these are read as a whole
            yield from self._as_kept(found)
        elif instance.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
            self._retrieve.verify(instance)
            yield from self._as_kept(found)
        else:
            start, length = found.spans[0]
            data = self._retrieve.load_whole(instance)[start : start + length]
            frame = cut_frame(data, 1, found.native)
            yield Frame(1, frame, _given_as(instance.transfer_syntax_uid))

    def span(self, found: FoundFrames, transfer_syntax_uid: str) -> tuple[Pieces, int] | None:
        """The only frame of `found` as a part of a file, and its length; None where it does not lie so,
        or `read` is as good. Closing the pieces closes the file. Raises Corrupt, Unavailable.
        """
        stored = found.instance.transfer_syntax_uid
        (start, length), *more = found.spans
        is_plain = transfer_syntax_uid == _given_as(stored) and stored != EXPLICIT_VR_BIG_ENDIAN
        if more or not is_plain or length < _LEAST_SPAN or is_deflated(found.instance):
            return None
        if found.native is not None and found.native.bits % 8:
            return None
        reader = self._retrieve.open(found.instance, start=start, length=length)
        span = span_of(reader)
        if span is not None and found.native is None:
            span = only_fragment(span)
        if span is None:
            reader.close()
            return None
        return _within(reader, span), span.length

    def _as_kept(self, found: FoundFrames) -> Iterator[Frame]:
        """In the stored syntax, native ones in explicit little endian."""
        instance = found.instance
        stored = instance.transfer_syntax_uid
        if stored == EXPLICIT_VR_BIG_ENDIAN or is_deflated(instance):
            yield from self._pixels.frames(instance, found.numbers)
            return
        wanted = list(zip(found.numbers, found.spans, strict=True))
        frames = read_frames(self._retrieve, instance, wanted, found.native)
        for number, data in zip(found.numbers, frames, strict=True):
            yield Frame(number, data, _given_as(stored))

    def _description(self, instance: StoredInstance) -> PixelDescription:
        known = self._descriptions.get(instance.instance_id)
        if known is not None:
            return known
        header = header_json(self._retrieve, instance, lambda path: path)
        if any(tag in header for tag in _FLOATING):
            raise Unsupported("pixels of floating point can be had as stored only")
        description = describe(header)
        check_frame_size(description, self._max_bytes)
        return self._descriptions.put(instance.instance_id, description)


def _within(reader: ObjectReader, span: FileSpan) -> Pieces:
    with reader:
        yield span


def _given_as(stored: str) -> str:
    return EXPLICIT_VR_LITTLE_ENDIAN if stored in _NATIVE else stored
