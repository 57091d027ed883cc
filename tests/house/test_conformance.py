"""The conformance statement in docs/ is what the code makes of it now, and leaves nothing out."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

import dicomweb.conformance
from tests.house.project import parse, python_files, read
from vna.config import Config, DimseConfig
from vna.conformance.associations import ABORT_REASONS, LIMITS, REJECTIONS, rejections
from vna.conformance.services import FAILURE_REASONS
from vna.conformance.statement import Conformance, conformance
from vna.dicom.attributes import BY_LEVEL, COMPUTED
from vna.dimse import commitment_scu
from vna.dimse.pdu import AbortReason
from vna.model.commitment import FailureReason
from vna.model.identifiers import LEVELS, Level
from vna.scp import session, status
from vna.scp.policy import Service, is_storage_class, service_of
from vna.scp.status_meanings import EVENT_MEANINGS, MEANINGS, OF_ANY_SERVICE

REMEDY = "is not what the code says now; run: make conformance"


@pytest.fixture(scope="module")
def stated() -> Conformance:
    """The statement for the default configuration."""
    return conformance(Config(), dicomweb.conformance.tables())


@pytest.mark.parametrize("name", ["conformance.md", "conformance-tables.md"])
def test_the_documents_are_what_the_code_says(stated: Conformance, name: str) -> None:
    assert read(f"docs/{name}") == stated.documents()[name], f"docs/{name} {REMEDY}"


def test_every_table_has_a_place(stated: Conformance) -> None:
    assert stated.unused() == set()


def column(stated: Conformance, table: str, name: str) -> list[str]:
    """One column of a table."""
    return [record[name] for record in stated.tables[table].records()]


def test_every_sop_class_of_the_standard_that_is_served_is_listed(stated: Conformance) -> None:
    classes = {uid for uid in UID_dictionary if UID(uid).type == "SOP Class"}
    storage = {uid for uid in classes if is_storage_class(uid)}
    assert len(storage) > 150
    assert set(column(stated, "storage_classes", "UID")) == storage
    served = {uid for uid in classes - storage if service_of(uid) is not None}
    assert set(column(stated, "sop_classes", "UID")) - {""} == served


def test_every_transfer_syntax_of_the_standard_is_listed(stated: Conformance) -> None:
    known = {uid for uid in UID_dictionary if UID(uid).type == "Transfer Syntax"}
    assert set(column(stated, "transfer_syntaxes", "UID")) == known


@pytest.mark.parametrize("level", LEVELS)
def test_every_key_is_listed(stated: Conformance, level: Level) -> None:
    listed = column(stated, f"{level.lower()}_keys", "keyword")
    computed = {item.keyword for item in COMPUTED if item.level is level}
    kept = {item.keyword for item in BY_LEVEL[level]}
    assert kept <= set(listed) <= kept | computed
    unmatched = stated.facts["unmatched_keys"].split(", ")
    assert computed - set(listed) <= set(unmatched)


# --- statuses: those that the modules of a service use are those of its table, no more, no less ---

NOT_ANSWERED = {Service.GET: {status.MOVE_DESTINATION_UNKNOWN}}
"""What the modules of a service know for another one."""


def imports_of(module: str) -> list[ast.ImportFrom]:
    """The imports of a module of the DIMSE door."""
    path = Path(*module.split(".")).with_suffix(".py")
    return [node for node in ast.walk(parse(path)) if isinstance(node, ast.ImportFrom)]


def modules_behind(module: str) -> set[str]:
    """A module of the DIMSE door, and those of the door that it uses, directly or not."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            used = {str(node.module) for node in imports_of(name)}
            waiting += [other for other in used if other.startswith("vna.scp.")]
    return found - {status.__name__}


def named_statuses(modules: Iterable[str]) -> set[int]:
    """The status codes that modules take from `vna.scp.status` by name."""
    values = [
        getattr(status, alias.name)
        for module in modules
        for node in imports_of(module)
        if node.module == status.__name__
        for alias in node.names
    ]
    return {value for value in values if isinstance(value, int)}


def failures(service: Service) -> set[int]:
    """The codes to which the errors of a service are turned."""
    return {code for _, code in status.failures_of(service)}


@pytest.mark.parametrize("service", list(Service))
def test_every_status_of_a_service_has_a_meaning(service: Service) -> None:
    used = named_statuses(modules_behind(session.OPERATIONS[service].answer.__module__))
    sent = (used - NOT_ANSWERED.get(service, set())) | failures(service)
    assert sent - OF_ANY_SERVICE.keys() == set(MEANINGS[service])


def test_what_the_session_answers_by_itself_has_a_meaning() -> None:
    assert named_statuses([session.__name__]) == set(OF_ANY_SERVICE)


def test_every_status_of_an_event_has_a_meaning() -> None:
    source = ast.parse(inspect.getsource(commitment_scu.judge_report))
    names = {node.id for node in ast.walk(source) if isinstance(node, ast.Name)}
    values = (getattr(commitment_scu, name, None) for name in names if name.isupper())
    sent = {value for value in values if isinstance(value, int) and value not in {1, 2}}
    sent -= {commitment_scu.MAX_REPORT_LENGTH}
    assert sent == set(EVENT_MEANINGS)


def test_every_service_has_a_table(stated: Conformance) -> None:
    for service in Service:
        codes = column(stated, f"{service.value}_statuses", "status")
        assert codes
        assert len(codes) == len(set(codes))


# --- what is sent must be explained ---


def used_members(owner: str, paths: Iterable[Path]) -> set[str]:
    """The names X of `owner.X` in some modules."""
    return {
        node.attr
        for path in paths
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    }


def modules() -> list[Path]:
    """The modules of the archive, without those that write the statement."""
    return [path for path in python_files("vna") if "conformance" not in path.parts]


def test_every_abort_reason_is_explained() -> None:
    used = used_members("AbortReason", modules())
    assert used == {reason.name for reason in ABORT_REASONS}
    assert used < set(AbortReason.__members__)


def test_every_failure_reason_of_a_report_is_explained() -> None:
    services = Path("vna/services/commitment.py"), Path("vna/index/commitments.py")
    statement = read("vna/index/sql/queries/commitment_request.sql")
    numbers = set(map(int, re.findall(r"array_fill\((\d+),", statement)))
    names = used_members("FailureReason", services) | {FailureReason(n).name for n in numbers}
    assert names - {"KEPT"} == {reason.name for reason in FAILURE_REASONS}
    assert names < set(FailureReason.__members__)


def imported_names() -> Iterator[str]:
    """Every name that a module of the archive imports from another."""
    for path in modules():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ImportFrom):
                yield from (alias.name for alias in node.names)


def test_every_rejection_that_is_sent_is_explained() -> None:
    assert set(imported_names()) & set(rejections()) == set(REJECTIONS)


def test_every_limit_of_the_door_is_listed() -> None:
    numbers = {
        key.name
        for key in dataclasses.fields(DimseConfig)
        if isinstance(getattr(DimseConfig(), key.name), (int, float))
        and not isinstance(getattr(DimseConfig(), key.name), bool)
    }
    assert numbers - set(LIMITS) == {"port", "workers"}
    assert set(LIMITS) <= numbers
