"""Keys that the index does not keep count as universal, wherever they stand."""

from __future__ import annotations

from vna.dicom.supported_keys import supported
from vna.model.query import Filter, ItemMatch, SingleValue

REQUEST, STEP, SCHEDULED_STATION, CODES, CODE = (
    *(0x00400275, 0x00400009, 0x00400001, 0x00400008, 0x00080100),
)
A = SingleValue("a")


def test_what_is_kept_stays() -> None:
    kept = (
        Filter(0x00100020, A),
        Filter(REQUEST, ItemMatch((Filter(STEP, A), Filter(CODES, ItemMatch((Filter(CODE, A),)))))),
    )
    assert supported(kept) == (kept, ())


def test_what_is_not_kept_is_told() -> None:
    inner = ItemMatch((Filter(STEP, A), Filter(SCHEDULED_STATION, A)))
    assert supported([Filter(0x00180010, A), Filter(REQUEST, inner)]) == (
        (Filter(REQUEST, ItemMatch((Filter(STEP, A),))),),
        (0x00180010, SCHEDULED_STATION),
    )


def test_an_item_of_which_nothing_is_kept_is_no_condition() -> None:
    nothing = Filter(REQUEST, ItemMatch((Filter(CODES, ItemMatch((Filter(0x00080117, A),))),)))
    assert supported([nothing]) == ((), (0x00080117,))
