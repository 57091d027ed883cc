"""Who asks and for which host, as trusted proxies tell it (RFC 7239, and the older X-Forwarded-* headers)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"|")++')
_PAIR = re.compile(r'\s*+([A-Za-z]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;"\s]*+))\s*+(?:;\s*+|$)')
_ESCAPE = re.compile(r"\\(.)")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_MAX_HOPS = 32
_LONGEST = 4096
"""Characters of a header, from its end, that are looked at; more of them is no chain of proxies."""


class Headers(Protocol):
    """The headers of a request, whatever case their names are in."""

    def get(self, key: str, default: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Told:
    """What proxies say of a request: "" where they say nothing.

    `address`: of the client; `scheme`: "http" or "https"; `host`: with its port where it has one;
    `prefix`: the path under which the gateway is mounted, such as "/pacs".
    """

    address: str
    scheme: str = ""
    host: str = ""
    prefix: str = ""


class TrustedProxies:
    """The proxies that are believed, by address or network (CIDR); nobody else is."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Raises ValueError for what is no network."""
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(network, strict=False) for network in networks
        )
        self._is_trusted: dict[str, bool] = {}

    def told(self, peer: str, headers: Headers) -> Told:
        """What is known of a request that `peer` (an address) has sent with these `headers`.

        Each proxy adds itself behind those before it, so the last ones count: back to the first
        address that no trusted proxy has. What that one, or anyone before it, wrote is passed over.
        """
        if not self._networks or not self.trusts(peer):
            return Told(peer)
        forwarded = headers.get("Forwarded", "")
        if forwarded:
            return self._forwarded(peer, forwarded)
        return self._x_forwarded(peer, headers)

    def trusts(self, text: str) -> bool:
        """Whether `text` is the address of a trusted proxy."""
        if not self._networks:
            return False
        known = self._is_trusted.get(text)
        if known is not None:
            return known
        address = _address(text)
        found = address is not None and any(address in network for network in self._networks)
        if found:  # these are few; the others are everyone
            self._is_trusted[text] = True
        return found

    def _forwarded(self, peer: str, header: str) -> Told:
        told = Told(peer)
        for element in _last_first(_ELEMENT.findall(header[-_LONGEST:])):
            pairs = _pairs(element)
            node = _node(pairs.get("for", ""))
            told = Told(
                node or told.address,
                _scheme(pairs.get("proto", "")) or told.scheme,
                _host(pairs.get("host", "")) or told.host,
            )
            if not node or not self.trusts(node):  # what stands before it may be anyone's
                break
        return told

    def _x_forwarded(self, peer: str, headers: Headers) -> Told:
        address = peer
        for item in _last_first(headers.get("X-Forwarded-For", "")[-_LONGEST:].split(",")):
            node = _node(item.strip())
            address = node or address
            if not node or not self.trusts(node):
                break
        host = _host(_last(headers, "X-Forwarded-Host"))
        port = _last(headers, "X-Forwarded-Port")
        if host and port.isdecimal() and len(port) <= 5 and not re.search(r":[0-9]+$", host):
            host = f"{host}:{port}"
        prefix = _last(headers, "X-Forwarded-Prefix").rstrip("/")
        return Told(
            address,
            _scheme(_last(headers, "X-Forwarded-Proto")),
            host,
            prefix if _PREFIX.fullmatch(prefix) else "",
        )


def is_host(text: str) -> bool:
    """Whether `text` is a host name or address with an optional port (RFC 9110 7.2)."""
    return _HOST.fullmatch(text) is not None


def without_default_port(scheme: str, host: str) -> str:
    """`host` as it stands in a URL of `scheme`."""
    return host.removesuffix(":443" if scheme == "https" else ":80")


def _last_first(items: Sequence[str]) -> Iterator[str]:
    return reversed([item for item in items[-_MAX_HOPS:] if item.strip()])


def _pairs(element: str) -> dict[str, str]:
    """What a proxy says of a request, by lower-case names; nothing where it is not well-formed."""
    found: dict[str, str] = {}
    position = 0
    while pair := _PAIR.match(element, position):
        found[pair[1].lower()] = pair[3] if pair[2] is None else _ESCAPE.sub(r"\1", pair[2])
        position = pair.end()
    return found if position == len(element) else {}


def _last(headers: Headers, name: str) -> str:
    return headers.get(name, "").rpartition(",")[2].strip()


def _scheme(text: str) -> str:
    text = text.lower()
    return text if text in {"http", "https"} else ""


def _host(text: str) -> str:
    return text if is_host(text) else ""


def _node(text: str) -> str:
    """The address of a node (RFC 7239 6): without its port; "" for "unknown", hidden ones, nonsense."""
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?", text)
    address = _address((found[1] or found[2]) if found else text)
    return "" if address is None else str(address)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
