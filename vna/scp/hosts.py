"""Whether a network address is one of a list of host names, addresses and networks."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

FRESH_SECONDS = 60.0
RETRY_SECONDS = 10.0

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def resolve(name: str) -> frozenset[str]:
    """The addresses of a host name, by the system's resolver. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return frozenset(str(address[0]) for *_, address in found)


class Names:
    """Addresses of host names, remembered for a minute; when the resolver fails, the last known."""

    def __init__(self, resolver: Callable[[str], frozenset[str]] = resolve) -> None:
        self._resolve = resolver
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, frozenset[_Address]]] = {}

    def addresses(self, name: str) -> frozenset[_Address]:
        """May take as long as the resolver does."""
        with self._lock:
            expires, found = self._known.get(name, (0.0, frozenset[_Address]()))
        if time.monotonic() < expires:
            return found
        seconds = FRESH_SECONDS
        try:
            found = frozenset(_parsed(text) for text in self._resolve(name))
        except (OSError, UnicodeError, ValueError) as exc:
            log.warning("host name %s of dimse.peers has no address now: %s", name, exc)
            seconds = RETRY_SECONDS
        with self._lock:
            self._known[name] = time.monotonic() + seconds, found
        return found


class HostList:
    """The hosts from which a peer may come; an empty list is everywhere."""

    def __init__(self, hosts: Sequence[str], names: Names) -> None:
        """`hosts` as `check_dimse` lets them pass."""
        self._networks: list[_Network] = []
        self._host_names: list[str] = []
        self._names = names
        for host in hosts:
            try:
                self._networks.append(ipaddress.ip_network(host, strict=False))
            except ValueError:
                self._host_names.append(host)

    def allows(self, address: str) -> bool:
        """Whether `address`, as the socket tells it, is on the list."""
        if not (self._networks or self._host_names):
            return True
        try:
            parsed = _parsed(address)
        except ValueError:
            return False
        if any(parsed in network for network in self._networks):
            return True
        return any(parsed in self._names.addresses(name) for name in self._host_names)


def _parsed(text: str) -> _Address:
    """Raises ValueError. An IPv4 address stays one where the socket wraps it in IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
