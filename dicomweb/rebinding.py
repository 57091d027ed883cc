"""Web pages that give their own name the address of this machine, and then read what is served here (DNS rebinding)."""

from __future__ import annotations

import re

from flask import Flask, request

from dicomweb.errors import Misdirected
from vna.config import LOOPBACK, WebConfig

_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]*)?|[0-9.]+(?::[0-9]*)?")


def refuse_rebound(app: Flask, settings: WebConfig) -> None:
    """Answer no browser that takes this archive for another site.

    Only where nothing else keeps it out: the gateway listens on loopback alone, asks nobody for a password, and
    was told of no name and no proxy under which it is reached. An address, or localhost, can't be anybody's name.
    Programs are let pass, since no stranger's page makes them: browsers always tell their languages, and no script
    can keep them from it.
    """
    if settings.host not in LOOPBACK or settings.users:
        return
    if settings.public_url or settings.trusted_proxies:
        return
    allowed = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)

    def check() -> None:
        host = request.environ.get("HTTP_HOST", "")
        if "Accept-Language" not in request.headers or is_of_this_machine(host):
            return
        if request.headers.get("Origin", "").lower() not in allowed:
            raise Misdirected(
                "no browser is served under this name: use localhost, or set web.public_url to the address "
                "that this archive has for its users"
            )

    app.before_request(check)


def is_of_this_machine(host: str) -> bool:
    """Whether a Host can't be a name that a stranger has given to this machine."""
    name = host.partition(":")[0].rstrip(".").lower()
    is_local = name in {"", "localhost"} or name.endswith(".localhost")
    return is_local or _ADDRESS.fullmatch(host) is not None
