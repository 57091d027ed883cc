"""What a value of an element may look like (PS3.5 6.2)."""

from __future__ import annotations

import re

LONGEST = {"LO": 64, "SH": 16, "CS": 16}
"""The VRs that rules write, and how many characters each takes."""

_CODE = re.compile(r"[A-Z0-9 _]*")


def fault_of(value: str, vr: str) -> str:
    """Why `value` can't be one of an element of `vr`; "" when it can."""
    if not value:
        return "the new value is empty"
    if len(value) > LONGEST[vr]:
        return f"the new value has {len(value)} characters, {vr} takes {LONGEST[vr]}"
    if "\\" in value or not value.isprintable():
        return "the new value has a backslash or a control character, which no value may have"
    if "\N{REPLACEMENT CHARACTER}" in value:
        return "the new value has a character that could not be read"
    if vr == "CS" and not _CODE.fullmatch(value):
        return "the new value is no code: capital letters, digits, spaces and underscores only"
    return ""
