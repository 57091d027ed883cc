"""Objects in a private transfer syntax: kept and sent as they came, never under another label."""

from __future__ import annotations

import pytest

from tests import samples
from tests.scp.site import Destination, Site, associate
from tests.scp.test_get import STUDY, failed_uids, get
from tests.scp.test_move import move
from vna.dimse import scu
from vna.dimse.negotiation import Acceptance, ContextResult, Proposal

CT, EXPLICIT, IMPLICIT = samples.CT_IMAGE, samples.EXPLICIT, samples.IMPLICIT
GE_PRIVATE = "1.2.840.113619.5.2"
"""Implicit VR little endian, pixel data in big endian."""

UID = "1.2.3.9"


def keep(site: Site, syntax: str, written: str, **overrides: samples.Value) -> bytes:
    """Store a CT by C-STORE in `syntax`, its dataset written as `written`; the dataset."""
    elements = samples.identity(
        SOPClassUID=CT, SOPInstanceUID=UID, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3"
    )
    pixels = {"PixelData": samples.Typed("OW", bytes(range(32)))}
    data = samples.dataset(elements | samples.image(bits=16) | pixels | overrides, written)
    with associate(site, (CT, (syntax,))) as association:
        context = association.context_for(CT, syntax)
        assert scu.store(association, context, scu.Instance(CT, UID), data).status == 0
    return data


@pytest.mark.parametrize("syntax", [GE_PRIVATE, "1.2.999.7"])
@pytest.mark.parametrize("written", [IMPLICIT, EXPLICIT, samples.BIG_ENDIAN])
def test_it_comes_back_bit_for_bit_under_its_own_label(
    site: Site, syntax: str, written: str
) -> None:
    sent = keep(site, syntax, written)
    (stored,) = site.stored(UID)
    assert stored.transfer_syntax_uid == syntax
    taken = get(site, STUDY, [(CT, (syntax,)), (CT, (EXPLICIT, IMPLICIT))])
    assert taken.counters == (None, 1, 0, 0)
    assert taken.instances == {UID: (syntax, sent)}


@pytest.mark.parametrize("written", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("accepted", [EXPLICIT, IMPLICIT])
def test_who_does_not_take_it_gets_no_conversion(
    site: Site, caplog: pytest.LogCaptureFixture, written: str, accepted: str
) -> None:
    keep(site, GE_PRIVATE, written)
    taken = get(site, STUDY, [(CT, (accepted,))])
    assert taken.instances == {}
    assert taken.final.status == 0xA702
    assert taken.counters == (None, 0, 1, 0)
    assert taken.failed_uids == [UID]
    assert "not sent" in caplog.text
    assert GE_PRIVATE in caplog.text


def test_a_destination_of_c_move_gets_it_as_stored_or_not_at_all(site: Site) -> None:
    sent = keep(site, GE_PRIVATE, EXPLICIT)

    def plain_only(proposal: Proposal) -> Acceptance | ContextResult:
        plain = [uid for uid in proposal.transfer_syntaxes if uid in {EXPLICIT, IMPLICIT}]
        if not plain:
            return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return Acceptance(plain[0])

    with Destination(choose=plain_only).listen(site) as destination:
        final = move(site)[-1]
    assert (final.command.status, destination.received) == (0xA702, [])
    assert failed_uids(final) == [UID]
    with Destination().listen(site) as destination:
        final = move(site)[-1]
    assert final.command.status == 0
    ((syntax, data),) = [(r.transfer_syntax, r.dataset) for r in destination.received]
    assert (syntax, data) == (GE_PRIVATE, sent)
