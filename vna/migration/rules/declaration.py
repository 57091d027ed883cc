"""Rules as they are declared, in TOML with maps in CSV, and what is wrong with them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vna.dicom.attributes import BY_LEVEL
from vna.dicom.charset import CODECS, parse_charsets, usable_charsets
from vna.errors import ConfigError
from vna.migration.rules.conditions import Condition, conditions_of, text_tag
from vna.migration.rules.maps import parse_map, read_map
from vna.migration.rules.values import LONGEST, fault_of
from vna.model.identifiers import Level
from vna.model.rules import RulesText

CHARACTER_SET = 0x00080005
UNMAPPED = ("keep", "prefix", "park")
"""What becomes of a value that a map does not have."""

_DEEDS = ("set", "default", "prefix", "map")
_KEYS = {"name", "attribute", "when", "set", "default", "prefix", "map", "by", "unmapped"}
_TOP_KEYS = {"rule", "system", "source"}
_WRITABLE = {
    item.keyword: item
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
    for item in BY_LEVEL[level]
    if item.vr in LONGEST and item.keyword not in {"SpecificCharacterSet", "TimezoneOffsetFromUTC"}
}
_LONGEST_TEXT = 64
_IDENTIFYING = {_WRITABLE[keyword].tag for keyword in ("PatientID", "AccessionNumber")}
_DEFAULT_SETS = (("",), ("ISO_IR 6",))


@dataclass(frozen=True, slots=True)
class SetTo:
    """The element becomes `value`; with `only_empty` where it has none."""

    value: str
    only_empty: bool = False


@dataclass(frozen=True, slots=True)
class Prefixed:
    """Each value begins with `prefix`."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """Each value becomes what `table` says of it; or of the value of the element `by`, when that is another one.

    `taken`: what no value that `table` lacks may become.
    """

    name: str
    table: Mapping[str, str]
    by: int
    unmapped: str
    prefix: str = ""
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeclaredSet:
    """The texts are truly in the character set of these defined terms."""

    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what becomes of an element, and when. Of the rules of an element the first that applies counts."""

    number: int
    name: str
    tag: int
    keyword: str
    vr: str
    deed: SetTo | Prefixed | Mapped | DeclaredSet
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of a version, in their order. `source`: Source of Previous Values (0400,0564), "" for the campaign."""

    rules: tuple[Rule, ...] = ()
    system: str = ""
    source: str = ""


class _Maps:
    """The maps that rules name: beside their file in `folder`, or as the ledger keeps them."""

    def __init__(self, kept: Mapping[str, str], folder: Path | None = None) -> None:
        self.texts, self._folder = dict(kept), folder

    def read(self, name: object, vr: str) -> Mapping[str, str]:
        """Raises ConfigError."""
        if not isinstance(name, str) or not name:
            raise ConfigError("map is the path of a CSV file")
        shown = name if self._folder is None else str(self._folder / name)
        if name not in self.texts:
            self.texts[name] = read_map(Path(shown))
        return parse_map(shown, self.texts[name], vr)


def read_rules(path: Path, system: str) -> RulesText:
    """What a file declares, with its maps, which are beside it unless their paths are absolute. Raises ConfigError.

    `system`: the Modifying System where the file names none.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}; check the path") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8; save the file as UTF-8") from exc
    maps = _Maps({}, path.parent)
    found = _parsed(text, str(path), maps)
    return RulesText(text, maps.texts, found.system or system)


def parse_rules(rules: RulesText) -> RuleSet:
    """The rules that the ledger keeps. Raises ConfigError."""
    return replace(_parsed(rules.text, "the rules", _Maps(rules.maps)), system=rules.system)


def _parsed(text: str, where: str, maps: _Maps) -> RuleSet:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{where} is no TOML: {exc}") from exc
    unknown = sorted(set(tree) - _TOP_KEYS)
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; there are {_list(_TOP_KEYS)}")
    tables = tree.get("rule", [])
    if not isinstance(tables, list):
        raise ConfigError(f"{where}: each rule begins with a line [[rule]]")
    rules = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(_rule(number, table, maps))
        except ConfigError as exc:
            raise ConfigError(_placed(where, number, table, str(exc))) from exc
    return RuleSet(tuple(rules), *(_label(where, tree, key) for key in ("system", "source")))


def _placed(where: str, number: int, table: object, text: str) -> str:
    name = table.get("name") or table.get("attribute") if isinstance(table, dict) else ""
    return f"{where}: rule {number}{f' ({name})' if name else ''}: {text}"


