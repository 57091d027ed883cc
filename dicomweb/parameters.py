"""Numbers and truth values among the parameters of a request."""

from __future__ import annotations

from flask import request

from dicomweb.errors import BadRequest

HIGHEST = 2**63 - 1
"""What the index counts to; more is taken as this."""

_DIGITS = len(str(HIGHEST))
_TRUTHS = {"": False, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def whole_number(name: str, text: str) -> int:
    """`text`, of any length, as a number up to HIGHEST. Raises BadRequest for what is none of zero or more."""
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"{name} must be a whole number of zero or more")
    digits = text.lstrip("0") or "0"
    return HIGHEST if len(digits) > _DIGITS else min(int(digits), HIGHEST)


def truth(name: str, text: str) -> bool:
    """Whether `text` says so; without any it does not. Raises BadRequest for what is neither."""
    found = _TRUTHS.get(text.strip().lower())
    if found is None:
        raise BadRequest(f"{name} is true or false")
    return found


def number_parameter(name: str, usual: int, highest: int = HIGHEST) -> int:
    """The query parameter `name`, `usual` where it is missing or empty, never above `highest`. Raises BadRequest."""
    text = request.args.get(name, "").strip()
    return min(whole_number(name, text), highest) if text else usual
