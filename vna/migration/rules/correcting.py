"""What rules make of one instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vna.dicom.attributes import BY_LEVEL
from vna.dicom.encoding import Buffer
from vna.dicom.head_values import Head, HeadReader
from vna.dicom.vrs import CHARSET_VRS
from vna.errors import InvalidInstance
from vna.migration.rules.conditions import texts_of
from vna.migration.rules.declaration import (
    CHARACTER_SET,
    DeclaredSet,
    Mapped,
    Prefixed,
    Rule,
    RuleSet,
    SetTo,
)
from vna.migration.rules.values import fault_of
from vna.model.corrections import Correction
from vna.model.identifiers import Level
from vna.model.query import JsonElement

_DESCRIBED = {0x00100021: 0x00100024, 0x00080050: 0x00080051}
"""Sequences that say more about an element's issuer: they are not true of another value."""

_WHOSE = {
    item.tag: item.keyword
    for level in (Level.PATIENT, Level.STUDY)
    for item in BY_LEVEL[level]
    if item.vr in CHARSET_VRS
}
"""Texts that tell whose an instance is, and what."""

_NEVER = datetime.min.replace(tzinfo=UTC)


Patient = tuple[str, str]
_PATIENT = (0x00100021, 0x00100020)


class NotCorrectable(InvalidInstance):
    """A rule can't be followed, and says that the instance is to be parked then; it names no value."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules make of an instance.

    `applied`: by its number each rule that decided about its element, and whether it changes anything. `obstacles`: by
    the number of a rule why it can't be followed. `patients`: issuer and ID of its patient, before and after.
    """

    applied: Mapping[int, bool]
    obstacles: Mapping[int, str]
    correction: Correction | None = None
    patients: tuple[Patient, Patient] = (("", ""), ("", ""))


@dataclass(frozen=True, slots=True)
class Terms:
    """How corrections by a version of rules are labelled."""

    rules: str = ""
    source: str = ""
    modified_at: datetime = _NEVER


class Corrector:
    """Applies one version of rules. Shared by threads."""

    def __init__(self, rules: RuleSet, terms: Terms) -> None:
        self._rules, self._terms = rules, terms
        self._heads = HeadReader()
        self._tags = {rule.tag for rule in rules.rules if rule.tag != CHARACTER_SET}
        self._tags.update(_PATIENT)
        self._tags |= {c.tag for rule in rules.rules for c in rule.conditions}
        self._tags |= {rule.deed.by for rule in rules.rules if isinstance(rule.deed, Mapped)}

    @property
    def is_idle(self) -> bool:
        """Whether there are no rules at all."""
        return not self._rules.rules

    def correction(self, buffer: Buffer) -> Correction | None:
        """What is to be corrected in an object. Raises NotCorrectable, and InvalidInstance for what is no DICOM."""
        return None if self.is_idle else self.followed(buffer).correction

    def followed(self, buffer: Buffer) -> Decision:
        """As `decide`, where all rules can be followed. Raises NotCorrectable, InvalidInstance."""
        decision = self.decide(buffer)
        if decision.obstacles:
            raise NotCorrectable("; ".join(decision.obstacles.values()))
        return decision

    def decide(self, buffer: Buffer) -> Decision:
        """What each rule makes of an object. Raises InvalidInstance for what is no DICOM."""
        head = self._heads.read(buffer)
        applied: dict[int, bool] = {}
        obstacles: dict[int, str] = {}
        terms = self._true_set(head, applied, obstacles)
        elements = self._elements(head, head.charsets if terms is None else terms)
        changes: dict[str, JsonElement] = {}
        for rule in _first_of_each(self._rules.rules, elements):
            if rule.tag == CHARACTER_SET:
                continue
            changed = _changed(rule, elements, obstacles)
            applied[rule.number] = changed is not None
            if changed is not None:
                changes[f"{rule.tag:08X}"] = {"vr": rule.vr, "Value": changed}
                if (described := _DESCRIBED.get(rule.tag, 0)) in head:
                    changes[f"{described:08X}"] = {"vr": "SQ"}
        is_changed = bool(changes) or terms is not None
        correction = self._labelled(changes, terms) if is_changed else None
        after = elements | {int(tag, 16): element for tag, element in changes.items()}
        return Decision(applied, obstacles, correction, (_patient(elements), _patient(after)))

    def _true_set(
        self, head: Head, applied: dict[int, bool], obstacles: dict[int, str]
    ) -> tuple[str, ...] | None:
        """The declared character set of an instance for whose texts that makes a difference. One that can't be true
        is among the `obstacles`: with its label a right text would leave as a wrong one.
        """
        elements = self._elements(head, head.charsets)
        for rule in _first_of_each(self._rules.rules, elements):
            if isinstance(rule.deed, DeclaredSet):
                is_other = (rule.deed.terms or ("",)) != (head.charsets or ("",))
                applied[rule.number] = is_other and head.needs_character_set()
                if not applied[rule.number]:
                    return None
                if wrong := head.first_misfit(_WHOSE, rule.deed.terms):
                    applied[rule.number] = False
                    obstacles[rule.number] = _not_in(rule, wrong, rule.deed.terms)
                    return None
                return rule.deed.terms
        return None

    def _elements(self, head: Head, charsets: tuple[str, ...]) -> dict[int, JsonElement]:
        return {tag: head.element(tag, charsets) for tag in self._tags}

    def _labelled(
        self, changes: Mapping[str, JsonElement], character_set: tuple[str, ...] | None
    ) -> Correction:
        return Correction(
            self._rules.system,
            self._rules.source or self._terms.source,
            self._terms.rules,
            self._terms.modified_at,
            changes,
            character_set,
        )


