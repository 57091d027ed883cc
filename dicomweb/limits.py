"""What a client may ask of a process at once and in a while (429, RFC 6585 4), and how much it may send (413)."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Protocol

from flask import Flask, Response, g, request

from dicomweb.errors import ContentTooLarge, TooManyRequests
from dicomweb.request_head import PROBES
from vna.config import WebConfig

BURST_SECONDS = 10.0
"""For how long a client that was silent may ask as fast as it likes."""
_MOST_KNOWN = 10_000
_AGAIN_SECONDS = 1


class Input(Protocol):
    """The body of a request as a WSGI server gives it."""

    def read(self, size: int = -1, /) -> bytes: ...


class ClientLimits:
    """Counts the requests of each client, which is a network address; safe for threads.

    `at_once` bounds those that are being answered, `per_second` how many may begin, on average; 0
    does not bound.
    """

    def __init__(
        self, at_once: int, per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def is_bounded(self) -> bool:
        """Whether there is anything to count."""
        return self._at_once > 0 or self._per_second > 0

    def enter(self, client: str) -> None:
        """A request begins; `leave` has to follow. Raises TooManyRequests, and nothing is counted then."""
        with self._lock:
            if 0 < self._at_once <= self._open[client]:
                raise TooManyRequests(
                    f"{self._at_once} requests of this address are being answered already",
                    _AGAIN_SECONDS,
                )
            if self._per_second > 0:
                self._spend(client)
            self._open[client] += 1

    def leave(self, client: str) -> None:
        """A request has ended."""
        with self._lock:
            self._open[client] -= 1
            if self._open[client] <= 0:
                del self._open[client]

    def _spend(self, client: str) -> None:
        """Take one of the requests that a client has to its credit; they grow again as time passes."""
        now, most = self._clock(), max(1.0, self._per_second * BURST_SECONDS)
        left, since = self._spent.pop(client, (most, now))
        left = min(most, left + (now - since) * self._per_second)
        is_over = left < 1
        self._spent[client] = (left if is_over else left - 1), now
        if len(self._spent) > _MOST_KNOWN:
            self._spent.popitem(last=False)
        if is_over:
            raise TooManyRequests(
                f"this address asks more often than {self._per_second:g} times a second",
                math.ceil((1 - left) / self._per_second),
            )


def limit_clients(app: Flask, settings: WebConfig) -> None:
    """Hold the clients of `app` to web.max_requests_per_client and web.max_request_rate."""
    limits = ClientLimits(settings.max_requests_per_client, settings.max_request_rate)
    if not limits.is_bounded:
        return

    def enter() -> None:
        if (
            request.path in PROBES
        ):  # they have few places anyway, and come from whoever forwards the rest
            return
        limits.enter(g.client_address)
        g.is_counted = True

    def leave(response: Response) -> Response:
        if g.pop("is_counted", False):
            client = g.client_address
            response.call_on_close(lambda: limits.leave(client))
        return response

    app.before_request(enter)
    app.after_request(leave)


def limit_bodies(app: Flask, settings: WebConfig) -> None:
    """Hold the bodies of requests to web.max_body_bytes: announced ones before they are read."""
    most = settings.max_body_bytes

    def check() -> None:
        if (request.content_length or 0) > most:
            raise _too_large(most)
        if request.content_length is None and "HTTP_TRANSFER_ENCODING" in request.environ:
            request.environ["wsgi.input"] = BoundedInput(request.environ["wsgi.input"], most)

    if most:
        app.before_request(check)


class BoundedInput:
    """The body of a request whose length was not announced."""

    def __init__(self, inner: Input, most: int) -> None:
        self._inner, self._most, self._left = inner, most, most

    def read(self, size: int = -1, /) -> bytes:
        """As that of the body. Raises ContentTooLarge behind the bound."""
        data = self._inner.read(size if 0 <= size <= self._left else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._most)
        return data


def _too_large(most: int) -> ContentTooLarge:
    return ContentTooLarge(f"the body of a request may have {most} bytes (web.max_body_bytes)")
