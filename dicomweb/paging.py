"""Pages of a search: the cursor that a client sends back, and the link that carries it (RFC 8288)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from urllib.parse import quote, urlencode

import orjson

from dicomweb.errors import BadRequest
from vna.model.identifiers import LEVELS
from vna.model.query import Position, Query

CURSOR = "cursor"
_STEERING = frozenset({CURSOR, "offset"})
_CHECK_BYTES = 8
_LONGEST_CURSOR = 512
_LONGEST_LINK = 8000
"""Clients bound the headers that they take; such a search is paged by offset."""

_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?")
_MOST_DAYS = 4_000_000
_NUMBERS = {0: _MOST_DAYS, 2: 2**63 - 1, 3: 2**31 - 1, 4: 2**63 - 1, 5: 2**31 - 1, 6: 2**63 - 1}
_NEVER_NULL = frozenset({2, 4, 6})


def cursor_of(position: Position, query: Query) -> str:
    """`position` in the matches of `query` as a word for a URL; of another search it is refused."""
    body = orjson.dumps(position.keys)
    return base64.urlsafe_b64encode(_check(body, query) + body).decode().rstrip("=")


def position_of(cursor: str, query: Query) -> Position:
    """The place that `cursor_of` wrote down. Raises BadRequest for what it has not written for `query`."""
    try:
        return Position(_unpacked(cursor, query))
    except (ValueError, binascii.Error) as exc:
        raise BadRequest(
            "the cursor is not one that this search gave; begin again without it"
        ) from exc


def next_link(url: str, parameters: Iterable[tuple[str, str]], cursor: str) -> str | None:
    """A Link header to the page behind `cursor`; None where it would be too long for a header."""
    kept = [(name, value) for name, value in parameters if name.lower() not in _STEERING]
    query = urlencode([*kept, (CURSOR, cursor)], quote_via=quote)
    link = f'<{url}?{query}>; rel="next"'
    return link if len(link) <= _LONGEST_LINK else None


def _unpacked(cursor: str, query: Query) -> tuple[int | str | None, ...]:
    if len(cursor) > _LONGEST_CURSOR:
        raise ValueError("too long")
    both = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    check, body = both[:_CHECK_BYTES], both[_CHECK_BYTES:]
    if check != _check(body, query):
        raise ValueError("of another search")
    return _keys(orjson.loads(body), 2 * LEVELS.index(query.level) + 1)


def _check(body: bytes, query: Query) -> bytes:
    """Tells a cursor of this search from anything else. It grants nothing, so it needs no secret."""
    search = repr((query.level, query.filters, query.fuzzy, query.utc_offset)).encode(
        "utf-8", "surrogatepass"
    )
    digest = hashlib.blake2b(digest_size=_CHECK_BYTES, person=b"vna search")
    digest.update(hashlib.blake2b(search, digest_size=16).digest() + body)
    return digest.digest()


def _keys(values: object, count: int) -> tuple[int | str | None, ...]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError("not a place")
    if not all(_is_key(number, value) for number, value in enumerate(values)):
        raise ValueError("not a place")
    return tuple(values)


def _is_key(number: int, value: object) -> bool:
    if value is None:
        return number not in _NEVER_NULL
    if number == 1:
        return isinstance(value, str) and _TIME.fullmatch(value) is not None
    return type(value) is int and abs(value) <= _NUMBERS[number]
