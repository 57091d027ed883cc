"""Tag rules at work: a campaign corrects what it brings, says by which version, and never merges two patients."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.migration.conftest import AT_ONCE, WHO, Site, kept_bytes, study
from tests.migration.paper_source import take_stock
from vna.index.campaign_rules import CampaignRules
from vna.model.campaign import Campaign, CampaignState, NewCampaign
from vna.model.corrections import Correction
from vna.model.migration import SourceSettings
from vna.model.rules import RulesText

BY_SITE = """
[[rule]]
attribute = "IssuerOfPatientID"
map = "sites.csv"
by = "InstitutionName"
unmapped = "park"
"""
SITES = {"sites.csv": "from,to\nClinic A,A\nClinic B,B\n"}


def begin(site: Site, text: str = BY_SITE, **maps: str) -> Campaign:
    rules = RulesText(text, SITES | maps, "HERE")
    new = NewCampaign("silo", SourceSettings("paper"), settings=AT_ONCE, rules=rules)
    campaign = site.campaigns.add(new, WHO)
    take_stock(site.source, site.inventory, campaign)
    site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
    return site.campaigns.find("silo")


def patients(site: Site) -> list[tuple[Any, ...]]:
    """Issuer, ID and number of studies of each patient."""
    return site.rows(
        "SELECT p.issuer_of_patient_id, p.patient_id, count(s.id) FROM patient p"
        " JOIN study s ON s.patient = p.id GROUP BY p.id ORDER BY 1, 2"
    )


def evidence(site: Site) -> dict[str, tuple[int | None, str]]:
    """The version that each instance came by, and what was found."""
    rows = site.rows("SELECT sop_instance_uid, rules, evidence FROM migration_instance")
    return {uid: (version, text or "") for uid, version, text in rows}


def test_the_same_patient_id_in_two_domains_is_two_patients(site: Site) -> None:
    uids = study(2, "1.2.1", site.source.add, InstitutionName="Clinic A")
    uids += study(2, "1.2.2", site.source.add, InstitutionName="Clinic B")
    assert site.work(begin(site)).state is CampaignState.DONE
    assert patients(site) == [("A", "PID-1", 1), ("B", "PID-1", 1)]
    assert site.states() == dict.fromkeys(uids, "verified")
    assert kept_bytes(site, uids) == site.source.objects
    for version, text in evidence(site).values():
        assert version == 1
        assert text.endswith("corrected by version 1 of the rules")
    ((number,),) = site.rows("SELECT count(DISTINCT correction) FROM instance")
    assert number == 2  # one for all of a study
    site.assert_counts_agree()


def test_a_study_that_rules_give_to_two_patients_is_an_exception(site: Site) -> None:
    study(1, "1.2.1", site.source.add, InstitutionName="Clinic A")
    study(2, "1.2.1", site.source.add, InstitutionName="Clinic B")
    study(1, "1.2.2", site.source.add, InstitutionName="Clinic B", IssuerOfPatientID="B")
    study(1, "1.2.2", site.source.add, InstitutionName="Clinic B")
    assert site.work(begin(site)).state is CampaignState.DONE
    assert set(site.states().values()) == {"verified"}  # each leaves as its own rule says
    found = site.rows(
        "SELECT state, reason, detail FROM migration_study ORDER BY study_instance_uid"
    )
    assert found == [
        ("mismatched", "several-patients", "2 patients, 1 at the source"),
        ("verified", "", ""),
    ]


def test_so_is_one_of_which_parts_came_by_versions_that_say_otherwise(site: Site) -> None:
    for clinic in ("Clinic A", "Clinic C"):
        study(1, "1.2.1", site.source.add, InstitutionName=clinic)
    campaign = begin(site)
    site.work(campaign)
    assert patients(site) == [("A", "PID-1", 1)]
    again = RulesText(BY_SITE, {"sites.csv": "from,to\nClinic A,B\nClinic C,B\n"}, "HERE")
    CampaignRules(site.database).declare(campaign, again, WHO)
    assert site.campaigns.retry(campaign, WHO, reason="rules") == 1
    site.work(site.campaigns.find("silo"))
    assert site.study_states() == {"1.2.1": "mismatched several-patients"}
    ((told,),) = site.rows("SELECT detail FROM migration_study")
    assert told == "1 of 2 instances are of other patients"


@pytest.mark.parametrize("turn", [1, -1])
def test_so_is_one_of_which_a_rule_takes_only_a_part(site: Site, turn: int) -> None:
    """Whichever comes first, and the study's patient last."""
    for clinic in ["Clinic A", "Clinic C"][::turn]:
        study(1, "1.2.1", site.source.add, InstitutionName=clinic)
    for issuer in ["A", ""]:  # the source itself says both: no rule tears them apart
        study(1, "1.2.2", site.source.add, InstitutionName="Clinic C", IssuerOfPatientID=issuer)
    assert site.work(begin(site, BY_SITE.replace("park", "keep"))).state is CampaignState.DONE
    found = site.rows("SELECT state, reason FROM migration_study ORDER BY study_instance_uid")
    assert found == [("mismatched", "several-patients"), ("verified", "")]


