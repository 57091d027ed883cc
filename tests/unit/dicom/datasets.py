"""Random datasets in the DICOM JSON model, as hypothesis strategies."""

from __future__ import annotations

import base64
import struct

from hypothesis import strategies as st

from vna.dicom.vrs import STANDARD_VRS
from vna.model.query import JsonElement

_BY_VR: dict[str, list[str]] = {}
for _tag, _vr in STANDARD_VRS.items():
    if 0x00100000 <= _tag < 0x00280000 or 0x00400000 <= _tag < 0x00540000:
        _BY_VR.setdefault(_vr, []).append(f"{_tag:08X}")

_LETTERS = st.characters(
    min_codepoint=0x20,
    max_codepoint=0x2FFF,
    exclude_characters="\\^=\x7f",
    exclude_categories=("Cc", "Cs", "Cn", "Z"),
)
_TEXT = st.text(_LETTERS, min_size=1, max_size=12)
_NUMERAL = st.integers(-(2**31), 2**31 - 1)
_DECIMALS = st.decimals(-9999, 9999, allow_nan=False, places=3).map(float)
_UIDS = st.lists(st.integers(0, 10**6), min_size=2, max_size=6).map(
    lambda parts: ".".join(map(str, parts))
)
_GROUPS = st.lists(_TEXT, min_size=1, max_size=5).map("^".join)
_NAMES = st.fixed_dictionaries(
    {"Alphabetic": _GROUPS}, optional={"Ideographic": _GROUPS, "Phonetic": _GROUPS}
)
_FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _integers(code: str) -> st.SearchStrategy[object]:
    bits = struct.calcsize(code) * 8
    low = 0 if code.isupper() else -(2 ** (bits - 1))
    return st.integers(low, low + 2**bits - 1)


_VALUES: dict[str, st.SearchStrategy[object]] = {
    "AE": st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True),
    "AS": st.from_regex(r"[0-9]{3}[DWMY]", fullmatch=True),
    "AT": st.from_regex(r"[0-9A-F]{8}", fullmatch=True),
    "CS": st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True),
    "DA": st.dates().map(lambda day: day.strftime("%Y%m%d").zfill(8)),
    "DS": _DECIMALS,
    "FD": st.floats(allow_nan=False, allow_infinity=False),
    "FL": _FLOATS,
    "IS": _NUMERAL,
    "LO": _TEXT,
    "PN": _NAMES,
    "SH": _TEXT,
    "SL": _integers("i"),
    "SS": _integers("h"),
    "TM": st.from_regex(r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]", fullmatch=True),
    "UC": _TEXT,
    "UI": _UIDS,
    "UL": _integers("I"),
    "US": _integers("H"),
}
_SINGLE: dict[str, st.SearchStrategy[object]] = {"LT": _TEXT, "ST": _TEXT, "UT": _TEXT}
_BINARY = {"OB": 2, "OW": 2, "OF": 4, "OD": 8, "OL": 4, "UN": 2}


@st.composite
def _element(draw: st.DrawFn, vr: str, depth: int) -> JsonElement:
    if draw(st.integers(0, 9)) == 0:
        return {"vr": vr}
    if vr == "SQ":
        return {"vr": vr, "Value": draw(st.lists(datasets(depth - 1), min_size=1, max_size=2))}
    if vr in _BINARY:
        data = draw(st.binary(min_size=1, max_size=6)) * _BINARY[vr]
        return {"vr": vr, "InlineBinary": base64.b64encode(data).decode()}
    if vr in _SINGLE:
        return {"vr": vr, "Value": [draw(_SINGLE[vr])]}
    return {"vr": vr, "Value": draw(st.lists(_VALUES[vr], min_size=1, max_size=3))}


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2) -> dict[str, JsonElement]:
    """Standard and private elements of every VR but UR, DT, OV, SV and UV; sequences up to `depth` levels."""
    vrs = [vr for vr in (*_VALUES, *_SINGLE, *_BINARY, *(["SQ"] if depth else [])) if vr in _BY_VR]
    found: dict[str, JsonElement] = {}
    for vr in draw(st.lists(st.sampled_from(vrs), max_size=6)):
        found[draw(st.sampled_from(_BY_VR[vr]))] = draw(_element(vr, depth))
    if draw(st.booleans()):
        found["00190010"] = {"vr": "LO", "Value": ["ACME 1.0"]}
        found["00191001"] = draw(_element("FD", depth))
        found["00191002"] = draw(_element("OB", depth))
    return found