def _label(where: str, tree: Mapping[str, Any], key: str) -> str:
    value = tree.get(key, "")
    if not isinstance(value, str) or (value and fault_of(value, "LO")):
        raise ConfigError(f"{where}: {key} is a text of {_LONGEST_TEXT} characters at most")
    return value


def _rule(number: int, table: Any, maps: _Maps) -> Rule:
    if not isinstance(table, dict):
        raise ConfigError("each rule begins with a line [[rule]]")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}; there are {_list(_KEYS)}")
    conditions = conditions_of(table["when"]) if "when" in table else ()
    keyword = str(table.get("attribute", ""))
    name = str(table.get("name") or f"{number} {keyword}")
    if keyword == "SpecificCharacterSet":
        deed = _declared_set(table)
        return Rule(number, name, CHARACTER_SET, keyword, "CS", deed, conditions)
    attribute = _WRITABLE.get(keyword)
    if attribute is None:
        raise ConfigError(
            f"attribute {keyword!r} is none that rules change; there are SpecificCharacterSet, {_list(_WRITABLE)}"
        )
    tag, vr = attribute.tag, attribute.vr
    return Rule(number, name, tag, keyword, vr, _deed(table, tag, vr, maps), conditions)


def _deed(table: Mapping[str, Any], tag: int, vr: str, maps: _Maps) -> SetTo | Prefixed | Mapped:
    _check_deeds(table)
    for key in ("set", "default"):
        if key in table:
            if tag in _IDENTIFYING and "when" not in table:
                raise ConfigError(f"{key} without when would make all of them one: say when")
            return SetTo(_value(table, key, vr), only_empty=key == "default")
    if "map" not in table:
        return Prefixed(_value(table, "prefix", vr))
    by = text_tag(str(table["by"])) if "by" in table else tag
    prefix = _value(table, "prefix", vr) if "prefix" in table else ""
    found = maps.read(table["map"], vr)
    taken = frozenset(found.values() if by == tag and tag in _IDENTIFYING else ())
    return Mapped(table["map"], found, by, table["unmapped"], prefix, taken)


def _check_deeds(table: Mapping[str, Any]) -> None:
    named = [key for key in _DEEDS if key in table]
    if named not in (["set"], ["default"], ["prefix"], ["map"], ["prefix", "map"]):
        raise ConfigError(f"it takes one of {_list(_DEEDS)}, and has {_list(named) or 'none'}")
    if "map" not in table:
        extra = [key for key in ("by", "unmapped") if key in table]
        if extra:
            raise ConfigError(f"{extra[0]} belongs to a map")
        return
    unmapped = table.get("unmapped")
    if unmapped not in UNMAPPED:
        raise ConfigError(
            f"say what becomes of values that the map lacks: unmapped is one of {_list(UNMAPPED)}"
        )
    if (unmapped == "prefix") != ("prefix" in table):
        raise ConfigError('prefix and unmapped = "prefix" go together')


def _declared_set(table: Mapping[str, Any]) -> DeclaredSet:
    if any(key in table for key in ("default", "prefix", "map", "by", "unmapped")):
        raise ConfigError("a character set is declared with set, nothing else")
    value = table.get("set")
    terms = [value] if isinstance(value, str) else value
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise ConfigError('set is a defined term such as "ISO_IR 192", or a list of some')
    named = parse_charsets("\\".join(terms).encode("utf-8"))
    unknown = [term for term in named if term not in CODECS]
    if unknown:
        raise ConfigError(
            f"{unknown[0]!r} is no defined term of Specific Character Set, such as ISO_IR 100 or ISO_IR 192"
        )
    if named in _DEFAULT_SETS:
        return DeclaredSet(())
    if usable_charsets(named) != named:
        raise ConfigError(
            f"{_list(terms)} can't stand together in Specific Character Set (PS3.3 C.12.1.1.2)"
        )
    return DeclaredSet(named)


def _value(table: Mapping[str, Any], key: str, vr: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise ConfigError(f"{key} is a text: put it in quotes")
    value = value.lstrip() if key == "prefix" else value.strip()
    fault = fault_of(value, vr)
    if fault:
        raise ConfigError(f"{key}: {fault}")
    return value


def _list(words: Any) -> str:
    ordered = words if isinstance(words, (list, tuple)) else sorted(words)
    return ", ".join(map(str, ordered))
