"""Which representation answers a request: proactive negotiation (RFC 9110 12.1, PS3.18 8.7.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from dicomweb.errors import NotAcceptable
from dicomweb.media import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    FRAME_TYPES,
    JSON,
    MULTIPART,
    OCTET_STREAM,
    ZIP,
    MediaType,
    accepted,
)
from vna.errors import Unsupported

_USUAL_LENGTH = 512
_Form = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation the archive can give.

    `kind` is the media type of the content: of each part when `is_multipart`. `aliases` are other
    names under which it may be asked for, `aliases_with_syntax` those that count only beside a
    transfer-syntax parameter. `transfer_syntax_uid` is "" where there is none.
    """

    kind: str
    is_multipart: bool = False
    transfer_syntax_uid: str = ""
    aliases: tuple[str, ...] = ()
    aliases_with_syntax: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f'{MULTIPART}; type="{self.kind}"' if self.is_multipart else self.kind
        syntax = self.transfer_syntax_uid
        return f"{text}; transfer-syntax={syntax}" if syntax else text


def choose(ranges: Sequence[MediaType], offers: Sequence[Offer]) -> Offer:
    """The offer of the highest quality, the earlier of equals. Raises NotAcceptable naming all."""
    best = max(offers, key=lambda offer: _quality(ranges, offer))
    if _quality(ranges, best) > 0.0:
        return best
    raise _nothing_of(offers)


@contextmanager
def or_else(offers: Sequence[Offer]) -> Iterator[None]:
    """What proves impossible only when it is done becomes a NotAcceptable that names `offers`."""
    try:
        yield
    except Unsupported as exc:
        available = ", ".join(dict.fromkeys(map(str, offers)))
        raise NotAcceptable(f"{exc}; available: {available}") from exc


def choose_alike(ranges: Sequence[MediaType], groups: Sequence[Sequence[Offer]]) -> list[Offer]:
    """An offer of each group, all of one media type in one form, since they make one answer.

    The form whose worst offer has the highest quality; of equals that whose offers stand further in
    front. Raises NotAcceptable.
    """
    best: list[Offer] = []
    best_rating = (0.0, 0)
    for form in dict.fromkeys((offer.kind, offer.is_multipart) for offer in groups[0]):
        chosen = [_best_of(ranges, group, form) for group in groups]
        rating = min(found[1] for found in chosen), -sum(found[2] for found in chosen)
        if rating[0] > 0.0 and (not best or rating > best_rating):
            best, best_rating = [found[0] for found in chosen], rating
    if best:
        return best
    raise _nothing_of([offer for group in groups for offer in group])


def choose_json(ranges: Sequence[MediaType]) -> str:
    """application/dicom+json, or application/json for who asks for that. Raises NotAcceptable."""
    return choose(ranges, (Offer(DICOM_JSON), Offer(JSON))).kind


def choose_document(ranges: Sequence[MediaType]) -> Offer:
    """As `choose_json`, or XML (PS3.19 A.1), a part for each dataset. Raises NotAcceptable."""
    return choose(ranges, (Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, is_multipart=True)))


def document_for(header: str, query: str) -> Offer:
    """`choose_document` for an Accept header and an `accept` parameter; the usual ones are remembered."""
    is_usual = len(header) + len(query) <= _USUAL_LENGTH
    return (_document_for if is_usual else _document_for.__wrapped__)(header, query)


@lru_cache(maxsize=128)
def _document_for(header: str, query: str) -> Offer:
    return choose_document(accepted(header, query))


def instance_offers(syntaxes: Sequence[str], *, single_part: bool) -> list[Offer]:
    """How an instance can be given in `syntaxes`, the stored one first: by itself or in a zip."""
    forms = (True, False) if single_part else (True,)
    whole = [Offer(DICOM, is_multipart, uid) for uid in syntaxes for is_multipart in forms]
    return whole + [Offer(ZIP, transfer_syntax_uid=uid) for uid in syntaxes]


def frame_offers(syntaxes: Sequence[str], *, single_part: bool) -> list[Offer]:
    """How frames can be given in `syntaxes`, the preferred one first.

    Bare application/octet-stream stands for explicit VR little endian (PS3.18 8.7.3.3), and where
    that can't be had for the preferred syntax.
    """
    forms = (True, False) if single_part else (True,)
    offers = [_frame_offer(uid, is_multipart) for uid in syntaxes for is_multipart in forms]
    return offers + [_as_bytes(offer) for offer in offers[: len(forms)]]


def bulk_offers(kinds: Sequence[str] = (OCTET_STREAM,)) -> list[Offer]:
    """How bulk data can be given: a single part unless a multipart answer is asked for."""
    return [Offer(kind, is_multipart) for kind in kinds for is_multipart in (False, True)]


def _frame_offer(syntax: str, is_multipart: bool) -> Offer:
    kind, *aliases = FRAME_TYPES.get(syntax, (OCTET_STREAM,))
    names = tuple(alias.lower() for alias in aliases)
    return Offer(kind, is_multipart, syntax, names, (OCTET_STREAM,))


def _as_bytes(offer: Offer) -> Offer:
    return Offer(offer.kind, offer.is_multipart, offer.transfer_syntax_uid, (OCTET_STREAM,))


def _nothing_of(offers: Iterable[Offer]) -> NotAcceptable:
    available = ", ".join(dict.fromkeys(map(str, offers)))
    return NotAcceptable(
        f"none of the accepted media types is available here; available: {available}"
    )


def _best_of(
    ranges: Sequence[MediaType], offers: Sequence[Offer], form: _Form
) -> tuple[Offer, float, int]:
    """The best offer in this form, its quality and its place among all."""
    rated = (
        (offer, _quality(ranges, offer), place)
        for place, offer in enumerate(offers)
        if (offer.kind, offer.is_multipart) == form
    )
    return max(rated, key=lambda found: found[1], default=(Offer(""), 0.0, 0))


def _quality(ranges: Sequence[MediaType], offer: Offer) -> float:
    """The quality of the most specific range that covers `offer`, 0 when none does."""
    matches = [(found, r.quality) for r in ranges if (found := _specificity(r, offer)) is not None]
    return max(matches)[1] if matches else 0.0


def _specificity(wanted: MediaType, offer: Offer) -> tuple[int, ...] | None:
    """How closely `wanted` names `offer`, None when it does not cover it."""
    asked = wanted.get("transfer-syntax")
    names = {offer.kind.lower(), *offer.aliases, *(offer.aliases_with_syntax if asked else ())}
    if not offer.is_multipart:
        kind = _cover(wanted.kind, names)
        part: int | None = 0
    else:
        kind = _cover(wanted.kind, {MULTIPART})
        part = _cover(wanted.get("type").lower() or "*/*", names)
    syntax = _syntax_cover(asked, offer.transfer_syntax_uid)
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
