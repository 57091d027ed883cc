"""What all commands share: the options that choose the configuration, and reading it."""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from vna.config import Config, load_config
from vna.logs import configure_logging
from vna.model.identifiers import Origin


def environment_of(options: Mapping[str, object]) -> dict[str, str]:
    """The configuration variables that say what the options say, for this process and its children."""
    names = {
        "data_dir": ("VNA__ARCHIVE__DATA_DIR",),
        "ae_title": ("VNA__ARCHIVE__AE_TITLE",),
        "host": ("VNA__DIMSE__HOST", "VNA__WEB__HOST"),
        "dicom_port": ("VNA__DIMSE__PORT",),
        "http_port": ("VNA__WEB__PORT",),
    }
    variables = {
        name: str(options[option])
        for option, targets in names.items()
        for name in targets
        if options.get(option) is not None
    }
    if options.get("config") is not None:
        variables["VNA_CONFIG"] = str(options["config"])
    return variables


def load(options: Mapping[str, object]) -> tuple[Config, dict[str, str]]:
    """The configuration behind the options of a command, and the variables that say the same.

    Logging is set up after it. Raises ConfigError.
    """
    variables = environment_of(options)
    environment = {**os.environ, **variables}
    path = environment.get("VNA_CONFIG")
    config = load_config(Path(path) if path else None, environment)
    configure_logging(config.log)
    return config, variables


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that all of them have."""
    command = click.option(
        "--data-dir", type=click.Path(path_type=Path), help="Where everything is kept."
    )(command)
    return click.option(
        "--config", type=click.Path(path_type=Path), help="TOML file; see config/vna.toml."
    )(command)


def operator() -> Origin:
    """Who gives the command."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that has no name
        name = str(os.getuid())
    return Origin("cli", name, correlation_id=secrets.token_hex(8))


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set: what was seen is remembered then."""
    stopping = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
