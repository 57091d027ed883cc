"""The gateway describes itself: capabilities as WADL and JSON (PS3.18 8.9), and OpenAPI."""

from __future__ import annotations

from functools import cached_property

import orjson
from flask import Flask, Response, request

from dicomweb.media import JSON, accepted
from dicomweb.negotiate import Offer, choose
from dicomweb.openapi import openapi_document
from dicomweb.resource_table import OPENAPI, TABLE, WADL
from dicomweb.resources import Described, described
from dicomweb.urls import ROOT, Urls
from dicomweb.wadl import to_xml, wadl_tree
from vna import __version__
from vna.config import WebConfig


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
            "capabilities",
            self.capabilities,
            methods=["GET", "OPTIONS"],
            provide_automatic_options=False,
        )
        self._app.add_url_rule(f"{ROOT}/openapi.json", "openapi", self.openapi)

    def capabilities(self) -> Response:
        """The resources below the root, their methods, parameters and media types."""
        kind = _chosen(WADL, JSON)
        tree = wadl_tree(self._routes, self._urls.root(), self._facts)
        body = to_xml(tree) if kind == WADL else orjson.dumps({"application": tree})
        response = Response(body, mimetype=kind)
        if request.method == "OPTIONS":
            response.headers["Allow"] = "GET, HEAD, OPTIONS"
        return response

    def openapi(self) -> Response:
        """The OpenAPI document, with the routes beside the root."""
        kind = _chosen(JSON, OPENAPI)
        document = openapi_document(self._routes, self._urls.root(), __version__, self._facts)
        return Response(orjson.dumps(document), mimetype=kind)

    @cached_property
    def _routes(self) -> tuple[Described, ...]:
        """Made when they are first asked for: by then the application is complete."""
        return tuple(described(self._app, TABLE))


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
    ranges = accepted(request.headers.get("Accept", ""), request.args.get("accept", ""))
    return choose(ranges, [Offer(kind) for kind in kinds]).kind