def _patient(elements: Mapping[int, JsonElement]) -> Patient:
    issuer, number = ("\\".join(texts_of(elements[tag])) for tag in _PATIENT)
    return issuer, number


def _not_in(rule: Rule, tag: int, terms: tuple[str, ...]) -> str:
    label = "\\".join(terms) or "the default character set"
    return f"rule {rule.name}: {_WHOSE[tag]} is not in {label}: say when it is"


def _first_of_each(rules: Sequence[Rule], elements: Mapping[int, JsonElement]) -> list[Rule]:
    """Of the rules of each element the first whose conditions are met."""
    first: dict[int, Rule] = {}
    for rule in rules:
        if rule.tag not in first and all(c.is_met(elements) for c in rule.conditions):
            first[rule.tag] = rule
    return list(first.values())


def _changed(
    rule: Rule, elements: Mapping[int, JsonElement], obstacles: dict[int, str]
) -> list[str] | None:
    """The new values of the rule's element; None when it stays as it is, or can't be changed: then it is among the
    `obstacles`.
    """
    before = texts_of(elements[rule.tag])
    after = _new_values(rule, elements, before, obstacles)
    fault = next((fault for value in after if value and (fault := fault_of(value, rule.vr))), "")
    if fault and after != before:
        obstacles[rule.number] = f"rule {rule.name}: {rule.keyword}: {fault}"
    return None if rule.number in obstacles or after == before else after


def _new_values(
    rule: Rule, elements: Mapping[int, JsonElement], before: list[str], obstacles: dict[int, str]
) -> list[str]:
    match rule.deed:
        case SetTo(value, only_empty):
            return before if only_empty and any(before) else [value]
        case Prefixed(prefix):
            return _prefixed(prefix, before)
        case Mapped() as deed:
            return _mapped(rule, deed, elements, before, obstacles)
    return before


def _prefixed(prefix: str, values: list[str]) -> list[str]:
    """A prefix is set before what is there already, too: else two values could become one."""
    return [prefix + value if value else value for value in values]


def _mapped(
    rule: Rule,
    deed: Mapped,
    elements: Mapping[int, JsonElement],
    before: list[str],
    obstacles: dict[int, str],
) -> list[str]:
    """An element without a value stays so, unless another one decides."""
    is_own = deed.by == rule.tag
    keys = before if is_own else ["\\".join(texts_of(elements[deed.by]))]
    if all(key in deed.table or (is_own and not key) for key in keys):
        return [deed.table.get(key, key) for key in keys]
    if deed.unmapped == "park":
        looked_up = rule.keyword if is_own else f"the element by which {rule.keyword} is told"
        obstacles[rule.number] = f"rule {rule.name}: {deed.name} does not have {looked_up}"
        return before
    others = _prefixed(deed.prefix, before)  # `keep` has no prefix
    if not is_own:
        return others
    if any(
        key not in deed.table and other in deed.taken
        for key, other in zip(keys, others, strict=True)
    ):
        obstacles[rule.number] = (
            f"rule {rule.name}: {deed.name} does not have {rule.keyword}, which would become what "
            "another value becomes: give it a row of its own"
        )
    return [deed.table.get(key, other) for key, other in zip(keys, others, strict=True)]
