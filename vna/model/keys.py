"""Names of stored objects: made here, once each, then only remembered."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def new_object_key() -> str:
    """A fresh key, never used before: minute of arrival, then 128 random bits. It says nothing of the patient."""
    now = datetime.now(UTC)
    return f"{now:%Y/%m/%d/%H%M}/{secrets.token_hex(16)}.dcm"
