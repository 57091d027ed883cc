"""Which backends a new instance goes to: the first rule that it meets, else the default."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vna.config_storage import RuleConfig, StorageConfig, default_copies
from vna.dicom.attributes import BY_LEVEL, lookup
from vna.errors import ConfigError
from vna.model.instances import LevelAttributes
from vna.model.query import JsonElement

_MODALITY = "00080060"
_KEPT = {item.key: item for table in BY_LEVEL.values() for item in table}


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at. `size` of the object in bytes; `calling_ae`: "" where it came through another door."""

    sop_class_uid: str
    size: int
    calling_ae: str
    attributes: LevelAttributes


@dataclass(frozen=True, slots=True)
class Targets:
    """Backends by name: those of `copies` before the acknowledgement, the one that is read first at their head;
    those of `later` afterwards.
    """

    copies: tuple[str, ...]
    later: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rule:
    targets: Targets
    least: int
    most: int
    sop_class_uid: re.Pattern[str] | None
    calling_ae: re.Pattern[str] | None
    values: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    def matches(self, facts: Facts) -> bool:
        return (
            self.least <= facts.size
            and (not self.most or facts.size <= self.most)
            and _is_met(self.sop_class_uid, (facts.sop_class_uid,))
            and _is_met(self.calling_ae, (facts.calling_ae,))
            and all(
                _is_met(pattern, _values(facts.attributes, key))
                for key, pattern in self.values.items()
            )
        )


class Placement:
    """The rules of a configuration. Raises ConfigError for an attribute that no rule can look at."""

    def __init__(self, storage: StorageConfig) -> None:
        default = default_copies(storage)
        self.default = Targets(default, storage.later)
        self._rules = [_rule(name, rule, default) for name, rule in storage.rules.items()]

    @property
    def asks_who_called(self) -> bool:
        """Whether any rule looks at the calling AE title."""
        return any(rule.calling_ae is not None for rule in self._rules)

    def targets(self, facts: Facts) -> Targets:
        """Where an instance goes."""
        for rule in self._rules:
            if rule.matches(facts):
                return rule.targets
        return self.default


def _rule(name: str, rule: RuleConfig, default: tuple[str, ...]) -> _Rule:
    values = {_key(name, tag): _pattern([value]) for tag, value in rule.tags.items()}
    if rule.modality:
        values[_MODALITY] = _pattern(rule.modality)
    return _Rule(
        Targets(rule.copies or default, rule.later),
        rule.min_bytes,
        rule.max_bytes,
        _pattern(rule.sop_class_uid) if rule.sop_class_uid else None,
        _pattern(rule.calling_ae) if rule.calling_ae else None,
        values,
    )


def _key(rule: str, tag: str) -> str:
    where = f"storage.rules.{rule}.tags"
    found = lookup(tag)
    if found is None:
        raise ConfigError(f"{where}: {tag!r} is neither a keyword nor a tag such as 00180015")
    kept = _KEPT.get(f"{found[0]:08X}")
    if kept is None or kept.vr == "SQ":
        raise ConfigError(f"{where}: {tag} is no single value that the index keeps")
    if kept.key == _MODALITY:
        raise ConfigError(f"{where}: use the rule's own key modality for {tag}")
    return kept.key


def _pattern(values: Iterable[str]) -> re.Pattern[str]:
    """One of `values`, where `*` is any run of characters and `?` one."""
    parts = (re.escape(value.strip()).replace(r"\*", ".*").replace(r"\?", ".") for value in values)
    return re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL)


def _is_met(pattern: re.Pattern[str] | None, values: Iterable[str]) -> bool:
    return pattern is None or any(pattern.fullmatch(value) for value in values)


def _values(attributes: LevelAttributes, key: str) -> Iterator[str]:
    """The values of an attribute at whichever level it is kept, of person names every form."""
    levels = (attributes.patient, attributes.study, attributes.series, attributes.instance)
    for level in levels:
        element: JsonElement = level.get(key, {})
        values = element.get("Value")
        for value in values if isinstance(values, list) else ():
            if isinstance(value, dict):
                yield from (str(form).strip() for form in value.values())
            else:
                yield str(value).strip()
