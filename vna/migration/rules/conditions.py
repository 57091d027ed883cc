"""When a rule applies: what the instance says of itself as it came."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vna.dicom.attributes import lookup, vr_of
from vna.dicom.vrs import TEXT_VRS
from vna.errors import ConfigError
from vna.model.query import JsonElement


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the values of an element fits one of the `patterns`; one that has only empty values is ""."""

    tag: int
    patterns: tuple[re.Pattern[str], ...]

    def is_met(self, elements: Mapping[int, JsonElement]) -> bool:
        """Whether it is so with these elements, which have its own."""
        texts = list(filter(None, texts_of(elements[self.tag]))) or [""]
        return any(pattern.fullmatch(text) for text in texts for pattern in self.patterns)


def conditions_of(tree: object) -> tuple[Condition, ...]:
    """What `when = { KEYWORD = "value" or ["value", …] }` says. Raises ConfigError.

    `*` stands for any run of characters, `?` for one; "/…/" is a regular expression for the whole value.
    """
    if not isinstance(tree, Mapping) or not tree:
        raise ConfigError('when is written as when = { InstitutionName = "North*" }')
    return tuple(_condition(str(keyword), values) for keyword, values in tree.items())


def text_tag(keyword: str) -> int:
    """The tag of an element that has text, of the dataset itself or of its file meta. Raises ConfigError."""
    found = lookup(keyword)
    if found is None:
        raise ConfigError(f"{keyword!r} is neither a keyword of DICOM nor a tag such as 00080080")
    if vr_of(found[0]) not in TEXT_VRS:
        raise ConfigError(f"{keyword} has no text that could be looked at")
    return found[0]


def texts_of(element: JsonElement) -> list[str]:
    """The values of an element without padding, of person names every form."""
    values = element.get("Value")
    texts: list[str] = []
    for value in values if isinstance(values, list) else ():
        forms = value.values() if isinstance(value, dict) else ("" if value is None else value,)
        texts += [str(form).strip() for form in forms]
    return texts


def _condition(keyword: str, values: object) -> Condition:
    tag = text_tag(keyword)
    wanted = [values] if isinstance(values, str) else values
    if not isinstance(wanted, Sequence) or not wanted:
        raise ConfigError(f"when: {keyword} needs a text, or a list of some")
    return Condition(tag, tuple(_expression(keyword, item) for item in wanted))


def _expression(keyword: str, value: object) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise ConfigError(f"when: {keyword} needs a text, or a list of some")
    if len(value) > 2 and value[0] == value[-1] == "/":
        try:
            return re.compile(value[1:-1], re.DOTALL)
        except re.error as exc:
            raise ConfigError(f"when: {keyword}: {value} is no regular expression: {exc}") from exc
    escaped = re.escape(value.strip()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)
