"""Which rule an instance meets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vna.config_storage import BackendConfig, RuleConfig, StorageConfig
from vna.errors import ConfigError
from vna.model.instances import LevelAttributes
from vna.services.placement import Facts, Placement, Targets

_BACKENDS = {name: BackendConfig(name) for name in ("near", "far", "third")}
_FAR = Targets(("far",))
_DEFAULT = Targets(("near",), ("third",))


def placement(**rules: RuleConfig) -> Placement:
    return Placement(StorageConfig("near", later=("third",), backends=_BACKENDS, rules=rules))


def facts(size: int = 1000, calling_ae: str = "CT1") -> Facts:
    attributes = LevelAttributes(
        patient={
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane", "Phonetic": "dou"}]}
        },
        study={"00081030": {"vr": "LO", "Value": ["Thorax [routine]"]}},
        series={"00080060": {"vr": "CS", "Value": ["CT"]}, "00080080": {"vr": "LO"}},
        instance={
            "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY"]},
            "00280010": {"vr": "US", "Value": [512]},
        },
    )
    return Facts("1.2.840.10008.5.1.4.1.1.2", size, calling_ae, attributes)


@pytest.mark.parametrize(
    "rule",
    [
        RuleConfig(),
        RuleConfig(modality=("MR", "CT")),
        RuleConfig(modality=("C*",)),
        RuleConfig(sop_class_uid=("1.2.840.10008.5.1.4.1.1.2",)),
        RuleConfig(sop_class_uid=("1.2.840.10008.5.1.4.1.1.*",)),
        RuleConfig(calling_ae=("CT?",)),
        RuleConfig(min_bytes=1000, max_bytes=1000),
        RuleConfig(tags={"StudyDescription": "*[routine]"}),
        RuleConfig(tags={"00081030": "Thorax*"}),
        RuleConfig(tags={"PatientName": "Doe^*", "ImageType": "PRIMARY"}),
        RuleConfig(tags={"PatientName": "d?u"}),
        RuleConfig(tags={"Rows": "512"}),
    ],
)
def test_a_rule_whose_conditions_are_all_met_says_where_it_goes(rule: RuleConfig) -> None:
    assert placement(r=replace(rule, copies=("far",))).targets(facts()) == _FAR


@pytest.mark.parametrize(
    "rule",
    [
        RuleConfig(modality=("MR",)),
        RuleConfig(modality=("ct",)),
        RuleConfig(sop_class_uid=("1x2*",)),
        RuleConfig(calling_ae=("CT",)),
        RuleConfig(min_bytes=1001),
        RuleConfig(max_bytes=999),
        RuleConfig(tags={"StudyDescription": "Thorax"}),
        RuleConfig(tags={"InstitutionName": "*"}),
        RuleConfig(tags={"PatientName": "Doe^*", "Rows": "256"}),
    ],
)
def test_a_condition_that_is_not_met_leaves_it_to_the_default(rule: RuleConfig) -> None:
    assert placement(r=replace(rule, copies=("far",))).targets(facts()) == _DEFAULT


def test_the_first_rule_of_the_file_wins() -> None:
    small = RuleConfig(max_bytes=2000, copies=("third",), later=("far",))
    modality = RuleConfig(modality=("CT",), copies=("far",))
    assert placement(a=small, b=modality).targets(facts()) == Targets(("third",), ("far",))
    assert placement(b=modality, a=small).targets(facts()) == _FAR
    assert placement(a=small, b=modality).targets(facts(size=3000)) == _FAR


def test_a_rule_without_copies_has_those_of_everything() -> None:
    assert placement(r=RuleConfig(later=("far",))).targets(facts()) == Targets(("near",), ("far",))


def test_only_a_peer_of_the_dicom_door_calls() -> None:
    rule = RuleConfig(calling_ae=("*1",), copies=("far",))
    assert placement(r=rule).targets(facts(calling_ae="")) == _DEFAULT


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("NoSuchThing", "neither a keyword nor a tag"),
        ("PixelData", "no single value that the index keeps"),
        ("ProcedureCodeSequence", "no single value that the index keeps"),
        ("Modality", "the rule's own key modality"),
    ],
)
def test_an_attribute_that_no_rule_can_look_at_is_refused(tag: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        placement(r=RuleConfig(tags={tag: "x"}))
