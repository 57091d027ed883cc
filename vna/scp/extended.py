"""SOP class extended negotiation of queries and retrieval (PS3.4 C.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vna.config import DimseConfig

ALWAYS, NEGOTIATED, NEVER = "always", "negotiated", "never"
_SUPPORTED = 1


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How a request of one SOP class is to be understood.

    `relational`: unique keys of the levels above may be missing (C.4.1.2.2.1, C.4.2.2.2);
    `combined_datetime`: ranges of a date and its time are one range (C.2.2.2.5.4); `fuzzy`: person
    names match by meaning (C.2.2.2.1.1); `timezone`: Timezone Offset From UTC of the request says
    how its times, and those of the answers, are meant (C.2.2.2.1.3).
    """

    relational: bool = False
    combined_datetime: bool = False
    fuzzy: bool = False
    timezone: bool = False


# The application information byte by byte (tables C.5-1, C.5-2): what each agrees to. What stands
# behind these (Enhanced Multi-Frame Image Conversion, empty and multiple value matching) is not
# supported: 0.
FIND_FIELDS = ("relational", "combined_datetime", "fuzzy", "timezone")
RETRIEVE_FIELDS = ("relational",)


class Negotiated(Protocol):
    """Something with the agreed application information of each SOP class: an association."""

    @property
    def extended(self) -> Mapping[str, bytes]:
        """The acceptor's answer, by SOP Class UID."""
        ...


def answer_find(information: bytes, fuzzy_matching: str = NEGOTIATED) -> bytes | None:
    """The answer to a proposal for a FIND class: 1 where it proposes 1 and the archive agrees.

    As long as the proposal, whatever its length: old peers send one byte, new ones seven. None (no
    item) for an empty one. `fuzzy_matching` is the configuration's.
    """
    refused = {"fuzzy"} if fuzzy_matching == NEVER else set()
    return _answer(information, [name not in refused for name in FIND_FIELDS])


def answer_retrieve(information: bytes) -> bytes | None:
    """The answer to a proposal for a MOVE or GET class, as `answer_find`."""
    return _answer(information, [True] * len(RETRIEVE_FIELDS))


def options_of(
    negotiated: Negotiated, sop_class_uid: str, config: DimseConfig | None = None
) -> QueryOptions:
    """What was agreed for a FIND, MOVE or GET class, and what `config` grants without agreement.

    Combined ranges and time zones change what an unsuspecting peer finds: they are never granted
    without agreement.
    """
    agreed = negotiated.extended.get(sop_class_uid, b"")
    fields = zip(FIND_FIELDS, agreed, strict=False)
    granted = {name: value == _SUPPORTED for name, value in fields}
    if config is not None:
        granted |= _granted(config)
    return QueryOptions(**granted)


def _granted(config: DimseConfig) -> dict[str, bool]:
    granted: dict[str, bool] = {}
    if config.relational_queries == ALWAYS:
        granted["relational"] = True
    if config.fuzzy_matching != NEGOTIATED:
        granted["fuzzy"] = config.fuzzy_matching == ALWAYS
    return granted


def _answer(information: bytes, supported: list[bool]) -> bytes | None:
    if not information:
        return None
    answers = bytes(
        _SUPPORTED if is_supported and proposed == _SUPPORTED else 0
        for proposed, is_supported in zip(information, supported, strict=False)
    )
    return answers.ljust(len(information), b"\0")
