"""The gateway as an OpenAPI 3.1 document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from dicomweb.problems import PROBLEM_JSON
from dicomweb.resources import Described, Operation, Parameter
from dicomweb.wadl import identifier

_UID = {
    "type": "string",
    "maxLength": 64,
    "pattern": r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*$",
    "examples": ["1.2.840.113619.2.55.3"],
}
_VARIABLES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "study": ("Study Instance UID", _UID),
    "series": ("Series Instance UID", _UID),
    "instance": ("SOP Instance UID", _UID),
    "entry": (
        "the number of an entry of the trash",
        {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"},
    ),
    "numbers": (
        "frame numbers from 1, with commas between",
        {"type": "string", "pattern": "^[1-9][0-9]{0,6}(,[1-9][0-9]{0,6}){0,20}$"},
    ),
    "path": (
        "the tag of an attribute, behind tags and item numbers of sequences",
        {"type": "string", "pattern": "^[0-9A-F]{8}(/[0-9]{1,3}/[0-9A-F]{8}){0,4}$"},
    ),
}
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "correlation_id": {"type": "string"},
    },
}
_OPEN = frozenset({"/healthz", "/readyz"})
"""What is asked without credentials."""


def openapi_document(
    routes: Iterable[Described], root_url: str, version: str, facts: Mapping[str, str]
) -> dict[str, object]:
    """The document for a gateway whose DICOMweb root is `root_url`."""
    parts = urlsplit(root_url)
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        path = parts.path + route.path if route.is_below_root else route.path
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DICOMweb gateway of a vendor-neutral archive",
            "version": version,
            "description": "\n\n".join(f"{title}: {text}" for title, text in facts.items()),
        },
        "servers": [{"url": f"{parts.scheme}://{parts.netloc}"}],
        "security": [{}, {"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "schemas": {"Problem": _PROBLEM},
            "responses": {
                "Problem": {
                    "description": "refused or failed; the document says why",
                    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def _operation(route: Described) -> dict[str, object]:
    operation = route.operation
    section = f" (PS3.18 {operation.section})" if operation.section else ""
    found: dict[str, object] = {
        "operationId": identifier(route),
        "summary": operation.text + section,
        "parameters": [
            *(_variable(name) for name in route.variables),
            *(_parameter(parameter) for parameter in operation.parameters),
        ],
        "responses": _responses(operation, has_body=route.method != "HEAD"),
    }
    if operation.consumes:
        content = {kind: {"schema": _BINARY} for kind in operation.consumes}
        found["requestBody"] = {"required": True, "content": content}
    if route.path in _OPEN:
        found["security"] = []
    return found


def _responses(operation: Operation, *, has_body: bool) -> dict[str, object]:
    found: dict[str, object] = {}
    content = {kind: {"schema": _schema_of(kind, operation)} for kind in operation.produces}
    for status in operation.statuses:
        text = "done" if status < 300 else "not done; the body says why"
        has_content = has_body and content and status != 204
        found[str(status)] = {"description": text, **({"content": content} if has_content else {})}
    # The body of a HEAD is never there, whatever would be said of it.
    found["default"] = (
        {"$ref": "#/components/responses/Problem"} if has_body else {"description": "refused"}
    )
    return found


def _schema_of(kind: str, operation: Operation) -> Mapping[str, object]:
    is_json = kind.endswith(("/json", "+json"))
    return operation.schema or {} if is_json else _BINARY


def _variable(name: str) -> dict[str, object]:
    text, schema = _VARIABLES.get(name, ("", {"type": "string"}))
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _parameter(parameter: Parameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.text,
        "schema": parameter.schema,
    }
