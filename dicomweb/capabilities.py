"""The gateway describes itself: capabilities as WADL and JSON (PS3.18 8.9), and OpenAPI."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import orjson
from flask import Flask, Response, request

from dicomweb.context import asked_types
from dicomweb.media import JSON
from dicomweb.negotiate import Offer, choose
from dicomweb.openapi import openapi_document
from dicomweb.resource_table import OPENAPI, TABLE, WADL
from dicomweb.resources import Described, described, readable
from dicomweb.urls import ROOT, Urls
from dicomweb.wadl import to_xml, wadl_tree
from vna import __version__
from vna.config import WebConfig

_ENDPOINT = "capabilities"


class Capabilities:
    """The documents are made of the routes that the application has, so that they can't drift from them."""

    def __init__(self, app: Flask, urls: Urls, settings: WebConfig) -> None:
        self._app = app
        self._urls = urls
        self._facts = facts_of(settings)

    def register(self) -> None:
        """Add the routes."""
        self._app.add_url_rule(
            f"{ROOT}/",
            _ENDPOINT,
            self.capabilities,
            methods=["GET", "OPTIONS"],
            provide_automatic_options=False,
        )
        self._app.add_url_rule(f"{ROOT}/openapi.json", "openapi", self.openapi)
        self._app.before_request(self._of_resource)

    def capabilities(self) -> Response:
        """The resources below the root, their methods, parameters and media types."""
        response = self._described(self._routes)
        if request.method == "OPTIONS":
            response.headers["Allow"] = "GET, HEAD, OPTIONS"
        return response

    def openapi(self) -> Response:
        """The OpenAPI document, with the routes beside the root."""
        kind = _chosen(JSON, OPENAPI)
        document = openapi_document(self._routes, self._urls.root(), __version__, self._facts)
        return Response(orjson.dumps(document), mimetype=kind)

    def _of_resource(self) -> Response | None:
        """What OPTIONS gives on another path to who accepts a description: the resource and those below (annex H)."""
        rule = request.url_rule
        if rule is None or rule.endpoint == _ENDPOINT or not asks_for_description():
            return None
        path = readable(rule.rule).removeprefix(ROOT)
        of_it = [route for route in self._routes if f"{route.path}/".startswith(f"{path}/")]
        response = self._described([route for route in of_it if route.is_below_root])
        methods = {route.method for route in of_it if route.path == path}
        response.headers["Allow"] = ", ".join(sorted({*methods, "OPTIONS"}))
        return response

    def _described(self, routes: Sequence[Described]) -> Response:
        kind = _chosen(WADL, JSON)
        tree = wadl_tree(routes, self._urls.root(), self._facts)
        body = to_xml(tree) if kind == WADL else orjson.dumps({"application": tree})
        return Response(body, mimetype=kind)

    @cached_property
    def _routes(self) -> tuple[Described, ...]:
        """Made when they are first asked for: by then the application is complete."""
        return tuple(described(self._app, TABLE))


def asks_for_description() -> bool:
    """Whether the request is an OPTIONS, and no preflight, that names a form of the capabilities among what it accepts:
    all others want to know the methods alone.
    """
    if request.method != "OPTIONS" or "Access-Control-Request-Method" in request.headers:
        return False
    is_ours = request.path == ROOT or request.path.startswith(f"{ROOT}/")
    return is_ours and any(wanted.kind in {WADL, JSON} for wanted in asked_types())


def facts_of(settings: WebConfig) -> dict[str, str]:
    """What a client should know beforehand, by what it is about."""
    deleting: dict[str, str] = {
        "users": "open to users who give their name and password, and to all on the archive's own machine",
        "everyone": "open to everyone",
        "nobody": "open to nobody",
    }
    return {
        "Matches": f"an answer to a search holds {settings.max_results} at most; "
        "a Link header leads to the next page, a Warning header tells when a search was cut",
        "Deletion": deleting[settings.allow_delete],
    }


def _chosen(*kinds: str) -> str:
    return choose(asked_types(), [Offer(kind) for kind in kinds]).kind
