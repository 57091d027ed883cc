"""Values as text that Postgres takes for jsonb and text."""

from __future__ import annotations

from collections.abc import Mapping

import orjson


def to_jsonb(value: Mapping[str, object]) -> bytes | str:
    """`value` as JSON without what Postgres can't keep: U+0000, lone surrogates, numbers beyond 64 bits."""
    try:
        text = orjson.dumps(value)
    except TypeError:
        text = orjson.dumps(_storable(value))
    if b"\\u0000" in text:
        text = orjson.dumps(_storable(value))
    return text.decode()


def to_text(value: str) -> str:
    """`value` without what Postgres can't keep in a text."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _storable(value: object) -> object:
    match value:
        case str():
            return to_text(value)
        case dict():
            return {to_text(str(key)): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case bool() | None | float():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case _:
            return str(value)
