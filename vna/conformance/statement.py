"""The statement itself: its text with the tables and facts of the code put in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import orjson

from vna.config import Config
from vna.conformance import associations, classes, queries, services
from vna.conformance.facts import facts_of
from vna.conformance.table import Table
from vna.model.identifiers import LEVELS
from vna.scp.policy import Service

STATEMENT, TABLES = "conformance.md", "conformance-tables.md"
"""The two documents, which refer to each other by these names."""

_PLACE = re.compile(r"\{\{([\w.]+)\}\}")


@dataclass(frozen=True, slots=True)
class Conformance:
    """All that the statement says and code knows: tables and facts by name."""

    tables: Mapping[str, Table]
    facts: Mapping[str, str]

    def documents(self) -> dict[str, str]:
        """Name -> text of each document, in Markdown. Raises KeyError for a place that nothing fills."""
        templates = {name: _template(name) for name in (STATEMENT, TABLES)}
        return {name: _PLACE.sub(self._fill, text) for name, text in templates.items()}

    def unused(self) -> set[str]:
        """The tables that no document has a place for."""
        text = "".join(_template(name) for name in (STATEMENT, TABLES))
        return set(self.tables) - set(_PLACE.findall(text))

    def json(self) -> str:
        """For a program: the tables as lists of rows, and the facts that the documents name."""
        text = "".join(_template(name) for name in (STATEMENT, TABLES))
        named = dict.fromkeys(_PLACE.findall(text))
        values = {
            "facts": {name: self.facts[name] for name in named if name in self.facts},
            "tables": {name: item.records() for name, item in self.tables.items()},
        }
        return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()

    def _fill(self, place: re.Match[str]) -> str:
        name = place[1]
        return self.tables[name].markdown() if name in self.tables else self.facts[name]


def conformance(config: Config, web: Mapping[str, Table]) -> Conformance:
    """What the archive with this configuration conforms to; `web` is the gateway's part of the tables."""
    makers: dict[str, Callable[[], Table]] = {
        **_of_classes(),
        **_of_associations(config),
        **_of_services(),
        **_of_queries(),
    }
    made = {name: make() for name, make in makers.items()}
    return Conformance({**made, **web}, facts_of(config))


def _of_classes() -> dict[str, Callable[[], Table]]:
    return {
        "overview": classes.overview_table,
        "sop_classes": classes.class_table,
        "refused_classes": classes.refused_classes,
        "storage_classes": classes.storage_table,
        "transfer_syntaxes": classes.syntax_table,
        "context_examples": classes.context_examples,
        "models": classes.model_table,
    }


def _of_associations(config: Config) -> dict[str, Callable[[], Table]]:
    return {
        "limits": partial(associations.limit_table, config.dimse),
        "rejections": associations.rejection_table,
        "aborts": associations.abort_table,
        "extended": partial(associations.extended_table, config.dimse),
        "query_options": partial(associations.option_table, config.dimse),
        "identities": partial(associations.identity_table, config.dimse),
        "peers": partial(associations.peer_table, config),
        "destinations": partial(associations.destination_table, config),
    }


def _of_services() -> dict[str, Callable[[], Table]]:
    return {
        **{f"{item.value}_statuses": partial(services.status_table, item) for item in Service},
        "event_statuses": services.event_status_table,
        "suboperations": services.suboperation_table,
        "commitment_events": services.event_table,
        "failure_reasons": services.failure_reason_table,
    }


def _of_queries() -> dict[str, Callable[[], Table]]:
    return {
        "matching": queries.matching_table,
        "date_pairs": queries.pair_table,
        **{f"{item.value.lower()}_keys": partial(queries.key_table, item) for item in LEVELS},
        "charsets": queries.charset_table,
        "charset_examples": queries.answer_table,
    }


def _template(name: str) -> str:
    return files(__package__).joinpath(f"{name}.in").read_text(encoding="utf-8")