def test_domains_of_two_campaigns_stay_apart_and_without_rules_nothing_is_said(site: Site) -> None:
    study(1, "1.2.1", site.source.add, InstitutionName="Clinic A")
    site.work(begin(site))
    site.source.objects.clear()
    other = study(1, "1.2.2", site.source.add, InstitutionName="Clinic A")
    site.work(site.begin(name="other"))
    assert patients(site) == [("", "PID-1", 1), ("A", "PID-1", 1)]
    assert evidence(site)[other[0]] == (
        None,
        "every byte as it came; header as the source tells",
    )


def test_what_no_rule_fits_is_parked_and_not_kept_until_one_does(site: Site) -> None:
    good = study(1, "1.2.1", site.source.add, InstitutionName="Clinic A")
    bad = study(2, "1.2.2", site.source.add, InstitutionName="Clinic C")
    campaign = begin(site)
    assert site.work(campaign).state is CampaignState.DONE
    assert site.states() == dict.fromkeys(good, "verified") | dict.fromkeys(bad, "parked rules")
    assert site.study_states() == {"1.2.1": "verified", "1.2.2": "parked rules"}
    assert kept_bytes(site, bad) == {}
    assert len(site.source.asked) == 2  # further attempts would not help
    ((told,),) = site.rows("SELECT DISTINCT detail FROM migration_instance WHERE reason = 'rules'")
    assert "sites.csv" in told
    assert "Clinic C" not in told
    rules = CampaignRules(site.database)
    again = RulesText(BY_SITE, {"sites.csv": SITES["sites.csv"] + "Clinic C,C\n"}, "HERE")
    assert rules.declare(campaign, again, WHO) == 2
    assert rules.declare(campaign, again, WHO) == 2
    assert [version.version for version in rules.versions(campaign)] == [1, 2]
    assert site.campaigns.retry(campaign, WHO, reason="rules") == 1
    site.work(site.campaigns.find("silo"))
    assert set(site.states().values()) == {"verified"}
    assert {uid: version for uid, (version, _) in evidence(site).items()} == dict.fromkeys(
        good, 1
    ) | dict.fromkeys(bad, 2)
    site.assert_counts_agree()


def test_rules_that_change_while_a_campaign_runs_count_for_what_comes_then(site: Site) -> None:
    for number in range(1, 4):
        study(1, f"1.2.{number}", site.source.add, InstitutionName="Clinic A")
    rules, asked = CampaignRules(site.database), iter([1, 2])
    campaign = begin(site, BY_SITE)
    slow = replace(AT_ONCE, ceilings=replace(AT_ONCE.ceilings, associations=1))
    site.campaigns.change(campaign, slow, WHO)

    def change(_: str) -> None:
        if next(asked, None) == 2:
            rules.declare(campaign, RulesText(), WHO)

    site.source.before_fetch = change
    site.work(campaign)
    found = sorted((version or 0, text[-9:]) for version, text in evidence(site).values())
    assert [version for version, _ in found] == [0, 1, 1]
    assert patients(site) == [("", "PID-1", 1), ("A", "PID-1", 2)]


