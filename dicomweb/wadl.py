"""The capabilities of the gateway as a WADL document (PS3.18 8.9, annex H)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from xml.etree import ElementTree as ET

from dicomweb.resources import Described, Operation, Parameter

NAMESPACE = "http://wadl.dev.java.net/2009/02"

_TYPES = {"integer": "xs:int", "number": "xs:double"}
Node = dict[str, object]


def wadl_tree(routes: Iterable[Described], root_url: str, facts: Mapping[str, str]) -> Node:
    """The document as values: a list under the name of each child element, attributes as they are."""
    below = [route for route in routes if route.is_below_root]
    resources = [
        _resource(path, list(found)) for path, found in groupby(below, key=lambda route: route.path)
    ]
    docs = [{"title": title, "text": text} for title, text in facts.items()]
    return {
        "doc": docs,
        "resources": [{"base": f"{root_url}/", "resource": resources}],
    }


def to_xml(tree: Node) -> bytes:
    """The document as XML."""
    application = ET.Element("application", {"xmlns": NAMESPACE})
    application.set("xmlns:xs", "http://www.w3.org/2001/XMLSchema")
    _fill(application, tree)
    document: bytes = ET.tostring(application, encoding="utf-8", xml_declaration=True)
    return document


def _fill(element: ET.Element, node: Node) -> None:
    for name, value in node.items():
        if isinstance(value, list):
            for child in value:
                _fill(ET.SubElement(element, name), child)
        elif name == "text":
            element.text = str(value)
        else:
            element.set(name, str(value))


def _resource(path: str, routes: list[Described]) -> Node:
    templates = [
        {"name": name, "style": "template", "type": "xs:string", "required": "true"}
        for name in routes[0].variables
    ]
    methods = [_method(route) for route in routes]
    return {"path": path.lstrip("/"), "param": templates, "method": methods}


def _method(route: Described) -> Node:
    operation = route.operation
    title = f"PS3.18 {operation.section}" if operation.section else "of this archive"
    kinds = () if route.method == "HEAD" else operation.produces
    return {
        "name": route.method,
        "id": identifier(route),
        "doc": [{"title": title, "text": operation.text}],
        "request": [_request(operation)],
        "response": [
            {
                "status": " ".join(map(str, operation.statuses)),
                "representation": [{"mediaType": kind} for kind in kinds],
            }
        ],
    }


def _request(operation: Operation) -> Node:
    accept = [
        {
            "name": "Accept",
            "style": "header",
            "default": operation.produces[0],
            "option": [{"value": kind} for kind in operation.produces],
        }
        for _ in operation.produces[:1]
    ]
    return {
        "param": [*accept, *map(_parameter, operation.parameters)],
        "representation": [{"mediaType": kind} for kind in operation.consumes],
    }


def _parameter(parameter: Parameter) -> Node:
    return {
        "name": parameter.name,
        "style": "query",
        "type": _TYPES.get(str(parameter.schema.get("type")), "xs:string"),
        "required": str(parameter.is_required).lower(),
        "doc": [{"text": parameter.text}],
    }


def identifier(route: Described) -> str:
    """A name for one method of one route, unlike all others."""
    words = route.path.replace("{", "").replace("}", "").replace(".", "/").split("/")
    place = [] if route.is_below_root else ["server"]
    return "-".join([route.method.lower(), *place, *filter(None, words)])
