"""SOP classes that only their sender knows, announced as storage (PS3.7 D.3.3.6)."""

from __future__ import annotations

import pytest

from tests import samples
from tests.scp.raw_peer import RawPeer, encode_message, store_request
from tests.scp.site import Site
from tests.scp.test_storage import sample
from vna.dimse.negotiation import CommonExtended
from vna.scp.policy import STORAGE_SERVICE_CLASS, is_announced_storage

FUTURE = "1.2.840.10008.5.1.4.77.1"
MPPS = "1.2.840.10008.3.1.2.3.3"
DICOMDIR = "1.2.840.10008.1.3.10"
QUERY_SERVICE_CLASS = "1.2.840.10008.4.3"


def saying(uid: str, service: str, *related: str) -> CommonExtended:
    return CommonExtended(uid, service, related)


@pytest.mark.parametrize(
    ("uid", "common", "expected"),
    [
        pytest.param(FUTURE, saying(FUTURE, STORAGE_SERVICE_CLASS), True, id="service class"),
        pytest.param(
            FUTURE, saying(FUTURE, QUERY_SERVICE_CLASS, samples.CT_IMAGE), True, id="general class"
        ),
        pytest.param(FUTURE, saying(FUTURE, "", "1.2.3", samples.CT_IMAGE), True, id="one of two"),
        pytest.param(FUTURE, saying(FUTURE, QUERY_SERVICE_CLASS, "1.2.3"), False, id="neither"),
        pytest.param(FUTURE, saying(FUTURE, "", MPPS), False, id="a general class of another kind"),
        pytest.param(FUTURE, None, False, id="nothing said"),
        pytest.param(MPPS, saying(MPPS, STORAGE_SERVICE_CLASS), False, id="known to be no storage"),
        pytest.param(DICOMDIR, saying(DICOMDIR, STORAGE_SERVICE_CLASS), False, id="never stored"),
        pytest.param("../etc", saying("../etc", STORAGE_SERVICE_CLASS), False, id="no UID"),
    ],
)
def test_what_is_taken_for_storage(uid: str, common: CommonExtended | None, expected: bool) -> None:
    assert is_announced_storage(uid, common) is expected


@pytest.mark.parametrize("window", [None, (4, 4)])
def test_an_announced_class_is_kept_as_it_came(site: Site, window: tuple[int, int] | None) -> None:
    item = sample(SOPClassUID=FUTURE)
    contexts = ((FUTURE, (samples.EXPLICIT,)), (MPPS, (samples.EXPLICIT,)))
    common = tuple(saying(uid, STORAGE_SERVICE_CLASS) for uid, _ in contexts)
    with RawPeer(site, contexts, window, common_extended=common) as peer:
        assert [context.result for context in peer.answer.contexts] == [0, 3]
        assert peer.answer.user.common_extended == ()
        request = store_request(7, item.sop_instance_uid, FUTURE)
        peer.send(encode_message(1, request, item.dataset))
        assert peer.statuses(1) == {7: 0}
        peer.release()
    assert site.dataset(item.sop_instance_uid) == item.dataset
    (stored,) = site.stored(item.sop_instance_uid)
    assert stored.sop_class_uid == FUTURE


def test_without_a_word_it_is_not_accepted(site: Site) -> None:
    with RawPeer(site, ((FUTURE, (samples.EXPLICIT,)),)) as peer:
        assert [context.result for context in peer.answer.contexts] == [3]
