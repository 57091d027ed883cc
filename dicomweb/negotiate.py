"""Which representation answers a request: proactive negotiation (RFC 9110 12.1, PS3.18 8.7.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb.errors import NotAcceptable
from dicomweb.media import (
    DICOM,
    DICOM_JSON,
    FRAME_TYPES,
    JSON,
    MULTIPART,
    NATIVE_LITTLE_ENDIAN,
    OCTET_STREAM,
    MediaType,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation the archive can give.

    `kind` is the media type of the content: of each part when `is_multipart`. `aliases` are other
    names under which it may be asked for. `transfer_syntax_uid` is "" where there is none.
    """

    kind: str
    is_multipart: bool = False
    transfer_syntax_uid: str = ""
    aliases: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f'{MULTIPART}; type="{self.kind}"' if self.is_multipart else self.kind
        syntax = self.transfer_syntax_uid
        return f"{text}; transfer-syntax={syntax}" if syntax else text


def choose(ranges: Sequence[MediaType], offers: Sequence[Offer]) -> Offer:
    """The offer of the highest quality, the earlier of equals. Raises NotAcceptable naming all."""
    best, best_quality = None, 0.0
    for offer in offers:
        quality = _quality(ranges, offer)
        if quality > best_quality:
            best, best_quality = offer, quality
    if best is None:
        available = ", ".join(map(str, offers))
        raise NotAcceptable(
            f"none of the accepted media types is available here; available: {available}"
        )
    return best


def choose_json(ranges: Sequence[MediaType]) -> str:
    """application/dicom+json, or application/json for who asks for that. Raises NotAcceptable."""
    return choose(ranges, (Offer(DICOM_JSON), Offer(JSON))).kind


def instance_offers(stored_syntax: str, *, single_part: bool, transcodable: bool) -> list[Offer]:
    """How an instance stored in `stored_syntax` can be given: as stored, or in a native syntax."""
    syntaxes = [stored_syntax]
    if transcodable:
        syntaxes += [uid for uid in NATIVE_LITTLE_ENDIAN if uid != stored_syntax]
    forms = (True, False) if single_part else (True,)
    return [Offer(DICOM, is_multipart, uid) for uid in syntaxes for is_multipart in forms]


def frame_offers(syntaxes: Sequence[str], *, single_part: bool) -> list[Offer]:
    """How frames can be given in `syntaxes`, the preferred one first."""
    forms = (True, False) if single_part else (True,)
    return [_frame_offer(uid, is_multipart) for uid in syntaxes for is_multipart in forms]


def bulk_offers(kinds: Sequence[str] = (OCTET_STREAM,)) -> list[Offer]:
    """How bulk data can be given: a single part unless a multipart answer is asked for."""
    return [Offer(kind, is_multipart) for kind in kinds for is_multipart in (False, True)]


def _frame_offer(syntax: str, is_multipart: bool) -> Offer:
    kind, *aliases = FRAME_TYPES.get(syntax, (OCTET_STREAM,))
    return Offer(kind, is_multipart, syntax, (*(alias.lower() for alias in aliases), OCTET_STREAM))


def _quality(ranges: Sequence[MediaType], offer: Offer) -> float:
    """The quality of the most specific range that covers `offer`, 0 when none does."""
    matches = [(found, r.quality) for r in ranges if (found := _specificity(r, offer)) is not None]
    return max(matches)[1] if matches else 0.0


def _specificity(wanted: MediaType, offer: Offer) -> tuple[int, ...] | None:
    """How closely `wanted` names `offer`, None when it does not cover it."""
    names = {offer.kind.lower(), *offer.aliases}
    if not offer.is_multipart:
        kind = _cover(wanted.kind, names)
        part: int | None = 0
    else:
        kind = _cover(wanted.kind, {MULTIPART})
        part = _cover(wanted.get("type").lower() or "*/*", names)
    syntax = _syntax_cover(wanted.get("transfer-syntax"), offer.transfer_syntax_uid)
    if kind is None or part is None or syntax is None:
        return None
    return kind, part, syntax


def _cover(pattern: str, names: set[str]) -> int | None:
    """2 for the name itself, 1 for "type/*", 0 for "*/*", None for another type."""
    if pattern == "*/*":
        return 0
    if pattern in names:
        return 2
    main = pattern.removesuffix("/*")
    return 1 if main != pattern and any(name.startswith(main + "/") for name in names) else None


def _syntax_cover(wanted: str, offered: str) -> int | None:
    if wanted in {"", "*"} or not offered:
        return 0
    return 1 if wanted == offered else None