def test_what_was_in_the_archive_before_is_not_corrected_and_the_ledger_says_so(
    site: Site,
) -> None:
    (uid,) = study(1, "1.2.1", site.source.add, InstitutionName="Clinic A")
    site.work(site.begin(name="before"))
    site.work(begin(site))
    assert patients(site) == [("", "PID-1", 1)]
    rows = site.rows(
        "SELECT i.state, i.evidence, s.detail FROM migration_instance i"
        " JOIN migration_study s ON s.id = i.study WHERE i.rules = 1 AND i.sop_instance_uid = %s",
        uid,
    )
    ((state, text, detail),) = rows
    assert state == "verified"
    assert "not corrected by version 1 of the rules" in text
    assert "was there already" in text
    assert detail == "1 instances were in the archive already, and are not corrected by the rules"


def test_what_came_twice_by_the_same_rules_is_corrected(site: Site) -> None:
    study(1, "1.2.1", site.source.add, InstitutionName="Clinic A")
    campaign = begin(site)
    site.work(campaign)
    site.rows(
        "UPDATE migration_instance SET state = 'queued', outcome = NULL, received = NULL RETURNING id"
    )
    site.rows("UPDATE migration_study SET state = 'queued' RETURNING id")
    site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
    site.work(site.campaigns.find("silo"))
    ((version, text),) = evidence(site).values()
    assert version == 1
    assert "corrected by version 1 of the rules; was there already" in text
    assert "not corrected" not in text


def test_a_correction_that_got_lost_is_found_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (uid,) = study(1, "1.2.1", site.source.add, InstitutionName="Clinic A")
    store = site.bench.store.store

    def forget(spooled: Any, origin: Any, *, correction: Correction | None = None) -> Any:
        assert correction is not None
        return store(spooled, origin)

    monkeypatch.setattr(site.bench.store, "store", forget)
    site.work(begin(site))
    assert site.states() == {uid: "mismatched not-corrected"}


def test_a_campaign_takes_its_rules_with_it_when_it_is_removed(site: Site) -> None:
    campaign = begin(site)
    site.campaigns.set_state(campaign, CampaignState.PAUSED, WHO)
    site.campaigns.remove(site.campaigns.find("silo"), WHO)
    assert site.rows("SELECT count(*) FROM migration_rules") == [(0,)]


@pytest.mark.parametrize("seed", range(3))
def test_patients_are_those_of_their_domains_whatever_comes_in_whatever_order(
    site: Site, seed: int
) -> None:
    chance = random.Random(seed)
    wanted: set[tuple[str, str, str]] = set()
    for number in range(12):
        ward, patient = chance.choice("ABC"), chance.choice(["7", "07", "A-7"])
        uid = f"1.2.{number}"
        study(1, uid, site.source.add, InstitutionName=f"Clinic {ward}", PatientID=patient)
        wanted.add(
            (ward if ward != "C" else "REST", f"A-{patient}" if ward == "A" else patient, uid)
        )
    text = (
        '[[rule]]\nattribute = "IssuerOfPatientID"\nmap = "sites.csv"\nby = "InstitutionName"\n'
        'unmapped = "keep"\nwhen = { InstitutionName = ["Clinic A", "Clinic B"] }\n'
        '[[rule]]\nattribute = "IssuerOfPatientID"\nset = "REST"\n'
        '[[rule]]\nattribute = "PatientID"\nprefix = "A-"\nwhen = { InstitutionName = "*A" }\n'
    )
    campaign = begin(site, text)
    site.campaigns.change(campaign, replace(AT_ONCE, differences=("PatientID",)), WHO)
    site.work(site.campaigns.find("silo"))
    rows = site.rows(
        "SELECT p.issuer_of_patient_id, p.patient_id, s.study_instance_uid FROM patient p"
        " JOIN study s ON s.patient = p.id"
    )
    assert set(rows) == wanted
    assert len(patients(site)) == len({(issuer, patient) for issuer, patient, _ in wanted})
    assert set(site.states().values()) == {"verified"}
