"""Value representations: which exist, how long their length fields are, and which VR a tag has
(PS3.5 6.2).
"""

from __future__ import annotations

from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, private_dictionary_VR

LONG_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
SHORT_VRS = frozenset(
    [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    ]
)
BINARY_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
CHARSET_VRS = frozenset(["LO", "LT", "PN", "SH", "ST", "UC", "UT"])
TEXT_VRS = CHARSET_VRS | frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"])
SINGLE_TEXT_VRS = frozenset(["LT", "ST", "UT", "UR"])
NUMBER_FORMATS = {
    "FD": "d",
    "FL": "f",
    "SL": "i",
    "SS": "h",
    "SV": "q",
    "UL": "I",
    "US": "H",
    "UV": "Q",
}
WORD_SIZES = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}

SHORT_CODES = {vr.encode(): vr for vr in SHORT_VRS}
"""Explicit VRs with a 16-bit length (PS3.5 table 7.1-2), by their two bytes."""

LONG_CODES = {vr.encode(): vr for vr in LONG_VRS}
"""Explicit VRs with two reserved bytes and a 32-bit length (PS3.5 table 7.1-1)."""

CODES = SHORT_CODES | LONG_CODES

STANDARD_VRS: dict[int, str] = {tag: entry[0][:2] for tag, entry in DicomDictionary.items()}
"""VR of each tag of PS3.6, the first where there are several; repeating groups are not in it."""

SEVERAL_VRS: dict[int, str] = {
    tag: entry[0] for tag, entry in DicomDictionary.items() if len(entry[0]) > 2
}
"""Tags whose VR depends on other elements, as "US or SS", "OB or OW" …"""


def implicit_vr(tag: int) -> str:
    """The VR of a tag when the encoding does not say it; UN for private and unknown elements."""
    return STANDARD_VRS.get(tag) or _rarer_vr(tag)


@lru_cache(maxsize=4096)
def _rarer_vr(tag: int) -> str:
    number = tag & 0xFFFF
    if number == 0:
        return "UL"
    if tag & 0x10000:
        return "LO" if 0x10 <= number <= 0xFF else "UN"
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


@lru_cache(maxsize=4096)
def private_vr(tag: int, creator: str) -> str:
    """The VR of a private element as its vendor documents it; UN when nothing is known."""
    try:
        vr = private_dictionary_VR(tag, creator)
    except KeyError:
        return "UN"
    return vr if len(vr) == 2 else "UN"
