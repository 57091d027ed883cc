"""Which transfer syntaxes the archive can decode and write (PS3.5 A)."""

from __future__ import annotations

from pydicom.uid import UID

from vna.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_EXPLICIT_VR = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_JPEG = "1.2.840.10008.1.2.4."
JPEG_LS_LOSSLESS = _JPEG + "80"
JPEG_2000_LOSSLESS = _JPEG + "90"
HTJ2K_LOSSLESS = _JPEG + "201"
HTJ2K_LOSSLESS_RPCL = _JPEG + "202"

JPEG_LOSSY = frozenset(_JPEG + end for end in ["50", "51", "52", "53", "54", "55", "56"])
"""JPEG processes that always lose something; one decoder reads them all, and none the hierarchical ones."""

JPEG_LOSSLESS = frozenset({_JPEG + "57", _JPEG + "70"})
JPEG_LS = frozenset({_JPEG + "80", _JPEG + "81"})
JPEG_2000 = frozenset({_JPEG + "90", _JPEG + "91", _JPEG + "201", _JPEG + "202", _JPEG + "203"})
"""JPEG 2000 and HTJ2K; their codestream undoes ICT and RCT by itself."""

_FRAME_BY_FRAME = frozenset({RLE_LOSSLESS, DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED})
DECODABLE = JPEG_LOSSY | JPEG_LOSSLESS | JPEG_LS | JPEG_2000 | _FRAME_BY_FRAME


TARGETS = {
    IMPLICIT_VR_LITTLE_ENDIAN: IMPLICIT_LITTLE,
    EXPLICIT_VR_LITTLE_ENDIAN: EXPLICIT_LITTLE,
    EXPLICIT_VR_BIG_ENDIAN: EXPLICIT_BIG,
}
"""The uncompressed syntaxes that `vna.dicom.pixels.transcode` can write."""

ENCODABLE = (
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    RLE_LOSSLESS,
)
"""The compressed ones that it can write, all without loss."""

FRAME_TARGETS = (EXPLICIT_VR_LITTLE_ENDIAN, *ENCODABLE)
"""Syntaxes into which single frames are converted, the preferred one first."""

OBJECT_TARGETS = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    *ENCODABLE,
    DEFLATED_EXPLICIT_VR,
    EXPLICIT_VR_BIG_ENDIAN,
)
"""Syntaxes into which whole objects are converted, the preferred one first."""


def object_syntaxes(transfer_syntax_uid: str) -> tuple[str, ...]:
    """In which syntaxes an object stored in this one can, as a rule, be given: that one first."""
    if not can_transcode(transfer_syntax_uid):
        return (transfer_syntax_uid,)
    return tuple(dict.fromkeys((transfer_syntax_uid, *OBJECT_TARGETS)))


def can_transcode(transfer_syntax_uid: str) -> bool:
    """Whether objects in that syntax can, as a rule, be sent in an uncompressed one.

    Never those in a private one, whatever they look like: what its pixel data mean is not known.
    """
    return (
        transfer_syntax_uid in TARGETS
        or transfer_syntax_uid == DEFLATED_EXPLICIT_VR
        or transfer_syntax_uid in DECODABLE
    )


def describe(transfer_syntax_uid: str) -> str:
    """The syntax for a message: "JPEG Baseline (Process 1), 1.2.840.10008.1.2.4.50"."""
    uid = UID(transfer_syntax_uid)
    return f"{uid.name}, {uid}" if uid.name != uid else f"transfer syntax {uid}"
