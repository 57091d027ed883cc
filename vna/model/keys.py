"""Names of stored objects: made here, once each, then only remembered."""

from __future__ import annotations

import secrets
from base64 import b32hexencode
from datetime import UTC, datetime

_RANDOM_BITS = 100
_MICROSECONDS_BITS = 6  # that are left out, so that the moment in a minute takes 20 bits


def new_object_key() -> str:
    """A fresh key, never used before: minute of arrival, then the moment in it and 100 random bits, so that keys of one
    time are neighbours in an index. It says nothing of the patient.
    """
    now = datetime.now(UTC)
    moment = now.second * 1_000_000 + now.microsecond >> _MICROSECONDS_BITS
    number = moment << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return f"{now:%Y/%m%d/%H%M}/{b32hexencode(number.to_bytes(15)).decode().lower()}.dcm"
