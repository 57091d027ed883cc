"""Build the archive once, in a process that ends again: who supervises the others stays small."""

from __future__ import annotations

import logging
import os

from vna.config import Config
from vna.errors import ConfigError, OutOfSpace, Unavailable, VnaError
from vna.parent import PARENT_VARIABLE, die_with_parent

log = logging.getLogger(__name__)

_ERRORS: dict[str, type[VnaError]] = {
    kind.__name__: kind for kind in (ConfigError, Unavailable, OutOfSpace)
}
_MAX_MESSAGE = 65536


def rehearse(config: Config) -> None:
    """Bring the schema up to date, and find out what keeps the archive from being served.

    Raises ConfigError, Unavailable. For a process without threads: it forks.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _play(config, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read(_MAX_MESSAGE).decode()
    _, status = os.waitpid(child, 0)
    name, _, message = said.partition("\n")
    if message:
        raise _ERRORS.get(name, VnaError)(message)
    if status != 0:
        raise Unavailable("the archive could not be built; the reason stands above")


def _play(config: Config, writing: int) -> None:
    """What the child does; it never returns."""
    code = 1
    try:
        os.environ[PARENT_VARIABLE] = str(os.getppid())
        die_with_parent()
        _build(config)
        code = 0
    except VnaError as exc:
        os.write(writing, f"{type(exc).__name__}\n{exc}".encode()[:_MAX_MESSAGE])
    except Exception:
        log.exception("the archive cannot be built")
    finally:
        os._exit(code)


def _build(config: Config) -> None:
    from vna.bootstrap import build

    build(config).close()
